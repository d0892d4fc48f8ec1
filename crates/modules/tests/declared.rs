//! Every function is declared as Kamailio declares it: name, number and types of parameters, return type.

extern crate trunkline_modules as modules;

use std::collections::{BTreeSet, HashMap};

use script::{Function, Module, ParamKind, Returns};

const EXPORTS: &str = include_str!("../../../docs/kamailio/kemi_exports.tsv");

/// Functions that are not in Kamailio's table: every engine of Kamailio has `KSR.x` of its own, and scripts call the one of tmx.
const BESIDES: &[&str] = &["KSR.x.modf", "KSR.x.exit", "KSR.x.drop", "KSR.tmx.t_check_trans"];
/// Modules of which functions of the native route language that Kamailio does not give to scripts can be called all the same.
const MORE: &[&str] = &["alias_db", "auth", "auth_db", "dispatcher", "group", "permissions"];

fn signature(f: &Function) -> String {
    let params: Vec<&str> = f
        .params
        .iter()
        .map(|p| match p.kind {
            ParamKind::Int => "int",
            ParamKind::Str | ParamKind::Pv | ParamKind::Format => "str",
            ParamKind::Rest => "...",
        })
        .collect();
    let returns = match f.returns {
        Returns::None => "none",
        Returns::Int => "int",
        Returns::Bool => "bool",
        Returns::Xval => "xval",
    };
    format!("{returns}({})", params.join(","))
}

#[test]
fn functions_are_declared_as_in_kamailio() {
    let mut table: HashMap<String, Vec<(String, String)>> = HashMap::new();
    let mut names = BTreeSet::new();
    for line in EXPORTS.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [module, object, function, returns, params, ..] = fields.as_slice() else { panic!("{line}") };
        let path =
            if object.is_empty() { format!("KSR.{function}") } else { format!("KSR.{object}.{function}") };
        let signature = format!("{returns}({})", params.replace("long", "int"));
        table.entry(path).or_default().push((module.to_string(), signature));
        names.insert(*module);
    }
    for name in ["hdr", "x", "tmx", "xlog"] {
        names.insert(name);
    }
    let all: Vec<Box<dyn Module>> = names.iter().filter_map(|n| modules::create(n)).collect();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for module in &all {
        for f in module.functions() {
            let path = f.path();
            if !seen.insert(path.clone()) {
                wrong.push(format!("{path} is declared twice"));
            }
            if BESIDES.contains(&path.as_str()) {
                continue;
            }
            let Some(rows) = table.get(&path) else {
                if !MORE.contains(&f.module) {
                    wrong.push(format!("{path} is not in Kamailio's table"));
                }
                continue;
            };
            let here = (f.module.to_string(), signature(f));
            if !rows.contains(&here) {
                wrong.push(format!("{path} is {} {}, should be {rows:?}", here.0, here.1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.len() > 300, "only {} functions found", seen.len());
    // Complete, not only right: what these modules export in Kamailio is all here.
    let complete = ["core", "kemix", "pv"];
    let missing: Vec<&String> = table
        .iter()
        .filter(|(path, rows)| {
            rows.iter().any(|(m, _)| complete.contains(&m.as_str())) && !seen.contains(*path)
        })
        .map(|(path, _)| path)
        .collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
}
