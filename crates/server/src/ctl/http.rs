//! `--admin`: JSON-RPC at `POST /rpc`, Prometheus text at `GET /metrics`, `GET /health`. One request for each connection; bounds on
//! connections, bytes and time.
//!
//! Whoever may connect may do what the control socket allows. On a loopback address browsers of the machine are kept out: `/rpc` takes
//! `application/json` only, which no page of another origin may send unasked, and `Host` must be a loopback name.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use script::{Core, rpc};
use serde_json::json;

use super::{CLIENTS_MAX, pause};
use crate::clock;

/// Most bytes before the body.
const HEAD_MAX: usize = 16 * 1024;
/// Most headers.
const HEADERS_MAX: usize = 64;
/// Longest body.
const BODY_MAX: usize = 1 << 20;
/// A request is to be there, and an answer to be gone, within this time.
const PATIENCE: Duration = Duration::from_secs(15);

/// The address, open.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
}

impl Admin {
    /// Opens `port` (on 127.0.0.1), `address:port` or `[address]:port`.
    pub fn open(wanted: &str) -> Result<Admin, String> {
        let address = match wanted.parse::<u16>() {
            Ok(port) => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
            Err(_) => wanted
                .parse()
                .map_err(|_| format!("--admin {wanted}: a port, or an IP address and a port, is expected"))?,
        };
        let bound = TcpListener::bind(address).and_then(|l| Ok((l.local_addr()?, l)));
        let (address, listener) = bound.map_err(|e| format!("--admin {wanted}: {e}"))?;
        Ok(Admin { listener, address })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the process ends.
    pub fn serve(&self, core: &Arc<Core>) {
        let clients = Arc::new(AtomicUsize::new(0));
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(target: "ctl", %error, "HTTP client not taken");
                    pause();
                    continue;
                }
            };
            if clients.fetch_add(1, Ordering::Relaxed) >= CLIENTS_MAX {
                clients.fetch_sub(1, Ordering::Relaxed);
                let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
                let _ = write(&stream, &Answer::plain(503, "too many clients\n"), true);
                continue;
            }
            let (core, count, loopback) = (core.clone(), clients.clone(), self.address.ip().is_loopback());
            let builder =
                std::thread::Builder::new().name("ctl-client".into()).stack_size(crate::engine::STACK);
            let spawned = builder.spawn(move || {
                if let Err(error) = talk(&stream, &core, loopback) {
                    tracing::debug!(target: "ctl", %error, "HTTP client gone");
                }
                count.fetch_sub(1, Ordering::Relaxed);
            });
            if spawned.is_err() {
                clients.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

/// What is answered.
struct Answer {
    status: u16,
    kind: &'static str,
    body: String,
    allow: Option<&'static str>,
}

impl Answer {
    fn plain(status: u16, body: impl Into<String>) -> Answer {
        Answer { status, kind: "text/plain; charset=utf-8", body: body.into(), allow: None }
    }
    fn json(status: u16, body: String) -> Answer {
        Answer { status, kind: "application/json", body, allow: None }
    }
    fn only(allow: &'static str) -> Answer {
        Answer { allow: Some(allow), ..Answer::plain(405, format!("{allow} only\n")) }
    }
}

/// A request's head.
#[derive(Debug, Default, PartialEq)]
struct Head {
    method: String,
    path: String,
    host: String,
    content_type: String,
    length: Option<usize>,
    encoded: bool,
    expects: bool,
    bytes: usize,
}

/// Reads a head; `None` when it is not complete.
fn head(bytes: &[u8]) -> Result<Option<Head>, Answer> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(n)) => n,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_MAX => return Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Err(Answer::plain(431, "too many or too long headers\n"));
        }
        Err(e) => return Err(Answer::plain(400, format!("{e}\n"))),
    };
    let path = request.path.unwrap_or_default();
    let mut head = Head {
        method: request.method.unwrap_or_default().to_owned(),
        path: path.split(['?', '#']).next().unwrap_or_default().to_owned(),
        bytes: length,
        ..Head::default()
    };
    for h in request.headers.iter() {
        let value = String::from_utf8_lossy(h.value).trim().to_owned();
        match h.name.to_ascii_lowercase().as_str() {
            "host" => head.host = value,
            "content-type" => head.content_type = value.to_ascii_lowercase(),
            "content-length" => {
                let n = value.bytes().all(|b| b.is_ascii_digit()).then(|| value.parse().ok()).flatten();
                let same = head.length.is_none() || head.length == n;
                let Some(n) = n.filter(|_| same) else {
                    return Err(Answer::plain(400, "bad Content-Length\n"));
                };
                head.length = Some(n);
            }
            "transfer-encoding" => head.encoded = true,
            "expect" => head.expects = value.eq_ignore_ascii_case("100-continue"),
            _ => {}
        }
    }
    Ok(Some(head))
}

/// Whether a `Host` names this machine to itself.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn talk(stream: &TcpStream, core: &Core, loopback: bool) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut received = Vec::new();
    let head = loop {
        match head(&received) {
            Ok(Some(head)) => break head,
            Ok(None) => {}
            Err(answer) => return write(stream, &answer, true),
        }
        if !receive(stream, &mut received, until)? {
            return Ok(());
        }
    };
    let with_body = head.method != "HEAD";
    if loopback && !is_loopback(&head.host) {
        return write(stream, &Answer::plain(421, "Host is not this address\n"), with_body);
    }
    let length = head.length.unwrap_or(0);
    if length > BODY_MAX {
        return write(stream, &Answer::plain(413, "the body is too long\n"), with_body);
    }
    if head.encoded || (head.method == "POST" && head.length.is_none()) {
        return write(stream, &Answer::plain(411, "a Content-Length is expected\n"), with_body);
    }
    if head.expects {
        (&*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    while received.len() < head.bytes + length {
        if !receive(stream, &mut received, until)? {
            return Ok(());
        }
    }
    let body = received.get(head.bytes..head.bytes + length).unwrap_or_default();
    write(stream, &answer(core, &head, body), with_body)
}

/// Reads more; false at the end.
fn receive(mut stream: &TcpStream, received: &mut Vec<u8>, until: Instant) -> io::Result<bool> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    stream.set_read_timeout(Some(left))?;
    let mut chunk = [0; 8192];
    let n = stream.read(&mut chunk)?;
    received.extend_from_slice(chunk.get(..n).unwrap_or_default());
    Ok(n > 0)
}

fn answer(core: &Core, head: &Head, body: &[u8]) -> Answer {
    let reads = matches!(head.method.as_str(), "GET" | "HEAD");
    match head.path.as_str() {
        "/rpc" if head.method != "POST" => Answer::only("POST"),
        "/metrics" | "/health" if !reads => Answer::only("GET, HEAD"),
        "/rpc" => {
            let kind = head.content_type.split(';').next().unwrap_or_default().trim();
            if !matches!(kind, "application/json" | "application/json-rpc" | "application/jsonrequest") {
                return Answer::plain(415, "Content-Type: application/json is expected\n");
            }
            match rpc::answer(core, clock::now(), &String::from_utf8_lossy(body)) {
                Some(answer) => Answer::json(200, format!("{answer}\n")),
                None => Answer::plain(204, ""),
            }
        }
        "/metrics" => match rpc::call(core, clock::now(), "stats.prometheus", &[]) {
            Ok(text) => Answer {
                kind: "text/plain; version=0.0.4; charset=utf-8",
                ..Answer::plain(200, text.as_str().unwrap_or_default())
            },
            Err(e) => Answer::plain(503, format!("{}\n", e.message)),
        },
        "/health" => {
            let up = clock::now().unix().saturating_sub(core.config.started);
            Answer::json(200, format!("{}\n", json!({"status": "ok", "uptime": up})))
        }
        _ => Answer::plain(404, "here are: POST /rpc, GET /metrics, GET /health\n"),
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        _ => "Service Unavailable",
    }
}

fn write(mut stream: &TcpStream, answer: &Answer, with_body: bool) -> io::Result<()> {
    let allow = answer.allow.map(|a| format!("Allow: {a}\r\n")).unwrap_or_default();
    let about = match answer.status {
        204 => String::new(),
        _ => format!("Content-Type: {}\r\nContent-Length: {}\r\n", answer.kind, answer.body.len()),
    };
    let mut text = format!(
        "HTTP/1.1 {} {}\r\n{about}{allow}Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        answer.status,
        reason(answer.status)
    );
    if with_body {
        text.push_str(&answer.body);
    }
    stream.write_all(text.as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> Option<u16> {
        head(text.as_bytes()).err().map(|a| a.status)
    }

    #[test]
    fn heads() {
        let text = "POST /rpc?x=1 HTTP/1.1\r\nHost: localhost:9\r\nContent-Type: Application/JSON; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}";
        let read = head(text.as_bytes()).ok().flatten().unwrap();
        assert_eq!((read.method.as_str(), read.path.as_str(), read.length), ("POST", "/rpc", Some(2)));
        assert_eq!(&text[read.bytes..], "{}");
        assert!(matches!(head(&text.as_bytes()[..30]), Ok(None)));
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: +2\r\n\r\n"), Some(400));
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n"), Some(400));
        assert_eq!(status("\x01\r\n\r\n"), Some(400));
        assert_eq!(status(&format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(HEAD_MAX))), Some(431));
        assert_eq!(
            status(&format!("GET / HTTP/1.1\r\n{}\r\n", "X: x\r\n".repeat(HEADERS_MAX + 1))),
            Some(431)
        );
    }
    #[test]
    fn loopback_names() {
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1:9000", "[::1]:9000", "127.9.9.9"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["", "example.com", "localhost.example.com:80", "10.0.0.1", "[2001:db8::1]:9"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
    #[test]
    fn addresses() {
        assert!(Admin::open("0").is_ok_and(|a| a.address().ip().is_loopback()));
        assert!(Admin::open("[::1]:0").is_ok() || Admin::open("127.0.0.1:0").is_ok());
        assert!(Admin::open("example.com:80").is_err() && Admin::open("70000").is_err());
    }
}
