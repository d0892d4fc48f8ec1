//! Every mistake of an operator: one clear message with its place, and exit code 1.

mod common;

use std::net::UdpSocket;

use common::{ANSWER, Folder, MODULES, run_to_end, text};

/// Runs a configuration that must not start; what was said.
fn refused(command: &str, config: &str, script: &str) -> String {
    let folder = Folder::new();
    let script = folder.write("route.py", script);
    let config = config.replace("{script}", &script.display().to_string());
    let config = folder.write("kamailio.cfg", &config);
    let control = folder.path().join("ctl.sock");
    let out =
        run_to_end(&[command, "-f", &config.display().to_string(), "--ctl", &control.display().to_string()]);
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    said
}

fn with(extra: &str) -> String {
    format!("listen=udp:127.0.0.1:0\n{MODULES}{extra}\n")
}

fn both(config: &str, script: &str, wanted: &[&str]) {
    for command in ["check", "run"] {
        let said = refused(command, config, script);
        for w in wanted {
            assert!(said.contains(w), "{command}: {w:?} is not in\n{said}");
        }
    }
}

#[test]
fn an_unknown_parameter_and_a_wrong_type() {
    both(
        &with("modparam(\"tm\", \"fr_timr\", 5)\nmodparam(\"tm\", \"fr_timer\", \"five\")"),
        ANSWER,
        &[
            "kamailio.cfg:9:16: error: module tm has no parameter 'fr_timr'",
            "did you mean 'fr_timer'?",
            "kamailio.cfg:10:28: error: parameter 'fr_timer' of module tm takes a number",
            "2 errors, not started",
        ],
    );
}

#[test]
fn a_missing_module() {
    both(
        &with("loadmodule \"registrat.so\"\nloadmodule \"ims_auth.so\"\nloadmodule \"disptcher.so\""),
        ANSWER,
        &[
            "unknown module 'registrat'",
            "did you mean 'registrar'?",
            "Kamailio's module ims_auth is not available",
            "did you mean 'dispatcher'?",
        ],
    );
}

#[test]
fn a_syntax_error_in_the_configuration() {
    both(&with("children=\nmodparam(\"tm\" 5)"), ANSWER, &["kamailio.cfg:1", ": error: "]);
}

#[test]
fn a_syntax_error_in_the_script() {
    let script = "import KSR\ndef mod_init(:\n    pass\n";
    both(
        &with(""),
        script,
        &["route.py:2:", "error: SyntaxError: ", "  def mod_init(:\n", "1 error, not started"],
    );
    for command in ["run", "check"] {
        let said = refused(command, &with(""), script);
        assert_eq!(said.matches("SyntaxError").count(), 1, "{command}: once is enough\n{said}");
        assert_eq!(said.matches("def mod_init").count(), 1, "{command}: once is enough\n{said}");
    }
}

#[test]
fn a_script_that_cannot_be_imported() {
    let said = refused("run", &with(""), "import nosuchmodule\n");
    assert!(said.contains("nosuchmodule") && said.contains("route.py"), "{said}");
}

#[test]
fn a_script_without_a_request_route() {
    let script = "class H:\n    pass\ndef mod_init():\n    return H()\n";
    both(&with(""), script, &["ksr_request_route"]);
    let said = refused("run", &with(""), script);
    assert_eq!(said.lines().count(), 1, "once is enough\n{said}");
}

#[test]
fn functions_that_do_not_exist_or_whose_module_is_not_loaded() {
    let script = ANSWER.replace(
        "KSR.sl.send_reply(200, 'OK')",
        "KSR.sl.send_repli(200, 'OK')\n        KSR.maxfwd.process_maxfwd(10)",
    );
    let said = refused("check", &with(""), &script);
    for wanted in [
        "route.py:7:9: error: there is no KSR.sl.send_repli",
        "nearest: KSR.sl.send_reply",
        "route.py:8:9: error: KSR.maxfwd.process_maxfwd is in module maxfwd, which is not loaded",
        "add loadmodule \"maxfwd.so\"",
    ] {
        assert!(said.contains(wanted), "{wanted:?} is not in\n{said}");
    }
}

#[test]
fn both_engines_at_once() {
    both(&with("request_route {\n    exit;\n}"), ANSWER, &["request_route", "cfgengine"]);
}

#[test]
fn an_unreadable_script() {
    let config = with("").replace("{script}", "/nonexistent/route.py");
    both(&config, ANSWER, &["cannot read the script /nonexistent/route.py", "kamailio.cfg:7:"]);
}

#[test]
fn an_unreadable_configuration() {
    let out = run_to_end(&["run", "-f", "/nonexistent/kamailio.cfg"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("/nonexistent/kamailio.cfg"), "{}", text(&out.stderr));
}

#[test]
fn a_folder_instead_of_a_file() {
    let folder = Folder::new();
    for command in ["run", "check"] {
        let out = run_to_end(&[command, "-f", &folder.path().display().to_string()]);
        assert_eq!(out.status.code(), Some(1));
        assert!(text(&out.stderr).contains("it is a directory"), "{}", text(&out.stderr));
    }
}

#[test]
fn a_pid_file_that_cannot_be_written() {
    let folder = Folder::new();
    let script = folder.write("route.py", ANSWER);
    let config = folder.write("kamailio.cfg", &with("").replace("{script}", &script.display().to_string()));
    let out = run_to_end(&["-f", &config.display().to_string(), "-P", "/nonexistent/t.pid"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("trunkline: pid file /nonexistent/t.pid: "), "{}", text(&out.stderr));
}

#[test]
fn a_port_in_use() {
    let held = UdpSocket::bind("127.0.0.1:0").expect("socket");
    let address = held.local_addr().expect("address");
    let said = refused("run", &with("").replace("127.0.0.1:0", &address.to_string()), ANSWER);
    assert!(said.contains(&format!("udp:{address} is in use")) && said.contains("ss -lunp"), "{said}");
    assert!(said.contains("kamailio.cfg:1:"), "{said}");
}

#[test]
fn an_unknown_flag() {
    let out = run_to_end(&["--nosuch"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("--nosuch"));
}

#[test]
fn a_sound_configuration_passes_the_check() {
    let folder = Folder::new();
    let script = folder.write("route.py", ANSWER);
    let config = folder.write("kamailio.cfg", &with("").replace("{script}", &script.display().to_string()));
    let out = run_to_end(&["check", "-f", &config.display().to_string()]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let said = text(&out.stdout);
    assert!(said.contains("\n  callbacks      ksr_request_route child_init\n"), "{said}");
    assert!(said.contains("\n  KSR functions  KSR.sl.send_reply\n"), "{said}");
}
