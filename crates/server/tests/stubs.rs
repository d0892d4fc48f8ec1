//! `trunkline stubs`: type checkers accept the scripts of this project with it, and find a misspelt function.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{Folder, run_to_end, text};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn stubs() -> Folder {
    let folder = Folder::new();
    let out = run_to_end(&["stubs"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    folder.write("KSR.pyi", &text(&out.stdout));
    folder
}

fn scripts() -> Vec<PathBuf> {
    let mut all = Vec::new();
    for folder in ["examples", "conformance/config"] {
        let entries = std::fs::read_dir(root().join(folder)).expect("folder").map_while(Result::ok);
        all.extend(entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "py")));
    }
    assert!(all.len() >= 3, "{all:?}");
    all
}

fn mypy(stubs: &Folder, script: &Path) -> Output {
    Command::new("mypy")
        // Callbacks have no annotations: without this mypy would not look into them.
        .args(["--check-untyped-defs", "--no-incremental", "--cache-dir=/dev/null", "--config-file="])
        .arg(script)
        .env("MYPYPATH", stubs.path())
        .output()
        .expect("mypy (Debian package mypy) is installed")
}

#[test]
fn the_stubs_are_those_of_the_documentation() {
    let page = root().join("docs/generated/KSR.pyi");
    let page = std::fs::read_to_string(page).expect("docs/generated/KSR.pyi");
    let printed = text(&run_to_end(&["stubs"]).stdout);
    assert!(printed.trim() == page.trim(), "make generate prints docs/generated/KSR.pyi anew");
}

#[test]
fn mypy_accepts_the_scripts_of_this_project() {
    let stubs = stubs();
    for script in scripts() {
        let out = mypy(&stubs, &script);
        assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
    }
}

#[test]
fn mypy_finds_a_misspelt_function_and_wrong_arguments() {
    let stubs = stubs();
    let example = std::fs::read_to_string(root().join("examples/route.py")).expect("example");
    for (right, wrong, said) in [
        ("KSR.tm.t_relay()", "KSR.tm.t_rely()", "maybe \"t_relay\""),
        ("KSR.is_CANCEL()", "KSR.is_CANSEL()", "has no attribute \"is_CANSEL\""),
        ("lookup(\"location\")", "lookup()", "for \"lookup\""),
        ("lookup(\"location\")", "lookup(5)", "incompatible type \"int\""),
    ] {
        let script = stubs.write("route.py", &example.replace(right, wrong));
        let out = mypy(&stubs, &script);
        let found = text(&out.stdout);
        assert!(!out.status.success() && found.contains(said), "{wrong}: {found}{}", text(&out.stderr));
    }
}
