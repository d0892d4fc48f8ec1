//! What is said about broken configurations: every file in `fixtures/bad`, as a snapshot.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use trunkline_cfg::{Options, read};

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the fixtures are part of the crate")
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "cfg"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_mistake_is_told_with_its_place() {
    for path in fixtures("tests/fixtures/bad") {
        let options = Options { environment: Some(Vec::new()), ..Options::default() };
        let (config, found) = read(&path, &options);
        let mut text = String::new();
        for diagnostic in found.iter().chain(&config.check_engine()) {
            writeln!(text, "{diagnostic}\n").expect("a String takes everything");
        }
        assert!(!text.is_empty(), "{} should not be accepted", path.display());
        let name = path.file_stem().and_then(|s| s.to_str()).unwrap_or("");
        insta::assert_snapshot!(name, text);
    }
}

#[test]
fn a_missing_file_is_one_error() {
    let found = trunkline_cfg::load(Path::new("/nonexistent/kamailio.cfg"), &Options::default())
        .expect_err("it cannot be read");
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["/nonexistent/kamailio.cfg: error: cannot read the file: No such file or directory"]);
    let found = trunkline_cfg::load(Path::new("/"), &Options::default()).expect_err("it cannot be read");
    assert_eq!(found.first().map(|d| d.message.as_str()), Some("cannot read the file: it is a directory"));
}

#[test]
fn the_command_line_has_places_too() {
    let mut options = Options::default();
    options.define("A-B=1");
    options.define("TWICE");
    options.define("TWICE=2");
    options.modparams =
        vec!["tm:fr_timer:x:3".into(), "tm:fr_timer".into(), "tm:fr_timer:i:3".into(), "sl:x:i:y".into()];
    options.loadmodules = vec!["tm.so".into()];
    options.substs = vec![(trunkline_cfg::SubstKind::Subst, "/a".into())];
    let (config, found) = trunkline_cfg::read_str(Path::new("k.cfg"), "cfgengine \"python\"\n", &options);
    let told: String = found.iter().map(|d| format!("{d}\n")).collect();
    insta::assert_snapshot!("command_line", told);
    assert_eq!(config.modparam("tm", "fr_timer"), Some(&trunkline_cfg::Value::Int(3)));
}
