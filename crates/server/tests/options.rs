//! The thinnest slice: an OPTIONS answered by the Python script, seen from outside and in the counters.

mod common;

use common::{ANSWER, Server, text};
use serde_json::json;

#[test]
fn the_script_answers_and_the_counters_prove_it() {
    let server = Server::start("children=2", ANSWER);
    assert!(server.banner.contains("routes         python"), "{}", server.banner);
    assert!(server.banner.contains("ksr_request_route"), "{}", server.banner);
    assert!(server.banner.contains("2 workers"), "{}", server.banner);
    let phone = server.phone();
    for n in 0..3 {
        phone.send("OPTIONS", &format!("call-{n}"));
        assert_eq!(phone.reply(), (200, format!("call-{n}")));
    }
    server.ran(&[("ksr_request_route", 3)]);
    assert_eq!(server.ask("stats.get_statistics", json!(["rcv_requests"])), json!(["core:rcv_requests = 3"]));
    let (code, log) = server.end();
    assert_eq!(code, 0, "{log}");
}

#[test]
fn junk_and_keepalives_harm_nobody() {
    let server = Server::start("children=1", ANSWER);
    let phone = server.phone();
    phone.send_raw(b"\r\n\r\n");
    phone.send_raw(b"");
    phone.send_raw(&[0xff; 3000]);
    phone.send_raw(b"OPTIONS sip:a SIP/2.0\r\nVia: ");
    phone.send("OPTIONS", "after");
    loop {
        let (code, id) = phone.reply();
        if id == "after" {
            assert_eq!(code, 200);
            break;
        }
    }
    assert_eq!(server.statistic("panics"), 0);
    // Of what came before, none is a request.
    server.ran(&[("ksr_request_route", 1)]);
}

#[test]
fn ctl_prints_for_people_and_for_programs() {
    let server = Server::start("children=1\nserver_id=7", ANSWER);
    let out = server.ctl(&["core.uptime"]);
    assert!(out.status.success() && text(&out.stdout).contains("up_since: "), "{}", text(&out.stdout));
    let out = server.ctl(&["--json", "core.echo", "5", "s:5", "a"]);
    assert_eq!(text(&out.stdout).trim(), r#"[5,"5","a"]"#);
    let out = server.ctl(&["no.such"]);
    assert!(!out.status.success() && text(&out.stderr).contains("error 500: Method Not Found"));
    assert!(text(&out.stderr).contains("without a command lists"), "{}", text(&out.stderr));
    let out = server.ctl(&["core.uptme"]);
    assert!(text(&out.stderr).contains("Did you mean 'core.uptime'?"), "{}", text(&out.stderr));
    let list = text(&server.ctl(&[]).stdout);
    assert!(list.contains("kemi.callbacks") && list.contains("tm.stats"), "{list}");
}

#[test]
fn kamailios_flags_work_without_a_command() {
    let folder = common::Folder::new();
    let pid_file = folder.path().join("t.pid");
    let server = Server::start_with(
        "children=3",
        ANSWER,
        &[
            "-DD",
            "-E",
            "-m",
            "64",
            "-M",
            "8",
            "-n",
            "1",
            "-P",
            &pid_file.display().to_string(),
            "--debug",
            "3",
        ],
    );
    assert!(server.banner.contains("1 worker\n"), "{}", server.banner);
    assert!(server.banner.contains("without a meaning here: -m -M"), "{}", server.banner);
    assert_eq!(std::fs::read_to_string(&pid_file).expect("pid file").trim(), server.pid().to_string());
    assert_eq!(server.end().0, 0);
    assert!(!pid_file.exists());
}
