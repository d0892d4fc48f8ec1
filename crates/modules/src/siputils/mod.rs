//! Questions about messages, URIs and texts; Contact URIs that hide the real one; answering OPTIONS.

mod charging;
mod contact;
mod text;
mod uri;

pub(crate) use text::digest_param;

use message::{HeaderName, Message, Method, NameAddr, Uri, grammar};
use script::{
    Function, ModParam, ModParams, Module, Outcome, ParamValue, PseudoVariable, RouteContext, SetupError,
    ksr_module,
};

/// Module `siputils`.
#[derive(Debug, Default)]
pub struct SipUtils {
    settings: Settings,
}

/// Parameters of `siputils`.
#[derive(Debug, ModParams)]
struct Settings {
    /// Separator of the fields in a Contact made by `encode_contact`; its first character counts. Default `*`.
    contact_flds_separator: String,
    /// Most digits of an E.164 number. Default 15.
    e164_max_len: usize,
    /// Accept header of `options_reply`. Default `*/*`.
    options_accept: String,
    /// Accept-Encoding header of `options_reply`. Default empty.
    options_accept_encoding: String,
    /// Accept-Language header of `options_reply`. Default `en`.
    options_accept_language: String,
    /// Supported header of `options_reply`. Default empty.
    options_support: String,
    /// AVP that holds the value for Remote-Party-ID, for the native functions about it. Default `$avp(s:rpid)`.
    rpid_avp: String,
    /// Text before the URI in Remote-Party-ID. Default empty.
    rpid_prefix: String,
    /// Text behind the URI in Remote-Party-ID. Default `;party=calling;id-type=subscriber;screen=yes`.
    rpid_suffix: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            contact_flds_separator: "*".into(),
            e164_max_len: 15,
            options_accept: "*/*".into(),
            options_accept_encoding: String::new(),
            options_accept_language: "en".into(),
            options_support: String::new(),
            rpid_avp: "$avp(s:rpid)".into(),
            rpid_prefix: String::new(),
            rpid_suffix: ";party=calling;id-type=subscriber;screen=yes".into(),
        }
    }
}

impl SipUtils {
    fn separator(&self) -> u8 {
        self.settings.contact_flds_separator.bytes().next().unwrap_or(b'*')
    }
}

/// Whether somebody in a dialog sent it: To has a tag (RFC 3261 §12.2).
fn in_dialog(message: &Message) -> bool {
    message.to().ok().and_then(|t| t.tag()).is_some_and(|t| !t.is_empty())
}

fn via_count(message: &Message) -> usize {
    message.vias().take(2).count()
}

/// The first Record-Route, which the neighbour above us in the path wrote.
fn top_record_route(message: &Message) -> Option<NameAddr<'_>> {
    message.addresses(HeaderName::RecordRoute).next()?.ok()
}

#[ksr_module("siputils")]
impl SipUtils {
    /// Whether To has a tag: a request within a dialog. Returns 1 or -1. RFC 3261 §12.2.
    #[ksr(cfg = ["has_totag"])]
    fn has_totag(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::from(in_dialog(&ctx.message))
    }
    /// Whether the message is a request. Returns 1 or -1.
    #[ksr(cfg = ["is_request"])]
    fn is_request(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::from(ctx.message.is_request())
    }
    /// Whether the message is a reply. Returns 1 or -1.
    #[ksr(cfg = ["is_reply"])]
    fn is_reply(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::from(!ctx.message.is_request())
    }
    /// Whether the message is SIP: always 1.
    #[ksr(cfg = ["is_sip"])]
    fn is_sip(&self, _ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::TRUE
    }
    /// Whether the message is HTTP: always -1, HTTP does not come to routes here.
    #[ksr(cfg = ["is_http"])]
    fn is_http(&self, _ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::FALSE
    }
    /// Whether this server is the first behind the sender; as `is_first_hop_mode(0)`.
    #[ksr(cfg = ["is_first_hop"])]
    fn is_first_hop(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        first_hop(ctx, 0)
    }
    /// Whether this server is the first behind the sender.
    ///
    /// A request: it has one Via. A reply: its topmost Record-Route is this server and, unless `mode` is 1, it has an IP address and the
    /// reply did not come from one of our own. Returns 1 or -1. Spirals are not seen.
    #[ksr(cfg = ["is_first_hop"])]
    fn is_first_hop_mode(&self, ctx: &mut RouteContext<'_>, mode: i64) -> Outcome {
        first_hop(ctx, mode)
    }
    /// Whether the text is a URI. Returns 1 or -1. RFC 3261 §19.1, RFC 3966.
    #[ksr(cfg = ["is_uri"], no_message)]
    fn is_uri(&self, suri: &[u8]) -> Outcome {
        Outcome::from(Uri::parse(suri).is_ok_and(|u| u.scheme != message::Scheme::Other))
    }
    /// Whether the user name in the request's digest credentials is this. Returns 1 or -1; -1 without credentials.
    #[ksr(cfg = ["is_user"], routes(REQUEST))]
    fn is_user(&self, ctx: &mut RouteContext<'_>, suser: &[u8]) -> Outcome {
        let credentials = [HeaderName::Authorization, HeaderName::ProxyAuthorization];
        let mut values = credentials.iter().flat_map(|n| ctx.message.headers_named(*n)).map(|h| h.value);
        Outcome::from(
            values.any(|v| text::digest_param(v, "username").is_some_and(|u| *grammar::unquote(u) == *suser)),
        )
    }
    /// Whether the Request-URI has this parameter without a value. Returns 1 or -1.
    #[ksr(cfg = ["uri_param"], routes(REQUEST))]
    fn uri_param(&self, ctx: &mut RouteContext<'_>, sparam: &[u8]) -> Outcome {
        Outcome::from(uri::param(ctx.request_uri(), sparam).is_some_and(|v| v.is_none()))
    }
    /// Whether the Request-URI has this parameter with this value. Returns 1 or -1.
    #[ksr(cfg = ["uri_param"], routes(REQUEST))]
    fn uri_param_value(&self, ctx: &mut RouteContext<'_>, sparam: &[u8], svalue: &[u8]) -> Outcome {
        Outcome::from(uri::param(ctx.request_uri(), sparam).is_some_and(|v| v == Some(svalue)))
    }
    /// Whether the Request-URI has this parameter, with or without a value. Returns 1 or -1.
    #[ksr(cfg = ["uri_param_any"], routes(REQUEST))]
    fn uri_param_any(&self, ctx: &mut RouteContext<'_>, sparam: &[u8]) -> Outcome {
        Outcome::from(uri::param(ctx.request_uri(), sparam).is_some())
    }
    /// Removes a parameter from the Request-URI. Returns 1, also when it was not there; -1 when the Request-URI cannot be read.
    #[ksr(cfg = ["uri_param_rm"], routes(REQUEST))]
    fn uri_param_rm(&self, ctx: &mut RouteContext<'_>, sparam: &[u8]) -> Outcome {
        if Uri::parse(ctx.request_uri()).is_err() {
            return Outcome::FALSE;
        }
        if let Some(without) = uri::without_param(ctx.request_uri(), sparam) {
            ctx.target.uri = without;
        }
        Outcome::TRUE
    }
    /// Adds a parameter (`name=value` or `name`) to the Request-URI, before its headers. Returns 1; -1 when the Request-URI cannot be read.
    #[ksr(cfg = ["add_uri_param"], routes(REQUEST))]
    fn add_uri_param(&self, ctx: &mut RouteContext<'_>, sparam: &[u8]) -> Outcome {
        if Uri::parse(ctx.request_uri()).is_err() {
            return Outcome::FALSE;
        }
        if !sparam.is_empty() {
            ctx.target.uri = uri::with_param(ctx.request_uri(), sparam);
        }
        Outcome::TRUE
    }
    /// Whether the text is a telephone number: digits, with one `+` before them or without. Returns 1 or -2.
    #[ksr(cfg = ["is_tel_number"], no_message)]
    fn is_tel_number(&self, stval: &[u8]) -> Outcome {
        text::all(stval.strip_prefix(b"+").unwrap_or(stval), |b| b.is_ascii_digit(), -2)
    }
    /// Whether the text is digits only. Returns 1 or -2.
    #[ksr(cfg = ["is_numeric"], no_message)]
    fn is_numeric(&self, stval: &[u8]) -> Outcome {
        text::all(stval, |b| b.is_ascii_digit(), -2)
    }
    /// Whether the text is ASCII letters and digits only. Returns 1 or -3.
    #[ksr(cfg = ["is_alphanum"], no_message)]
    fn is_alphanum(&self, stval: &[u8]) -> Outcome {
        text::all(stval, |b| b.is_ascii_alphanumeric(), -3)
    }
    /// Whether the text is ASCII letters, digits and characters of `seset` only. Returns 1 or -3.
    #[ksr(cfg = ["is_alphanumex"], no_message)]
    fn is_alphanumex(&self, stval: &[u8], seset: &[u8]) -> Outcome {
        text::all(stval, |b| b.is_ascii_alphanumeric() || seset.contains(&b), -3)
    }
    /// Answers an OPTIONS for this server itself (no user in the Request-URI) with 200 and the capabilities of the parameters.
    ///
    /// Returns 1; -1 for other requests or when it could not be sent. RFC 3261 §11.2.
    #[ksr(cfg = ["options_reply"], routes(REQUEST))]
    fn options_reply(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        if ctx.message.method() != Method::Options {
            return Outcome::FALSE;
        }
        if Uri::parse(ctx.request_uri()).is_ok_and(|u| u.user.is_some()) {
            return Outcome::FALSE;
        }
        let s = &self.settings;
        let rows = format!(
            "Accept: {}\r\nAccept-Encoding: {}\r\nAccept-Language: {}\r\nSupported: {}\r\n",
            s.options_accept, s.options_accept_encoding, s.options_accept_language, s.options_support
        );
        ctx.edits.append_to_reply(rows.as_bytes());
        match ctx.core.registry.module::<crate::sl::Sl>() {
            Some(sl) => sl.send(ctx, 200, b"OK"),
            None => Outcome(ctx.transactions.reply_stateless(ctx, 200, b"OK")),
        }
    }
    /// Replaces every Contact URI by `sip:PREFIX*user*password*host*port*transport@HOSTPART`.
    ///
    /// Other parameters are lost. Returns 1, or a negative number when a Contact cannot be read.
    #[ksr(cfg = ["encode_contact"], routes(REQUEST, REPLY))]
    fn encode_contact(&self, ctx: &mut RouteContext<'_>, eprefix: &[u8], eaddr: &[u8]) -> Outcome {
        let separator = self.separator();
        contact::each(ctx, |uri| contact::encode(uri, eprefix, eaddr, separator))
    }
    /// Restores the Request-URI from what `encode_contact` made. Returns 1, or a negative number when it has not that form.
    #[ksr(cfg = ["decode_contact"], routes(REQUEST))]
    fn decode_contact(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        match contact::decode(ctx.request_uri(), self.separator()) {
            Some(uri) => {
                ctx.target.uri = uri;
                Outcome::TRUE
            }
            None => Outcome(-26),
        }
    }
    /// Restores every Contact URI from what `encode_contact` made. Returns 1, or a negative number when one has not that form.
    #[ksr(cfg = ["decode_contact_header"], routes(REQUEST, REPLY))]
    fn decode_contact_header(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let separator = self.separator();
        contact::each(ctx, |uri| contact::decode(uri, separator))
    }
    /// Replaces every Contact URI by `saddr` (a URI) with a parameter `nparam` that holds the old one in base64url.
    ///
    /// Returns 1, or -1 when a Contact cannot be read.
    #[ksr(cfg = ["contact_param_encode"], routes(REQUEST, REPLY))]
    fn contact_param_encode(&self, ctx: &mut RouteContext<'_>, nparam: &[u8], saddr: &[u8]) -> Outcome {
        contact::each(ctx, |uri| Some(contact::param_encode(uri, nparam, saddr)))
    }
    /// As `contact_param_encode`, where the encoded URI first gets an `alias` parameter with the sender's address, port and transport.
    #[ksr(cfg = ["contact_param_encode_alias"], routes(REQUEST, REPLY))]
    fn contact_param_encode_alias(&self, ctx: &mut RouteContext<'_>, nparam: &[u8], saddr: &[u8]) -> Outcome {
        let source = ctx.inbound.source;
        let alias =
            format!("alias={}~{}~{}", source.ip(), source.port(), contact::proto(ctx.inbound.transport));
        contact::each(ctx, |uri| {
            Some(contact::param_encode(&uri::with_param(uri, alias.as_bytes()), nparam, saddr))
        })
    }
    /// Restores every Contact URI from the parameter that `contact_param_encode` made. Contacts without it stay. Returns 1, or -1
    /// when a Contact cannot be read.
    #[ksr(cfg = ["contact_param_decode"], routes(REQUEST, REPLY))]
    fn contact_param_decode(&self, ctx: &mut RouteContext<'_>, nparam: &[u8]) -> Outcome {
        contact::each(ctx, |uri| Some(contact::param_decode(uri, nparam).unwrap_or_else(|| uri.to_vec())))
    }
    /// Restores the Request-URI from the parameter that `contact_param_encode` made. Returns 1; -1 when it has no such parameter.
    #[ksr(cfg = ["contact_param_decode_ruri"], routes(REQUEST))]
    fn contact_param_decode_ruri(&self, ctx: &mut RouteContext<'_>, nparam: &[u8]) -> Outcome {
        match contact::param_decode(ctx.request_uri(), nparam) {
            Some(uri) => {
                ctx.target.uri = uri;
                Outcome::TRUE
            }
            None => Outcome::FALSE,
        }
    }
    /// Removes a parameter from every Contact URI. Returns 1, or -1 when a Contact cannot be read.
    #[ksr(cfg = ["contact_param_rm"], routes(REQUEST, REPLY))]
    fn contact_param_rm(&self, ctx: &mut RouteContext<'_>, nparam: &[u8]) -> Outcome {
        contact::each(ctx, |uri| Some(uri::without_param(uri, nparam).unwrap_or_else(|| uri.to_vec())))
    }
    /// Whether a Contact URI has this parameter. Returns 1 or -1.
    #[ksr(cfg = ["contact_param_check"], routes(REQUEST, REPLY))]
    fn contact_param_check(&self, ctx: &mut RouteContext<'_>, nparam: &[u8]) -> Outcome {
        let mut contacts = ctx.message.addresses(HeaderName::Contact).filter_map(Result::ok);
        Outcome::from(contacts.any(|c| uri::param(c.uri, nparam).is_some()))
    }
    /// Whether the Date header is not older than `tdiff` seconds.
    ///
    /// Returns 1; -1 without Date, -3 when it cannot be read, -4 when it is older. RFC 3261 §20.17.
    #[ksr(cfg = ["hdr_date_check"])]
    fn hdr_date_check(&self, ctx: &mut RouteContext<'_>, tdiff: i64) -> Outcome {
        let Some(header) = ctx.message.header(HeaderName::Date) else { return Outcome::FALSE };
        let Some(date) = text::parse_date(header.value) else { return Outcome(-3) };
        let now = (ctx.now.unix_micros / 1_000_000) as i64;
        if date < now - tdiff { Outcome(-4) } else { Outcome::TRUE }
    }
    /// Compares two URIs by RFC 3261 §19.1.4. Returns 1 when they are equivalent, -1 when not, -2 when one cannot be read.
    #[ksr(cfg = ["cmp_uri"], no_message)]
    fn cmp_uri(&self, s1: &[u8], s2: &[u8]) -> Outcome {
        match (Uri::parse(s1), Uri::parse(s2)) {
            (Ok(a), Ok(b)) => Outcome::from(a.equivalent(&b)),
            _ => Outcome(-2),
        }
    }
    /// Compares user, host and port of two URIs: the same address of record. Returns 1, -1 when not, -2 when one cannot be read.
    #[ksr(cfg = ["cmp_aor"], no_message)]
    fn cmp_aor(&self, s1: &[u8], s2: &[u8]) -> Outcome {
        match (Uri::parse(s1), Uri::parse(s2)) {
            (Ok(a), Ok(b)) => Outcome::from(
                grammar::unescape(a.user.unwrap_or_default())
                    == grammar::unescape(b.user.unwrap_or_default())
                    && a.host.eq_ignore_ascii_case(b.host)
                    && a.port_or_default() == b.port_or_default(),
            ),
            _ => Outcome(-2),
        }
    }
    /// Whether two texts name the same header: without case, compact forms included. Returns 1 or -2.
    #[ksr(cfg = ["cmp_hdr_name"], no_message)]
    fn cmp_hdr_name(&self, s1: &[u8], s2: &[u8]) -> Outcome {
        let (a, b) = (HeaderName::parse(s1), HeaderName::parse(s2));
        if s1.eq_ignore_ascii_case(s2) || (a == b && a != HeaderName::Other) {
            return Outcome::TRUE;
        }
        Outcome(-2)
    }
    /// Whether the Request-URI is a GRUU (RFC 5627). Returns 1 for a public one (`gr` with a value), 2 for a temporary one, -1 otherwise.
    #[ksr(cfg = ["is_gruu"])]
    fn is_gruu(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        match uri::param(ctx.request_uri(), b"gr") {
            Some(Some(value)) if !value.is_empty() => Outcome::TRUE,
            Some(_) => Outcome(2),
            None => Outcome::FALSE,
        }
    }
    /// Reads all headers. Returns 1, or -1 when one that RFC 3261 requires is missing or wrong.
    #[ksr(cfg = ["sip_parse_headers"])]
    fn sip_parse_headers(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::from(ctx.message.validate().is_ok())
    }
}

fn first_hop(ctx: &RouteContext<'_>, mode: i64) -> Outcome {
    if ctx.message.is_request() {
        return Outcome::from(via_count(&ctx.message) == 1);
    }
    let Some(uri) = top_record_route(&ctx.message).and_then(|r| r.parse_uri().ok()) else {
        return Outcome::FALSE;
    };
    let own = ctx.is_myself(uri.host, Some(uri.port_or_default()), uri.transport());
    let source = ctx.inbound.source;
    let looped = || ctx.core.listeners.iter().any(|l| l.address == source);
    Outcome::from(own && (mode == 1 || (uri.ip().is_some() && !looped())))
}

impl Module for SipUtils {
    fn name(&self) -> &'static str {
        "siputils"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn pseudo_variables(&self) -> &'static [PseudoVariable] {
        charging::PSEUDO_VARIABLES
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

    fn bench() -> Bench {
        Bench::new(vec![Arc::new(SipUtils::default()), Arc::new(crate::sl::Sl::default())])
    }
    fn request(uri: &str, rows: &str) -> String {
        let rows =
            if rows.contains("To:") { rows.to_owned() } else { format!("To: <sip:bob@b.org>\n{rows}") };
        format!(
            "OPTIONS {uri} SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1\nFrom: <sip:alice@a.org>;tag=ft\nCall-ID: c\nCSeq: 1 OPTIONS\n{rows}"
        )
    }
    fn call(bench: &Bench, ctx: &mut RouteContext<'_>, name: &str, args: &[&str]) -> i64 {
        let args: Vec<Value<'_>> = args.iter().map(|a| Value::str(a.as_bytes())).collect();
        bench.call(ctx, &format!("siputils.{name}"), &args).to_int().expect("int")
    }

    #[test]
    fn what_it_is() {
        let b = bench();
        let mut ctx = b.request(&request("sip:a@b", ""));
        for (name, result) in [
            ("has_totag", -1),
            ("is_request", 1),
            ("is_reply", -1),
            ("is_sip", 1),
            ("is_http", -1),
            ("is_first_hop", 1),
            ("is_gruu", -1),
            ("sip_parse_headers", 1),
        ] {
            assert_eq!(call(&b, &mut ctx, name, &[]), result, "{name}");
        }
        let mut ctx =
            b.request(&request("sip:a@b;gr", "To: <sip:b@b>;tag=x\nVia: SIP/2.0/UDP h;branch=z9hG4bK0\n"));
        assert_eq!(call(&b, &mut ctx, "has_totag", &[]), 1);
        assert_eq!(call(&b, &mut ctx, "is_first_hop", &[]), -1);
        assert_eq!(call(&b, &mut ctx, "is_gruu", &[]), 2);
        let mut ctx = b.request(&request("sip:a@b;gr=x", ""));
        assert_eq!(call(&b, &mut ctx, "is_gruu", &[]), 1);
    }
    #[test]
    fn first_hop_of_replies() {
        let b = bench();
        let reply = |rr: &str| {
            format!(
                "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1\n{rr}From: <sip:x@y>;tag=1\nTo: <sip:a@b>;tag=2\nCall-ID: c\nCSeq: 1 INVITE\n"
            )
        };
        let mut ctx = b.reply(&reply("Record-Route: <sip:127.0.0.1;lr>\n"));
        assert_eq!(call(&b, &mut ctx, "is_first_hop", &[]), 1);
        ctx.inbound.source = ctx.inbound.local;
        assert_eq!(call(&b, &mut ctx, "is_first_hop", &[]), -1);
        assert_eq!(b.call(&mut ctx, "siputils.is_first_hop_mode", &[Value::Int(1)]).to_int(), Some(1));
        let mut ctx = b.reply(&reply("Record-Route: <sip:10.0.0.1;lr>\n"));
        assert_eq!(call(&b, &mut ctx, "is_first_hop", &[]), -1);
        let mut ctx = b.reply(&reply(""));
        assert_eq!(call(&b, &mut ctx, "is_first_hop", &[]), -1);
    }
    #[test]
    fn texts() {
        let b = bench();
        let mut ctx = b.request(&request("sip:a@b", ""));
        for (name, args, result) in [
            ("is_uri", &["sip:a@b"][..], 1),
            ("is_uri", &["tel:123"], 1),
            ("is_uri", &["foo"], -1),
            ("is_uri", &[""], -1),
            ("is_tel_number", &["+123"], 1),
            ("is_tel_number", &["+"], -2),
            ("is_tel_number", &["+1-2"], -2),
            ("is_tel_number", &[""], -2),
            ("is_numeric", &["12"], 1),
            ("is_numeric", &[""], -2),
            ("is_alphanum", &["a1"], 1),
            ("is_alphanum", &["a_"], -3),
            ("is_alphanumex", &["a_1", "_"], 1),
            ("is_alphanumex", &["a.1", "_"], -3),
            ("cmp_uri", &["sip:a@B.org", "sip:a@b.org"], 1),
            ("cmp_uri", &["sip:A@b.org", "sip:a@b.org"], -1),
            ("cmp_uri", &["x", "sip:a@b.org"], -2),
            ("cmp_aor", &["sip:a@b.org;x=1", "sip:a@B.org"], 1),
            ("cmp_aor", &["sip:a@b.org;x=1", "sip:a@b.org:5070"], -1),
            ("cmp_aor", &["sip:a@b.org", "sip:b@b.org"], -1),
            ("cmp_hdr_name", &["f", "From"], 1),
            ("cmp_hdr_name", &["X-a", "x-A"], 1),
            ("cmp_hdr_name", &["X-a", "X-b"], -2),
        ] {
            assert_eq!(call(&b, &mut ctx, name, args), result, "{name} {args:?}");
        }
    }
    #[test]
    fn request_uri_parameters() {
        let b = bench();
        let mut ctx = b.request(&request("sip:bob@h:15210;x=1;y", ""));
        for (name, args, result) in [
            ("uri_param", &["x"][..], -1),
            ("uri_param", &["y"], 1),
            ("uri_param_value", &["x", "1"], 1),
            ("uri_param_value", &["x", "2"], -1),
            ("uri_param_any", &["x"], 1),
            ("uri_param_any", &["q"], -1),
            ("add_uri_param", &["n=v"], 1),
        ] {
            assert_eq!(call(&b, &mut ctx, name, args), result, "{name} {args:?}");
        }
        assert_eq!(ctx.request_uri(), b"sip:bob@h:15210;x=1;y;n=v");
        assert_eq!(call(&b, &mut ctx, "uri_param_rm", &["x"]), 1);
        assert_eq!(call(&b, &mut ctx, "uri_param_rm", &["nope"]), 1);
        assert_eq!(call(&b, &mut ctx, "uri_param_rm", &["n"]), 1);
        assert_eq!(ctx.request_uri(), b"sip:bob@h:15210;y");
    }
    #[test]
    fn options_are_answered_for_the_server_itself() {
        let b = bench();
        let mut ctx = b.request(&request("sip:127.0.0.1", ""));
        call(&b, &mut ctx, "options_reply", &[]);
        assert_eq!(b.transactions.calls(), ["reply_stateless 200 OK"]);
        assert_eq!(
            String::from_utf8_lossy(ctx.edits.reply_rows()),
            "Accept: */*\r\nAccept-Encoding: \r\nAccept-Language: en\r\nSupported: \r\n"
        );
        let mut ctx = b.request(&request("sip:a@127.0.0.1", ""));
        assert_eq!(call(&b, &mut ctx, "options_reply", &[]), -1);
        assert!(b.transactions.calls().is_empty());
    }
    #[test]
    fn dates_and_users() {
        let b = bench();
        // The bench's clock says 2026-01-02 03:04:05.
        for (date, result) in
            [("Fri, 02 Jan 2026 03:04:00 GMT", 1), ("Fri, 02 Jan 2026 03:03:00 GMT", -4), ("soon", -3)]
        {
            let mut ctx = b.request(&request("sip:a@b", &format!("Date: {date}\n")));
            assert_eq!(b.call(&mut ctx, "siputils.hdr_date_check", &[Value::Int(10)]).to_int(), Some(result));
        }
        let mut ctx = b.request(&request(
            "sip:a@b",
            "Authorization: Digest realm=\"b\", username=\"joe\", nonce=\"n,username=x\"\n",
        ));
        assert_eq!(b.call(&mut ctx, "siputils.hdr_date_check", &[Value::Int(10)]).to_int(), Some(-1));
        assert_eq!(call(&b, &mut ctx, "is_user", &["joe"]), 1);
        assert_eq!(call(&b, &mut ctx, "is_user", &["x"]), -1);
    }
    #[test]
    fn contacts_hide_and_come_back() {
        let b = bench();
        let contact = "Contact: \"A\" <sip:alice:pw@127.0.0.1:15211;transport=tcp>;q=1\n";
        let printed = |ctx: &RouteContext<'_>| {
            let text = b.printed(ctx);
            text.lines().find(|l| l.starts_with("Contact:")).unwrap_or_default().to_owned()
        };
        let mut ctx = b.request(&request("sip:a@b", contact));
        assert_eq!(call(&b, &mut ctx, "encode_contact", &["pfx", "1.2.3.4"]), 1);
        let hidden = printed(&ctx);
        assert_eq!(hidden, "Contact: \"A\" <sip:pfx*alice*pw*127.0.0.1*15211*tcp@1.2.3.4>;q=1");
        let mut ctx = b.request(&request("sip:a@b", &format!("{hidden}\n")));
        assert_eq!(call(&b, &mut ctx, "decode_contact_header", &[]), 1);
        assert_eq!(printed(&ctx), contact.trim_end());
        let mut ctx = b.request(&request("sip:pfx*alice**10.0.0.1**@1.2.3.4", contact));
        assert_eq!(call(&b, &mut ctx, "decode_contact", &[]), 1);
        assert_eq!(ctx.request_uri(), b"sip:alice@10.0.0.1");
        let mut ctx = b.request(&request("sip:alice@1.2.3.4", contact));
        assert_eq!(call(&b, &mut ctx, "decode_contact", &[]), -26);
        assert_eq!(call(&b, &mut ctx, "contact_param_encode", &["ksu", "sip:1.2.3.4"]), 1);
        let hidden = printed(&ctx);
        assert_eq!(
            hidden,
            "Contact: \"A\" <sip:1.2.3.4;ksu=c2lwOmFsaWNlOnB3QDEyNy4wLjAuMToxNTIxMTt0cmFuc3BvcnQ9dGNw>;q=1"
        );
        let mut ctx =
            b.request(&request("sip:1.2.3.4;ksu=c2lwOmFsaWNlQDEyNy4wLjAuMTo1MDgw", &format!("{hidden}\n")));
        assert_eq!(call(&b, &mut ctx, "contact_param_check", &["ksu"]), 1);
        assert_eq!(call(&b, &mut ctx, "contact_param_check", &["nope"]), -1);
        assert_eq!(call(&b, &mut ctx, "contact_param_decode", &["ksu"]), 1);
        assert_eq!(printed(&ctx), contact.trim_end());
        assert_eq!(call(&b, &mut ctx, "contact_param_decode_ruri", &["ksu"]), 1);
        assert_eq!(ctx.request_uri(), b"sip:alice@127.0.0.1:5080");
        let mut ctx = b.request(&request("sip:a@b", "m: <sip:c@d;x=1;y=2>;q=1, sip:e@f\nContact: *\n"));
        assert_eq!(call(&b, &mut ctx, "contact_param_rm", &["x"]), 1);
        assert!(b.printed(&ctx).contains("m: <sip:c@d;y=2>;q=1, sip:e@f\r\nContact: *\r\n"));
        let mut ctx = b.request(&request("sip:a@b", "Contact: <sip:c@d>\n"));
        assert_eq!(call(&b, &mut ctx, "contact_param_encode_alias", &["p", "sip:h"]), 1);
        assert_eq!(printed(&ctx), "Contact: <sip:h;p=c2lwOmNAZDthbGlhcz0xMjcuMC4wLjF-NTA3MH4x>");
    }
    #[test]
    fn charging_vector() {
        let b = bench();
        let row = "P-Charging-Vector: icid-value=\"abc\"; icid-generated-at=1.2.3.4; orig-ioi=o.org;term-ioi=\"t\"\n";
        let ctx = b.request(&request("sip:a@b", row));
        assert_eq!(
            b.format(&ctx, "$pcv(value) $pcv(genaddr) $pcv(orig) $pcv(term)"),
            "\"abc\" 1.2.3.4 o.org \"t\""
        );
        assert!(b.format(&ctx, "$pcv(all)").starts_with("icid-value="));
        let ctx = b.request(&request("sip:a@b", ""));
        assert_eq!(b.format(&ctx, "$pcv(value)"), "<null>");
    }
}
