//! A manual page per module, and one for the transformations.

use std::fmt::Write;

use crate::pv::transformations;
use crate::{Function, Inner, Module, ParamKind, ParamType, Registry, Returns, RouteKind, RouteKinds};

/// `modules/NAME.md` and its text, for every module that declares anything.
pub fn module_pages(registry: &Registry) -> Vec<(String, String)> {
    let declares = |m: &dyn Module| {
        !(m.functions().is_empty()
            && m.pseudo_variables().is_empty()
            && m.params().is_empty()
            && m.rpc().is_empty())
    };
    let mut pages: Vec<_> = registry
        .modules()
        .iter()
        .filter(|m| declares(m.as_ref()))
        .map(|m| (format!("modules/{}.md", m.name()), page(m.as_ref())))
        .collect();
    pages.sort();
    pages
}

fn page(module: &dyn Module) -> String {
    let mut out = format!("# {}\n\n{}\n", module.name(), super::MADE);
    if !module.params().is_empty() {
        out.push_str("\n## Parameters\n\n| parameter | takes | |\n|---|---|---|\n");
        let mut params: Vec<_> = module.params().iter().collect();
        params.sort_by_key(|p| p.name);
        for p in params {
            let kind = match p.kind {
                ParamType::Int => "integer",
                ParamType::Str => "string",
                ParamType::Any => "integer or string",
            };
            let doc = p.doc.replace('|', "\\|").replace("\n\n", "<br>").replace('\n', " ");
            let _ = writeln!(out, "| `{}` | {kind} | {doc} |", p.name);
        }
    }
    if !module.functions().is_empty() {
        out.push_str("\n## Functions\n");
        for f in module.functions() {
            function(&mut out, f);
        }
    }
    if !module.pseudo_variables().is_empty() {
        out.push_str("\n## Pseudo-variables\n\n| name | | |\n|---|---|---|\n");
        let mut rows: Vec<_> = module.pseudo_variables().iter().collect();
        rows.sort_by_key(|p| (p.name.to_ascii_lowercase(), p.name));
        for p in rows {
            let inner = match p.inner {
                Inner::None => "".to_string(),
                Inner::Text => "(name)".to_string(),
                Inner::Pv => "($name)".to_string(),
                Inner::Keyword([only]) => format!("({only})"),
                Inner::Keyword(_) => "(...)".to_string(),
            };
            let access = if p.set.is_some() { "read, write" } else { "read" };
            let _ = writeln!(out, "| `${}{inner}` | {access} | {} |", p.name, super::summary(p.doc));
        }
    }
    if !module.rpc().is_empty() {
        out.push_str("\n## RPC commands\n\n| command | |\n|---|---|\n");
        for r in module.rpc() {
            let _ = writeln!(out, "| `{}` | {} |", r.name, super::summary(r.doc));
        }
    }
    out
}

fn function(out: &mut String, f: &Function) {
    let params: Vec<String> = f
        .params
        .iter()
        .map(|p| {
            let kind = match p.kind {
                ParamKind::Int => "int",
                ParamKind::Str => "str",
                ParamKind::Pv => "pseudo-variable",
                ParamKind::Format => "str with pseudo-variables",
                ParamKind::Rest => "...",
            };
            format!("{}: {kind}", p.name)
        })
        .collect();
    let returns = match f.returns {
        Returns::None => "",
        Returns::Int => " → int",
        Returns::Bool => " → bool",
        Returns::Xval => " → int, str or None",
    };
    let _ = write!(out, "\n### `{}({})`{returns}\n\n{}\n", f.path(), params.join(", "), f.doc);
    let mut notes = Vec::new();
    if f.routes != RouteKinds::ANY {
        notes.push(format!("Routes: {}.", routes(f.routes)));
    }
    if !f.cfg.is_empty() {
        let names: Vec<String> = f.cfg.iter().map(|n| format!("`{n}`")).collect();
        notes.push(format!("In the native language: {}.", names.join(", ")));
    }
    if !f.needs_message {
        notes.push("Works outside a message.".into());
    }
    if f.blocking {
        notes.push("May wait; other scripts run meanwhile.".into());
    }
    if !notes.is_empty() {
        let _ = write!(out, "\n{}\n", notes.join(" "));
    }
}

fn routes(kinds: RouteKinds) -> String {
    use RouteKind::*;
    let names = [
        (Request, "request"),
        (Reply, "reply"),
        (Onsend, "onsend"),
        (Branch, "branch"),
        (OnReply, "onreply"),
        (Failure, "failure"),
        (BranchFailure, "branch failure"),
        (Event, "event"),
        (Init, "start-up"),
    ];
    let names: Vec<&str> = names.into_iter().filter(|(k, _)| kinds.contains(*k)).map(|(_, n)| n).collect();
    names.join(", ")
}

/// The page of the transformations.
pub fn transformations_page() -> String {
    let mut out = format!(
        "# Transformations\n\n{}\n\n`$(name{{class.function,parameter}})` changes the value of a pseudo-variable; several stand one \
         behind the other. Null stays null unless said otherwise.\n\n| transformation | module | |\n|---|---|---|\n",
        super::MADE
    );
    let mut rows: Vec<_> = transformations::rows().collect();
    rows.sort_by_key(|r| (r.class, r.name));
    for r in rows {
        let _ = writeln!(out, "| `{{{}.{}}}` | {} | {} |", r.class, r.name, r.module, super::summary(r.doc));
    }
    out
}
