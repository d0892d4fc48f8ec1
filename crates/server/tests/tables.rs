//! The tables of `htable`, `dispatcher` and `dialog` in real databases: what is there is loaded, what changes is written, what somebody means
//! harm with comes back as it was.

mod common;
#[path = "../../store/tests/common/mod.rs"]
mod databases;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use common::{Folder, MODULES, PATIENCE, Server, binary, text};
use serde_json::{Value as Json, json};
use store::{Condition, Database, Query, Value};

/// Text that a statement must not take for its own.
const HOSTILE: &[&str] = &[
    "'",
    "\"",
    "`",
    "\\",
    "\\'; DROP TABLE htable; --",
    "' OR '1'='1",
    "%",
    "%s%n",
    "$1 ? :name @x",
    "a;b=c",
    "trailing ",
    "Case",
    "case",
    "\u{e9}",
    "NULL",
];

/// Runs a test on every database there is.
fn on_each(name: &str, test: impl Fn(&str, &str)) {
    let folder = databases::Folder::new();
    let servers = ["mysql", "postgres"].map(|kind| (kind, databases::server(kind, name)));
    let all = servers.into_iter().filter_map(|(kind, url)| Some((kind, url?)));
    for (kind, url) in std::iter::once(("sqlite", folder.sqlite())).chain(all) {
        let done = binary().args(["db", "create", &url]).output().expect("runs");
        assert!(done.status.success(), "{}", text(&done.stderr));
        test(kind, &url);
    }
}

/// `port` 0: any.
fn start(port: u16, modules: &[&str], params: &[(&str, &str, &str)], script: &str) -> Server {
    let folder = Folder::new();
    let script = folder.write("route.py", script);
    let mut config = format!(
        "children=2\nlisten=udp:127.0.0.1:{port}\n{}",
        MODULES.replace("{script}", &script.display().to_string())
    );
    for module in modules {
        config.push_str(&format!("loadmodule \"{module}.so\"\n"));
    }
    for (module, name, value) in params {
        let quote = if value.parse::<i64>().is_ok() { "" } else { "\"" };
        config.push_str(&format!("modparam(\"{module}\", \"{name}\", {quote}{value}{quote})\n"));
    }
    let config = folder.write("kamailio.cfg", &config);
    Server::start_config(folder, &config, &[])
}

fn stopped(server: Server) {
    let (code, log) = server.end();
    assert_eq!(code, 0, "{log}");
}

fn insert(db: &dyn Database, table: &str, columns: &[&str], row: &[Value]) {
    db.insert(table, columns, row).unwrap_or_else(|e| panic!("{table}: {e}"));
}

/// Rows of a table, in order.
fn rows(db: &dyn Database, table: &str, columns: &[&str]) -> Vec<Vec<Value>> {
    let mut rows =
        db.query(&Query { table, columns, ..Query::default() }).unwrap_or_else(|e| panic!("{table}: {e}"));
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

/// Waits until a table has so many rows.
fn wait_for(db: &dyn Database, table: &str, count: usize) {
    let until = Instant::now() + PATIENCE;
    while rows(db, table, &["id"]).len() != count {
        assert!(Instant::now() < until, "{table}: {:?}, not {count}", rows(db, table, &["id"]));
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

const ITEM: [&str; 5] = ["key_name", "key_type", "value_type", "key_value", "expires"];

fn items(url: &str) -> Server {
    let params = [
        ("htable", "db_url", url),
        ("htable", "db_expires", "1"),
        ("htable", "htable", "t=>size=8;autoexpire=1000;dbtable=htable;dbmode=1"),
        ("htable", "htable", "own=>size=4;dbtable=dispatcher;cols='destination,setid'"),
    ];
    start(0, &["htable"], &params, common::ANSWER)
}

fn item(server: &Server, table: &str, key: &str) -> Json {
    server.ask("htable.get", json!([table, key]))["item"]["value"].clone()
}

/// Keys and values, in order.
fn all_items(server: &Server) -> Vec<(String, String)> {
    let dump = server.ask("htable.dump", json!(["t"]));
    let slots = dump.as_array().into_iter().flatten().filter_map(|e| e["slot"].as_array());
    let mut items: Vec<_> =
        slots.flatten().map(|i| (i["name"].to_string(), i["value"].to_string())).collect();
    items.sort();
    items
}

fn has(server: &Server, key: &str) -> bool {
    let key = json!(key).to_string();
    all_items(server).iter().any(|(name, _)| *name == key)
}

#[test]
fn items_of_htable() {
    on_each("tables_htable", |kind, url| {
        let db = store::open(url).expect("opens");
        let (word, int) = (|t: &str| Value::text(t), Value::Int);
        let row = |key: &str, array: i64, number: i64, value: &str, expires: i64| {
            insert(&*db, "htable", &ITEM, &[word(key), int(array), int(number), word(value), int(expires)]);
        };
        row("plain", 0, 0, "hello", 0);
        row("number", 0, 1, "42", 0);
        row("gone", 0, 0, "x", 1000);
        row("later", 0, 0, "it's", 2_100_000_000);
        // Databases differ in whether these are one name when they sort.
        for value in ["1", "2"] {
            row("list", 1, 0, value, 0);
            row("List", 1, 0, &format!("{value}{value}"), 0);
        }
        insert(&*db, "dispatcher", &["setid", "destination"], &[int(7), word("sip:'")]);
        let server = items(url);
        for (table, key, value) in [
            ("t", "plain", json!("hello")),
            ("t", "number", json!(42)),
            ("t", "later", json!("it's")),
            ("t", "list[0]", json!("1")),
            ("t", "list[1]", json!("2")),
            ("t", "list::size", json!(2)),
            ("t", "List[0]", json!("11")),
            ("t", "List[1]", json!("22")),
            ("t", "List::size", json!(2)),
            ("own", "sip:'", json!(7)),
        ] {
            assert_eq!(item(&server, table, key), value, "{kind}: {key}");
        }
        assert!(!has(&server, "gone"), "{kind}");

        for value in HOSTILE {
            server.ask("htable.sets", json!(["t", value, value]));
        }
        server.ask("htable.seti", json!(["t", "-1", i64::MIN + 1]));
        server.ask("htable.delete", json!(["t", "plain"]));
        server.ask("htable.store", json!(["t"]));
        let written = rows(&*db, "htable", &ITEM);
        let find = |key: &str| written.iter().find(|r| r.first() == Some(&word(key)));
        for value in HOSTILE {
            let row = find(value).unwrap_or_else(|| panic!("{kind}: {value} in {written:?}"));
            assert_eq!(row.get(..4), Some(&[word(value), int(0), int(0), word(value)][..]), "{kind}");
        }
        assert!(find("plain").is_none() && find("gone").is_none(), "{kind}: {written:?}");
        assert_eq!(find("later").and_then(|r| r.get(4)), Some(&int(2_100_000_000)), "{kind}");
        let count = written.len();

        // A row that the database does not take must not cost the others.
        for bad in ["a\0b".to_owned(), "\u{1F600}".to_owned(), "x".repeat(1000)] {
            server.ask("htable.sets", json!(["t", "bad", bad]));
            let _ = server.ctl(&["htable.store", "t"]);
            assert!(rows(&*db, "htable", &ITEM).len() >= count, "{kind}: {bad:?}");
        }
        server.ask("htable.delete", json!(["t", "bad"]));
        server.ask("htable.sets", json!(["t", "kept", "at the end"]));
        let before = all_items(&server);
        stopped(server);
        let server = items(url);
        assert_eq!(all_items(&server), before, "{kind}: as it was");
        let later = [Condition::equal("key_name", word("later"))];
        assert_eq!(db.update("htable", &["key_value"], &[word("changed")], &later), Ok(1), "{kind}");
        assert_eq!(db.delete("htable", &[Condition::equal("key_name", word("kept"))]), Ok(1), "{kind}");
        server.ask("htable.reload", json!(["t"]));
        assert_eq!(item(&server, "t", "later"), json!("changed"), "{kind}");
        assert!(!has(&server, "kept"), "{kind}");
        server.ask("htable.flush", json!(["t"]));
        stopped(server);
        assert_eq!(rows(&*db, "htable", &ITEM), Vec::<Vec<Value>>::new(), "{kind}");
    });
}

#[test]
fn destinations_of_dispatcher() {
    const COLUMNS: [&str; 6] = ["setid", "destination", "flags", "priority", "attrs", "description"];
    on_each("tables_dispatcher", |kind, url| {
        let db = store::open(url).expect("opens");
        let (word, int) = (|t: &str| Value::text(t), Value::Int);
        let row = |set: i64, port: usize, flags: i64, priority: i64, attrs: &str, description: &str| {
            let uri = format!("sip:127.0.0.1:{port}");
            let row = [int(set), word(&uri), int(flags), int(priority), word(attrs), word(description)];
            insert(&*db, "dispatcher", &COLUMNS, &row);
        };
        for (n, value) in HOSTILE.iter().enumerate() {
            row(1, 20_000 + n, 0, -(n as i64), &format!("duid={n};my={value}"), value);
        }
        row(-2, 1, 8, 3, "", "");
        insert(
            &*db,
            "dispatcher",
            &["setid", "destination"],
            &[int(1), word("'; DROP TABLE dispatcher; --")],
        );
        let params = [
            ("dispatcher", "db_url", url),
            ("dispatcher", "reload_delta", "0"),
            ("dispatcher", "ds_db_extra_attrs", "note=description"),
        ];
        let server = start(0, &["dispatcher"], &params, common::ANSWER);
        let list = || server.ask("dispatcher.list", json!([]))["RECORDS"].clone();
        let listed = list();
        let dest = |set: usize, place: usize| listed[set]["SET"]["TARGETS"][place]["DEST"].clone();
        assert_eq!(listed.as_array().map(Vec::len), Some(2), "{kind}: {listed}");
        assert_eq!((&dest(0, 0)["FLAGS"], &dest(0, 0)["PRIORITY"]), (&json!("AP"), &json!(3)), "{kind}");
        for (n, value) in HOSTILE.iter().enumerate() {
            let body = format!("duid={n};my={value};note={value}");
            assert_eq!(dest(1, n)["ATTRS"]["BODY"], json!(body), "{kind}");
        }
        assert_eq!(
            listed[1]["SET"]["TARGETS"].as_array().map(Vec::len),
            Some(HOSTILE.len()),
            "{kind}: one is left out"
        );

        let first = [Condition::equal("destination", word("sip:127.0.0.1:20000"))];
        let change = [int(1), word("duid=it's")];
        assert_eq!(db.update("dispatcher", &["flags", "attrs"], &change, &first), Ok(1), "{kind}");
        assert_eq!(db.delete("dispatcher", &[Condition::equal("setid", int(-2))]), Ok(1), "{kind}");
        assert_eq!(
            server.ask("dispatcher.reload", json!([])),
            json!("Ok. Dispatcher successfully reloaded.")
        );
        let listed = list();
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{kind}: {listed}");
        let changed = &listed[0]["SET"]["TARGETS"][0]["DEST"];
        assert_eq!((&changed["FLAGS"], &changed["ATTRS"]["DUID"]), (&json!("IX"), &json!("it's")), "{kind}");
        stopped(server);
    });
}

/// Every dialog gets what somebody means harm with, and a BYE is routed as the dialog says.
const CALLS: &str = r#"
import KSR
HOSTILE = {hostile}
class Handler:
    def child_init(self, rank):
        return 0
    def ksr_request_route(self, msg):
        KSR.dialog.dlg_manage()
        if KSR.siputils.has_totag() > 0:
            KSR.rr.loose_route()
        else:
            for n, value in enumerate(HOSTILE):
                KSR.dialog.var_sets("k" + str(n) + value, value)
            KSR.rr.record_route()
            KSR.pv.sets("$du", "sip:127.0.0.1:{callee}")
        if KSR.is_method("INFO"):
            KSR.dialog.var_rm("k0" + HOSTILE[0])
            KSR.dialog.var_sets("long", KSR.hdr.get("X-Long") or "")
        KSR.tm.t_relay()
        return 1
def mod_init():
    return Handler()
"#;

/// Both sides of a call: names and tags are what their headers may hold at worst.
struct Call {
    caller: UdpSocket,
    callee: UdpSocket,
    call_id: String,
    /// Route rows of the caller.
    route: String,
    cseq: u32,
}

impl Call {
    fn new(call_id: &str) -> Call {
        let socket = || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("socket");
            socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
            socket
        };
        Call { caller: socket(), callee: socket(), call_id: call_id.into(), route: String::new(), cseq: 0 }
    }
    fn port(socket: &UdpSocket) -> u16 {
        socket.local_addr().expect("address").port()
    }
    fn send(&mut self, server: &Server, method: &str, rows: &str) {
        let (port, callee) = (Call::port(&self.caller), Call::port(&self.callee));
        if method != "ACK" {
            self.cseq += 1;
        }
        let tag = if self.cseq > 1 || method == "ACK" { ";tag=t'`2%" } else { "" };
        let (cseq, call_id, route) = (self.cseq, &self.call_id, &self.route);
        let request = format!(
            "{method} sip:o'h\\ara%27@127.0.0.1:{callee} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{method}{cseq}\r\n\
             From: \"\\\"; --\" <sip:a'%00@example.com;x=\\\\>;tag=f'`1%\r\nTo: <sip:o'hara@example.com>{tag}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\nMax-Forwards: 10\r\nContact: <sip:a';x=%5C@127.0.0.1:{port}>\r\n{route}{rows}Content-Length: 0\r\n\r\n"
        );
        self.caller.send_to(request.as_bytes(), server.address).expect("sends");
    }
    /// The callee answers with 200; the request it got.
    fn answer(&mut self) -> String {
        let mut buffer = [0; 65_535];
        let (n, from) = self.callee.recv_from(&mut buffer).expect("a request");
        let request = text(&buffer[..n]);
        if request.starts_with("ACK") {
            return request;
        }
        let kept = |l: &&str| {
            ["Via:", "From:", "Call-ID:", "CSeq:", "Record-Route:"].iter().any(|h| l.starts_with(h))
        };
        let rows: Vec<&str> = request.lines().filter(kept).collect();
        let port = Call::port(&self.callee);
        let reply = format!(
            "SIP/2.0 200 OK\r\n{}\r\nTo: <sip:o'hara@example.com>;tag=t'`2%\r\nContact: <sip:b'--@127.0.0.1:{port}>\r\nContent-Length: 0\r\n\r\n",
            rows.join("\r\n")
        );
        self.callee.send_to(reply.as_bytes(), from).expect("sends");
        request
    }
    /// The caller's final reply; keeps the route it names.
    fn reply(&mut self) -> String {
        loop {
            let mut buffer = [0; 65_535];
            let n = self.caller.recv(&mut buffer).expect("a reply");
            let reply = text(&buffer[..n]);
            if reply.starts_with("SIP/2.0 1") {
                continue;
            }
            if self.route.is_empty() {
                let rows = reply.lines().filter_map(|l| l.strip_prefix("Record-Route: "));
                self.route = rows.map(|r| format!("Route: {r}\r\n")).collect();
            }
            return reply;
        }
    }
    fn exchange(&mut self, server: &Server, method: &str, rows: &str) {
        self.send(server, method, rows);
        let request = self.answer();
        assert!(request.starts_with(method), "{request}");
        let reply = self.reply();
        assert!(reply.starts_with("SIP/2.0 200"), "{reply}");
    }
    fn begin(&mut self, server: &Server) {
        self.exchange(server, "INVITE", "");
        self.send(server, "ACK", "");
        assert!(self.answer().starts_with("ACK"));
    }
}

fn calls(url: &str, mode: &str, callee: u16, port: u16) -> Server {
    let hostile = serde_json::to_string(HOSTILE).expect("text");
    let script = CALLS.replace("{hostile}", &hostile).replace("{callee}", &callee.to_string());
    let params =
        [("dialog", "db_url", url), ("dialog", "db_mode", mode), ("dialog", "db_update_period", "1")];
    start(port, &["siputils", "rr", "dialog"], &params, &script)
}

/// Dialogs as operators see them, without the one thing that time changes.
fn dialogs(server: &Server) -> Json {
    let mut all = server.ask("dlg.list", json!([]));
    for dialog in all.as_array_mut().into_iter().flatten() {
        if let Some(fields) = dialog.as_object_mut() {
            fields.remove("duration");
        }
    }
    all
}

#[test]
fn dialogs_and_their_variables() {
    on_each("tables_dialog", |kind, url| {
        let db = store::open(url).expect("opens");
        for mode in ["1", "2", "3"] {
            let at = format!("{kind}, db_mode {mode}");
            let mut call = Call::new(&format!("'\"`\\;--%{mode}@é"));
            let callee = Call::port(&call.callee);
            let server = calls(url, mode, callee, 0);
            let port = server.address.port();
            call.begin(&server);
            if mode != "3" {
                wait_for(&*db, "dialog", 1);
                wait_for(&*db, "dialog_vars", HOSTILE.len());
            }
            let before = dialogs(&server);
            stopped(server);
            wait_for(&*db, "dialog", 1);
            let mut vars = rows(&*db, "dialog_vars", &["dialog_key", "dialog_value"]);
            let mut wanted: Vec<Vec<Value>> = (HOSTILE.iter().enumerate())
                .map(|(n, v)| vec![Value::text(format!("k{n}{v}")), Value::text(*v)])
                .collect();
            vars.sort_by_key(|row| format!("{row:?}"));
            wanted.sort_by_key(|row| format!("{row:?}"));
            assert_eq!(vars, wanted, "{at}");

            // Sockets are found again by their address.
            let server = calls(url, mode, callee, port);
            assert_eq!(dialogs(&server), before, "{at}: as it was");
            assert_eq!(before.as_array().map(Vec::len), Some(1), "{at}: {before}");
            // One variable less, and one that does not fit costs no other.
            call.exchange(&server, "INFO", &format!("X-Long: {}\r\n", "x".repeat(2000)));
            if mode != "3" {
                let until = Instant::now() + PATIENCE;
                let has = |key: &str| {
                    let key = [Condition::equal("dialog_key", Value::text(key))];
                    let query = Query {
                        table: "dialog_vars",
                        columns: &["id"],
                        conditions: &key,
                        ..Query::default()
                    };
                    db.query(&query).expect("answers").len()
                };
                while (has(&format!("k0{}", HOSTILE[0])), has(&format!("k1{}", HOSTILE[1]))) != (0, 1) {
                    assert!(Instant::now() < until, "{at}: {:?}", rows(&*db, "dialog_vars", &["dialog_key"]));
                    std::thread::park_timeout(Duration::from_millis(5));
                }
            }
            call.exchange(&server, "BYE", "");
            if mode != "3" {
                wait_for(&*db, "dialog", 0);
            }
            stopped(server);
            assert_eq!(rows(&*db, "dialog", &["callid"]), Vec::<Vec<Value>>::new(), "{at}");
            assert_eq!(rows(&*db, "dialog_vars", &["dialog_key"]), Vec::<Vec<Value>>::new(), "{at}");
        }
    });
}
