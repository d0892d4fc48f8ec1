//! `docs/coverage.md`: the registry against the tables of Kamailio's surface, in total, by module, and weighted by use.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;

use crate::Registry;
use crate::pv::transformations;

/// Texts of the tables in `docs/kamailio`, tab separated with a head line.
#[derive(Debug, Clone, Copy)]
pub struct Tables<'t> {
    /// `kemi_exports.tsv`
    pub functions: &'t str,
    /// `ksr_usage.tsv`
    pub function_usage: &'t str,
    /// `pseudovars.tsv`
    pub pseudo_variables: &'t str,
    /// `pv_usage.tsv`
    pub pseudo_variable_usage: &'t str,
    /// `transformations.tsv`
    pub transformations: &'t str,
    /// `transformation_usage.tsv`
    pub transformation_usage: &'t str,
    /// `modparams.tsv`
    pub parameters: &'t str,
    /// `rpc_commands.tsv`
    pub rpc: &'t str,
}

/// One kind of thing: what there is by module, what is here, how often it is used.
struct Kind {
    title: &'static str,
    /// Name to modules that have it.
    known: BTreeMap<String, BTreeSet<String>>,
    here: BTreeSet<String>,
    /// Name to number of public repositories; empty when not counted.
    used: HashMap<String, u64>,
}

impl Kind {
    fn covered(&self) -> usize {
        self.known.keys().filter(|n| self.here.contains(*n)).count()
    }
    /// Use of what is here and use of all that Kamailio has.
    fn weight(&self) -> (u64, u64) {
        let known = self.used.iter().filter(|(n, _)| self.known.contains_key(*n));
        known.fold((0, 0), |(here, all), (n, repos)| {
            (here + if self.here.contains(n) { *repos } else { 0 }, all + repos)
        })
    }
    fn of_module(&self, module: &str) -> (usize, usize) {
        let of = self.known.iter().filter(|(_, m)| m.contains(module));
        of.fold((0, 0), |(here, all), (n, _)| (here + usize::from(self.here.contains(n)), all + 1))
    }
}

/// The page.
pub fn coverage(registry: &Registry, tables: &Tables<'_>) -> String {
    let kinds = kinds(registry, tables);
    let mut out = format!(
        "# What is covered of Kamailio's surface\n\n{}\n\nKamailio's side are the tables in `docs/kamailio`. *By use* counts each name as \
         often as public repositories use it.\n\n| | here | in Kamailio | share | by use |\n|---|--:|--:|--:|--:|\n",
        super::MADE
    );
    for kind in &kinds {
        let (covered, all) = (kind.covered(), kind.known.len());
        let (used, of) = kind.weight();
        let by_use = if of == 0 { "".to_string() } else { percent(used, of) };
        let _ = writeln!(
            out,
            "| {} | {covered} | {all} | {} | {by_use} |",
            kind.title,
            percent(covered as u64, all as u64)
        );
    }
    out.push_str("\n## Most used and not here yet\n");
    for kind in &kinds {
        let mut missing: Vec<(&String, u64)> = kind
            .used
            .iter()
            .filter(|(n, _)| kind.known.contains_key(*n) && !kind.here.contains(*n))
            .map(|(n, repos)| (n, *repos))
            .collect();
        missing.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        if missing.is_empty() {
            continue;
        }
        let list: Vec<String> = missing.iter().take(25).map(|(n, repos)| format!("`{n}` {repos}")).collect();
        let more = missing.len().saturating_sub(25);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        let _ = write!(out, "\n{} (repositories): {}{more}.\n", kind.title, list.join(", "));
    }
    out.push_str("\n## By module\n\nModules of which something is here.\n\n| module |");
    for kind in &kinds {
        let _ = write!(out, " {} |", kind.title.to_lowercase());
    }
    out.push_str("\n|---|");
    out.push_str(&"--:|".repeat(kinds.len()));
    out.push('\n');
    let modules: BTreeSet<&String> = kinds.iter().flat_map(|k| k.known.values().flatten()).collect();
    let mut absent = 0;
    for module in modules {
        let counts: Vec<(usize, usize)> = kinds.iter().map(|k| k.of_module(module)).collect();
        if counts.iter().all(|(here, _)| *here == 0) {
            absent += 1;
            continue;
        }
        let _ = write!(out, "| {module} |");
        for (here, all) in counts {
            let _ = if all == 0 { write!(out, " |") } else { write!(out, " {here} of {all} |") };
        }
        out.push('\n');
    }
    let _ = write!(out, "\n{absent} modules of Kamailio have nothing here yet.\n");
    out
}

fn percent(part: u64, all: u64) -> String {
    if all == 0 { "".into() } else { format!("{:.1} %", part as f64 * 100.0 / all as f64) }
}

/// Fields of the lines behind the head line.
fn lines(table: &str) -> impl Iterator<Item = Vec<&str>> {
    table.lines().skip(1).filter(|l| !l.is_empty()).map(|l| l.split('\t').collect())
}

fn usage(table: &str, name: usize, repos: usize) -> HashMap<String, u64> {
    lines(table).filter_map(|f| Some((f.get(name)?.to_string(), f.get(repos)?.parse().ok()?))).collect()
}

fn kinds(registry: &Registry, tables: &Tables<'_>) -> Vec<Kind> {
    let mut functions = Kind {
        title: "KSR functions",
        known: BTreeMap::new(),
        here: registry.functions().map(|(_, f)| f.path()).collect(),
        used: usage(tables.function_usage, 1, 3),
    };
    for f in lines(tables.functions) {
        let (Some(module), Some(object), Some(name)) = (f.first(), f.get(1), f.get(2)) else { continue };
        let path = if object.is_empty() { format!("KSR.{name}") } else { format!("KSR.{object}.{name}") };
        functions.known.entry(path).or_default().insert(module.to_string());
    }
    let mut variables = Kind {
        title: "Pseudo-variables",
        known: BTreeMap::new(),
        here: registry.pseudo_variables().map(|p| format!("${}", p.name)).collect(),
        used: usage(tables.pseudo_variable_usage, 0, 1)
            .into_iter()
            .map(|(n, c)| (format!("${n}"), c))
            .collect(),
    };
    for f in lines(tables.pseudo_variables) {
        let (Some(name), Some(module)) = (f.first(), f.get(2)) else { continue };
        variables.known.entry(format!("${name}")).or_default().insert(module.to_string());
    }
    let mut changes = Kind {
        title: "Transformations",
        known: BTreeMap::new(),
        here: transformations::rows().map(|r| format!("{}.{}", r.class, r.name)).collect(),
        used: usage(tables.transformation_usage, 0, 1),
    };
    for f in lines(tables.transformations) {
        let (Some(name), Some(module)) = (f.first(), f.get(3)) else { continue };
        changes.known.entry(name.to_string()).or_default().insert(module.to_string());
    }
    let mut parameters = Kind {
        title: "Module parameters",
        known: BTreeMap::new(),
        here: registry
            .modules()
            .iter()
            .flat_map(|m| m.params().iter().map(move |p| format!("{}.{}", m.name(), p.name)))
            .collect(),
        used: HashMap::new(),
    };
    for f in lines(tables.parameters) {
        let (Some(module), Some(name)) = (f.first(), f.get(1)) else { continue };
        parameters.known.entry(format!("{module}.{name}")).or_default().insert(module.to_string());
    }
    let mut commands = Kind {
        title: "RPC commands",
        known: BTreeMap::new(),
        here: registry.rpc().map(|(_, r)| r.name.to_owned()).collect(),
        used: HashMap::new(),
    };
    for f in lines(tables.rpc) {
        let (Some(module), Some(name)) = (f.first(), f.get(1)) else { continue };
        commands.known.entry(name.to_string()).or_default().insert(module.to_string());
    }
    vec![functions, variables, changes, parameters, commands]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_counted_in_total_and_by_use() {
        let tables = Tables {
            functions: "module\tksr\tfunction\ncore\t\tinfo\nsl\tsl\tsend_reply\n",
            function_usage: "rank\tf\tfiles\trepos\n1\tKSR.info\t1\t3\n2\tKSR.nope\t1\t100\n",
            pseudo_variables: "name\tform\tmodule\nru\t$ru\tpv\n",
            pseudo_variable_usage: "pv\trepos\nru\t75\n",
            transformations: "t\tclass\tname\tmodule\ns.len\ts\tlen\tpv\njson.parse\tjson\tparse\tjson\n",
            transformation_usage: "t\trepos\ns.len\t3\njson.parse\t1\n",
            parameters: "module\tparam\ntm\tfr_timer\n",
            rpc: "module\tcommand\tflags\tcondition\npv\tpv.shvGet\t\t\n",
        };
        let page = coverage(&Registry::default(), &tables);
        assert!(page.contains("| KSR functions | 0 | 2 | 0.0 % | 0.0 % |"), "{page}");
        assert!(page.contains("| Transformations | 1 | 2 | 50.0 % | 75.0 % |"), "{page}");
        assert!(page.contains("KSR functions (repositories): `KSR.info` 3."), "{page}");
        assert!(page.contains("| pv | | 0 of 1 | 1 of 1 | | 0 of 1 |"), "{page}");
        assert!(page.contains("4 modules of Kamailio have nothing here yet."), "{page}");
    }
}
