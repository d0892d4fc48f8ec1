//! Kamailio's own tools against a running server: `kamcmd` over each kind of socket, `kamctl` over the FIFO; and JSON-RPC by datagram and
//! HTTP, the metrics read by Prometheus' own parser.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Folder, PATIENCE, Phone, Server, text};
use serde_json::{Value as Json, json};

/// Registers phones, answers OPTIONS, asks itself for INFO.
const SCRIPT: &str = "
import KSR
class Handler:
    def child_init(self, rank):
        return 0
    def ksr_request_route(self, msg):
        if msg.Method == 'REGISTER':
            KSR.registrar.save('location', 0)
        elif msg.Method == 'INFO':
            KSR.counters.inc('mine.asked')
            KSR.jsonrpcs.exec('{\"jsonrpc\": \"2.0\", \"method\": \"cnt.get\", \"params\": [\"mine\", \"asked\"], \"id\": 1}')
            KSR.sl.send_reply(KSR.pv.get('$jsonrpl(code)'), KSR.jsonrpcs.response().split('\"')[6])
        elif msg.Method == 'MESSAGE':
            KSR.tm.t_newtran()
            KSR.tm.t_reply(202, 'Later')
        else:
            KSR.sl.send_reply(200, 'OK')
        return 1
def mod_init():
    return Handler()
";

/// A server with all ways in, in a folder of its own.
fn server() -> Server {
    let folder = Folder::new();
    let script = folder.write("route.py", SCRIPT);
    let here = folder.path().display().to_string();
    let config = folder.write(
        "kamailio.cfg",
        &format!(
            r#"
listen=udp:127.0.0.1:0
loadmodule "jsonrpcs.so"
loadmodule "ctl.so"
loadmodule "cfg_rpc.so"
loadmodule "counters.so"
loadmodule "debugger.so"
loadmodule "kex.so"
loadmodule "corex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "app_python3.so"
modparam("ctl", "binrpc", "unix:{here}/ctl")
modparam("ctl", "binrpc", "unixd:{here}/ctld")
modparam("jsonrpcs", "fifo_name", "{here}/fifo")
modparam("jsonrpcs", "dgram_socket", "{here}/dgram")
modparam("counters", "script_counter", "mine.asked How often")
modparam("app_python3", "load", "{}")
cfgengine "python"
"#,
            script.display()
        ),
    );
    Server::start_config(folder, &config, &["--admin", "0"])
}

fn register(phone: &Phone, user: &str) {
    let local = phone.address();
    let text = format!(
        "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{user}\r\n\
         From: <sip:{user}@example.com>;tag=1\r\nTo: <sip:{user}@example.com>\r\nCall-ID: {user}\r\n\
         CSeq: 1 REGISTER\r\nMax-Forwards: 10\r\nContact: <sip:{user}@{local}>;q=0.5\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n"
    );
    phone.send_raw(text.as_bytes());
    assert_eq!(phone.reply(), (200, user.to_owned()));
}

fn tool(name: &str, home: &Path, args: &[&str]) -> String {
    let output = Command::new(name).args(args).env("HOME", home).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|e| panic!("{name}: {e}; install the Debian package kamailio"));
    text(&output.stdout) + &text(&output.stderr)
}

fn kamcmd(server: &Server, socket: &str, args: &[&str]) -> String {
    let here = server.folder.path();
    let address = format!("{socket}:{}/{}", here.display(), if socket == "unixd" { "ctld" } else { "ctl" });
    tool("kamcmd", here, &[&["-s", &address], args].concat())
}

/// Parts of `name: value` lines, by the name.
fn field<'a>(output: &'a str, name: &str) -> &'a str {
    let wanted = format!("{name}: ");
    let line = output.lines().find_map(|l| l.trim_start().strip_prefix(wanted.as_str()));
    line.unwrap_or_else(|| panic!("no {name} in\n{output}"))
}

#[test]
fn kamcmd_asks_and_changes() {
    let server = server();
    let phone = server.phone();
    register(&phone, "alice");
    register(&phone, "bob");
    let ask = |args: &[&str]| kamcmd(&server, "unix", args);
    let dump = ask(&["ul.dump"]);
    assert_eq!(field(&dump, "Domain"), "{");
    assert_eq!(field(&dump, "Records"), "2");
    let one = ask(&["ul.lookup", "location", "alice"]);
    assert_eq!(field(&one, "Address"), format!("sip:alice@{}", phone.address()));
    assert_eq!((field(&one, "Q"), field(&one, "CSeq")), ("0.500000", "1"));
    assert_eq!(ask(&["ul.rm", "location", "bob"]), "");
    assert_eq!(ask(&["ul.lookup", "location", "bob"]), "error: 500 - AOR not found in location table\n");
    assert_eq!(ask(&["stats.get_statistics", "rcv_requests"]), "core:rcv_requests = 2\n");
    assert!(ask(&["system.listMethods"]).lines().any(|l| l == "core.uptime"));
    assert_eq!(ask(&["nope"]), "error: 500 - command nope not found\n");
    assert_eq!(ask(&["ctl.connections"]), "1\n");
    assert_eq!(ask(&["app_python.reload"]).lines().nth(2), Some("\tnew: 1"));
    for socket in ["unixs", "unixd"] {
        assert!(kamcmd(&server, socket, &["core.uptime"]).contains("up_since: "), "{socket}");
    }
    // A request of its own, answered by itself.
    let target = format!("sip:x@{}", server.address);
    let rows = "From: <sip:rpc@localhost>;tag=1\r\nTo: <sip:x@localhost>\r\n";
    let reply = ask(&["tm.t_uac_wait_block", "OPTIONS", &target, ".", ".", rows]);
    assert_eq!(reply, "{\n\tcode: 200\n\ttext: OK\n}\n");
    assert_eq!(
        ask(&["tm.t_uac_wait_block", "OPTIONS", &target, ".", ".", "X: y"]),
        "error: 400 - From missing\n"
    );
    let reply = ask(&["tm.t_uac_wait", "OPTIONS", &target, ".", ".", rows]);
    assert!(reply.starts_with("200\nOK\n"), "{reply}");
    // A timer that was changed holds for what begins later; nobody reads at this address.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("socket");
    let target = format!("sip:x@{}", silent.local_addr().expect("address"));
    assert_eq!(ask(&["cfg.set", "tm", "fr_timer", "100"]), "");
    let reply = ask(&["tm.t_uac_wait_block", "OPTIONS", &target, ".", ".", rows]);
    assert_eq!((field(&reply, "code"), field(&reply, "text")), ("408", "Request Timeout"));
    assert_eq!(ask(&["cfg.reset", "tm", "fr_timer"]), "");
    // Levels of modules hold for real.
    let quiet = server.phone();
    assert_eq!(ask(&["dbg.set_mod_level", "core", "3"]), "200 ok\n");
    assert_eq!(ask(&["cfg.get", "dbg", "mod_level_mode"]), "1\n");
    quiet.send_raw(b"nonsense\r\n\r\n");
    server.logged("DEBUG");
}

#[test]
fn operators_send_requests_and_replies_again() {
    let server = server();
    let target = format!("sip:x@{}", server.address);
    let rows =
        "From: <sip:rpc@localhost>;tag=1\nTo: <sip:x@localhost>\nCall-ID: mine\nContent-Type: text/plain\n";
    let send = |command: &str, target: &str, body: &str, attributes: &[&str]| {
        let params = [attributes, &["OPTIONS", target, ".", ".", rows, body]].concat();
        server.ask(command, json!(params))
    };
    let whole = send("tm.t_uac_wait", &target, "abc", &[]);
    let parts = whole.as_array().cloned().unwrap_or_default();
    assert_eq!(
        (parts.len(), &parts[..5]),
        (6, &[json!(200), json!("OK"), json!(""), json!(""), json!("")][..])
    );
    let reply = parts[5].as_str().unwrap_or_default();
    assert!(
        reply.starts_with("Via: ") && reply.contains("\r\nCall-ID: mine\r\n") && reply.ends_with("\r\n\r\n"),
        "{reply}"
    );
    assert_eq!(
        send("tm.t_uac_attrs", &target, "6162 63", &["mode=block;rpflags=1"]),
        json!({"code": 200, "text": "OK"})
    );
    assert_eq!(send("tm.t_uac_attrs", &target, "abc", &["cbflags=noack"]), Json::Null);
    // Nobody reads there.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("socket");
    let nobody = format!("sip:x@{}", silent.local_addr().expect("address"));
    assert_eq!(
        send("tm.t_uac_attrs", &nobody, "abc", &["mode=wait;fr_timeout=100"]),
        json!([408, "Request Timeout", "", "", "", ""])
    );

    let phone = server.phone();
    phone.send("MESSAGE", "told");
    assert_eq!(phone.reply().0, 202);
    let list = server.ask("tm.list", json!([]));
    let known = list.as_array().into_iter().flatten().find(|t| t["method"] == "MESSAGE").expect("kept");
    let name = format!("{}:{}", known["tindex"], known["tlabel"]);
    assert_eq!(server.ask("tm.retransmit_reply", json!([name])), Json::Null);
    assert_eq!(phone.reply(), (202, "told".into()));
    assert_eq!(server.ask("tm.retransmit_reply_callid", json!(["told", "1 MESSAGE"])), Json::Null);
    assert_eq!(phone.reply(), (202, "told".into()));
    let refused = |args: &[&str]| text(&server.ctl(args).stderr);
    assert!(refused(&["tm.retransmit_reply", "1:2"]).contains("Transaction not found"));
    assert!(refused(&["tm.retransmit_reply_callid", "nope", "1"]).contains("Transaction not found"));
    assert!(
        refused(&["tm.t_uac_wait", "OPTIONS", "xx", ".", ".", rows]).contains("Invalid request uri \"xx\"")
    );
}

#[test]
fn kamctl_asks_over_the_fifo() {
    let server = server();
    register(&server.phone(), "alice");
    let home = server.folder.path();
    let rc = format!("RPCFIFOPATH={}/fifo\nSIP_DOMAIN=example.com\nUSERS_TABLE=location\n", home.display());
    server.folder.write(".kamctlrc", &rc);
    let kamctl = |args: &[&str]| tool("kamctl", home, args);
    assert_eq!(kamctl(&["online"]), "alice\n");
    assert!(kamctl(&["ul", "show"]).contains("\"Address\":  \"sip:alice@"), "with its own blanks for tabs");
    assert!(kamctl(&["uptime"]).contains("\"up_since\":"));
    assert!(kamctl(&["stats"]).contains("\"core:rcv_requests = 1\""));
    assert!(kamctl(&["ps"]).contains("\"DSC\":  \"JSONRPCS FIFO\""));
    kamctl(&["ul", "add", "dave@example.com", "sip:dave@127.0.0.1:9"]);
    assert!(kamctl(&["ul", "show", "dave@example.com"]).contains("\"permanent\""));
    kamctl(&["ul", "rm", "dave@example.com"]);
    assert_eq!(kamctl(&["online"]), "alice\n");
    assert!(kamctl(&["rpc", "nope"]).contains("Method Not Found"));
}

#[test]
fn datagrams_and_scripts_ask() {
    let server = server();
    let here = server.folder.path();
    let socket = UnixDatagram::bind(here.join("me")).expect("socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
    let ask = |document: Json| {
        socket.send_to(document.to_string().as_bytes(), here.join("dgram")).expect("sent");
        let mut buffer = vec![0; 65_536];
        let n = socket.recv(&mut buffer).expect("answer");
        buffer.truncate(n);
        text(&buffer)
    };
    assert_eq!(
        ask(json!({"jsonrpc": "2.0", "method": "cnt.get", "params": ["mine", "asked"], "id": "x"})),
        "{\n\t\"jsonrpc\":\t\"2.0\",\n\t\"result\":\t0,\n\t\"id\":\t\"x\"\n}"
    );
    assert!(ask(json!([])).contains("-32600"));
    let phone = server.phone();
    phone.send("INFO", "one");
    let reply = text(&phone.receive());
    assert!(reply.starts_with("SIP/2.0 200 :1,\r\n"), "{reply}");
}

/// Before the first message everything is known that commands tell of; and what waits for workers does not wait for the one that asks.
#[test]
fn a_script_asks_from_the_start_and_reloads_itself() {
    const ASKING: &str = "
import KSR
def ask(method):
    KSR.jsonrpcs.exec('{\"jsonrpc\": \"2.0\", \"method\": \"' + method + '\", \"id\": 1}')
    return KSR.pv.get('$jsonrpl(code)')
class Handler:
    def child_init(self, rank):
        self.code = ask('kemi.engine')
        return 0
    def ksr_request_route(self, msg):
        KSR.sl.send_reply(self.code if msg.Method == 'OPTIONS' else ask('app_python.reload'), 'OK')
        return 1
def mod_init():
    return Handler()
";
    let server = Server::start_with(
        "debug=2\nchildren=1",
        ASKING,
        &["--loadmodule=jsonrpcs", "--modparam=jsonrpcs:transport:i:1"],
    );
    let phone = server.phone();
    phone.send("OPTIONS", "one");
    assert_eq!(phone.reply().0, 200);
    phone.send("INFO", "two");
    assert_eq!(phone.reply().0, 200);
    server.logged("script reloaded");
}

fn http(address: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("admin address");
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

#[test]
fn http_asks_and_prometheus_reads() {
    let server = server();
    let address =
        server.banner.split("http://").nth(1).and_then(|r| r.split('/').next()).expect("in the banner");
    let post = |path: &str, kind: &str, body: &str| {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n"
        );
        http(address, &format!("{head}\r\n{body}"))
    };
    let get = |path: &str, host: &str| http(address, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let rpc = |body: &str| post("/rpc", "application/json", body);
    let (_, answer) = rpc(r#"{"jsonrpc":"2.0","method":"core.echo","params":["a"],"id":5}"#);
    assert_eq!(answer, "{\"jsonrpc\":\"2.0\",\"result\":[\"a\"],\"id\":5}\n");
    let (_, batch) =
        rpc(r#"[{"jsonrpc":"2.0","method":"core.echo","id":1},{"jsonrpc":"2.0","method":"core.echo"}]"#);
    assert_eq!(batch, "[{\"jsonrpc\":\"2.0\",\"result\":[],\"id\":1}]\n");
    assert_eq!(rpc(r#"{"jsonrpc":"2.0","method":"core.echo"}"#).0, "HTTP/1.1 204 No Content");
    assert!(get("/health", "127.0.0.1").1.starts_with("{\"status\":\"ok\""));
    for (status, wanted) in [
        (get("/", "localhost").0, "404"),
        (get("/rpc", "localhost").0, "405"),
        (get("/metrics", "evil.example").0, "421"),
        (post("/rpc", "text/plain", "{}").0, "415"),
        (http(address, "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n").0, "413"),
        (http(address, "POST /rpc HTTP/1.1\r\nHost: localhost\r\n\r\n").0, "411"),
        (http(address, "nonsense\r\n\r\n").0, "400"),
    ] {
        assert_eq!(status.split(' ').nth(1), Some(wanted), "{status}");
    }
    let phone = server.phone();
    phone.send("OPTIONS", "one");
    assert_eq!(phone.reply().0, 200);
    let (_, page) = get("/metrics", "localhost");
    assert_eq!(read_by_prometheus(&page), "trunkline_core_rcv_requests 1.0\n", "{page}");
}

/// Tools look in the runtime directory; a second server of the same directory starts without these ways in, and its end leaves them.
#[test]
fn default_paths_are_in_the_runtime_directory() {
    let runtime = Folder::new();
    let path = runtime.path().display().to_string();
    let flags = ["-Y", &path, "--loadmodule=jsonrpcs", "--loadmodule=ctl"];
    let first = Server::start_with("", common::ANSWER, &flags);
    let second = Server::start_with("", common::ANSWER, &flags);
    for name in ["kamailio_ctl", "kamailio_rpc.fifo", "kamailio_rpc.sock"] {
        let said = format!("path={path}/{name}");
        assert!(second.banner.contains(&said), "{said} is not in\n{}", second.banner);
    }
    assert_eq!(second.end().0, 0);
    let address = format!("unix:{path}/kamailio_ctl");
    assert!(tool("kamcmd", runtime.path(), &["-s", &address, "core.uptime"]).contains("uptime: "));
    assert_eq!(first.end().0, 0);
    let left = std::fs::read_dir(runtime.path()).expect("folder").count();
    assert_eq!(left, 0, "files go with their server");
}

#[test]
fn the_admin_address_has_a_bound_on_clients() {
    let server = server();
    let address =
        server.banner.split("http://").nth(1).and_then(|r| r.split('/').next()).expect("in the banner");
    let idle: Vec<TcpStream> = (0..32).map(|_| TcpStream::connect(address).expect("admin address")).collect();
    let health = || http(address, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").0;
    assert_eq!(health(), "HTTP/1.1 503 Service Unavailable");
    drop(idle);
    let until = std::time::Instant::now() + PATIENCE;
    while health() != "HTTP/1.1 200 OK" {
        assert!(std::time::Instant::now() < until, "no room again");
    }
}

/// The sample of `core:rcv_requests` as Prometheus' Python library finds it among all families.
fn read_by_prometheus(page: &str) -> String {
    let program = "
import sys
from prometheus_client.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.type in ('counter', 'gauge') and family.documentation and family.samples, family
    if family.name == 'trunkline_core_rcv_requests':
        print(family.name, family.samples[0].value)
";
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3");
    child.stdin.take().expect("stdin").write_all(page.as_bytes()).expect("page");
    let output = child.wait_with_output().expect("python3");
    text(&output.stdout) + &text(&output.stderr)
}
