//! What telephones do with the deployment. Each scenario says what they received, the accounting rows, and which callbacks must have run.

use std::net::SocketAddr;
use std::time::Duration;

use testkit::proof::Times;

use super::{DOMAIN, Deployment, TRUNK};
use crate::digest::Credentials;
use crate::normalise;
use crate::peer::{Peer, Received};
use crate::subject::Subject;

/// What a scenario saw.
pub struct Seen {
    /// Normalised messages by telephone.
    pub received: Vec<(&'static str, Vec<String>)>,
    /// Rows of `acc` and `missed_calls`, with what differs by nature taken out.
    pub rows: Vec<(&'static str, Vec<Vec<String>>)>,
}

/// A scenario.
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    play: fn(&mut Stage<'_>),
}

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario { name: "register_with_password", play: register_with_password },
    Scenario { name: "call", play: call },
    Scenario { name: "missed_call", play: missed_call },
    Scenario { name: "cancelled_call", play: cancelled_call },
    Scenario { name: "not_registered", play: not_registered },
    Scenario { name: "behind_nat", play: behind_nat },
    Scenario { name: "trunk", play: trunk },
    Scenario { name: "flood", play: flood },
    Scenario { name: "restart", play: restart },
];

/// Text that would like to be something else, as far as a URI can carry it. For Trunkline alone: Kamailio loses some of its rows.
pub const HOSTILE: Scenario = Scenario { name: "hostile_text", play: hostile_text };

impl Scenario {
    /// Plays it. Panics when the script's callbacks did not run as the messages demand.
    pub fn play(&self, deployment: &Deployment) -> Seen {
        let mut stage = Stage::new(self.name, deployment);
        (self.play)(&mut stage);
        stage.end()
    }
}

/// The telephones of a scenario, around a running server.
pub struct Stage<'a> {
    name: &'static str,
    deployment: &'a Deployment,
    /// `None` between two starts.
    subject: Option<Subject>,
    peers: Vec<Peer>,
    requests: u64,
    replies: u64,
    branches: u64,
    onreply: u64,
    failures: u64,
    /// Requests that the script may see, or that are answered before it.
    maybe: u64,
}

impl<'a> Stage<'a> {
    fn new(name: &'static str, deployment: &'a Deployment) -> Stage<'a> {
        Stage {
            name,
            deployment,
            subject: Some(deployment.start()),
            peers: Vec::new(),
            requests: 0,
            replies: 0,
            branches: 0,
            onreply: 0,
            failures: 0,
            maybe: 0,
        }
    }
    fn join(&mut self, name: &'static str) -> SocketAddr {
        let ip = self.server().ip();
        self.join_on(name, &ip.to_string())
    }
    fn join_on(&mut self, name: &'static str, ip: &str) -> SocketAddr {
        let peer = Peer::on(name, ip.parse().expect("address"), self.server());
        let address = peer.address;
        self.peers.push(peer);
        address
    }
    fn running(&self) -> &Subject {
        self.subject.as_ref().expect("it runs")
    }
    fn server(&self) -> SocketAddr {
        self.running().address
    }
    fn peer(&mut self, name: &str) -> &mut Peer {
        self.peers.iter_mut().find(|p| p.name == name).unwrap_or_else(|| panic!("no {name}"))
    }
    fn request(&mut self, from: &str, text: &str) {
        self.requests += 1;
        self.peer(from).send(text);
    }
    fn reply(&mut self, from: &str, text: &str) {
        self.replies += 1;
        self.peer(from).send(text);
    }
    /// A request that the script challenges, then again with the password. `text` has `{auth}` where the header belongs, and `{cseq}`.
    fn authenticated(&mut self, from: &'static str, user: &str, text: &str, status: &str) -> Received {
        let method = text.split(' ').next().unwrap_or_default().to_owned();
        let uri = text.split(' ').nth(1).unwrap_or_default().to_owned();
        let first = text.replace("{auth}", "").replace("{cseq}", "1");
        self.request(from, &first);
        let (expected, challenge, answer) = match method.as_str() {
            "REGISTER" => ("401", "WWW-Authenticate", "Authorization"),
            _ => ("407", "Proxy-Authenticate", "Proxy-Authorization"),
        };
        let challenged = self.peer(from).expect(expected);
        if method == "INVITE" {
            // Taken in by the server itself: it made the 407.
            let ack = ack_of(&first, &challenged);
            self.peer(from).send(&ack);
        }
        let password = format!("secret-{user}");
        let credentials = Credentials { user, password: &password };
        let value = credentials.answer(challenged.header(challenge), &method, &uri, 1);
        self.request(from, &second(text, &format!("{answer}: {value}\n")));
        self.peer(from).expect(status)
    }
    fn register(&mut self, user: &'static str) -> SocketAddr {
        let address = self.join(user);
        let text = register(user, address, &format!("<sip:{user}@{address}>"), 3600);
        self.authenticated(user, user, &text, "200");
        address
    }
    /// The server is stopped and started again on its files. Its port is another one, as everywhere in these tests: the telephones turn
    /// to it.
    fn again(&mut self) {
        self.account();
        self.subject = None;
        self.subject = Some(self.deployment.start());
        let server = self.server();
        for peer in &mut self.peers {
            peer.turn_to(server);
        }
    }
    /// The callbacks ran as the messages since the start demand.
    fn account(&mut self) {
        let counts = [
            &mut self.requests,
            &mut self.replies,
            &mut self.branches,
            &mut self.onreply,
            &mut self.failures,
        ];
        let names = [
            "ksr_request_route",
            "ksr_reply_route",
            "ksr_branch_manage",
            "ksr_onreply_manage",
            "ksr_failure_manage",
        ];
        let mut demanded: Vec<(&str, Times)> = names
            .into_iter()
            .zip(counts)
            .map(|(name, n)| (name, Times::Exactly(std::mem::take(n))))
            .collect();
        let maybe = std::mem::take(&mut self.maybe);
        if let Some((_, Times::Exactly(sure))) = demanded.first().copied()
            && maybe > 0
        {
            demanded[0].1 = Times::Between(sure, sure + maybe);
        }
        self.running().ran(self.name, &demanded);
    }
    fn end(mut self) -> Seen {
        self.account();
        let mut roles: Vec<(String, String)> = vec![(self.server().to_string(), "<server>".into())];
        roles.extend(self.peers.iter().map(|p| (p.address.to_string(), format!("<{}>", p.name))));
        let roles: Vec<(&str, &str)> = roles.iter().map(|(a, r)| (a.as_str(), r.as_str())).collect();
        let received = self
            .peers
            .iter()
            .map(|p| (p.name, p.received.iter().map(|m| normalise::message(m, &roles)).collect()))
            .collect();
        let database = &self.deployment.database;
        let rows = ["acc", "missed_calls"]
            .into_iter()
            .map(|table| {
                let columns = "method, from_tag, to_tag, callid, sip_code, sip_reason, src_user, src_domain, src_ip, dst_ouser, \
                               dst_user, dst_domain";
                let rows = database.sql(&format!("SELECT {columns} FROM {table} ORDER BY id"));
                (table, rows.into_iter().map(|row| row.into_iter().map(|c| normalise::value(&c)).collect()).collect())
            })
            .collect();
        Seen { received, rows }
    }
    /// Waits until so many accounting rows are there: they are written beside the calls.
    fn rows(&mut self, table: &str, count: usize) {
        let end = std::time::Instant::now() + Duration::from_secs(10);
        loop {
            let rows = self.deployment.database.sql(&format!("SELECT id FROM {table}"));
            if rows.len() == count {
                return;
            }
            assert!(std::time::Instant::now() < end, "{table}: {} rows instead of {count}", rows.len());
            std::thread::yield_now();
        }
    }
}

fn register(user: &str, address: SocketAddr, contact: &str, expires: u32) -> String {
    format!(
        "REGISTER sip:{DOMAIN} SIP/2.0\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{user}reg{{cseq}}\nMax-Forwards: 70\nFrom: <sip:{user}@{DOMAIN}>;tag=t-{user}\n\
         To: <sip:{user}@{DOMAIN}>\nCall-ID: reg-{user}\nCSeq: {{cseq}} REGISTER\nContact: {contact}\nExpires: {expires}\n{{auth}}Content-Length: 0\n\n"
    )
}

fn invite(from: &str, address: SocketAddr, to: &str, contact: &str) -> String {
    format!(
        "INVITE sip:{to}@{DOMAIN} SIP/2.0\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{from}inv{{cseq}}\nMax-Forwards: 70\n\
         From: <sip:{from}@{DOMAIN}>;tag=t-{from}\nTo: <sip:{to}@{DOMAIN}>\nCall-ID: call-{from}-{to}\nCSeq: {{cseq}} INVITE\nContact: {contact}\n\
         {{auth}}Content-Length: 0\n\n"
    )
}

/// The request as it is sent again after a challenge: another CSeq and branch, and the credentials.
fn second(text: &str, credentials: &str) -> String {
    text.replace("{auth}", credentials)
        .replace("{cseq}", "2")
        .replace(";branch=z9hG4bK", ";branch=z9hG4bKauth")
}

/// The ACK to a failure of this INVITE.
fn ack_of(invite: &str, failure: &Received) -> String {
    let mut out = String::new();
    for line in invite.lines().take_while(|l| !l.is_empty()) {
        if line.starts_with("INVITE ") {
            out += &line.replacen("INVITE", "ACK", 1);
        } else if line.starts_with("CSeq:") {
            out += &line.replace("INVITE", "ACK");
        } else if line.starts_with("To:") {
            out += &format!("To: {}", failure.header("To"));
        } else if line.starts_with("Contact:") || line.starts_with("Proxy-Authorization:") {
            continue;
        } else {
            out += line;
        }
        out.push('\n');
    }
    out + "\n"
}

/// A request within the dialog that a 2xx made, from the caller.
fn within(method: &str, ok: &Received, address: SocketAddr, cseq: u32) -> String {
    let contact = ok.header("Contact");
    let target = contact.trim_start_matches('<').split('>').next().unwrap_or_default();
    let mut routes: Vec<&str> = ok.all("Record-Route");
    routes.reverse();
    let routes: String = routes.iter().map(|r| format!("Route: {r}\n")).collect();
    format!(
        "{method} {target} SIP/2.0\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{method}{cseq}\nMax-Forwards: 70\n{routes}From: {}\nTo: {}\n\
         Call-ID: {}\nCSeq: {cseq} {method}\nContent-Length: 0\n\n",
        ok.header("From"),
        ok.header("To"),
        ok.header("Call-ID"),
    )
}

fn register_with_password(stage: &mut Stage<'_>) {
    let alice = stage.join("alice");
    let text = register("alice", alice, &format!("<sip:alice@{alice}>"), 3600);
    let plain = text.replace("{auth}", "").replace("{cseq}", "1");
    stage.request("alice", &plain);
    let challenged = stage.peer("alice").expect("401");
    let uri = format!("sip:{DOMAIN}");
    let with = |user: &str, password: &str, cseq: &str, challenge: &str| {
        let value = Credentials { user, password }.answer(challenge, "REGISTER", &uri, 1);
        text.replace("{auth}", &format!("Authorization: {value}\n")).replace("{cseq}", cseq)
    };
    let challenge = challenged.header("WWW-Authenticate").to_owned();
    stage.request("alice", &with("alice", "wrong", "2", &challenge));
    stage.peer("alice").expect("401");
    stage.request("alice", &with("nobody", "secret-alice", "3", &challenge));
    stage.peer("alice").expect("401");
    stage.request("alice", &with("alice", "secret-alice", "4", &challenge));
    stage.peer("alice").expect("200");
    // The same credentials again, in another request: the nonce is good for its time.
    stage.request("alice", &with("alice", "secret-alice", "5", &challenge));
    stage.peer("alice").expect("200");
    // A nonce that was never given out.
    let nonce = crate::digest::parameter(&challenge, "nonce").to_owned();
    let (start, end) = nonce.split_at(nonce.len() - 4);
    let forged = challenge.replace(&nonce, &format!("{start}{}", end.chars().rev().collect::<String>()));
    stage.request("alice", &with("alice", "secret-alice", "6", &forged));
    stage.peer("alice").expect("401");
}

/// Alice's INVITE, with her password, as bob gets it.
fn invited(stage: &mut Stage<'_>, text: &str) -> Received {
    stage.authenticated("alice", "alice", text, "100");
    stage.branches += 1;
    stage.peer("bob").expect("INVITE")
}

fn answered(stage: &mut Stage<'_>, alice: SocketAddr, bob: SocketAddr, contact: &str) -> Received {
    let text = invite("alice", alice, "bob", contact);
    let arrived = invited(stage, &text);
    stage.onreply += 2;
    stage.reply("bob", &arrived.reply("180 Ringing", "t-bob", &format!("Contact: <sip:bob@{bob}>\n")));
    stage.peer("alice").expect("180");
    stage.reply("bob", &arrived.reply("200 OK", "t-bob", &format!("Contact: <sip:bob@{bob}>\n")));
    let ok = stage.peer("alice").expect("200");
    stage.request("alice", &within("ACK", &ok, alice, 2));
    stage.peer("bob").expect("ACK");
    // Two rows at the same moment are too much for Kamailio on SQLite.
    stage.rows("acc", 1);
    ok
}

fn call(stage: &mut Stage<'_>) {
    let (alice, bob) = (stage.register("alice"), stage.register("bob"));
    let ok = answered(stage, alice, bob, &format!("<sip:alice@{alice}>"));
    stage.request("alice", &within("BYE", &ok, alice, 3));
    stage.branches += 1;
    let bye = stage.peer("bob").expect("BYE");
    stage.reply("bob", &bye.reply("200 OK", "", ""));
    stage.peer("alice").expect("200");
    stage.rows("acc", 2);
}

fn missed_call(stage: &mut Stage<'_>) {
    let (alice, _) = (stage.register("alice"), stage.register("bob"));
    let text = invite("alice", alice, "bob", &format!("<sip:alice@{alice}>"));
    let arrived = invited(stage, &text);
    stage.onreply += 1;
    stage.failures += 1;
    stage.reply("bob", &arrived.reply("486 Busy Here", "t-bob", ""));
    stage.peer("bob").expect("ACK");
    let busy = stage.peer("alice").expect("486");
    let sent = second(&text, "");
    stage.peer("alice").send(&ack_of(&sent, &busy));
    stage.rows("missed_calls", 1);
}

fn cancelled_call(stage: &mut Stage<'_>) {
    let (alice, _) = (stage.register("alice"), stage.register("bob"));
    let text = invite("alice", alice, "bob", &format!("<sip:alice@{alice}>"));
    let arrived = invited(stage, &text);
    stage.onreply += 1;
    stage.reply("bob", &arrived.reply("180 Ringing", "t-bob", ""));
    stage.peer("alice").expect("180");
    let sent = second(&text, "");
    let cancel: String = sent
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with("Contact:"))
        .map(|l| l.replacen("INVITE sip", "CANCEL sip", 1).replace("2 INVITE", "2 CANCEL") + "\n")
        .collect();
    stage.request("alice", &(cancel + "\n"));
    stage.peer("alice").expect("200");
    let cancelled = stage.peer("bob").expect("CANCEL");
    stage.replies += 1;
    stage.peer("bob").send(&cancelled.reply("200 OK", "t-bob", ""));
    stage.onreply += 1;
    stage.failures += 1;
    stage.reply("bob", &arrived.reply("487 Request Terminated", "t-bob", ""));
    stage.peer("bob").expect("ACK");
    let terminated = stage.peer("alice").expect("487");
    stage.peer("alice").send(&ack_of(&sent, &terminated));
    stage.rows("missed_calls", 1);
}

fn not_registered(stage: &mut Stage<'_>) {
    let alice = stage.register("alice");
    let text = invite("alice", alice, "carol", &format!("<sip:alice@{alice}>"));
    let failure = stage.authenticated("alice", "alice", &text, "404");
    let sent = second(&text, "");
    stage.peer("alice").send(&ack_of(&sent, &failure));
}

/// The caller writes a private address into Contact: the server puts its real one behind it, and in-dialog requests come back there.
fn behind_nat(stage: &mut Stage<'_>) {
    let bob = stage.register("bob");
    let alice = stage.join("alice");
    let text = register("alice", alice, "<sip:alice@10.7.7.7:5060>", 3600);
    stage.authenticated("alice", "alice", &text, "200");
    let text = invite("alice", alice, "bob", "<sip:alice@10.7.7.7:5060>");
    let arrived = invited(stage, &text);
    stage.onreply += 1;
    stage.reply("bob", &arrived.reply("200 OK", "t-bob", &format!("Contact: <sip:bob@{bob}>\n")));
    let ok = stage.peer("alice").expect("200");
    stage.request("alice", &within("ACK", &ok, alice, 2));
    stage.peer("bob").expect("ACK");
    stage.rows("acc", 1);
    // The callee hangs up: towards the Contact as it arrived.
    let target =
        arrived.header("Contact").trim_start_matches('<').split('>').next().unwrap_or_default().to_owned();
    let routes: String = arrived.all("Record-Route").iter().map(|r| format!("Route: {r}\n")).collect();
    let bye = format!(
        "BYE {target} SIP/2.0\nVia: SIP/2.0/UDP {bob};branch=z9hG4bKbobbye\nMax-Forwards: 70\n{routes}From: <sip:bob@{DOMAIN}>;tag=t-bob\n\
         To: <sip:alice@{DOMAIN}>;tag=t-alice\nCall-ID: call-alice-bob\nCSeq: 1 BYE\nContent-Length: 0\n\n"
    );
    stage.request("bob", &bye);
    stage.branches += 1;
    let arrived = stage.peer("alice").expect("BYE");
    stage.reply("alice", &arrived.reply("200 OK", "", ""));
    stage.peer("bob").expect("200");
    stage.rows("acc", 2);
    // And who calls the one behind the NAT reaches it.
    let text = invite("bob", bob, "alice", &format!("<sip:bob@{bob}>"));
    stage.authenticated("bob", "bob", &text, "100");
    stage.branches += 1;
    let arrived = stage.peer("alice").expect("INVITE");
    stage.onreply += 1;
    stage.failures += 1;
    stage.reply("alice", &arrived.reply("486 Busy Here", "t-alice", ""));
    stage.peer("alice").expect("ACK");
    stage.peer("bob").expect("486");
    stage.rows("missed_calls", 1);
}

/// A carrier's address is let in without a password; a stranger is not.
fn trunk(stage: &mut Stage<'_>) {
    stage.register("bob");
    let carrier = stage.join_on("carrier", TRUNK);
    let from_outside = |address: SocketAddr, who: &str| {
        invite(who, address, "bob", &format!("<sip:{who}@{address}>"))
            .replace(&format!("From: <sip:{who}@{DOMAIN}>"), &format!("From: <sip:{who}@carrier.example>"))
            .replace("{auth}", "")
            .replace("{cseq}", "1")
    };
    stage.request("carrier", &from_outside(carrier, "carrier"));
    stage.branches += 1;
    let arrived = stage.peer("bob").expect("INVITE");
    stage.onreply += 1;
    stage.failures += 1;
    stage.reply("bob", &arrived.reply("480 Temporarily Unavailable", "t-bob", ""));
    stage.peer("bob").expect("ACK");
    stage.peer("carrier").expect("480");
    let stranger = stage.join_on("stranger", "127.0.0.32");
    let away = from_outside(stranger, "stranger")
        .replace(&format!("INVITE sip:bob@{DOMAIN}"), "INVITE sip:bob@elsewhere.example");
    stage.request("stranger", &away);
    stage.peer("stranger").expect("403");
    stage.rows("missed_calls", 1);
}

/// One address sends more than it may and is banned; the others do not notice.
fn flood(stage: &mut Stage<'_>) {
    let server = stage.server();
    let alice = stage.register("alice");
    let options = |who: &str, address: SocketAddr, n: u32| {
        format!(
            "OPTIONS sip:{server} SIP/2.0\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{who}{n}\nMax-Forwards: 70\nFrom: <sip:{who}@{DOMAIN}>;tag=t-{who}\n\
             To: <sip:{server}>\nCall-ID: {who}{n}\nCSeq: 1 OPTIONS\nContent-Length: 0\n\n"
        )
    };
    let flooder = stage.join_on("flooder", "127.0.0.33");
    // One after the other, so that it is the same request that is the first too many; then all at once.
    let mut banned = false;
    for n in 0..60 {
        stage.request("flooder", &options("flooder", flooder, n));
        banned = banned || stage.peer("flooder").next(Duration::from_millis(500)).is_none();
    }
    assert!(banned, "sixty requests were answered");
    stage.request("alice", &options("alice", alice, 1));
    stage.peer("alice").expect("200");
    let bystander = stage.join_on("bystander", "127.0.0.34");
    stage.request("bystander", &options("bystander", bystander, 1));
    stage.peer("bystander").expect("200");
    // Banned for good, whatever it sends.
    stage.peer("flooder").settle(Duration::from_millis(300));
    stage.request("flooder", &options("flooder", flooder, 1000));
    stage.peer("flooder").expect_silence(Duration::from_millis(300));
}

/// Registrations outlive the server.
fn restart(stage: &mut Stage<'_>) {
    let (alice, _) = (stage.register("alice"), stage.register("bob"));
    stage.again();
    let text = invite("alice", alice, "bob", &format!("<sip:alice@{alice}>"));
    stage.authenticated("alice", "alice", &text, "100");
    stage.branches += 1;
    stage.peer("bob").expect("INVITE");
}

/// Users, passwords, Contacts and callers with quotes, percent signs, NUL, SQL and 10,000 characters: each is answered, nothing else happens to
/// the database, and what can be written down is written as it came.
fn hostile_text(stage: &mut Stage<'_>) {
    let long = "a".repeat(10_000);
    let mallory = stage.join("mallory");
    let text = register("mallory", mallory, &format!("<sip:mallory@{mallory}>"), 3600);
    let users = [
        "o'brien",
        "x'; DROP TABLE subscriber; --",
        "' OR '1'='1",
        "100%s%n%d%",
        r#"a\"b\"#,
        "nul\0byte",
        "gr\u{fc}\u{df}e",
        &long,
    ];
    for (n, user) in users.iter().enumerate() {
        let first = text.replace("{auth}", "").replace("{cseq}", &format!("{}", 2 * n + 1));
        stage.request("mallory", &first);
        let challenge = stage.peer("mallory").expect("401").header("WWW-Authenticate").to_owned();
        let value =
            Credentials { user, password: "x" }.answer(&challenge, "REGISTER", &format!("sip:{DOMAIN}"), 1);
        let second = text
            .replace("{auth}", &format!("Authorization: {value}\n"))
            .replace("{cseq}", &format!("{}", 2 * n + 2));
        stage.peer("mallory").send(&second);
        // A NUL makes the header unreadable, and may end before the script.
        stage.peer("mallory").expect("SIP/2.0 4");
        stage.maybe += 1;
    }
    let subscribers = stage.deployment.database.sql("SELECT username FROM subscriber ORDER BY username");
    assert_eq!(subscribers, [["alice"], ["bob"], ["carol"]]);

    // A Contact is kept as it came, over a restart.
    let odd = "o'brien%25%22%5c";
    let bob = stage.join("bob");
    let contact = format!("sip:{odd}@{bob};p=';DELETE%20FROM%20location;--");
    stage.authenticated("bob", "bob", &register("bob", bob, &format!("<{contact}>"), 3600), "200");
    stage.again();
    assert_eq!(stage.deployment.database.sql("SELECT contact FROM location"), [[contact.clone()]]);

    let carrier = stage.join_on("carrier", TRUNK);
    let callers = ["o'brien%25--", "x';DROP%20TABLE%20acc;--", &long, "last"];
    for (n, caller) in callers.iter().enumerate() {
        let call = invite("carrier", carrier, "bob", &format!("<sip:{carrier}>"))
            .replace(
                &format!("From: <sip:carrier@{DOMAIN}>"),
                &format!("From: <sip:{caller}@carrier.example>"),
            )
            .replace("call-carrier-bob", &format!("call-{n}"))
            .replace("{auth}", "")
            .replace("{cseq}", &format!("{}", n + 1));
        stage.request("carrier", &call);
        stage.branches += 1;
        let arrived = stage.peer("bob").expect(&format!("INVITE {contact} "));
        stage.onreply += 1;
        stage.failures += 1;
        stage.reply("bob", &arrived.reply("486 Busy Here", "t-bob", ""));
        stage.peer("bob").expect("ACK");
        let busy = stage.peer("carrier").expect("486");
        stage.peer("carrier").send(&ack_of(&call, &busy));
    }
    // The longest does not fit into its column everywhere: such a row is refused, those after it are not.
    let end = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let rows = stage.deployment.database.sql("SELECT src_user FROM missed_calls ORDER BY id");
        let kept: Vec<&str> = rows.iter().map(|r| r[0].as_str()).filter(|u| u.len() < 100).collect();
        if kept == [callers[0], callers[1], callers[3]] {
            break;
        }
        assert!(std::time::Instant::now() < end, "{rows:?}");
        std::thread::yield_now();
    }
}
