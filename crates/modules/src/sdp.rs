//! SDP (RFC 4566, RFC 8866) in a message, as modules that look at it or change it need it: lines with their places, grouped by media.
//!
//! Lenient about everything but the shape `x=value`: what is not understood stays as it is. Lines end with CRLF or LF.

use std::net::IpAddr;

use message::{Edits, Message};

use crate::textops::headers::media_type;
use crate::textops::multipart;

/// Most lines of a description that are looked at; what follows is not seen.
pub(crate) const MAX_LINES: usize = 2000;

/// One line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'m> {
    /// Whole line without its end.
    pub text: &'m [u8],
    /// Offset of its first byte in the message.
    pub start: u32,
    /// Offset behind its line end.
    pub next: u32,
}

impl<'m> Line<'m> {
    /// `c` of `c=...`; 0 for a line of another shape.
    pub fn kind(&self) -> u8 {
        match self.text {
            [kind, b'=', ..] => *kind,
            _ => 0,
        }
    }
    /// What stands behind `x=`.
    pub fn value(&self) -> &'m [u8] {
        self.text.get(2..).unwrap_or_default()
    }
    /// The value of `a=name:value`, empty for `a=name`.
    pub fn attribute(&self, name: &[u8]) -> Option<&'m [u8]> {
        if self.kind() != b'a' {
            return None;
        }
        match self.value().strip_prefix(name)? {
            [] => Some(&[]),
            [b':', rest @ ..] => Some(rest),
            _ => None,
        }
    }
}

/// `IN IP4 192.0.2.1` of a line, with the place of the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address<'m> {
    /// `IP4` or `IP6`, as written.
    pub family: &'m [u8],
    /// The address, without TTL or range (`/127`).
    pub host: &'m [u8],
    /// Offset of `family` in the message.
    pub family_at: u32,
    /// Offset of `host` in the message.
    pub host_at: u32,
}

impl Address<'_> {
    /// The address when it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        std::str::from_utf8(self.host).ok()?.parse().ok()
    }
}

/// One media description, from its `m=` on.
#[derive(Debug, Clone)]
pub(crate) struct Media<'m> {
    /// `audio`.
    pub kind: &'m [u8],
    /// Port as written, without a number of ports.
    pub port: &'m [u8],
    /// `RTP/AVP`.
    pub transport: &'m [u8],
    /// Formats, behind the transport.
    pub formats: &'m [u8],
    /// Its lines, `m=` first.
    pub lines: Vec<Line<'m>>,
}

impl<'m> Media<'m> {
    fn new(line: Line<'m>) -> Media<'m> {
        let mut fields = line.value().splitn(4, |b| *b == b' ');
        let mut field = || fields.next().unwrap_or_default();
        let kind = field();
        let port = field();
        let (transport, formats) = (field(), field());
        let port = port.split(|b| *b == b'/').next().unwrap_or_default();
        Media { kind, port, transport, formats, lines: vec![line] }
    }
    /// Port as a number; 0: the stream is refused.
    pub fn port(&self) -> Option<u16> {
        std::str::from_utf8(self.port).ok()?.parse().ok()
    }
    /// Offset behind its last line.
    pub fn end(&self) -> u32 {
        self.lines.last().map_or(0, |l| l.next)
    }
    /// Its `c=` line.
    pub fn connection(&self) -> Option<Line<'m>> {
        self.lines.iter().copied().find(|l| l.kind() == b'c')
    }
    /// Value of an attribute.
    pub fn attribute(&self, name: &[u8]) -> Option<&'m [u8]> {
        self.lines.iter().find_map(|l| l.attribute(name))
    }
    /// Payload type of `a=rtpmap` lines whose codec has this name, and of the well-known numbers.
    pub fn payload_types(&self, codec: &[u8]) -> Vec<&'m [u8]> {
        let mut found: Vec<&[u8]> = Vec::new();
        let mut mapped: Vec<&[u8]> = Vec::new();
        for map in self.lines.iter().filter_map(|l| l.attribute(b"rtpmap")) {
            let mut parts = map.splitn(2, |b| *b == b' ');
            let (number, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            mapped.push(number);
            let name = rest.split(|b| *b == b'/').next().unwrap_or_default();
            if name.trim_ascii().eq_ignore_ascii_case(codec) {
                found.push(number);
            }
        }
        for number in fields(self.formats).filter(|n| !mapped.contains(n)) {
            if well_known(number).is_some_and(|n| n.as_bytes().eq_ignore_ascii_case(codec)) {
                found.push(number);
            }
        }
        found
    }
}

/// The description of a message.
#[derive(Debug, Clone)]
pub(crate) struct Sdp<'m> {
    /// Its text.
    pub text: &'m [u8],
    /// Offset of its first byte in the message.
    pub start: u32,
    /// Lines before the first `m=`.
    pub session: Vec<Line<'m>>,
    /// Media descriptions in order.
    pub media: Vec<Media<'m>>,
}

impl<'m> Sdp<'m> {
    /// The SDP of a message: its body, or the first part of that type. `None` when there is none or it is empty.
    pub fn of(message: &'m Message) -> Option<Sdp<'m>> {
        let text = match media_type(message)? {
            t if t.eq_ignore_ascii_case(b"application/sdp") => message.body(),
            _ => multipart::find_part(message, b"application/sdp")?.content,
        };
        if text.is_empty() {
            return None;
        }
        Some(Sdp::parse(text, message.offset_of(text)?))
    }

    /// Splits a text that stands at this offset.
    pub fn parse(text: &'m [u8], start: u32) -> Sdp<'m> {
        let mut sdp = Sdp { text, start, session: Vec::new(), media: Vec::new() };
        for line in (Lines { text, at: 0, start }).take(MAX_LINES) {
            if line.kind() == b'm' {
                sdp.media.push(Media::new(line));
            } else {
                sdp.media.last_mut().map_or(&mut sdp.session, |m| &mut m.lines).push(line);
            }
        }
        sdp
    }
    /// All lines in order.
    pub fn lines(&self) -> impl Iterator<Item = Line<'m>> + '_ {
        self.session.iter().chain(self.media.iter().flat_map(|m| &m.lines)).copied()
    }
    /// Offset behind the last line.
    pub fn end(&self) -> u32 {
        self.start + self.text.len() as u32
    }
    /// Address of a `c=`, `o=` or `a=rtcp:` line.
    pub fn address(&self, line: Line<'m>) -> Option<Address<'m>> {
        let mut words = fields(line.text);
        let family = loop {
            if words.next()?.ends_with(b"IN") {
                break words.next()?;
            }
        };
        let host = words.next()?.split(|b| *b == b'/').next()?;
        let at = |part: &[u8]| {
            let inside = (part.as_ptr() as usize).checked_sub(line.text.as_ptr() as usize);
            inside.and_then(|n| u32::try_from(n).ok()).map(|n| line.start + n)
        };
        Some(Address { family, host, family_at: at(family)?, host_at: at(host)? })
    }
    /// The connection address of the session.
    pub fn session_connection(&self) -> Option<Line<'m>> {
        self.session.iter().copied().find(|l| l.kind() == b'c')
    }
    /// Every address that media are to be sent to.
    pub fn media_addresses(&self) -> impl Iterator<Item = Address<'m>> + '_ {
        self.lines().filter(|l| l.kind() == b'c').filter_map(|l| self.address(l))
    }
    /// The end of a line as this description writes it.
    pub fn line_end(&self) -> &'static [u8] {
        if self.text.windows(2).any(|w| w == b"\r\n") { b"\r\n" } else { b"\n" }
    }
    /// Inserts a line (without its end) before what begins at an offset; also when the last line has no end.
    pub fn insert_line(&self, edits: &mut Edits, at: u32, line: &[u8]) {
        let end = self.line_end();
        let unended = at == self.end() && !self.text.ends_with(b"\n");
        let row = if unended { [end, line].concat() } else { [line, end].concat() };
        edits.insert(at, &row);
    }
}

struct Lines<'m> {
    text: &'m [u8],
    at: usize,
    start: u32,
}

impl<'m> Iterator for Lines<'m> {
    type Item = Line<'m>;

    fn next(&mut self) -> Option<Line<'m>> {
        let rest = self.text.get(self.at..).filter(|r| !r.is_empty())?;
        let length = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |n| n + 1);
        let start = self.start + self.at as u32;
        self.at += length;
        let text = rest.get(..length)?;
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        Some(Line { text, start, next: self.start + self.at as u32 })
    }
}

/// Words separated by blanks.
pub(crate) fn fields(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| matches!(b, b' ' | b'\t')).filter(|w| !w.is_empty())
}

/// Codec names of static payload types (RFC 3551 §6).
fn well_known(number: &[u8]) -> Option<&'static str> {
    const NAMES: &[(&str, &str)] = &[
        ("0", "PCMU"),
        ("3", "GSM"),
        ("4", "G723"),
        ("5", "DVI4"),
        ("6", "DVI4"),
        ("7", "LPC"),
        ("8", "PCMA"),
        ("9", "G722"),
        ("10", "L16"),
        ("11", "L16"),
        ("12", "QCELP"),
        ("13", "CN"),
        ("14", "MPA"),
        ("15", "G728"),
        ("16", "DVI4"),
        ("17", "DVI4"),
        ("18", "G729"),
        ("25", "CelB"),
        ("26", "JPEG"),
        ("28", "nv"),
        ("31", "H261"),
        ("32", "MPV"),
        ("33", "MP2T"),
        ("34", "H263"),
    ];
    NAMES.iter().find(|(n, _)| n.as_bytes() == number).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::exchange::{Ask, Asking};
    use script::testing::Bench;
    use script::{Module, ParamKind, ParamValue, Value};
    use std::sync::Arc;

    /// Every function of the modules that look at SDP, on bodies that were broken at random, with a relay that answers anything.
    #[test]
    fn nonsense_harms_nobody() {
        const WORDS: &[&str] = &[
            "v=0\r\n",
            "o=a 1 2 IN IP4 10.0.0.1\r\n",
            "c=IN IP6 ::1/127\r\n",
            "c=IN IP4\r\n",
            "m=audio 4000/2 RTP/AVP 0 8 101\r\n",
            "m=\r\n",
            "m=video 0 RTP/SAVPF 31\n",
            "a=rtpmap:8 PCMA/8000\r\n",
            "a=rtcp:4001 IN IP4 10.0.0.1\r\n",
            "a=rtcp\r\n",
            "a=candidate:1\r\n",
            "\r\n",
            "=",
            "a=nortpproxy:yes\r\n",
            "\0\u{fe}",
            "m=audio 99999 RTP/AVP",
            "c=IN IP4 0.0.0.0\r\n",
        ];
        const ANSWERS: &[&str] = &[
            "20040107",
            "1",
            "35000 192.0.2.1",
            "0",
            "",
            "d6:result2:ok3:sdp3:v=0e",
            "d6:result4:ponge",
            "d",
            "65535 ::1 6",
            "x y z",
        ];
        let mut seed = 0x2545_f491_4f6c_dd1du64;
        let mut random = move |n: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % n as u64) as usize
        };
        let mut modules: Vec<Box<dyn Module>> =
            ["core", "pv", "nathelper", "sdpops", "rtpproxy", "rtpengine"]
                .iter()
                .filter_map(|n| crate::create(n))
                .collect();
        let config = script::CoreConfig::default();
        for module in &mut modules {
            if module.name().starts_with("rtp") {
                let name = format!("{}_sock", module.name());
                module.set_param(&name, ParamValue::Str("udp:127.0.0.1:9".into())).expect("declared");
            }
            module
                .setup(&script::Setup {
                    config: &config,
                    listeners: &[],
                    modules: &[],
                    now: Default::default(),
                })
                .expect("set up");
        }
        let mut bench = Bench::new(modules.into_iter().map(Arc::from).collect());
        let turn = std::sync::atomic::AtomicUsize::new(0);
        bench.core.exchange = Asking::new(move |_: &Ask<'_>| {
            let turn = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok(ANSWERS[turn * 7 % ANSWERS.len()].as_bytes().to_vec())
        });
        let paths: Vec<(String, Vec<ParamKind>)> = bench
            .core
            .registry
            .functions()
            .filter(|(m, _)| ["nathelper", "sdpops", "rtpproxy", "rtpengine"].contains(&m.name()))
            .map(|(_, f)| {
                (f.path().trim_start_matches("KSR.").to_owned(), f.params.iter().map(|p| p.kind).collect())
            })
            .collect();
        for _ in 0..60 {
            let body: String = (0..random(12)).map(|_| WORDS[random(WORDS.len())]).collect();
            let text = format!(
                "INVITE sip:b@h;alias=::~1~1 SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=f\r\nTo: <sip:b@h>;tag=t\r\n\
                 Call-ID: c\r\nCSeq: 1 INVITE\r\nContact: <sip:a@h>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let mut ctx = bench.request(&text);
            if random(2) == 0 {
                ctx.kind = script::RouteKind::Failure;
            }
            for (path, kinds) in &paths {
                let args: Vec<Value<'_>> = kinds
                    .iter()
                    .map(|k| match k {
                        ParamKind::Int => Value::Int(random(600) as i64 - 1),
                        ParamKind::Pv => "$var(x)".into(),
                        _ => [
                            "",
                            "audio",
                            "0,8",
                            "co",
                            "PCMA",
                            "192.0.2.1",
                            "::1",
                            "via-branch=1",
                            "c=",
                            "tcp",
                        ][random(10)]
                        .into(),
                    })
                    .collect();
                bench.call(&mut ctx, path, &args);
            }
            message::Message::parse(bench.printed(&ctx).as_bytes()).expect("it is still a message");
        }
    }

    #[test]
    fn lines_and_media_with_their_places() {
        let text = b"v=0\r\no=a 1 2 IN IP4 h\r\nc=IN IP6 2001:db8::1/3\r\nm=audio 49170/2 RTP/AVP 0 97\r\na=rtpmap:97 iLBC/8000\r\n\
                     a=sendrecv\r\nm=video 0 RTP/AVP 31\nodd";
        let sdp = Sdp::parse(text, 100);
        assert_eq!(sdp.lines().count(), 8);
        assert_eq!(sdp.session.len(), 3);
        let c = sdp.session_connection().expect("there");
        let address = sdp.address(c).expect("an address");
        assert_eq!((address.family, address.host), (&b"IP6"[..], &b"2001:db8::1"[..]));
        let at = (address.host_at - 100) as usize;
        assert_eq!(text.get(at..at + 4), Some(&b"2001"[..]));
        let [audio, video] = sdp.media.as_slice() else { panic!("two media") };
        assert_eq!(
            (audio.kind, audio.port(), audio.transport),
            (&b"audio"[..], Some(49170), &b"RTP/AVP"[..])
        );
        assert_eq!(audio.payload_types(b"ILBC"), [b"97"]);
        assert_eq!(audio.payload_types(b"pcmu"), [b"0"]);
        assert_eq!(audio.attribute(b"sendrecv"), Some(&b""[..]));
        assert_eq!((video.port(), video.end()), (Some(0), 100 + text.len() as u32));
        assert_eq!(sdp.lines().last().map(|l| l.kind()), Some(0));
        assert_eq!(Sdp::parse(b"", 0).lines().count(), 0);
    }
}
