//! Keep-alives to a registered phone, over real sockets: they come, their answers are no script's business, and a phone that falls silent
//! is gone.

mod common;

use std::time::{Duration, Instant};

use common::{PATIENCE, Server, text};

const CORE: &str = r#"
children=2
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "nathelper.so"
modparam("usrloc", "nat_bflag", 6)
modparam("usrloc", "timer_interval", 1)
modparam("nathelper|registrar", "received_avp", "$avp(RECEIVED)")
modparam("nathelper", "natping_interval", 1)
modparam("nathelper", "ping_nated_only", 1)
modparam("nathelper", "sipping_bflag", 7)
modparam("nathelper", "sipping_from", "sip:pinger@kamailio.org")
modparam("nathelper", "keepalive_timeout", 2)
"#;

const SCRIPT: &str = r#"
import KSR
class Handler:
    def child_init(self, rank):
        return 0
    def ksr_request_route(self, msg):
        KSR.nathelper.fix_nated_register()
        KSR.setbflag(6)
        KSR.setbflag(7)
        KSR.registrar.save("location", 0)
        return 1
    def ksr_reply_route(self, msg):
        return 1
def mod_init():
    return Handler()
"#;

/// The 200 to a request.
fn answer(request: &str) -> String {
    let rows = request.lines().skip(1).filter(|l| !l.is_empty() && !l.starts_with("Max-Forwards"));
    format!("SIP/2.0 200 OK\r\n{}\r\n\r\n", rows.collect::<Vec<_>>().join("\r\n"))
}

#[test]
fn a_phone_behind_nat_is_kept_alive_while_it_answers() {
    let server = Server::start(CORE, SCRIPT);
    let phone = server.phone();
    phone.send_raw(
        b"REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport\r\nFrom: <sip:a@127.0.0.1>;tag=1\r\n\
          To: <sip:a@127.0.0.1>\r\nCall-ID: nat\r\nCSeq: 1 REGISTER\r\nMax-Forwards: 10\r\nContact: <sip:a@10.0.0.1>;expires=3600\r\n\
          Content-Length: 0\r\n\r\n",
    );
    assert_eq!(phone.reply(), (200, "nat".into()));
    for _ in 0..2 {
        let ping = text(&phone.receive());
        assert!(ping.starts_with("OPTIONS sip:a@10.0.0.1 SIP/2.0\r\n"), "{ping}");
        phone.send_raw(answer(&ping).as_bytes());
    }
    let users = || server.statistic("usrloc:location_users");
    assert_eq!(users(), 1);
    server.ran(&[("ksr_request_route", 1), ("ksr_reply_route", 0)]);
    // It answers no more; a last keep-alive may still come.
    let until = Instant::now() + PATIENCE;
    while users() != 0 {
        assert!(Instant::now() < until, "the phone is still registered");
        phone.receive_within(Duration::from_millis(100));
    }
    assert_eq!(server.statistic("panics"), 0);
}
