//! A user agent: places calls, answers them, hangs up, with retransmissions by RFC 3261 §13, §17 of its own making.
//!
//! Deliberately independent of the `transaction` crate: a plain list of what is to be repeated until when.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use message::{HeaderName, Message, Method, Uri, print};
use transaction::{Now, Timestamp};

use crate::network::{Datagram, Node};

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const T4: Duration = Duration::from_secs(5);
const T1X64: Duration = Duration::from_secs(32);

/// How a user agent treats calls that come in.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// 180 after this time; `None`: no provisional reply at all.
    pub ring: Option<Duration>,
    /// Final reply after this time; `None`: never.
    pub answer: Option<(Duration, u16)>,
}

impl Plan {
    /// Rings at once, answers 200 a second later.
    pub const ANSWERS: Plan =
        Plan { ring: Some(Duration::ZERO), answer: Some((Duration::from_secs(1), 200)) };
}

/// What the caller does with a call.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallOptions {
    /// Hangs up so long after the answer.
    pub hang_up: Option<Duration>,
    /// Gives up so long after the INVITE, if there is no answer.
    pub cancel: Option<Duration>,
}

/// Where a call, or any other request, stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallState {
    /// Nothing but 100, if anything, came back.
    Calling,
    /// A provisional reply above 100 came back.
    Ringing,
    /// Answered and acknowledged; for a request that is no INVITE: answered 2xx.
    Established,
    /// The BYE was answered, or came.
    Ended,
    /// Final reply of 300 or more.
    Failed(u16),
    /// No final reply.
    TimedOut,
}

/// A call that was placed, or another request.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Its Call-ID.
    pub call_id: String,
    /// Where it stands.
    pub state: CallState,
    /// Codes of the replies, in order, without retransmissions.
    pub codes: Vec<u16>,
    options: CallOptions,
    dialog: Option<Dialog>,
    /// Branch and bytes of the INVITE, and whether a CANCEL waits for a provisional reply (§9.1).
    invite: String,
    wants_cancel: bool,
    /// The ACK to the 2xx, for its retransmissions.
    ack: Option<(SocketAddr, Vec<u8>)>,
}

/// What later requests of a dialog are made of.
#[derive(Debug, Clone)]
struct Dialog {
    local: String,
    remote: String,
    target: String,
    routes: Vec<String>,
    next_cseq: u32,
}

/// A call that came in.
#[derive(Debug)]
struct Incoming {
    request: Arc<Message>,
    from: SocketAddr,
    tag: String,
    /// Final code sent.
    code: u16,
    acked: bool,
    ended: bool,
}

#[derive(Debug)]
struct ClientTransaction {
    call: Option<usize>,
    method: Method,
    to: SocketAddr,
    bytes: Vec<u8>,
    interval: Duration,
    provisional: bool,
    done: bool,
}

#[derive(Debug, Default)]
struct ServerTransaction {
    reply: Option<(SocketAddr, Vec<u8>)>,
    interval: Duration,
    repeat_until: Option<Timestamp>,
}

#[derive(Debug, Clone)]
enum Timer {
    Start { uri: String, options: CallOptions, method: &'static str },
    Again { key: String },
    GiveUp { key: String },
    Forget { key: String },
    ReplyAgain { key: String },
    ForgetServer { key: String },
    Ring { key: String },
    Answer { key: String, code: u16 },
    HangUp { call: usize },
    Cancel { call: usize },
}

/// A phone with one address, which sends everything to one proxy.
pub struct UserAgent {
    name: &'static str,
    address: SocketAddr,
    proxy: SocketAddr,
    plan: Plan,
    number: u64,
    timers: BTreeMap<(Timestamp, u64), Timer>,
    clients: HashMap<String, ClientTransaction>,
    servers: HashMap<String, ServerTransaction>,
    outgoing: Vec<Outgoing>,
    incoming: HashMap<String, Incoming>,
    strays: u64,
}

impl UserAgent {
    /// A phone called `name` at `address` that sends through `proxy`.
    pub fn new(name: &'static str, address: SocketAddr, proxy: SocketAddr, plan: Plan) -> UserAgent {
        UserAgent {
            name,
            address,
            proxy,
            plan,
            number: 0,
            timers: BTreeMap::new(),
            clients: HashMap::new(),
            servers: HashMap::new(),
            outgoing: Vec::new(),
            incoming: HashMap::new(),
            strays: 0,
        }
    }

    /// Places a call at that time.
    pub fn call(&mut self, at: Timestamp, uri: &str, options: CallOptions) {
        self.timer(at, Timer::Start { uri: uri.to_owned(), options, method: "INVITE" });
    }

    /// Sends another request outside of a dialog at that time.
    pub fn request(&mut self, at: Timestamp, method: &'static str, uri: &str) {
        let options = CallOptions::default();
        self.timer(at, Timer::Start { uri: uri.to_owned(), options, method });
    }

    /// Calls and requests placed so far.
    pub fn outgoing(&self) -> &[Outgoing] {
        &self.outgoing
    }

    /// Calls that came in: final code sent, acknowledged, ended by BYE.
    pub fn incoming(&self) -> impl Iterator<Item = (u16, bool, bool)> + '_ {
        self.incoming.values().map(|call| (call.code, call.acked, call.ended))
    }

    /// Messages that belonged to nothing.
    pub fn strays(&self) -> u64 {
        self.strays
    }

    fn timer(&mut self, at: Timestamp, timer: Timer) {
        self.number += 1;
        self.timers.insert((at, self.number), timer);
    }

    fn unique(&mut self) -> String {
        self.number += 1;
        format!("{}{}", self.name, self.number)
    }

    // Client side.

    fn start(
        &mut self,
        uri: &str,
        options: CallOptions,
        method: &'static str,
        now: Now,
        out: &mut Vec<Datagram>,
    ) {
        let (branch, tag, call_id) = (format!("z9hG4bK{}", self.unique()), self.unique(), self.unique());
        let Self { name, address, proxy, .. } = *self;
        let local = format!("<sip:{name}@example.com>;tag={tag}");
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch={branch};rport\r\nMax-Forwards: 70\r\n\
             From: {local}\r\nTo: <{uri}>\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:{name}@{address}>\r\nContent-Length: 0\r\n\r\n"
        );
        let call = self.outgoing.len();
        let dialog = Dialog {
            local,
            remote: format!("<{uri}>"),
            target: uri.to_owned(),
            routes: Vec::new(),
            next_cseq: 2,
        };
        self.outgoing.push(Outgoing {
            call_id,
            state: CallState::Calling,
            codes: Vec::new(),
            options,
            dialog: Some(dialog),
            invite: branch.clone(),
            wants_cancel: false,
            ack: None,
        });
        if let Some(after) = options.cancel {
            self.timer(now.mono + after, Timer::Cancel { call });
        }
        self.send_request(Some(call), branch, method, proxy, text.into_bytes(), now, out);
    }

    #[allow(clippy::too_many_arguments)] // one place makes client transactions
    fn send_request(
        &mut self,
        call: Option<usize>,
        branch: String,
        method: &str,
        to: SocketAddr,
        bytes: Vec<u8>,
        now: Now,
        out: &mut Vec<Datagram>,
    ) {
        out.push((self.address, to, bytes.clone()));
        let method = Method::parse(method.as_bytes());
        let key = client_key(&branch, method);
        self.timer(now.mono + T1, Timer::Again { key: key.clone() });
        self.timer(now.mono + T1X64, Timer::GiveUp { key: key.clone() });
        let client =
            ClientTransaction { call, method, to, bytes, interval: T1, provisional: false, done: false };
        self.clients.insert(key, client);
    }

    fn again(&mut self, key: &str, now: Now, out: &mut Vec<Datagram>) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let invite = client.method == Method::Invite;
        if client.done || (invite && client.provisional) {
            return;
        }
        out.push((self.address, client.to, client.bytes.clone()));
        client.interval = match (invite, client.provisional) {
            (true, _) => client.interval * 2,
            (false, false) => (client.interval * 2).min(T2),
            (false, true) => T2,
        };
        let at = now.mono + client.interval;
        self.timer(at, Timer::Again { key: key.to_owned() });
    }

    fn give_up(&mut self, key: &str) {
        let Some(client) = self.clients.get_mut(key) else { return };
        if client.done || (client.method == Method::Invite && client.provisional) {
            return;
        }
        client.done = true;
        if let Some(call) = client.call.and_then(|call| self.outgoing.get_mut(call)) {
            call.state = CallState::TimedOut;
        }
    }

    fn on_reply(&mut self, reply: &Message, now: Now, out: &mut Vec<Datagram>) {
        let branch = reply.via().ok().and_then(|via| via.branch).unwrap_or_default();
        let key = client_key(&String::from_utf8_lossy(branch), reply.method());
        let Some(client) = self.clients.get_mut(&key) else {
            self.strays += 1;
            return;
        };
        let code = reply.status();
        let (method, call, repeated) = (client.method, client.call, client.done);
        client.provisional = true;
        let invite = client.bytes.clone();
        if code >= 200 && !client.done {
            client.done = true;
            let keep = if method == Method::Invite { T1X64 } else { T4 };
            self.timer(now.mono + keep, Timer::Forget { key: key.clone() });
        }
        if method == Method::Invite && code >= 300 {
            let mut ack = Vec::new();
            print::ack(&invite, reply, &mut ack).expect("an INVITE of our own");
            out.push((self.address, self.proxy, ack));
        }
        let Some(index) = call else { return };
        if method == Method::Invite && (200..300).contains(&code) {
            self.answered(index, reply, now, out);
        }
        let Some(call) = self.outgoing.get_mut(index) else { return };
        if !repeated && call.codes.last() != Some(&code) {
            call.codes.push(code);
        }
        match (method, code) {
            (Method::Bye, 200..) => call.state = CallState::Ended,
            (Method::Bye, _) => {}
            (_, 101..200) if call.state == CallState::Calling => call.state = CallState::Ringing,
            (_, ..200) => {}
            (_, 200..300) if call.state != CallState::Ended => call.state = CallState::Established,
            (_, 300..) if !repeated => call.state = CallState::Failed(code),
            _ => {}
        }
        if code < 200 && call.wants_cancel {
            self.cancel(index, now, out);
        }
    }

    /// The ACK to a 2xx, made once and repeated with every repeated 2xx (§13.2.2.4).
    fn answered(&mut self, index: usize, reply: &Message, now: Now, out: &mut Vec<Datagram>) {
        let branch = format!("z9hG4bK{}", self.unique());
        let (address, proxy) = (self.address, self.proxy);
        let Some(call) = self.outgoing.get_mut(index) else { return };
        if call.ack.is_none() {
            if let Some(dialog) = &mut call.dialog {
                dialog.remote = header(reply, HeaderName::To).unwrap_or_else(|| dialog.remote.clone());
                dialog.target = contact(reply).unwrap_or_else(|| dialog.target.clone());
                dialog.routes = routes(reply);
                dialog.routes.reverse();
                let text = dialog.request("ACK", 1, &call.call_id, &branch, address);
                call.ack = Some((dialog.next_hop().unwrap_or(proxy), text));
            }
            let hang_up = call.options.hang_up;
            if let Some(after) = hang_up {
                self.timer(now.mono + after, Timer::HangUp { call: index });
            }
        }
        if let Some((to, bytes)) = self.outgoing.get(index).and_then(|call| call.ack.clone()) {
            out.push((address, to, bytes));
        }
    }

    fn hang_up(&mut self, index: usize, now: Now, out: &mut Vec<Datagram>) {
        let branch = format!("z9hG4bK{}", self.unique());
        let (address, proxy) = (self.address, self.proxy);
        let Some(call) = self.outgoing.get_mut(index) else { return };
        let Some(dialog) = &mut call.dialog else { return };
        let bytes = dialog.request("BYE", dialog.next_cseq, &call.call_id, &branch, address);
        dialog.next_cseq += 1;
        let to = dialog.next_hop().unwrap_or(proxy);
        self.send_request(Some(index), branch, "BYE", to, bytes, now, out);
    }

    fn cancel(&mut self, index: usize, now: Now, out: &mut Vec<Datagram>) {
        let Some(call) = self.outgoing.get_mut(index) else { return };
        let branch = call.invite.clone();
        let Some(client) = self.clients.get(&client_key(&branch, Method::Invite)) else { return };
        if client.done {
            return;
        }
        call.wants_cancel = !client.provisional;
        if call.wants_cancel {
            return;
        }
        let mut bytes = Vec::new();
        print::cancel(&client.bytes, b"", &mut bytes).expect("an INVITE of our own");
        let to = client.to;
        self.send_request(None, branch, "CANCEL", to, bytes, now, out);
    }

    // Server side.

    fn on_request(&mut self, request: Message, from: SocketAddr, now: Now, out: &mut Vec<Datagram>) {
        let key = server_key(&request);
        let call_id = String::from_utf8_lossy(request.call_id()).into_owned();
        let method = request.method();
        if method == Method::Ack {
            return self.on_ack(&key, &call_id);
        }
        if let Some(server) = self.servers.get(&key) {
            out.extend(server.reply.clone().map(|(to, bytes)| (self.address, to, bytes)));
            return;
        }
        self.servers.insert(key.clone(), ServerTransaction::default());
        self.timer(now.mono + T1X64 * 2, Timer::ForgetServer { key: key.clone() });
        match method {
            Method::Invite => {
                let tag = self.unique();
                let incoming =
                    Incoming { request: Arc::new(request), from, tag, code: 0, acked: false, ended: false };
                self.incoming.insert(key.clone(), incoming);
                if let Some(after) = self.plan.ring {
                    self.timer(now.mono + after, Timer::Ring { key: key.clone() });
                }
                if let Some((after, code)) = self.plan.answer {
                    self.timer(now.mono + after, Timer::Answer { key, code });
                }
            }
            Method::Cancel => {
                let invite = key.replacen("CANCEL", "INVITE", 1);
                let known = self.incoming.contains_key(&invite);
                self.reply(&key, &request, from, if known { 200 } else { 481 }, now, out);
                self.answer(&invite, 487, now, out);
            }
            Method::Bye => {
                let call = self.incoming.values_mut().find(|call| {
                    call.request.call_id() == request.call_id()
                        && request.to().is_ok_and(|to| to.tag() == Some(call.tag.as_bytes()))
                });
                let code = call.map_or(481, |call| {
                    call.ended = true;
                    200
                });
                self.reply(&key, &request, from, code, now, out);
            }
            _ => self.reply(&key, &request, from, 200, now, out),
        }
    }

    fn on_ack(&mut self, key: &str, call_id: &str) {
        let invite = key.replacen("ACK", "INVITE", 1);
        let server = match self.incoming.contains_key(&invite) {
            true => Some(invite),
            // The ACK to a 2xx has a branch of its own: it belongs to the call.
            false => self
                .incoming
                .iter()
                .find(|(_, call)| call.request.call_id() == call_id.as_bytes())
                .map(|(key, _)| key.clone()),
        };
        let Some(server) = server else {
            self.strays += 1;
            return;
        };
        if let Some(call) = self.incoming.get_mut(&server) {
            call.acked = true;
        }
        if let Some(server) = self.servers.get_mut(&server) {
            server.repeat_until = None;
        }
    }

    fn answer(&mut self, key: &str, code: u16, now: Now, out: &mut Vec<Datagram>) {
        let Some(call) = self.incoming.get_mut(key).filter(|call| call.code < 200) else { return };
        call.code = code;
        let (request, from) = (Arc::clone(&call.request), call.from);
        self.reply(key, &request, from, code, now, out);
        if code >= 200 {
            if let Some(server) = self.servers.get_mut(key) {
                server.interval = T1;
                server.repeat_until = Some(now.mono + T1X64);
            }
            self.timer(now.mono + T1, Timer::ReplyAgain { key: key.to_owned() });
        }
    }

    /// A final reply to an INVITE again: timer G, and the same for a 2xx (§13.3.1.4).
    fn reply_again(&mut self, key: &str, now: Now, out: &mut Vec<Datagram>) {
        let Some(server) = self.servers.get_mut(key) else { return };
        if server.repeat_until.is_none_or(|until| now.mono >= until) {
            return;
        }
        out.extend(server.reply.clone().map(|(to, bytes)| (self.address, to, bytes)));
        server.interval = (server.interval * 2).min(T2);
        let at = now.mono + server.interval;
        self.timer(at, Timer::ReplyAgain { key: key.to_owned() });
    }

    fn reply(
        &mut self,
        key: &str,
        request: &Message,
        from: SocketAddr,
        code: u16,
        now: Now,
        out: &mut Vec<Datagram>,
    ) {
        let _ = now;
        let tag = match self.incoming.get(key) {
            Some(call) => call.tag.clone(),
            None => self.unique(),
        };
        let rows = format!("Contact: <sip:{}@{}>\r\n", self.name, self.address);
        let reply = print::LocalReply {
            code,
            reason: reason(code),
            to_tag: tag.as_bytes(),
            rows: rows.as_bytes(),
            body: None,
            via_stamp: print::via_stamp(request, from, false),
            record_route: true,
        };
        let mut bytes = Vec::new();
        print::local_reply(request, &reply, &mut bytes);
        out.push((self.address, from, bytes.clone()));
        if let Some(server) = self.servers.get_mut(key) {
            server.reply = Some((from, bytes));
        }
    }

    fn fire(&mut self, timer: Timer, now: Now, out: &mut Vec<Datagram>) {
        match timer {
            Timer::Start { uri, options, method } => self.start(&uri, options, method, now, out),
            Timer::Again { key } => self.again(&key, now, out),
            Timer::GiveUp { key } => self.give_up(&key),
            Timer::Forget { key } => {
                self.clients.remove(&key);
            }
            Timer::ReplyAgain { key } => self.reply_again(&key, now, out),
            Timer::ForgetServer { key } => {
                if self.incoming.get(&key).is_none_or(|call| call.code >= 200) {
                    self.servers.remove(&key);
                }
            }
            Timer::Ring { key } => self.answer(&key, 180, now, out),
            Timer::Answer { key, code } => self.answer(&key, code, now, out),
            Timer::HangUp { call } => self.hang_up(call, now, out),
            Timer::Cancel { call } => self.cancel(call, now, out),
        }
    }
}

impl Node for UserAgent {
    fn receive(
        &mut self,
        now: Now,
        from: SocketAddr,
        _to: SocketAddr,
        bytes: &[u8],
        out: &mut Vec<Datagram>,
    ) {
        let message = Message::parse(bytes).unwrap_or_else(|e| {
            panic!("{} got what is no message: {e:?} {}", self.name, bytes.escape_ascii())
        });
        match message.is_request() {
            true => self.on_request(message, from, now, out),
            false => self.on_reply(&message, now, out),
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }

    fn handle_timeout(&mut self, now: Now, out: &mut Vec<Datagram>) {
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= now.mono) {
            let timer = entry.remove();
            self.fire(timer, now, out);
        }
    }
}

impl Dialog {
    fn request(&self, method: &str, cseq: u32, call_id: &str, branch: &str, address: SocketAddr) -> Vec<u8> {
        let routes: String = self.routes.iter().map(|route| format!("Route: {route}\r\n")).collect();
        format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch={branch};rport\r\nMax-Forwards: 70\r\n{routes}\
             From: {}\r\nTo: {}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n",
            self.target, self.local, self.remote
        )
        .into_bytes()
    }

    /// First route, or the target itself.
    fn next_hop(&self) -> Option<SocketAddr> {
        let uri = match self.routes.first() {
            Some(route) => route.trim_start_matches('<').split('>').next()?,
            None => &self.target,
        };
        let uri = Uri::parse(uri.as_bytes()).ok()?;
        Some(SocketAddr::new(uri.ip()?, uri.port_or_default()))
    }
}

fn client_key(branch: &str, method: Method) -> String {
    match method {
        Method::Cancel => format!("{branch} CANCEL"),
        _ => branch.to_owned(),
    }
}

/// §17.2.3: branch, sent-by, method.
fn server_key(request: &Message) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let method = text(request.method_text());
    match request.via() {
        Ok(via) => {
            format!("{method} {} {} {:?}", text(via.branch.unwrap_or_default()), text(via.host), via.port)
        }
        Err(_) => method,
    }
}

fn header(message: &Message, name: HeaderName) -> Option<String> {
    message.header(name).map(|header| String::from_utf8_lossy(header.value).into_owned())
}

fn contact(message: &Message) -> Option<String> {
    let contact = message.addresses(HeaderName::Contact).next()?.ok()?;
    Some(String::from_utf8_lossy(contact.uri).into_owned())
}

fn routes(message: &Message) -> Vec<String> {
    let text = |address: message::NameAddr<'_>| String::from_utf8_lossy(address.text).into_owned();
    message.addresses(HeaderName::RecordRoute).filter_map(|address| address.ok().map(text)).collect()
}

fn reason(code: u16) -> &'static [u8] {
    match code {
        180 => b"Ringing",
        200 => b"OK",
        404 => b"Not Found",
        481 => b"Call/Transaction Does Not Exist",
        486 => b"Busy Here",
        487 => b"Request Terminated",
        603 => b"Decline",
        _ => b"Reply",
    }
}
