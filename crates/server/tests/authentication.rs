//! A server whose script asks for passwords that are in a database: telephones that know theirs, that do not, and that mean harm.

mod common;

use std::net::SocketAddr;

use common::{Folder, PATIENCE, Phone, Server, binary, text};
use modules::auth::digest::{Algorithm, Challenged, Protection, Secret};

const SCRIPT: &str = r#"
import KSR
class Handler:
    def child_init(self, rank):
        return 0
    def ksr_request_route(self, msg):
        if KSR.permissions.allow_source_address(2) > 0 and KSR.is_OPTIONS():
            KSR.sl.send_reply(200, "Trunk " + str(KSR.pv.get("$avp(trunk)")))
            return 1
        if KSR.domain.is_from_local() < 0:
            KSR.sl.send_reply(403, "Not local")
            return 1
        result = KSR.auth_db.auth_check("example.com", "subscriber", 1)
        if result < 0:
            KSR.hdr.append_to_reply("X-Result: " + str(result) + "\r\n")
            KSR.auth.auth_challenge("example.com", 1)
            return 1
        if KSR.is_REGISTER():
            KSR.registrar.save("location", 0)
            return 1
        KSR.auth.consume_credentials()
        KSR.alias_db.lookup("dbaliases")
        KSR.sl.send_reply(404, "Went to " + KSR.pv.get("$ru"))
        return 1
def mod_init():
    return Handler()
"#;

/// An SQLite database with Kamailio's tables, alice (secret), the local domain, an alias and nobody trusted.
fn database(folder: &Folder) -> String {
    let url = format!("sqlite://{}", folder.path().join("users.db").display());
    let run = |args: &[&str]| {
        let output = binary().args(args).output().expect("trunkline");
        assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    };
    run(&["db", "create", &url]);
    run(&["user", "add", "--db", &url, "--plaintext", "alice@example.com", "secret"]);
    run(&["user", "add", "--db", &url, "--plaintext", "o'hara%20@example.com", "it's 100%"]);
    let database = store::open(&url).expect("opens");
    let cell = store::Value::text;
    database.insert("domain", &["domain"], &[cell("example.com")]).expect("a domain");
    let alias = ["alias_username", "alias_domain", "username", "domain"];
    let row = ["500", "example.com", "alice", "example.com"].map(cell);
    database.insert("dbaliases", &alias, &row).expect("an alias");
    url
}

fn start() -> Server {
    let folder = Folder::new();
    let script = folder.write("route.py", SCRIPT);
    let url = database(&folder);
    folder.write("trunks.txt", "2 127.0.0.2 32 0 theirs\n2 192.0.2.0 24\n");
    let mut config = String::from("children=2\nlisten=udp:127.0.0.1:0\n");
    let modules = [
        "tm",
        "sl",
        "pv",
        "textops",
        "usrloc",
        "registrar",
        "auth",
        "auth_db",
        "permissions",
        "domain",
        "alias_db",
        "app_python3",
    ];
    modules.iter().for_each(|m| config.push_str(&format!("loadmodule \"{m}.so\"\n")));
    for (module, name, value) in [
        ("auth_db", "db_url", url.as_str()),
        ("auth_db", "password_column", "password"),
        ("permissions", "address_file", "trunks.txt"),
        ("permissions", "peer_tag_avp", "$avp(trunk)"),
        ("domain", "db_url", &url),
        ("alias_db", "db_url", &url),
        ("app_python3", "load", &script.display().to_string()),
    ] {
        config.push_str(&format!("modparam(\"{module}\", \"{name}\", \"{value}\")\n"));
    }
    config.push_str("modparam(\"auth_db\", \"calculate_ha1\", 1)\nmodparam(\"auth\", \"nonce_count\", 1)\n");
    config.push_str("cfgengine \"python\"\n");
    let config = folder.write("kamailio.cfg", &config);
    Server::start_config(folder, &config, &[])
}

/// A telephone with a count of its messages.
struct Line {
    phone: Phone,
    sent: u64,
}

impl Line {
    fn ask(&mut self, method: &str, user: &str, rows: &str) -> String {
        self.sent += 1;
        let (at, n) = (self.phone.address(), self.sent);
        self.phone.send_raw(
            format!(
                "{method} sip:500@example.com SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{n}\r\nMax-Forwards: 9\r\n\
                 From: <sip:{user}@example.com>;tag=1\r\nTo: <sip:{user}@example.com>\r\nCall-ID: line\r\n\
                 CSeq: {n} {method}\r\nContact: <sip:line@{at}>\r\n{rows}Content-Length: 0\r\n\r\n"
            )
            .as_bytes(),
        );
        text(&self.phone.receive())
    }
}

/// What a telephone answers to a challenge.
fn credentials(method: &str, user: &str, password: &str, nonce: &str, nc: &str) -> String {
    let challenged = Challenged {
        algorithm: Algorithm::Md5,
        sess: false,
        username: user.as_bytes(),
        realm: b"example.com",
        nonce: nonce.as_bytes(),
        uri: b"sip:example.com",
        protection: Some(Protection { qop: b"auth", nc: nc.as_bytes(), cnonce: b"c" }),
    };
    let ha1 = challenged.ha1(Secret::Password(password.as_bytes()));
    let response = text(challenged.response(&ha1, method.as_bytes(), b"").as_bytes());
    let header = if method == "REGISTER" { "Authorization" } else { "Proxy-Authorization" };
    format!(
        "{header}: Digest username=\"{user}\", realm=\"example.com\", nonce=\"{nonce}\", uri=\"sip:example.com\", \
         response=\"{response}\", qop=auth, nc={nc}, cnonce=\"c\"\r\n"
    )
}

fn nonce(challenge: &str) -> &str {
    challenge.split("nonce=\"").nth(1).and_then(|r| r.split('"').next()).expect("a nonce")
}

fn code(reply: &str) -> &str {
    reply.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn telephones_prove_who_they_are() {
    let server = start();
    let mut line = Line { phone: server.phone(), sent: 0 };
    let challenge = line.ask("REGISTER", "alice", "");
    assert!(code(&challenge) == "401" && challenge.contains("X-Result: -5"), "{challenge}");
    let nonce = nonce(&challenge).to_owned();
    let row = |user: &str, password: &str, nc: &str| credentials("REGISTER", user, password, &nonce, nc);

    let right = line.ask("REGISTER", "alice", &row("alice", "secret", "00000001"));
    assert_eq!(code(&right), "200", "{right}");
    let replayed = line.ask("REGISTER", "alice", &row("alice", "secret", "00000001"));
    assert!(replayed.contains("X-Result: -4") && replayed.contains("stale=true"), "{replayed}");
    for (user, password, nc, result) in [
        ("alice", "wrong", "00000002", "-2"),
        ("zed", "secret", "00000003", "-3"),
        ("alice' OR '1'='1", "secret", "00000004", "-3"),
        ("'; DROP TABLE subscriber; --", "secret", "00000005", "-3"),
        ("al\0ice", "secret", "00000006", "-3"),
        ("%s%n%", "secret", "00000007", "-3"),
        (&"a".repeat(10_000), "secret", "00000008", "-3"),
        ("o'hara%20", "it's 100%", "00000009", "-8"),
    ] {
        let refused = line.ask("REGISTER", "alice", &row(user, password, nc));
        assert!(refused.contains(&format!("X-Result: {result}\r\n")), "{user:.40}: {refused}");
    }
    let quoted = line.ask("REGISTER", "o'hara%20", &row("o'hara%20", "it's 100%", "0000000a"));
    assert_eq!(code(&quoted), "200", "{quoted}");

    let challenge = line.ask("MESSAGE", "alice", "");
    assert_eq!(code(&challenge), "407", "{challenge}");
    let nonce = self::nonce(&challenge).to_owned();
    let went = line.ask("MESSAGE", "alice", &credentials("MESSAGE", "alice", "secret", &nonce, "00000001"));
    assert!(went.starts_with("SIP/2.0 404 Went to sip:alice@example.com"), "{went}");
    server.ran(&[("ksr_request_route", line.sent)]);
}

#[test]
fn trunks_are_known_by_their_address() {
    let server = start();
    let mut line = Line { phone: server.phone(), sent: 0 };
    let stranger = line.ask("OPTIONS", "alice", "");
    assert_eq!(code(&stranger), "407", "{stranger}");
    let trunk = std::net::UdpSocket::bind("127.0.0.2:0").expect("another address");
    trunk.set_read_timeout(Some(PATIENCE)).expect("timeout");
    let at: SocketAddr = trunk.local_addr().expect("address");
    let options = format!(
        "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKt\r\nMax-Forwards: 9\r\n\
         From: <sip:gw@else.org>;tag=1\r\nTo: <sip:example.com>\r\nCall-ID: trunk\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
    trunk.send_to(options.as_bytes(), server.address).expect("sent");
    let mut buffer = [0; 4096];
    let n = trunk.recv(&mut buffer).expect("a reply");
    let reply = text(&buffer[..n]);
    assert!(reply.starts_with("SIP/2.0 200 Trunk theirs"), "{reply}");
    let dump = server.ask("permissions.subnetDump", serde_json::json!([]));
    assert_eq!(dump[0]["item"]["ip"], "192.0.2.0", "{dump}");
    server.ask("permissions.addressReload", serde_json::json!([]));
    server.ask("domain.reload", serde_json::json!([]));
    server.ran(&[("ksr_request_route", line.sent + 1)]);
}
