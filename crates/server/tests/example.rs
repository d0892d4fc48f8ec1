//! The example of `make run`: it passes the check, phones register, and everything the README asks can be asked.

mod common;

use std::path::Path;

use common::{Folder, Server, run_to_end, text};

fn config() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/kamailio.cfg")
}

#[test]
fn it_passes_the_check() {
    let out = run_to_end(&["check", "-f", &config().display().to_string()]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
}

#[test]
fn a_phone_registers_and_is_found() {
    // The same configuration on a port that is free.
    let folder = Folder::new();
    let example = std::fs::read_to_string(config()).expect("example");
    assert!(example.contains("listen=udp:127.0.0.1:5060"), "{example}");
    let moved = folder.write("kamailio.cfg", &example.replace("127.0.0.1:5060", "127.0.0.1:0"));
    std::fs::copy(config().with_file_name("route.py"), folder.path().join("route.py")).expect("script");
    let server = Server::start_config(folder, &moved, &["-n", "2"]);
    assert!(server.banner.contains("phones"), "{}", server.banner);
    let phone = server.phone();
    let register = format!(
        "REGISTER sip:{0} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bKr1\r\nFrom: <sip:alice@{0}>;tag=1\r\n\
         To: <sip:alice@{0}>\r\nCall-ID: reg-1\r\nCSeq: 1 REGISTER\r\nContact: <sip:alice@127.0.0.1:9>\r\nExpires: 600\r\n\
         Max-Forwards: 10\r\nContent-Length: 0\r\n\r\n",
        server.address
    );
    phone.send_raw(register.as_bytes());
    assert_eq!(phone.reply(), (200, "reg-1".into()));
    server.ran(&[("ksr_request_route", 1)]);
    let dump = text(&server.ctl(&["ul.dump"]).stdout);
    assert!(dump.contains("sip:alice@127.0.0.1:9"), "{dump}");
    for command in ["tm.stats", "kemi.callbacks", "kemi.engine", "core.psx", "app_python.api_list"] {
        let out = server.ctl(&[command]);
        assert!(out.status.success(), "{command}: {}", text(&out.stderr));
    }
    assert!(server.ctl(&["stats.get_statistics", "all"]).status.success());
    assert_eq!(server.end().0, 0);
}
