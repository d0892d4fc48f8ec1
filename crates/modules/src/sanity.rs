//! Checks of requests before they are worked on (RFC 3261 §8.2, §16.3): what is broken is answered here and now.

use message::{HeaderName, Message, Method, NameAddr, Scheme, StartLine, Uri, grammar};
use script::{
    Function, ModParam, ModParams, Module, Outcome, ParamValue, RouteContext, SetupError, ksr_module,
};

use crate::siputils::digest_param;

/// Bits of `sanity_check`'s first parameter and of `default_checks`.
mod check {
    pub const RURI_VERSION: i64 = 1;
    pub const RURI_SCHEME: i64 = 2;
    pub const REQUIRED_HEADERS: i64 = 4;
    pub const CSEQ_METHOD: i64 = 32;
    pub const CSEQ_VALUE: i64 = 64;
    pub const CONTENT_LENGTH: i64 = 128;
    pub const EXPIRES: i64 = 256;
    pub const PROXY_REQUIRE: i64 = 512;
    pub const PARSE_URIS: i64 = 1024;
    pub const DIGEST: i64 = 2048;
    pub const DUPLICATE_TAGS: i64 = 4096;
    pub const AUTHORIZATION: i64 = 8192;
    pub const FIRST_VIA: i64 = 16384;
}

/// Module `sanity`.
#[derive(Debug, Default)]
pub struct Sanity {
    settings: Settings,
}

/// Parameters of `sanity`.
#[derive(Debug, ModParams)]
struct Settings {
    /// 1: a failed check ends a native route at once; Python scripts get -1 either way. Default 1.
    autodrop: bool,
    /// Checks of `sanity_check_defaults`, a sum of the bits listed at `sanity_check`. Default 3047.
    default_checks: i64,
    /// 1: only remember the answer; `sanity_reply` sends it. Default 0.
    noreply: bool,
    /// Extensions a Proxy-Require may ask for, comma separated. Default none.
    proxy_require: String,
    /// URIs of `sanity_check_defaults`: 1 Request-URI, 2 From, 4 To, 8 Contact. Default 7.
    uri_checks: i64,
    /// 1: also check the sizes below, with every check. Default 0.
    size_checks: i64,
    /// Most bytes of a body; 0 no limit. Default 0.
    size_body: usize,
    /// Most bytes of the Contact URI; 0 no limit. Default 0.
    size_contact_uri: usize,
    /// Most bytes of the From URI; 0 no limit. Default 0.
    size_from_uri: usize,
    /// Most bytes of one header row; 0 no limit. Default 0.
    size_header: usize,
    /// Most bytes of all header rows together; 0 no limit. Default 0.
    size_headers: usize,
    /// Most bytes of the message; 0 no limit. Default 0.
    size_message: usize,
    /// Most bytes of the method; 0 no limit. Default 0.
    size_method: usize,
    /// Most bytes of a P-Asserted-Identity URI; 0 no limit. Default 0.
    size_pai_uri: usize,
    /// Most bytes of a Path URI; 0 no limit. Default 0.
    size_path_uri: usize,
    /// Most bytes of a Route URI; 0 no limit. Default 0.
    size_route_uri: usize,
    /// Most bytes of the Request-URI; 0 no limit. Default 0.
    size_ruri: usize,
    /// Most bytes of the To URI; 0 no limit. Default 0.
    size_to_uri: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            autodrop: true,
            default_checks: 3047,
            noreply: false,
            proxy_require: String::new(),
            uri_checks: 7,
            size_checks: 0,
            size_body: 0,
            size_contact_uri: 0,
            size_from_uri: 0,
            size_header: 0,
            size_headers: 0,
            size_message: 0,
            size_method: 0,
            size_pai_uri: 0,
            size_path_uri: 0,
            size_route_uri: 0,
            size_ruri: 0,
            size_to_uri: 0,
        }
    }
}

/// The answer a failed check deserves.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    code: u16,
    reason: &'static str,
    /// Header rows for the reply.
    rows: Vec<u8>,
}

impl Refusal {
    fn bad(reason: &'static str) -> Refusal {
        Refusal { code: 400, reason, rows: Vec::new() }
    }
}

/// The last refusal, for `sanity_reply`.
#[derive(Default)]
struct Remembered(Option<Refusal>);

type Checked = Result<(), Refusal>;

impl Sanity {
    fn all(&self, message: &Message, checks: i64, uris: i64) -> Checked {
        let s = &self.settings;
        let on = |bit: i64| checks & bit != 0;
        if on(check::RURI_VERSION) {
            ruri_version(message)?;
        }
        if on(check::RURI_SCHEME) {
            ruri_scheme(message)?;
        }
        if on(check::REQUIRED_HEADERS) {
            required_headers(message)?;
        }
        if on(check::CSEQ_METHOD) && cseq_method_differs(message) {
            return Err(Refusal::bad("CSeq method does not match request method"));
        }
        if on(check::CSEQ_VALUE) && !cseq_number_is_legal(message) {
            return Err(Refusal::bad("CSeq number is illegal"));
        }
        if on(check::CONTENT_LENGTH) && !content_length_matches(message) {
            return Err(Refusal::bad("Content-Length mis-match"));
        }
        if on(check::EXPIRES) && !expires_is_legal(message) {
            return Err(Refusal::bad("Expires value is illegal"));
        }
        if on(check::PROXY_REQUIRE) {
            proxy_require(message, &s.proxy_require)?;
        }
        if on(check::PARSE_URIS) {
            parse_uris(message, uris)?;
        }
        if on(check::DIGEST) {
            credentials(message, true)?;
        }
        if on(check::AUTHORIZATION) {
            credentials(message, false)?;
        }
        if on(check::DUPLICATE_TAGS) {
            duplicate_tags(message)?;
        }
        if on(check::FIRST_VIA) && !message.via().is_ok_and(|v| !v.host.is_empty()) {
            return Err(Refusal::bad("Bad Via Header"));
        }
        if s.size_checks != 0 {
            self.sizes(message)?;
        }
        Ok(())
    }

    fn sizes(&self, message: &Message) -> Checked {
        let s = &self.settings;
        let uri = |name: HeaderName| {
            message.addresses(name).filter_map(Result::ok).map(|a| a.uri.len()).max().unwrap_or(0)
        };
        let header = message.headers().map(|h| (h.row.1 - h.row.0) as usize).max().unwrap_or(0);
        let rows = message.headers_end().saturating_sub(message.headers_start()) as usize;
        for (limit, size, reason) in [
            (s.size_message, message.as_bytes().len(), "Message Too Large"),
            (s.size_body, message.body().len(), "Body Too Large"),
            (s.size_headers, rows, "Headers Too Large"),
            (s.size_header, header, "Header Too Large"),
            (s.size_method, message.method_text().len(), "Method Too Long"),
            (s.size_ruri, message.request_uri().len(), "Request URI Too Long"),
            (s.size_from_uri, message.from().map_or(0, |a| a.uri.len()), "From URI Too Long"),
            (s.size_to_uri, message.to().map_or(0, |a| a.uri.len()), "To URI Too Long"),
            (s.size_contact_uri, uri(HeaderName::Contact), "Contact URI Too Long"),
            (s.size_route_uri, uri(HeaderName::Route), "Route URI Too Long"),
            (s.size_path_uri, uri(HeaderName::Path), "Path URI Too Long"),
            (s.size_pai_uri, uri(HeaderName::PAssertedIdentity), "P-Asserted-Identity URI Too Long"),
        ] {
            if limit != 0 && size > limit {
                let code = if reason.starts_with("Request") { 414 } else { 513 };
                return Err(Refusal { code, reason, rows: Vec::new() });
            }
        }
        Ok(())
    }

    fn run(&self, ctx: &mut RouteContext<'_>, checks: i64, uris: i64) -> Outcome {
        let message = ctx.message.clone();
        if !message.is_request() {
            return Outcome::TRUE;
        }
        let Err(refusal) = self.all(&message, checks, uris) else { return Outcome::TRUE };
        tracing::info!(target: "sanity", call_id = %String::from_utf8_lossy(message.call_id()),
            source = %ctx.inbound.source, code = refusal.code, reason = refusal.reason, "request refused");
        if self.settings.noreply {
            ctx.slots.slot::<Remembered>().0 = Some(refusal);
        } else {
            send(ctx, &refusal);
        }
        Outcome::FALSE
    }
}

fn send(ctx: &mut RouteContext<'_>, refusal: &Refusal) {
    ctx.edits.append_to_reply(&refusal.rows);
    match ctx.core.registry.module::<crate::sl::Sl>() {
        Some(sl) => drop(sl.send_within(ctx, refusal.code, refusal.reason.as_bytes())),
        None if ctx.message.method() != Method::Ack => {
            ctx.transactions.reply_stateless(ctx, refusal.code, refusal.reason.as_bytes());
        }
        None => {}
    }
}

fn ruri_version(message: &Message) -> Checked {
    let bytes = message.as_bytes();
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default().trim_ascii_end();
    if line.get(line.len().saturating_sub(8)..).is_some_and(|v| v.eq_ignore_ascii_case(b" SIP/2.0")) {
        return Ok(());
    }
    Err(Refusal { code: 505, reason: "Version Not Supported", rows: Vec::new() })
}

fn ruri_scheme(message: &Message) -> Checked {
    match Uri::parse(message.request_uri()) {
        Err(_) => Err(Refusal::bad("Bad Request URI")),
        Ok(u) if u.scheme == Scheme::Other => {
            Err(Refusal { code: 416, reason: "Unsupported URI Scheme", rows: Vec::new() })
        }
        Ok(_) => Ok(()),
    }
}

fn required_headers(message: &Message) -> Checked {
    use HeaderName::{CSeq, CallId, From, To, Via};
    match [To, From, CSeq, CallId, Via].iter().all(|n| message.header(*n).is_some()) {
        true => Ok(()),
        false => Err(Refusal::bad("Missing Required Header in Request")),
    }
}

fn cseq_words(message: &Message) -> Option<(&[u8], &[u8])> {
    let value = message.header(HeaderName::CSeq)?.value;
    let mut words = value.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
    Some((words.next()?, words.next().unwrap_or_default()))
}

fn cseq_method_differs(message: &Message) -> bool {
    let StartLine::Request { method_text, .. } = message.start_line() else { return false };
    cseq_words(message).is_some_and(|(_, method)| method != method_text)
}

fn number(text: &[u8]) -> Option<u32> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten()
}

/// §8.1.1.5: "The sequence number value MUST be expressible as a 32-bit unsigned integer and MUST be less than 2**31."
fn cseq_number_is_legal(message: &Message) -> bool {
    cseq_words(message).and_then(|(n, _)| number(n)).is_some_and(|n| n < 1 << 31)
}

fn content_length_matches(message: &Message) -> bool {
    let Some(header) = message.header(HeaderName::ContentLength) else { return true };
    let there = message.as_bytes().len().saturating_sub(message.body_span().start);
    number(header.value).is_some_and(|n| n as usize == there)
}

fn expires_is_legal(message: &Message) -> bool {
    message.header(HeaderName::Expires).is_none_or(|h| number(h.value).is_some())
}

/// §16.3 step 5: "If the request contains a Proxy-Require header field with one or more option-tags this element does not understand,
/// the element MUST return a 420 (Bad Extension) response. The response MUST include an Unsupported header field listing those
/// option-tags the element did not understand."
fn proxy_require(message: &Message, supported: &str) -> Checked {
    let known = |tag: &[u8]| supported.split(',').any(|s| s.trim().as_bytes().eq_ignore_ascii_case(tag));
    let unknown: Vec<&[u8]> = message
        .headers_named(HeaderName::ProxyRequire)
        .flat_map(|h| grammar::split_list(h.value))
        .filter(|tag| !known(tag))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let rows = [b"Unsupported: ", unknown.join(&b", "[..]).as_slice(), b"\r\n"].concat();
    Err(Refusal { code: 420, reason: "Bad Proxy Require Extension", rows })
}

fn readable(address: Result<NameAddr<'_>, message::Fault>) -> bool {
    address.is_ok_and(|a| a.parse_uri().is_ok_and(|u| u.scheme != Scheme::Other))
}

fn parse_uris(message: &Message, uris: i64) -> Checked {
    if uris & 1 != 0 && Uri::parse(message.request_uri()).is_err() {
        return Err(Refusal::bad("Bad Request URI"));
    }
    if uris & 2 != 0 && !readable(message.from()) {
        return Err(Refusal::bad("Invalid From Header"));
    }
    if uris & 4 != 0 && !readable(message.to()) {
        return Err(Refusal::bad("Invalid To Header"));
    }
    if uris & 8 != 0
        && message.addresses(HeaderName::Contact).any(|c| !c.is_ok_and(|c| c.uri == b"*") && !readable(c))
    {
        return Err(Refusal::bad("Invalid Contact Header"));
    }
    Ok(())
}

/// Digest credentials have what a digest needs (RFC 3261 §22.4); other schemes are refused only when `strict`.
fn credentials(message: &Message, strict: bool) -> Checked {
    for name in [HeaderName::Authorization, HeaderName::ProxyAuthorization] {
        for header in message.headers_named(name) {
            if !header.value.get(..7).is_some_and(|s| s.eq_ignore_ascii_case(b"digest ")) {
                if strict {
                    return Err(Refusal::bad("Bad Auth Credentials"));
                }
                continue;
            }
            let has = |p: &str| digest_param(header.value, p);
            if has("username").is_some_and(<[u8]>::is_empty) {
                return Err(Refusal::bad("Auth Empty User"));
            }
            let required = ["username", "realm", "nonce", "uri", "response"];
            let complete = required.iter().all(|p| has(p).is_some_and(|v| !v.is_empty()));
            let with_qop = has("qop").is_none() || (has("nc").is_some() && has("cnonce").is_some());
            if !complete || !with_qop {
                return Err(Refusal::bad("Bad Auth Credentials"));
            }
        }
    }
    Ok(())
}

fn duplicate_tags(message: &Message) -> Checked {
    for (address, reason) in [(message.from(), "Many From Tag Params"), (message.to(), "Many To Tag Params")]
    {
        let tags =
            address.map_or(0, |a| a.params.iter().filter(|p| p.name.eq_ignore_ascii_case(b"tag")).count());
        if tags > 1 {
            return Err(Refusal::bad(reason));
        }
    }
    Ok(())
}

#[ksr_module("sanity")]
impl Sanity {
    /// Checks the request and, when something is wrong, answers it.
    ///
    /// `mflags` is a sum of: 1 SIP version (505), 2 scheme of the Request-URI (400, 416), 4 required headers, 32 CSeq method, 64 CSeq
    /// number, 128 Content-Length, 256 Expires, 512 Proxy-Require (420 with Unsupported), 1024 URIs can be read, 2048 digest
    /// credentials, 4096 one tag only in From and To, 8192 digest credentials (other schemes pass), 16384 topmost Via. `uflags`
    /// says which URIs: 1 Request-URI, 2 From, 4 To, 8 Contact. Returns 1, or -1 when the request was refused (and, unless
    /// `noreply` is set, answered). RFC 3261 §8.2, §16.3.
    #[ksr(cfg = ["sanity_check"], routes(REQUEST, BRANCH, FAILURE, ONREPLY))]
    fn sanity_check(&self, ctx: &mut RouteContext<'_>, mflags: i64, uflags: i64) -> Outcome {
        self.run(ctx, mflags, uflags)
    }
    /// As `sanity_check` with the parameters `default_checks` and `uri_checks`. Returns 1 or -1.
    #[ksr(cfg = ["sanity_check"], routes(REQUEST, BRANCH, FAILURE, ONREPLY))]
    fn sanity_check_defaults(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.run(ctx, self.settings.default_checks, self.settings.uri_checks)
    }
    /// With `noreply`: sends the answer the last failed check of this request deserves. Returns 1, also when there is nothing to send.
    #[ksr(cfg = ["sanity_reply"], routes(REQUEST, BRANCH, FAILURE, ONREPLY))]
    fn sanity_reply(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        if let Some(refusal) = ctx.slots.slot::<Remembered>().0.take() {
            send(ctx, &refusal);
        }
        Outcome::TRUE
    }
}

impl Module for Sanity {
    fn name(&self) -> &'static str {
        "sanity"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn params(&self) -> &'static [ModParam] {
        Settings::PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.settings.set(name, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::Value;
    use script::testing::Bench;
    use std::sync::Arc;

    fn bench(sanity: Sanity) -> Bench {
        Bench::new(vec![Arc::new(sanity), Arc::new(crate::sl::Sl::default())])
    }
    const GOOD: &str = "INVITE sip:bob@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1\nFrom: <sip:alice@a.org>;tag=ft\nTo: <sip:bob@b.org>\nCall-ID: c\nCSeq: 1 INVITE\nContact: <sip:alice@h>\nContent-Length: 0\n";

    /// The reply that `sanity_check(all, 15)` sends to the request with one thing changed.
    fn refused(from: &str, to: &str) -> Vec<String> {
        assert!(GOOD.contains(from), "{from}");
        let bench = bench(Sanity::default());
        let text = GOOD.replace(from, to);
        let mut ctx = bench.request(&text);
        let result = bench.call(&mut ctx, "sanity.sanity_check", &[Value::Int(65535), Value::Int(15)]);
        let calls = bench.transactions.calls();
        assert_eq!(result.to_int(), Some(if calls.is_empty() { 1 } else { -1 }), "{from} {to}");
        calls.iter().map(|c| c.trim_start_matches("reply_stateless ").to_owned()).collect()
    }

    #[test]
    fn good_requests_pass() {
        assert!(refused("Call-ID: c", "Call-ID: d").is_empty());
        assert!(refused("CSeq: 1 INVITE", "Expires: 10\nCSeq: 1 INVITE").is_empty());
        assert!(refused("Contact: <sip:alice@h>", "Contact: *").is_empty());
    }
    #[test]
    fn every_check_has_its_answer() {
        for (from, to, answer) in [
            ("sip:bob@127.0.0.1 SIP", "foo:bar SIP", "416 Unsupported URI Scheme"),
            ("sip:bob@127.0.0.1 SIP", "sip:a@b@c SIP", "400 Bad Request URI"),
            ("To:", "X-To:", "400 Missing Required Header in Request"),
            ("CSeq: 1 INVITE", "CSeq: 1 BYE", "400 CSeq method does not match request method"),
            ("CSeq: 1 ", "CSeq: 5000000000 ", "400 CSeq number is illegal"),
            ("CSeq: 1 ", "CSeq: x ", "400 CSeq number is illegal"),
            ("Length: 0", "Length: 10", "400 Content-Length mis-match"),
            ("Length: 0", "Length: x", "400 Content-Length mis-match"),
            ("Contact", "Expires: abc\nContact", "400 Expires value is illegal"),
            ("Contact", "Expires: 5000000000\nContact", "400 Expires value is illegal"),
            ("Contact", "Proxy-Require: foo, bar\nContact", "420 Bad Proxy Require Extension"),
            ("<sip:alice@a.org>", "<sip@@a>", "400 Invalid From Header"),
            ("<sip:bob@b.org>", "<foo>", "400 Invalid To Header"),
            ("<sip:alice@h>", "<foo>", "400 Invalid Contact Header"),
            (
                "Contact",
                "Authorization: Digest username=\"a\", realm=\"b\"\nContact",
                "400 Bad Auth Credentials",
            ),
            ("Contact", "Authorization: Basic x\nContact", "400 Bad Auth Credentials"),
            (
                "Contact",
                "Authorization: Digest username=\"\", realm=\"b\", nonce=\"n\", uri=\"sip:x\", response=\"0\"\nContact",
                "400 Auth Empty User",
            ),
            ("tag=ft", "tag=ft;tag=x", "400 Many From Tag Params"),
            ("<sip:bob@b.org>", "<sip:bob@b.org>;tag=a;tag=b", "400 Many To Tag Params"),
        ] {
            assert_eq!(refused(from, to), [answer], "{to}");
        }
    }
    #[test]
    fn proxy_require_lists_what_is_unknown() {
        let mut sanity = Sanity::default();
        sanity.set_param("proxy_require", ParamValue::Str("bar, foo".into())).expect("declared");
        let bench = bench(sanity);
        let mut ctx = bench
            .request(&GOOD.replace("Contact", "Proxy-Require: foo, zed\nProxy-Require: Bar, yak\nContact"));
        assert_eq!(bench.call(&mut ctx, "sanity.sanity_check_defaults", &[]).to_int(), Some(-1));
        assert_eq!(ctx.edits.reply_rows(), b"Unsupported: zed, yak\r\n");
    }
    #[test]
    fn noreply_waits_for_sanity_reply() {
        let mut sanity = Sanity::default();
        sanity.set_param("noreply", ParamValue::Int(1)).expect("declared");
        let bench = bench(sanity);
        let mut ctx = bench.request(&GOOD.replace("CSeq: 1", "CSeq: x"));
        assert_eq!(bench.call(&mut ctx, "sanity.sanity_check_defaults", &[]).to_int(), Some(-1));
        assert!(bench.transactions.calls().is_empty());
        assert_eq!(bench.call(&mut ctx, "sanity.sanity_reply", &[]).to_int(), Some(1));
        assert_eq!(bench.call(&mut ctx, "sanity.sanity_reply", &[]).to_int(), Some(1));
        assert_eq!(bench.transactions.calls(), ["reply_stateless 400 CSeq number is illegal"]);
    }
    #[test]
    fn sizes_when_asked_for() {
        let mut sanity = Sanity::default();
        sanity.set_param("size_ruri", ParamValue::Int(10)).expect("declared");
        sanity.set_param("size_checks", ParamValue::Int(1)).expect("declared");
        let bench = bench(sanity);
        let mut ctx = bench.request(GOOD);
        assert_eq!(bench.call(&mut ctx, "sanity.sanity_check_defaults", &[]).to_int(), Some(-1));
        assert_eq!(bench.transactions.calls(), ["reply_stateless 414 Request URI Too Long"]);
    }
    #[test]
    fn acks_are_not_answered() {
        let bench = bench(Sanity::default());
        let mut ctx = bench.request(&GOOD.replace("INVITE", "ACK").replace("CSeq: 1", "CSeq: x"));
        assert_eq!(bench.call(&mut ctx, "sanity.sanity_check_defaults", &[]).to_int(), Some(-1));
        assert!(bench.transactions.calls().is_empty());
    }
}
