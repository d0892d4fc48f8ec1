//! The 49 messages of RFC 4475, byte for byte, against the running server: each is answered or dropped as the table says, and the
//! server goes on.

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use testkit::proof::Times;
use trunkline_conformance::subject::{Kind, Setup, Subject};

/// Port of the topmost Via: where a reply without rport goes (RFC 3261 §18.2.2).
fn via_port(bytes: &[u8]) -> u16 {
    let text = String::from_utf8_lossy(bytes).replace("\r\n ", " ").replace("\r\n\t", " ");
    let via = text
        .lines()
        .find_map(|l| {
            let (name, value) = l.split_once(':')?;
            ["via", "v"].contains(&name.trim().to_ascii_lowercase().as_str()).then(|| value.to_string())
        })
        .unwrap_or_default();
    let first = via.split([';', ',']).next().unwrap_or_default().trim().to_string();
    first
        .rsplit(|c: char| c.is_whitespace() || c == ':')
        .next()
        .and_then(|p| p.trim().parse().ok())
        .unwrap_or(5060)
}

#[test]
fn every_torture_message_is_answered_as_the_table_says() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.join("../crates/message/tests/rfc4475");
    let table = std::fs::read_to_string(folder.join("expect.tsv")).expect("expect.tsv");
    let subject = Subject::start_with(
        Kind::Trunkline,
        &here.join("config/kamailio.cfg"),
        &here.join("config/torture.py"),
        &Setup::PLAIN,
    );
    let (mut seen, mut requests, mut accepted) = (0, 0, 0);
    let mut wrong = Vec::new();
    for line in table.lines().filter(|l| !l.starts_with('#') && !l.is_empty()) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (name, verdict) = (columns[0], columns[columns.len() - 1]);
        let bytes = std::fs::read(folder.join(format!("{name}.dat"))).expect("message file");
        seen += 1;
        let is_reply = bytes.starts_with(b"SIP/");
        // An address of our own, so that the Via's port is free on it.
        let peer = UdpSocket::bind(("127.0.0.2", via_port(&bytes))).expect("127.0.0.2");
        peer.set_read_timeout(Some(Duration::from_millis(400))).expect("timeout");
        peer.send_to(&bytes, subject.address).expect("send");
        let mut buffer = [0; 65535];
        let status = peer.recv(&mut buffer).ok().map(|n| {
            let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
            text.split(' ').nth(1).unwrap_or_default().to_string()
        });
        let refused = |s: &str| ["400", "416", "420", "505"].contains(&s);
        requests += u64::from(!is_reply);
        accepted += u64::from(!is_reply && status.as_deref().is_some_and(|s| !refused(s)));
        let fits = verdict.split('|').any(|v| match (v, &status) {
            ("discard", s) => s.is_none(),
            // A reply that is not ours to forward is dropped, well formed or not.
            ("accept", s) if is_reply => s.is_none(),
            ("accept", Some(s)) => !refused(s),
            ("accept", None) => false,
            (code, Some(s)) => code == s,
            (_, None) => false,
        });
        if !fits {
            wrong.push(format!("{name}: {verdict} expected, got {status:?} ({})", columns[2]));
        }
    }
    assert_eq!(seen, 49);
    assert!(accepted > 10, "only {accepted} accepted");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Whatever was not refused, the script has answered; of the others it has seen some (`sanity_check` refuses too).
    let demanded = [
        ("ksr_request_route", Times::Between(accepted, requests)),
        ("ksr_reply_route", Times::Between(0, 49)),
    ];
    subject.ran("torture", &demanded);
}
