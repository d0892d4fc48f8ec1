//! The written architecture holds: every path it names exists, and rooms name only the rooms they may.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn every_path_named_in_the_pages_exists() {
    let pages = [
        "ARCHITECTURE.md",
        "README.md",
        "CONTRIBUTING.md",
        "docs/databases.md",
        "docs/differences.md",
        "docs/life-of-a-request.md",
        "docs/nat-and-media.md",
        "docs/operating.md",
    ];
    let mut seen = 0;
    for page in pages {
        let text = read(&root().join(page));
        let words = text.split(|c: char| c.is_whitespace() || "`()[]*,".contains(c));
        let folders = ["crates/", "docs/", "examples/", "conformance/", "benches/", "fuzz/"];
        // Made by `make generate`, so it may not be there yet.
        for word in words.filter(|w| folders.iter().any(|f| w.starts_with(f)) && !w.contains("generated")) {
            let path = word.trim_end_matches(['.', ':', ';']);
            assert!(root().join(path).exists(), "{page} names {path}, which does not exist");
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} paths found");
}

#[test]
fn rooms_name_only_the_rooms_they_may() {
    let may: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("message", &["memchr"] as &[&str]),
        ("transaction", &["message"]),
        ("script", &["transaction", "message", "script-macros"]),
        ("modules", &["script", "store", "transaction", "message"]),
        ("proxy", &["script", "transaction", "message"]),
    ]);
    // Crates that reach the system: sockets, clocks, C.
    let outside = ["libc", "nix", "rustix", "socket2", "tokio", "mio", "pyo3-ffi", "signal-hook"];
    for (name, allowed) in may {
        let manifest = read(&root().join("crates").join(name).join("Cargo.toml"));
        let dependencies =
            manifest.split("\n[").find_map(|s| s.strip_prefix("dependencies]")).unwrap_or_default();
        for line in dependencies.lines() {
            let dependency = line.split(['=', '.', ' ']).next().unwrap_or_default();
            assert!(!outside.contains(&dependency), "{name} must not name {dependency}");
            let room = root().join("crates").join(dependency);
            let is_room = !dependency.is_empty() && room.exists();
            assert!(!is_room || allowed.contains(&dependency), "{name} must not name {dependency}");
        }
    }
}

#[test]
fn unsafe_code_is_where_it_may_be() {
    // An allocator that counts, in a program that measures.
    let allowed = ["crates/transport/src/udp/syscall.rs", "crates/python/", "crates/transaction/examples/"];
    let mut folders = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("folder").map_while(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root()).expect("below the root").display().to_string();
                let code = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"];
                let found = read(&path)
                    .lines()
                    .filter(|l| !l.trim_start().starts_with("//") && !l.contains('"'))
                    .any(|l| code.iter().any(|c| l.contains(c)));
                assert!(!found || allowed.iter().any(|a| name.starts_with(a)), "unsafe code in {name}");
            }
        }
    }
}
