//! Whatever the bytes are: findings, never a panic.

use std::path::Path;

use proptest::prelude::*;
use trunkline_cfg::{Config, Diagnostic, Options, read_str};

/// Pieces that make random texts reach deep.
const PIECES: [&str; 72] = [
    "#!define A ",
    "#!define B A A\n",
    "#!ifdef A\n",
    "#!ifndef B\n",
    "#!else\n",
    "#!endif\n",
    "#!ifexp ",
    "#!subst \"/a/b/g\"\n",
    "#!substdef \"!X!y!\"\n",
    "#!defexp E ",
    "#!undefine A\n",
    "!!define C \\\n",
    "request_route",
    "route",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    "\"",
    "'",
    "if",
    "else",
    "while",
    "switch",
    "case",
    "default",
    ":",
    ";",
    ",",
    "=",
    "==",
    "&&",
    "||",
    "!",
    "-",
    "+",
    "$var(x)",
    "$(",
    "$",
    "@",
    ".",
    "/",
    "/*",
    "*/",
    "//",
    "#",
    "\n",
    "\\",
    " ",
    "listen=",
    "udp:",
    "[::1]",
    "127.0.0.1",
    ":5060",
    "advertise ",
    "name \"x\"",
    "alias=",
    "socket = {",
    "bind = ",
    "modparam",
    "loadmodule \"tm.so\"\n",
    "\"tm\"",
    "children",
    "5",
    "A",
    "B",
    "é",
    "cfgengine \"python\"\n",
    "flags ",
    "exit",
];

fn swallow(text: &str) -> (Config, Vec<Diagnostic>) {
    let options = Options { environment: Some(Vec::new()), ..Options::default() };
    let (config, found) = read_str(Path::new("fuzz.cfg"), text, &options);
    for diagnostic in found.iter().chain(&config.check_engine()) {
        let _ = diagnostic.to_string();
        let _ = diagnostic.coloured();
    }
    (config, found)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in "(?s).{0,200}") {
        swallow(&text);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        swallow(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_order_of_pieces(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..80)) {
        swallow(&pieces.concat());
    }

    #[test]
    fn any_cut_of_a_configuration(at in 0usize..3000, hole in 0usize..40) {
        let text = include_str!("fixtures/good/routes.cfg").to_owned() + include_str!("fixtures/good/sockets.cfg");
        let kept: String = text.chars().enumerate().filter(|(n, _)| *n < at || *n > at + hole).map(|(_, c)| c).collect();
        swallow(&kept);
    }
}

#[test]
fn bounds_hold() {
    let doubling: String = (0..40).map(|n| format!("#!define A{} A{n} A{n}\n", n + 1)).collect();
    let told = |found: &[Diagnostic], what| found.iter().any(|d| d.message.contains(what));
    let (_, found) = swallow(&format!("#!define A0 x\n{doubling}request_route {{ A20; }}"));
    assert!(told(&found, "more than 250000 tokens"), "{found:?}");
    let (_, found) = swallow(&format!("#!define A0 x\n{doubling}request_route {{ A40; }}"));
    assert!(told(&found, "nested too deeply"), "{found:?}");
    swallow(&format!("request_route {}", "{".repeat(100_000)));
    swallow(&format!("request_route {{ {} }}", "if (1) ".repeat(100_000)));
    swallow(&format!("request_route {{ x{}; }}", "(".repeat(20_000)));
    swallow(&format!("request_route {{ x{}1{}; }}", "(".repeat(20_000), ")".repeat(20_000)));
    swallow(&format!("request_route {{ {} exit; }}", "if (1) exit; else ".repeat(20_000)));
    swallow(&format!(
        "request_route {{ {} {} }}",
        "switch (1) { case 1: ".repeat(10_000),
        "}".repeat(10_000)
    ));
    swallow(&"#!ifdef A\n".repeat(10_000));
    swallow(&format!("#!ifexp {}\n", "!".repeat(100_000)));
}

#[test]
fn an_endless_file_is_refused() {
    let (_, found) = swallow("include_file \"/dev/zero\"\n");
    assert!(found.iter().any(|d| d.message.contains("larger than")), "{found:?}");
}
