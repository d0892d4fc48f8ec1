//! Every command that both have is asked of this server and of the packaged Kamailio with the same `kamcmd`; what is printed must have the same
//! shape: the same members in the same places, values of the same kind, the same code of an error.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Folder, PATIENCE, Server, text};

const SCRIPT: &str = "
import KSR
class Handler:
    def child_init(self, rank):
        return 0
    def ksr_request_route(self, msg):
        if msg.Method == 'ACK':
            KSR.rr.loose_route()
            KSR.tm.t_relay()
        elif msg.Method == 'INVITE':
            KSR.dialog.dlg_manage()
            KSR.dialog.var_sets('one', '1')
            KSR.dialog.var_sets('two', 'x')
            KSR.dialog.set_dlg_profile('caller', KSR.pv.get('$fU'))
            KSR.dialog.set_dlg_profile_static('all')
            KSR.rr.record_route()
            if KSR.pv.get('$rd') == 'example.com':
                KSR.pv.sets('$du', 'sip:127.0.0.1:9')
            KSR.tm.t_relay()
        else:
            KSR.registrar.save('location', 0)
        return 1
    # Kamailio's ACK fails without it.
    def ksr_onsend_route(self, msg):
        return 1
def mod_init():
    return Handler()
";

const MODULES: &str = r#"
loadmodule "jsonrpcs.so"
loadmodule "kex.so"
loadmodule "corex.so"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "ctl.so"
loadmodule "cfg_rpc.so"
loadmodule "counters.so"
loadmodule "debugger.so"
loadmodule "cfgutils.so"
loadmodule "dialog.so"
loadmodule "app_python3.so"
modparam("usrloc", "preload", "location")
modparam("debugger", "mod_hash_size", 5)
modparam("debugger", "mod_level_mode", 1)
modparam("debugger", "mod_facility_mode", 1)
modparam("counters", "script_counter", "mine.a A counter of mine")
modparam("cfgutils", "initial_probability", 10)
modparam("pv", "shvset", "x=i:5")
modparam("dialog", "profiles_with_value", "caller")
modparam("dialog", "profiles_no_value", "all")
modparam("pv", "shvset", "s=s:hello")
cfgengine "python"
"#;

/// What is asked, in this order, after two registrations, an INVITE that waits and a call that was answered. A line's command is its first word.
const ASKED: &str = "
app_python.api_list
app_python.reload
cfg.add_group_inst core
cfg.del core debug
cfg.del_delayed core debug
cfg.del_group_inst core
cfg.get core debug
cfg.get maxfwd
cfg.get core nope
cfg.help core debug
cfg.list maxfwd
cfg.set maxfwd max_limit 60
cfg.set core debug x
cfg.set_delayed maxfwd max_limit 50
cfg.set_delayed_int maxfwd max_limit 50
cfg.diff
cfg.rollback
cfg.commit
cfg.set_delayed_string core nope x
cfg.set_now_int maxfwd max_limit 60
cfg.set_now_string core nope x
cfg.seti maxfwd max_limit 60
cfg.sets core nope x
cfgutils.check_config_hash
cfgutils.get_gflags
cfgutils.is_gflag 1
cfgutils.rand_get_prob
cfgutils.rand_reset_prob
cfgutils.rand_set_prob 20
cfgutils.reset_gflag 1
cfgutils.set_gflag 1
cnt.get core rcv_requests
cnt.get core nope
cnt.get_raw core rcv_requests
cnt.get_vars mine
cnt.grp_get_all mine
cnt.grps_list
cnt.help mine a
cnt.list_groups
cnt.list_vars mine
cnt.reset mine a
cnt.var_list mine
core.aliases_list
core.arg
core.echo a b
core.flags
core.info
core.modules
core.printi 1 2
core.prints a b
core.ps
core.psa
core.psx
core.pwd
core.runinfo
core.shmmem
core.sockets_list
core.tcp_info
core.udp4_raw_info
core.uptime
core.version
corex.debug
corex.list_aliases
corex.list_sockets
corex.pkg_summary idx 0
corex.shm_status
corex.shm_summary
ctl.connections
ctl.listen
ctl.who
dbg.get_mod_facility tm
dbg.get_mod_level tm
dbg.ls
dbg.set_mod_facility tm LOG_LOCAL1
dbg.set_mod_facility tm X
dbg.set_mod_level tm 2
dbg.set_mod_level tm x
dlg.list
dlg.list_ctx
dlg.list_match furi sw sip:
dlg.list_match_ctx furi sw sip:dave
dlg.list_match furi sw tel:
dlg.list_match furi re [
dlg.list_match furi gt s:1
dlg.list_match nope eq x
dlg.list_match start_ts eq s:1
dlg.list_match furi eq
dlg.dlg_list dave
dlg.dlg_list carol one
dlg.dlg_list nope
dlg.dlg_list_ctx dave
dlg.briefing ftcFTISEs
dlg.briefing s
dlg.profile_list all
dlg.profile_list caller dave
dlg.profile_list nope
dlg.profile_get_size caller
dlg.profile_get_size nope
dlg.stats_active
dlg.is_alive dave one callee
dlg.is_alive dave one
dlg.is_alive nope one callee
dlg.set_state dave one callee 9
dlg.set_state dave one callee
dlg.set_state nope one callee 5
dlg.bridge_dlg
dlg.terminate_dlg dave one
dlg.end_dlg
dlg.end_dlg 1 2
dlg.set_state dave one callee 5
dlg.is_alive dave one callee
dns.delete_a x
dns.delete_aaaa x
dns.delete_cname x
dns.delete_ebl x
dns.delete_naptr x
dns.delete_ptr x
dns.delete_srv x
dns.delete_txt x
dns.mem_info
dns.delete_all
dns.delete_all_force
dst_blocklist.add 1.2.3.4
dst_blocklist.debug
dst_blocklist.delete_all
dst_blocklist.mem_info
dst_blocklist.view
jsonrpc.echo a
mod.mem_stats tm pkg
mod.mem_statsx tm pkg
mod.stats tm pkg
pkg.info
pkg.stats
pkg.stats pid 1
pv.shvGet
pv.shvGet x
pv.shvGet nope
pv.shvSet x int 7
pv.shvSet s str q
shm.info
shm.stats
sl.stats
stats.clear_statistics sl:
stats.fetch rcv_requests
stats.fetchn rcv_requests
stats.get_statistics all
stats.get_statistics core:
stats.get_statistics nope
stats.get_statistics
stats.reset_statistics rcv_requests
system.listMethods
system.methodHelp core.uptime
system.methodSignature core.uptime
tm.cancel x 1
tm.clean
tm.list
tm.reply 200 OK 1
tm.reply_callid 486 Busy nope s:1 tag
tm.stats
tm.t_uac_start
ul.add location carol sip:carol@127.0.0.1 100 0.7 . 0 0 0
ul.db_contacts location
ul.db_expired_contacts location
ul.db_users location
ul.dump
ul.dump brief
ul.flush
ul.lookup location alice
ul.lookup location nobody
ul.lookup nope alice
ul.rm_contact location carol sip:carol@127.0.0.1
ul.rm location bob
";

/// Commands both have that are not compared, with the reason.
const NOT_COMPARED: &[(&str, &str)] = &[
    ("cfg.reset", "Kamailio's has no values of the start: Reset failed"),
    ("cfgutils.get_config_hash", "a hash of the files"),
    ("core.kill", "it ends the server"),
    ("core.ppdefines", "none of the server's own here"),
    ("core.ppdefines_full", "none of the server's own here"),
    ("core.tcp_list", "no TCP here yet"),
    ("core.tcp_options", "no TCP here yet: an error"),
    ("dbg.bp", "no native route language: an error"),
    ("dbg.trace", "no native route language: an error"),
    ("dbg.reset_msgid", "message numbers belong to workers: an error"),
    ("dlg.dump_file", "it writes a file where it is told, and nothing to the client"),
    ("dns.add_a", "no cache here: an error"),
    ("dns.add_aaaa", "no cache here: an error"),
    ("dns.add_srv", "no cache here: an error"),
    ("dns.debug", "no cache here"),
    ("dns.debug_all", "no cache here"),
    ("dns.lookup", "no cache here"),
    ("dns.view", "no cache here"),
    ("shm.report", "no fragments here, which most of its numbers are about"),
    ("tm.hash_stats", "not built in there: an error"),
    ("tm.t_uac_wait", "an error there: BINRPC cannot wait, which it does here"),
    ("tm.t_uac_wait_block", "it would wait for a peer there"),
    ("tm.t_uac_wait_block_hex", "it would wait for a peer there"),
    ("tm.t_uac_wait_block_noack", "it would wait for a peer there"),
    ("tm.t_uac_wait_block_noack_hex", "it would wait for a peer there"),
];

/// Members that differ by nature: command, member, reason.
const MEMBERS: &[(&str, &str, &str)] = &[
    ("app_python.reload", "callbacks", "the callbacks of the script, here only"),
    ("core.aliases_list", "port", "names of the machine are no aliases here, so there is none with a port"),
    ("core.sockets_list", "advertise", "only where there is one, in both"),
];

/// The shape of a printed answer: members with what is in them; plain values by kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Text,
    Number,
    Error(String),
    /// A structure without a name in another, or in the answer.
    Nameless(BTreeSet<Shape>),
    Members(BTreeMap<String, BTreeSet<Shape>>),
}

fn value(text: &str) -> Shape {
    if text.parse::<f64>().is_ok() { Shape::Number } else { Shape::Text }
}

/// Names of members have no blanks, but for a few in lower case such as `group name`.
fn is_name(text: &str) -> bool {
    !text.contains(' ') || text.bytes().all(|b| b.is_ascii_lowercase() || b == b' ')
}

/// Reads lines up to the end of the structure they are in.
fn shape<'a>(lines: &mut impl Iterator<Item = &'a str>, ignored: &BTreeSet<&str>) -> BTreeSet<Shape> {
    let mut found = BTreeSet::new();
    let mut members: BTreeMap<String, BTreeSet<Shape>> = BTreeMap::new();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line == "}" {
            break;
        }
        if line == "{" {
            found.insert(Shape::Nameless(shape(lines, ignored)));
        } else if let Some(name) = line.strip_suffix(": {") {
            let inner = shape(lines, ignored);
            members.entry(name.to_owned()).or_default().extend(inner);
        } else if let Some(rest) = line.strip_prefix("error: ") {
            found.insert(Shape::Error(rest.chars().take(3).collect()));
        } else if let Some((name, v)) = line.split_once(": ").filter(|(n, _)| is_name(n)) {
            members.entry(name.to_owned()).or_default().insert(value(v));
        } else if let Some(name) = line.strip_suffix(':').filter(|n| !n.contains(' ')) {
            members.entry(name.to_owned()).or_default().insert(Shape::Text);
        } else if !line.is_empty() {
            found.insert(value(line));
        }
    }
    members.retain(|name, _| !ignored.contains(name.as_str()));
    if !members.is_empty() {
        found.insert(Shape::Members(members));
    }
    found
}

fn kamcmd(socket: &Path, line: &str) -> String {
    let output = Command::new("kamcmd")
        .args(["-s", &format!("unix:{}", socket.display())])
        .args(line.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .expect("kamcmd: install the Debian package kamailio");
    text(&output.stdout) + &text(&output.stderr)
}

/// The packaged Kamailio with the same configuration.
struct Kamailio {
    child: Child,
    port: u16,
    folder: Folder,
}

impl Kamailio {
    fn start() -> Kamailio {
        let folder = Folder::new();
        let here = folder.path().display().to_string();
        // The port is free when it is looked for; another program that takes it first makes the test fail, not pass.
        let port = UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()).expect("a port").port();
        let config = folder.write(
            "kamailio.cfg",
            &format!(
                "#!KAMAILIO\ndebug=-1\nlog_stderror=yes\nchildren=1\nlisten=udp:127.0.0.1:{port}\nalias=example.com\n\
                 mpath=\"/usr/lib/x86_64-linux-gnu/kamailio/modules/\"\n{}",
                configuration(folder.path())
            ),
        );
        let child = Command::new("/usr/sbin/kamailio")
            .args(["-f", &config.display().to_string(), "-DD", "-E", "-Y", &here, "-w", &here])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the Debian package kamailio");
        Kamailio { child, port, folder }
    }
    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("ctl")
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        testkit::process::end(&mut self.child);
    }
}

fn configuration(folder: &Path) -> String {
    let here = folder.display();
    std::fs::write(folder.join("route.py"), SCRIPT).expect("script");
    format!(
        "{MODULES}\nmodparam(\"app_python3\", \"load\", \"{here}/route.py\")\nmodparam(\"ctl\", \"binrpc\", \"unix:{here}/ctl\")\n\
         modparam(\"jsonrpcs\", \"fifo_name\", \"{here}/fifo\")\nmodparam(\"jsonrpcs\", \"dgram_socket\", \"{here}/dgram\")\n"
    )
}

fn socket(patience: Duration) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("socket");
    socket.set_read_timeout(Some(patience)).expect("timeout");
    socket
}

/// The next message that begins so.
fn receive(socket: &UdpSocket, first: &str) -> String {
    loop {
        let mut buffer = [0; 4096];
        let n = socket.recv(&mut buffer).expect(first);
        let message = text(&buffer[..n]);
        if message.starts_with(first) {
            return message;
        }
    }
}

/// A call that is answered and acknowledged.
fn call(port: u16) {
    let (caller, callee) = (socket(PATIENCE), socket(PATIENCE));
    let [from, to] = [&caller, &callee].map(|s| s.local_addr().expect("address"));
    let send = |method: &str, tag: &str, rows: &str| {
        let message = format!(
            "{method} sip:dave@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKdave{method}\r\nFrom: <sip:dave@example.com>;tag=one\r\n\
             To: <sip:erin@example.com>{tag}\r\nCall-ID: dave\r\nCSeq: 1 {method}\r\nMax-Forwards: 10\r\nContact: <sip:dave@{from}>\r\n\
             {rows}Content-Length: 0\r\n\r\n"
        );
        caller.send_to(message.as_bytes(), ("127.0.0.1", port)).expect("sends");
    };
    send("INVITE", "", "");
    let invite = receive(&callee, "INVITE");
    let kept = ["Via: ", "From: ", "Call-ID: ", "CSeq: ", "Record-Route: "];
    let rows: Vec<&str> = invite.lines().filter(|l| kept.iter().any(|k| l.starts_with(k))).collect();
    let reply = format!(
        "SIP/2.0 200 OK\r\n{}\r\nTo: <sip:erin@example.com>;tag=callee\r\nContact: <sip:erin@{to}>\r\nContent-Length: 0\r\n\r\n",
        rows.join("\r\n")
    );
    callee.send_to(reply.as_bytes(), ("127.0.0.1", port)).expect("sends");
    let ok = receive(&caller, "SIP/2.0 200");
    let routes: Vec<String> = ok
        .lines()
        .filter_map(|l| Some(format!("Route: {}\r\n", l.strip_prefix("Record-Route: ")?)))
        .collect();
    send("ACK", ";tag=callee", &routes.concat());
    receive(&callee, "ACK");
}

/// Registers two phones and begins a call that nobody answers, repeated until the server is there; then makes one.
fn traffic(port: u16) {
    let socket = socket(Duration::from_millis(200));
    let local = socket.local_addr().expect("address");
    let until = Instant::now() + PATIENCE;
    for (method, user) in [("REGISTER", "alice"), ("REGISTER", "bob"), ("INVITE", "carol")] {
        let message = format!(
            "{method} sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{user}\r\n\
             From: <sip:{user}@example.com>;tag=one\r\nTo: <sip:{user}@example.com>\r\nCall-ID: {user}\r\nCSeq: 1 {method}\r\n\
             Max-Forwards: 10\r\nContact: <sip:{user}@{local}>;q=0.5\r\nContent-Length: 0\r\n\r\n"
        );
        loop {
            // Nobody there yet is an error on the next call.
            let _ = socket.send_to(message.as_bytes(), ("127.0.0.1", port));
            let mut buffer = [0; 4096];
            if let Ok(n) = socket.recv(&mut buffer)
                && text(&buffer[..n]).contains(&format!("Call-ID: {user}"))
            {
                break;
            }
            assert!(Instant::now() < until, "no answer to {method} of {user}");
        }
    }
    call(port);
}

#[test]
fn answers_have_kamailios_shape() {
    let kamailio = Kamailio::start();
    let folder = Folder::new();
    let text =
        format!("listen=udp:127.0.0.1:0\nalias=example.com\nchildren=1\n{}", configuration(folder.path()));
    let config = folder.write("kamailio.cfg", &text);
    let server = Server::start_config(folder, &config, &[]);
    let ours = server.folder.path().join("ctl");
    traffic(server.address.port());
    traffic(kamailio.port);
    let theirs = kamailio.socket();

    let mut wrong = Vec::new();
    let mut asked = BTreeSet::new();
    for line in ASKED.lines().filter(|l| !l.is_empty()) {
        let command = line.split(' ').next().unwrap_or_default();
        asked.insert(command.to_owned());
        let ignored: BTreeSet<&str> =
            MEMBERS.iter().filter(|(c, ..)| *c == command).map(|(_, m, _)| *m).collect();
        let (here, there) = (kamcmd(&ours, line), kamcmd(&theirs, line));
        let (a, b) = (shape(&mut here.lines(), &ignored), shape(&mut there.lines(), &ignored));
        if a != b {
            wrong.push(format!("{line}\n  here  {a:?}\n  there {b:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let methods = |socket: &Path| -> BTreeSet<String> {
        kamcmd(socket, "system.listMethods").lines().map(str::to_owned).collect()
    };
    asked.extend(NOT_COMPARED.iter().map(|(c, _)| (*c).to_owned()));
    let both: BTreeSet<String> = methods(&ours).intersection(&methods(&theirs)).cloned().collect();
    assert!(both.len() > 100, "{both:?}");
    let left: Vec<&String> = both.difference(&asked).collect();
    assert!(left.is_empty(), "commands both have that are neither compared nor listed: {left:?}");
    let missing: Vec<String> = methods(&theirs).difference(&methods(&ours)).cloned().collect();
    assert!(missing.is_empty(), "commands of Kamailio's that are not here: {missing:?}");
}

#[test]
fn shapes_are_told_apart() {
    let of = |text: &str| shape(&mut text.lines(), &BTreeSet::new());
    assert_eq!(of("{\n\ta: 1\n}\n{\n\ta: 2\n}\n"), of("{\n\ta: 7\n}\n"));
    assert_ne!(of("{\n\ta: 1\n}\n"), of("{\n\ta: x\n}\n"));
    assert_ne!(of("{\n\ta: {\n\t\tb: 1\n\t}\n}\n"), of("{\n\ta: {\n\t}\n}\n"));
    assert_ne!(of("{\n\ta: {\n\t\tb: 1\n\t}\n}\n"), of("{\n\ta: {\n\t\t{\n\t\t\tb: 1\n\t\t}\n\t}\n}\n"));
    assert_ne!(of("error: 400 - x\n"), of("error: 500 - x\n"));
}
