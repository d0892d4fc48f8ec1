//! `trunkline generate`: the reference pages, printed from the declarations.

use std::path::Path;
use std::process::ExitCode;

use script::{Registry, printers};

use crate::cli::GenerateArgs;
use crate::rpc::ServerModule;
use crate::say;

/// Kamailio's surface, which the coverage page compares with.
const TABLES: printers::Tables<'static> = printers::Tables {
    functions: include_str!("../../../docs/kamailio/kemi_exports.tsv"),
    function_usage: include_str!("../../../docs/kamailio/ksr_usage.tsv"),
    pseudo_variables: include_str!("../../../docs/kamailio/pseudovars.tsv"),
    pseudo_variable_usage: include_str!("../../../docs/kamailio/pv_usage.tsv"),
    transformations: include_str!("../../../docs/kamailio/transformations.tsv"),
    transformation_usage: include_str!("../../../docs/kamailio/transformation_usage.tsv"),
    parameters: include_str!("../../../docs/kamailio/modparams.tsv"),
    rpc: include_str!("../../../docs/kamailio/rpc_commands.tsv"),
};

/// Writes the pages to a folder, or all of them to stdout.
pub fn run(args: &GenerateArgs) -> ExitCode {
    let pages = pages();
    match &args.folder {
        None => {
            for (name, text) in pages {
                say::out(format_args!("<!-- {name} -->\n{text}"));
            }
            ExitCode::SUCCESS
        }
        Some(folder) => {
            for (name, text) in &pages {
                if let Err(e) = write(&folder.join(name), text) {
                    say::err(format_args!("trunkline generate: {}: {e}", folder.join(name).display()));
                    return ExitCode::FAILURE;
                }
            }
            say::out(format_args!("{} pages written to {}", pages.len(), folder.display()));
            ExitCode::SUCCESS
        }
    }
}

/// `trunkline stubs`.
pub fn stubs() -> ExitCode {
    say::out(printers::stubs(&registry()).trim_end());
    ExitCode::SUCCESS
}

/// All modules there are.
fn registry() -> Registry {
    let mut all: Vec<std::sync::Arc<dyn script::Module>> = vec![std::sync::Arc::new(ServerModule::default())];
    all.extend(modules::names().filter_map(modules::create).map(std::sync::Arc::from));
    Registry::new(all)
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, text)
}

fn pages() -> Vec<(String, String)> {
    let registry = registry();
    let mut pages = vec![
        ("rpc.md".to_owned(), rpc_page(&registry)),
        ("core-parameters.md".to_owned(), core_page()),
        ("KSR.pyi".to_owned(), printers::stubs(&registry)),
        ("transformations.md".to_owned(), printers::transformations_page()),
        ("../coverage.md".to_owned(), printers::coverage(&registry, &TABLES)),
    ];
    pages.extend(printers::module_pages(&registry));
    pages.sort();
    pages
}

fn rpc_page(registry: &Registry) -> String {
    let mut rows: Vec<_> = registry.rpc().map(|(m, r)| (r.name, m.name(), r.doc)).collect();
    rows.sort_unstable();
    let mut text = String::from(
        "# RPC commands\n\nAsked with `trunkline ctl COMMAND [PARAMETER...]`. Made by `make generate`; do not edit.\n\n\
         | command | module | |\n|---|---|---|\n",
    );
    for (name, module, doc) in rows {
        text.push_str(&format!("| `{name}` | {module} | {} |\n", cell(doc)));
    }
    text
}

fn core_page() -> String {
    let mut text = String::from(
        "# Core parameters of kamailio.cfg\n\nMade by `make generate`; do not edit.\n\n| parameter | takes | |\n|---|---|---|\n",
    );
    for p in cfg::core_params() {
        let names: Vec<String> =
            std::iter::once(p.name).chain(p.aliases.iter().copied()).map(|n| format!("`{n}`")).collect();
        text.push_str(&format!("| {} | {} | {} |\n", names.join(", "), p.kind.describe(), cell(p.doc)));
    }
    text
}

fn cell(doc: &str) -> String {
    doc.replace('|', "\\|").replace("\n\n", "<br>").replace('\n', " ")
}
