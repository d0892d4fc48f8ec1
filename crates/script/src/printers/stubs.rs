//! `KSR.pyi`: the KSR API for editors and type checkers.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::{Function, ParamKind, Registry, Returns};

/// Names that Python does not let stand for a parameter, function or object.
const KEYWORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// The stub file of the module `KSR`.
pub fn stubs(registry: &Registry) -> String {
    let mut objects: BTreeMap<&str, BTreeMap<&str, &Function>> = BTreeMap::new();
    for (_, f) in registry.functions() {
        objects.entry(f.object).or_default().entry(f.name).or_insert(f);
    }
    let mut out = format!(
        "\"\"\"The KSR API of Trunkline, called from a routing script.\n\n{}\n\
         Texts may hold any bytes: those that are no UTF-8 come and go as surrogate escapes.\n\"\"\"\n\n\
         from typing import Any, Dict, List, Union\n\n\
         # int, str or None, as the variable decides. Any, so that a script need not check what it knows of its own variables.\n\
         Xval = Any\n",
        super::MADE
    );
    if let Some(core) = objects.remove("") {
        for f in core.values() {
            function(&mut out, f, "");
        }
    }
    for (object, functions) in &objects {
        let _ = write!(out, "\nclass _{object}:\n    \"\"\"`KSR.{object}`\"\"\"\n");
        if *object == "x" {
            out.push_str("    class Exit(SystemExit): ...\n    class Drop(SystemExit): ...\n");
        }
        for f in functions.values() {
            function(&mut out, f, "    ");
        }
        if KEYWORDS.contains(object) {
            let _ = write!(out, "\n# getattr(KSR, \"{object}\"): _{object}\n");
        } else {
            let _ = write!(out, "\n{object}: _{object}\n");
        }
    }
    out
}

fn function(out: &mut String, f: &Function, indent: &str) {
    if KEYWORDS.contains(&f.name) {
        let _ = write!(out, "\n{indent}# getattr(..., \"{}\")\n", f.name);
        return;
    }
    let mut params: Vec<String> = Vec::new();
    let mut rest = None;
    for p in f.params {
        let name = if KEYWORDS.contains(&p.name) { format!("{}_", p.name) } else { p.name.to_string() };
        match p.kind {
            ParamKind::Int => params.push(format!("{name}: int")),
            ParamKind::Rest => rest = Some(format!("*{name}: Union[int, str]")),
            _ => params.push(format!("{name}: str")),
        }
    }
    // The engine takes arguments by position.
    if !params.is_empty() {
        params.push("/".into());
    }
    params.extend(rest);
    let returns = match f.returns {
        // Always 0.
        Returns::None | Returns::Int => "int",
        Returns::Bool => "bool",
        Returns::Xval if f.name.contains("_getd_p1") => "Union[Dict[str, Xval], None]",
        Returns::Xval if f.name.contains("_getd") => "Union[List[Dict[str, Xval]], None]",
        Returns::Xval if f.name.contains("_get_keys") => "Union[List[str], None]",
        Returns::Xval => "Xval",
    };
    if !indent.is_empty() {
        let _ = write!(out, "\n{indent}@staticmethod");
    }
    let _ = write!(out, "\n{indent}def {}({}) -> {returns}:\n{indent}    r\"\"\"", f.name, params.join(", "));
    for (i, line) in f.doc.replace("\"\"\"", "'''").lines().enumerate() {
        let pad = if i == 0 || line.is_empty() { "" } else { &format!("{indent}    ") };
        let _ = write!(out, "{}{pad}{line}", if i == 0 { "" } else { "\n" });
    }
    // A quote at the end would close the text one character early.
    let _ = write!(out, "{}\"\"\"\n{indent}    ...\n", if f.doc.ends_with('"') { " " } else { "" });
}
