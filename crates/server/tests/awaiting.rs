//! `async def` callbacks: while one awaits the worker routes on, and it continues with everything it had.

mod common;

use std::collections::HashSet;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use common::{MODULES, PATIENCE, Server, kill};
use serde_json::json;

/// A handler with these methods.
fn handler(methods: &str) -> String {
    format!("import KSR, asyncio, sys\nclass Handler:\n{methods}\ndef mod_init():\n    return Handler()\n")
}

fn start(core: &str, text: &str) -> Server {
    let folder = common::Folder::new();
    let script = folder.write("route.py", text);
    let modules = MODULES.replace("{script}", &script.display().to_string());
    let config =
        folder.write("kamailio.cfg", &format!("listen=udp:127.0.0.1:0\nchildren=2\n{modules}\n{core}\n"));
    Server::start_config(folder, &config, &[])
}

/// A user agent.
struct Agent {
    socket: UdpSocket,
}

impl Agent {
    fn new(server: &Server) -> Agent {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("socket");
        socket.connect(server.address).expect("connect");
        socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
        Agent { socket }
    }
    fn port(&self) -> u16 {
        self.socket.local_addr().expect("address").port()
    }
    fn request(&self, method: &str, user: &str, call: &str, to_tag: &str) -> String {
        let from = self.socket.local_addr().expect("address");
        let tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
        format!(
            "{method} sip:{user}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{call}\r\nFrom: <sip:a@a.org>;tag=1\r\n\
             To: <sip:b@b.org>{tag}\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\nMax-Forwards: 10\r\nContact: <sip:{from}>\r\n\
             Content-Length: 0\r\n\r\n"
        )
    }
    fn send(&self, text: &str) {
        self.socket.send(text.as_bytes()).expect("send");
    }
    /// The next datagram that begins so.
    fn read(&self, start: &str) -> String {
        loop {
            let text = self.next().unwrap_or_else(|e| panic!("waiting for {start}: {e}"));
            if text.starts_with(start) {
                return text;
            }
        }
    }
    fn next(&self) -> std::io::Result<String> {
        let mut buffer = [0; 8192];
        let n = self.socket.recv(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..n]).into_owned())
    }
    /// Answers a request.
    fn answer(&self, request: &str, status: &str) {
        let rows: String = request
            .lines()
            .filter(|l| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|n| l.starts_with(n)))
            .map(|l| if l.starts_with("To:") { format!("{l};tag=2\r\n") } else { format!("{l}\r\n") })
            .collect();
        self.send(&format!(
            "SIP/2.0 {status}\r\n{rows}Contact: <sip:b@127.0.0.1:{}>\r\nContent-Length: 0\r\n\r\n",
            self.port()
        ));
    }
}

#[test]
fn it_continues_with_its_message_variables_flags_and_edits() {
    let server = start(
        "",
        &handler(
            "    async def ksr_request_route(self, msg):
        me = KSR.pv.get('$ci')
        KSR.pv.sets('$var(me)', me)
        KSR.pv.sets('$avp(me)', me)
        KSR.setflag(int(me[1:]) % 20)
        KSR.pv.sets('$ru', 'sip:' + me + '@new.org')
        for n in range(3):
            await asyncio.sleep(0.01 * (int(me[1:]) % 3))
            assert KSR.pv.get('$ci') == me and msg.Method == 'OPTIONS', me
            assert KSR.pv.get('$var(me)') == me, (me, KSR.pv.get('$var(me)'))
            assert KSR.pv.get('$avp(me)') == me
            assert KSR.isflagset(int(me[1:]) % 20) > 0
            assert KSR.pv.get('$rU') == me
        KSR.sl.send_reply(200, 'For ' + me)
        return 1",
        ),
    );
    let agent = Agent::new(&server);
    for n in 0..100 {
        agent.send(&agent.request("OPTIONS", "x", &format!("c{n}"), ""));
    }
    let mut seen = HashSet::new();
    while seen.len() < 100 {
        let reply = agent.read("SIP/2.0 ");
        let id = reply.lines().find_map(|l| l.strip_prefix("Call-ID: ")).expect("Call-ID").to_owned();
        assert!(reply.starts_with(&format!("SIP/2.0 200 For {id}\r\n")), "{reply}");
        seen.insert(id);
    }
    assert_eq!(server.calls("ksr_request_route"), 100);
}

#[test]
fn every_callback_may_be_async() {
    let server = start(
        "",
        &handler(
            "    async def ksr_request_route(self, msg):
        await asyncio.sleep(0.01)
        if KSR.is_ACK():
            return 1
        KSR.pv.sets('$du', 'sip:127.0.0.1:' + KSR.pv.get('$rU'))
        KSR.tm.t_on_branch('ksr_branch')
        KSR.tm.t_on_reply('ksr_onreply')
        KSR.tm.t_on_failure('ksr_failure')
        await asyncio.sleep(0.01)
        KSR.tm.t_relay()
        return 1
    async def ksr_branch(self, msg):
        await asyncio.sleep(0.01)
        KSR.hdr.append('X-Branch: awaited\\r\\n')
        return 1
    async def ksr_reply_route(self, msg):
        await asyncio.sleep(0.01)
        KSR.hdr.append('X-Reply: awaited\\r\\n')
        return 1
    async def ksr_onreply(self, msg):
        await asyncio.sleep(0.01)
        KSR.hdr.append('X-Onreply: awaited\\r\\n')
        return 1
    async def ksr_onsend_route(self, msg):
        await asyncio.sleep(0.001)
        return 1
    async def ksr_failure(self, msg):
        await asyncio.sleep(0.05)
        if KSR.tm.t_check_status('486') > 0:
            KSR.tm.t_reply(480, 'Awaited too')
        return 1",
        ),
    );
    let (alice, bob) = (Agent::new(&server), Agent::new(&server));
    alice.send(&alice.request("INVITE", &bob.port().to_string(), "c1", ""));
    let invite = bob.read("INVITE ");
    assert!(invite.contains("X-Branch: awaited\r\n"), "{invite}");
    bob.answer(&invite, "180 Ringing");
    let ringing = alice.read("SIP/2.0 180");
    assert!(
        ringing.contains("X-Reply: awaited\r\n") && ringing.contains("X-Onreply: awaited\r\n"),
        "{ringing}"
    );
    bob.answer(&invite, "486 Busy");
    bob.read("ACK ");
    alice.read("SIP/2.0 480 Awaited too");
    let callbacks = [
        "ksr_request_route",
        "ksr_branch",
        "ksr_reply_route",
        "ksr_onreply",
        "ksr_failure",
        "ksr_onsend_route",
    ];
    let counts: Vec<u64> = callbacks.iter().map(|c| server.calls(c)).collect();
    // One INVITE; two replies; the INVITE and the ACK for it are sent on.
    assert_eq!(counts[..5], [1, 1, 2, 2, 1], "{counts:?}");
    assert!(counts[5] >= 1, "{counts:?}");
}

#[test]
fn ten_thousand_calls_that_await_do_not_wait_for_each_other() {
    const CALLS: usize = 10_000;
    let server = start(
        "",
        &handler(
            "    async def ksr_request_route(self, msg):
        if KSR.is_ACK():
            return 1
        await asyncio.sleep(0.2)
        KSR.tm.t_reply(486, 'Awaited')
        return 1",
        ),
    );
    let agent = Agent::new(&server);
    let (mut sent, mut done) = (0, HashSet::new());
    let (mut open, mut most) = (HashSet::new(), 0);
    while done.len() < CALLS {
        while sent < CALLS && open.len() < 1000 {
            let call = format!("c{sent}");
            agent.send(&agent.request("INVITE", "x", &call, ""));
            open.insert(call);
            sent += 1;
        }
        most = most.max(server_awaiting(&server, done.len()));
        let reply = agent.next().unwrap_or_else(|e| panic!("{e}: {} of {CALLS} answered", done.len()));
        if reply.starts_with("SIP/2.0 100") {
            continue;
        }
        assert!(reply.starts_with("SIP/2.0 486 Awaited"), "{reply}");
        let id = reply.lines().find_map(|l| l.strip_prefix("Call-ID: ")).expect("Call-ID").to_owned();
        let tag = reply
            .lines()
            .find(|l| l.starts_with("To: "))
            .and_then(|l| l.split("tag=").nth(1))
            .unwrap_or_default();
        agent.send(&agent.request("ACK", "x", &id, tag));
        open.remove(&id);
        done.insert(id);
    }
    assert!(most > 100, "{most} awaited at one time");
    // The INVITEs; each ACK ends in its transaction.
    server.ran(&[("ksr_request_route", CALLS as u64)]);
    assert_eq!(server.ask("kemi.engine", json!([]))["awaiting"], 0);
}

/// Asked now and then.
fn server_awaiting(server: &Server, done: usize) -> i64 {
    if done % 500 != 1 {
        return 0;
    }
    server.ask("kemi.engine", json!([]))["awaiting"].as_i64().unwrap_or(0)
}

#[test]
fn the_transaction_absorbs_retransmissions_and_a_cancel_ends_it() {
    let server = start(
        "",
        &handler(
            "    async def ksr_request_route(self, msg):
        if KSR.is_CANCEL():
            if KSR.tm.t_check_trans() > 0:
                KSR.tm.t_relay()
            return 1
        if KSR.is_ACK():
            return 1
        await asyncio.sleep(0.3)
        KSR.pv.sets('$du', 'sip:127.0.0.1:' + KSR.pv.get('$rU'))
        if KSR.tm.t_relay() < 0:
            KSR.sl.sl_reply_error()
        return 1",
        ),
    );
    let (alice, bob) = (Agent::new(&server), Agent::new(&server));
    let user = bob.port().to_string();
    let invite = alice.request("INVITE", &user, "c1", "");
    alice.send(&invite);
    alice.read("SIP/2.0 100");
    alice.send(&invite);
    alice.read("SIP/2.0 100");
    let relayed = bob.read("INVITE ");
    assert_eq!(server.calls("ksr_request_route"), 1);
    bob.answer(&relayed, "200 OK");
    alice.read("SIP/2.0 200");

    alice.send(&alice.request("INVITE", &user, "c2", ""));
    alice.read("SIP/2.0 100");
    alice.send(&alice.request("CANCEL", &user, "c2", ""));
    let first = alice.read("SIP/2.0 ");
    let second = alice.read("SIP/2.0 ");
    let both = format!("{first}\n{second}");
    assert!(both.contains("SIP/2.0 200") && both.contains("SIP/2.0 487"), "{both}");
    wait_for(|| server.ask("kemi.engine", json!([]))["awaiting"] == 0);
    bob.socket.set_read_timeout(Some(Duration::from_millis(300))).expect("timeout");
    let after = bob.next();
    assert!(!after.as_ref().is_ok_and(|t| t.starts_with("INVITE")), "{after:?}");
}

#[test]
fn what_it_raises_is_answered_and_exit_is_quiet() {
    let server = start(
        "modparam(\"app_python3\", \"await_timeout\", 1)",
        &handler(
            "    async def ksr_request_route(self, msg):
        await asyncio.sleep(0.01)
        what = KSR.pv.get('$rU')
        if what == 'raise':
            raise ValueError('after the await')
        if what == 'exit':
            KSR.sl.send_reply(202, 'Before the exit')
            sys.exit()
        if what == 'long':
            await asyncio.sleep(3600)
        KSR.sl.send_reply(200, 'OK')
        return 1",
        ),
    );
    let agent = Agent::new(&server);
    for (user, reply) in
        [("raise", "SIP/2.0 500"), ("exit", "SIP/2.0 202"), ("long", "SIP/2.0 500"), ("x", "SIP/2.0 200")]
    {
        agent.send(&agent.request("OPTIONS", user, user, ""));
        let got = agent.read("SIP/2.0 ");
        assert!(got.starts_with(reply), "{user}: {got}");
    }
    let (code, log) = server.end();
    assert_eq!(code, 0);
    assert!(log.contains("ValueError: after the await") && log.contains("route.py\", line 7"), "{log}");
    assert!(log.contains("awaited longer than await_timeout"), "{log}");
}

#[test]
fn a_reload_and_the_end_of_the_server_wait_for_it() {
    let text = |version: u32| {
        handler(&format!(
            "    async def ksr_request_route(self, msg):
        await asyncio.sleep(0.5)
        KSR.app_python3.exec('answer')
        return 1
    def answer(self, msg):
        KSR.sl.send_reply(200, 'V{version}')
        return 1"
        ))
    };
    let server = start("", &text(1));
    let agent = Agent::new(&server);
    agent.send(&agent.request("OPTIONS", "x", "before", ""));
    wait_for(|| server.ask("kemi.engine", json!([]))["awaiting"] == 1);
    server.folder.write("route.py", &text(2));
    server.ask("app_python.reload", json!([]));
    agent.send(&agent.request("OPTIONS", "x", "after", ""));
    assert!(agent.read("SIP/2.0 ").starts_with("SIP/2.0 200 V1"));
    assert!(agent.read("SIP/2.0 ").starts_with("SIP/2.0 200 V2"));
    agent.send(&agent.request("OPTIONS", "x", "last", ""));
    wait_for(|| server.ask("kemi.engine", json!([]))["awaiting"] == 1);
    kill(server.pid(), "TERM");
    assert!(agent.read("SIP/2.0 ").starts_with("SIP/2.0 200 V2"));
}

fn wait_for(what: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !what() {
        assert!(Instant::now() < end);
        std::thread::yield_now();
    }
}
