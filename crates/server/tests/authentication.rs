//! A server whose script asks for passwords that are in a database: telephones that know theirs, that do not, and that mean harm.

mod common;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use common::{Folder, PATIENCE, Phone, Server, binary, text};
use modules::auth::digest::{Algorithm, Challenged, Protection, Secret};
use store::{Condition, Database};

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
        result = KSR.auth_db.auth_check("{domain}", "subscriber", 1)
        if result < 0:
            KSR.hdr.append_to_reply("X-Result: " + str(result) + "\r\n")
            KSR.auth.auth_challenge("{domain}", 1)
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

/// Held by the tests that use servers others use, too.
static SERVERS: Mutex<()> = Mutex::new(());

/// Databases to try: SQLite, and those that run (`.ci/databases`).
fn urls() -> impl Iterator<Item = Option<String>> {
    let servers = ["TRUNKLINE_TEST_MYSQL", "TRUNKLINE_TEST_POSTGRES"];
    std::iter::once(None).chain(servers.into_iter().filter_map(|name| std::env::var(name).ok()).map(Some))
}

/// A server with a domain of its own in a database that others may use, too.
struct Site {
    server: Server,
    domain: String,
    database: Arc<dyn Database>,
}

impl Site {
    fn start(url: Option<String>) -> Site {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let domain = format!("d{}-{}.test", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = Folder::new();
        let url = url.unwrap_or_else(|| format!("sqlite://{}", folder.path().join("users.db").display()));
        let run = |args: &[&str]| {
            let output = binary().args(args).output().expect("trunkline");
            assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
        };
        run(&["db", "create", &url]);
        run(&["user", "add", "--db", &url, "--plaintext", &format!("alice@{domain}"), "secret"]);
        run(&["user", "add", "--db", &url, "--plaintext", &format!("o'hara%20@{domain}"), "it's 100%"]);
        let database = store::open(&url).expect("opens");
        let cell = |text: &str| store::Value::text(text);
        database.insert("domain", &["domain"], &[cell(&domain)]).expect("a domain");
        let alias = ["alias_username", "alias_domain", "username", "domain"];
        let row = ["500", &domain, "alice", &domain].map(cell);
        database.insert("dbaliases", &alias, &row).expect("an alias");
        let server = start(folder, &url, &domain);
        Site { server, domain, database }
    }
    /// The server's exit code and log; its rows are gone.
    fn end(self) -> (i32, String) {
        for (table, column) in OWN_ROWS {
            let own = [Condition::equal(column, store::Value::text(&self.domain))];
            self.database.delete(table, &own).expect("own rows");
        }
        self.server.end()
    }
}

/// Tables with rows of a site, and the column that names it.
const OWN_ROWS: [(&str, &str); 3] = [("subscriber", "domain"), ("domain", "domain"), ("dbaliases", "domain")];

fn start(folder: Folder, url: &str, domain: &str) -> Server {
    let script = folder.write("route.py", &SCRIPT.replace("{domain}", domain));
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
        ("auth_db", "db_url", url),
        ("auth_db", "password_column", "password"),
        ("permissions", "address_file", "trunks.txt"),
        ("permissions", "peer_tag_avp", "$avp(trunk)"),
        ("domain", "db_url", url),
        ("alias_db", "db_url", url),
        ("app_python3", "load", &script.display().to_string()),
    ] {
        config.push_str(&format!("modparam(\"{module}\", \"{name}\", \"{value}\")\n"));
    }
    for (module, name) in [
        ("auth_db", "calculate_ha1"),
        ("auth_db", "use_domain"),
        ("alias_db", "use_domain"),
        ("auth", "nonce_count"),
    ] {
        config.push_str(&format!("modparam(\"{module}\", \"{name}\", 1)\n"));
    }
    config.push_str("cfgengine \"python\"\n");
    let config = folder.write("kamailio.cfg", &config);
    Server::start_config(folder, &config, &[])
}

/// A telephone with a count of its messages.
struct Line {
    phone: Phone,
    domain: String,
    sent: u64,
}

impl Line {
    fn ask(&mut self, method: &str, user: &str, rows: &str) -> String {
        self.sent += 1;
        let (at, n, domain) = (self.phone.address(), self.sent, &self.domain);
        self.phone.send_raw(
            format!(
                "{method} sip:500@{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{n}\r\nMax-Forwards: 9\r\n\
                 From: <sip:{user}@{domain}>;tag=1\r\nTo: <sip:{user}@{domain}>\r\nCall-ID: line\r\n\
                 CSeq: {n} {method}\r\nContact: <sip:line@{at}>\r\n{rows}Content-Length: 0\r\n\r\n"
            )
            .as_bytes(),
        );
        text(&self.phone.receive())
    }
}

/// What a telephone answers to a challenge.
fn credentials(method: &str, domain: &str, (user, password): (&str, &str), nonce: &str, nc: &str) -> String {
    let challenged = Challenged {
        algorithm: Algorithm::Md5,
        sess: false,
        username: user.as_bytes(),
        realm: domain.as_bytes(),
        nonce: nonce.as_bytes(),
        uri: b"sip:example.com",
        protection: Some(Protection { qop: b"auth", nc: nc.as_bytes(), cnonce: b"c" }),
    };
    let ha1 = challenged.ha1(Secret::Password(password.as_bytes()));
    let response = text(challenged.response(&ha1, method.as_bytes(), b"").as_bytes());
    let header = if method == "REGISTER" { "Authorization" } else { "Proxy-Authorization" };
    format!(
        "{header}: Digest username=\"{user}\", realm=\"{domain}\", nonce=\"{nonce}\", uri=\"sip:example.com\", \
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
    let _held = SERVERS.lock().unwrap_or_else(|e| e.into_inner());
    for url in urls() {
        let site = Site::start(url);
        prove(&site);
        site.end();
    }
}

fn prove(site: &Site) {
    let (server, domain) = (&site.server, &site.domain);
    let mut line = Line { phone: server.phone(), domain: domain.clone(), sent: 0 };
    let challenge = line.ask("REGISTER", "alice", "");
    assert!(code(&challenge) == "401" && challenge.contains("X-Result: -5"), "{challenge}");
    let nonce = nonce(&challenge).to_owned();
    let row =
        |user: &str, password: &str, nc: &str| credentials("REGISTER", domain, (user, password), &nonce, nc);

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
    let went = line.ask(
        "MESSAGE",
        "alice",
        &credentials("MESSAGE", domain, ("alice", "secret"), &nonce, "00000001"),
    );
    assert!(went.starts_with(&format!("SIP/2.0 404 Went to sip:alice@{domain}")), "{went}");
    server.ran(&[("ksr_request_route", line.sent)]);
}

#[test]
fn trunks_are_known_by_their_address() {
    let site = Site::start(None);
    let server = &site.server;
    let mut line = Line { phone: server.phone(), domain: site.domain.clone(), sent: 0 };
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

/// While a database is away its users cannot prove anything, and everybody else is served as before.
#[test]
fn a_database_dies_and_comes_back() {
    let Ok(servers) = std::env::var("TRUNKLINE_TEST_DATABASES") else { return };
    let _held = SERVERS.lock().unwrap_or_else(|e| e.into_inner());
    let switch = |verb: &str, name: &str| {
        let status = std::process::Command::new(&servers).args([verb, name]).status().expect("databases");
        assert!(status.success(), "{verb} {name}");
    };
    for (name, url) in [("mysql", "TRUNKLINE_TEST_MYSQL"), ("postgres", "TRUNKLINE_TEST_POSTGRES")] {
        let site = Site::start(Some(std::env::var(url).expect("set together")));
        let (server, domain) = (&site.server, &site.domain);
        let mut line = Line { phone: server.phone(), domain: domain.clone(), sent: 0 };
        let challenge = line.ask("REGISTER", "alice", "");
        let nonce = nonce(&challenge).to_owned();
        let mut nc = 0;
        let mut prove = |line: &mut Line| {
            nc += 1;
            let right = credentials("REGISTER", domain, ("alice", "secret"), &nonce, &format!("{nc:08x}"));
            line.ask("REGISTER", "alice", &right)
        };
        assert_eq!(code(&prove(&mut line)), "200");
        switch("stop", name);
        for _ in 0..3 {
            let refused = prove(&mut line);
            assert!(refused.contains("X-Result: -1\r\n"), "{name}: {refused}");
        }
        assert!(line.ask("REGISTER", "alice", "").contains("X-Result: -5"), "{name}: needs no database");
        switch("start", name);
        let end = std::time::Instant::now() + PATIENCE;
        while code(&prove(&mut line)) != "200" {
            assert!(std::time::Instant::now() < end, "{name}: it is not asked again");
            std::thread::park_timeout(std::time::Duration::from_millis(200));
        }
        let (_, log) = site.end();
        let said = |what: &str| log.matches(what).count();
        assert_eq!(
            (said("cannot be reached"), said("is back after")),
            (1, 1),
            "{name}: once for each change\n{log}"
        );
    }
}
