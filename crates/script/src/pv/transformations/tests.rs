//! Each row against what the packaged Kamailio 5.6 answered (differences in intent are in the rows' documentation).

use std::sync::Arc;

use crate::testing::Bench;
use crate::{Inner, Module, PseudoVariable, Value};

/// `$x(text)`: the text in the parentheses; `$i(5)`: an integer; `$n`: null.
static ROWS: &[PseudoVariable] = &[
    PseudoVariable {
        module: "t",
        name: "x",
        doc: "text",
        inner: Inner::Text,
        get: |ctx, pv| Value::Str(pv.inner_text(ctx)),
        set: None,
    },
    PseudoVariable {
        module: "t",
        name: "i",
        doc: "int",
        inner: Inner::Text,
        get: |ctx, pv| Value::Int(super::string::leading_int(&pv.inner_text(ctx))),
        set: None,
    },
    PseudoVariable {
        module: "t",
        name: "n",
        doc: "null",
        inner: Inner::None,
        get: |_, _| Value::Null,
        set: None,
    },
];

struct Rows;
impl Module for Rows {
    fn name(&self) -> &'static str {
        "t"
    }
    fn pseudo_variables(&self) -> &'static [PseudoVariable] {
        ROWS
    }
}

fn bench() -> Bench {
    Bench::new(vec![Arc::new(Rows)])
}

const REQUEST: &str = "OPTIONS sip:a SIP/2.0\nCSeq: 1 OPTIONS\n";

#[track_caller]
fn check(cases: &[(&str, Value<'static>)]) {
    let bench = bench();
    let ctx = bench.request(REQUEST);
    for (text, want) in cases {
        assert_eq!(bench.pv(&ctx, text), *want, "{text}");
    }
}

fn s(text: &'static str) -> Value<'static> {
    Value::str(text.as_bytes())
}
const NULL: Value<'static> = Value::Null;
fn i(n: i64) -> Value<'static> {
    Value::Int(n)
}

#[test]
fn cutting() {
    check(&[
        ("$(x(Hello World){s.len})", i(11)),
        ("$(x(Hello World){s.substr,0,5})", s("Hello")),
        ("$(x(Hello World){s.substr,6,0})", s("World")),
        ("$(x(Hello World){s.substr,-3,2})", s("rl")),
        ("$(x(Hello World){s.substr,20,1})", NULL),
        ("$(x(Hello World){s.substr,2,-1})", NULL),
        ("$(x(Hello World){s.select,1, })", s("World")),
        ("$(x(Hello World){s.select,-2, })", s("Hello")),
        ("$(x(Hello World){s.select,5, })", s("")),
        ("$(x(a,b;c=1,b2){s.select,1,,})", s("b;c=1")),
        ("$(x(a,b;c=1,b2){s.selectsw,b2})", s("b2")),
        ("$(x(Hello World){s.strip,2})", s("llo World")),
        ("$(x(Hello World){s.strip,50})", s("")),
        ("$(x(Hello World){s.strip,-2})", s("Hello World")),
        ("$(x(Hello World){s.striptail,2})", s("Hello Wor")),
        ("$(x(Hello World){s.stripto,W})", s("World")),
        ("$(x(Hello World){s.stripto,x})", s("")),
        ("$(x(Hello World){s.before,o W})", s("Hell")),
        ("$(x(Hello World){s.before,z})", s("Hello World")),
        ("$(x(Hello World){s.after,z})", s("")),
        ("$(x(Hello World){s.after,l})", s("lo World")),
        ("$(x(Hello World){s.rbefore,o})", s("Hello W")),
        ("$(x(Hello World){s.rafter,o})", s("rld")),
        ("$(x(a,b,c){s.before,,})", s("a")),
        ("$(x(a,b,c){s.count,,})", i(2)),
        ("$(x(Hello){s.charat,1})", s("e")),
        ("$(x(Hello){s.byteat,1})", i(101)),
        ("$(x(Hello){s.charat,9})", NULL),
        ("$(x(){s.substr,0,1})", NULL),
        ("$(n{s.len})", NULL),
        ("$(i(5){s.substr,0,1})", s("5")),
        ("$(x(  a b  ){s.trim})", s("a b")),
        ("$(x(\"q\"){s.unquote})", s("q")),
        ("$(x(\"q){s.unquote})", s("\"q")),
        ("$(x(<b>){s.unbracket})", s("b")),
        ("$(x(Hel){s.prefixes})", s("H,He,Hel")),
        ("$(x(Hello){s.prefixes.quoted,2})", s("'H','He'")),
        ("$(x(abcdef){s.fmtlines,4,1})", s("abcd\r\n ef")),
    ]);
}

#[test]
fn changing() {
    check(&[
        ("$(x(Hello){s.toupper})", s("HELLO")),
        ("$(x(Hello World){s.replace,o,00})", s("Hell00 W00rld")),
        ("$(x(Hello World){s.replace,World,})", s("Hello ")),
        ("$(x(Hello World){s.rm,l})", s("Heo Word")),
        ("$(x(a b){s.rmws})", s("ab")),
        ("$(x(a1b2){s.numeric})", s("12")),
        ("$(x(12){s.int})", i(12)),
        ("$(x(12a){s.int})", NULL),
        ("$(x(12a){s.intv})", i(12)),
        ("$(x(abc){s.toupper}{s.substr,0,$x(2)})", s("AB")),
        ("$(x(Via:  a   b\r\n   c){s.rmhdws})", s("Via: a b c")),
        ("$(x(abc){re.subst,/^(a)(b)/\\2\\1/})", s("bac")),
        ("$(x(abc){re.subst,/z/X/})", s("abc")),
        ("$(x(+49){re.subst,/^\\+([0-9]{2})$/00\\1/})", s("0049")),
        ("$(x(1700000000){s.ftime,%s})", s("1700000000")),
    ]);
}

#[test]
fn codecs() {
    check(&[
        ("$(x(Hello World){s.md5})", s("b10a8db164e0754105b7a99be72e3fe5")),
        ("$(x(Hello World){s.sha1})", s("0a4d55a8d778e5022fab701977c5d840bbc486d0")),
        (
            "$(x(Hello World){s.sha256})",
            s("a591a6d40bf420404a011733cfb7b190d62c65bf0bcda32b57b277d9ad9f146e"),
        ),
        ("$(x(){s.sha3,256})", s("a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a")),
        ("$(x(){s.keccak,256})", s("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")),
        ("$(x(123456789){s.crc32})", i(0xCBF4_3926)),
        ("$(x(Hello World){s.corehash})", s("2764307758")),
        ("$(x(Hello World){s.corehash,16})", s("14")),
        ("$(x(Hello World){s.encode.hexa})", s("48656c6c6f20576f726c64")),
        ("$(x(48656c6c6f){s.decode.hexa})", s("Hello")),
        ("$(x(zz){s.decode.hexa})", NULL),
        ("$(x(Hello World){s.encode.base64})", s("SGVsbG8gV29ybGQ=")),
        ("$(x(Hello World){s.encode.base64t})", s("SGVsbG8gV29ybGQ")),
        ("$(x(SGVsbG8gV29ybGQ=){s.decode.base64})", s("Hello World")),
        ("$(x(SGVsbG8gV29ybGQ){s.decode.base64})", NULL),
        ("$(x(SGVsbG8gV29ybGQ){s.decode.base64urlt})", s("Hello World")),
        ("$(x(Hello World){s.encode.base58})", s("JxF12TrwUP45BMd")),
        ("$(x(JxF12TrwUP45BMd){s.decode.base58})", s("Hello World")),
        ("$(x(Hello World){s.encode.7bit})", s("C8329BFD065DDF723619")),
        ("$(x(C8329BFD065DDF72){s.decode.7bit})", s("Hello Wor")),
        ("$(x(a'b\"c\\d){s.escape.common})", s("a\\'b\\\"c\\\\d")),
        ("$(x(a'b\"c\\d){s.escape.common}{s.unescape.common})", s("a'b\"c\\d")),
        ("$(x(a b){s.escape.user})", s("a%20b")),
        ("$(x(a%20b%40c+d){s.unescape.user})", s("a b@c+d")),
        ("$(x(a%zz){s.unescape.user})", NULL),
        ("$(x(a b;d%e){s.urlencode.param})", s("a%20b%3bd%25e")),
        ("$(x(a%20b%40c+d){s.urldecode.param})", s("a b@c d")),
        ("$(x(a\"b){s.escape.csv})", s("\"a\"\"b\"")),
        ("$(x(a\r\nb){s.escape.crlf})", s("a\\r\\nb")),
    ]);
}

#[test]
fn uris() {
    const U: &str = "sip:alice:pw@atlanta.example:5070;transport=tcp;lr;user=phone;foo=bar?Subject=x";
    let at = |t: &str| format!("$(x({U}){{{t}}})");
    for (t, want) in [
        ("uri.user", "alice"),
        ("uri.host", "atlanta.example"),
        ("uri.passwd", "pw"),
        ("uri.saor", "sip:alice@atlanta.example"),
        ("uri.suri", "sip:alice@atlanta.example:5070;transport=tcp"),
        ("uri.duri", "sip:atlanta.example:5070;transport=tcp"),
        ("uri.params", "transport=tcp;lr;user=phone;foo=bar"),
        ("uri.headers", "Subject=x"),
        ("uri.param,foo", "bar"),
        ("uri.param,lr", ""),
        ("uri.param,nope", ""),
        ("uri.transport", "tcp"),
        ("uri.uparam", "phone"),
        ("uri.scheme", "sip"),
        ("uri.tosocket", "tcp:atlanta.example:5070"),
        ("uri.rmparam,lr", "sip:alice:pw@atlanta.example:5070;transport=tcp;user=phone;foo=bar?Subject=x"),
    ] {
        let bench = bench();
        let ctx = bench.request(REQUEST);
        assert_eq!(bench.pv(&ctx, &at(t)), Value::from(want), "{t}");
    }
    check(&[
        ("$(x(sip:1.2.3.4){uri.port})", i(0)),
        ("$(x(sip:1.2.3.4){uri.user})", s("")),
        ("$(x(sip:a@[2001:db8::1]:5061){uri.host})", s("[2001:db8::1]")),
        ("$(x(tel:+4930;x=1){uri.user})", s("+4930")),
        ("$(x(garbage){uri.user})", NULL),
        ("$(x(sip:a@1.2.3.4:5070;transport=tcp){urialias.encode})", s("1.2.3.4~5070~2")),
        ("$(x(1.2.3.4~5070~1){urialias.decode})", s("sip:1.2.3.4:5070")),
        ("$(x(1.2.3.4~5070~2){urialias.decode})", s("sip:1.2.3.4:5070;transport=tcp")),
        ("$(x(udp:127.0.0.1:5060){sock.port})", s("5060")),
        ("$(x(tls:[::1]:5061){sock.host})", s("[::1]")),
        ("$(x(127.0.0.1){sock.proto})", s("")),
        ("$(x(udp:1.2.3.4){sock.touri})", s("sip:1.2.3.4;transport=udp")),
        ("$(x(/a/b?c=d){url.querystring})", s("c=d")),
        ("$(x(/a/b?c=d){url.path})", s("/a/b")),
    ]);
}

#[test]
fn lists_and_addresses() {
    check(&[
        ("$(x(a=1;b=\"two words\";c){param.value,b})", s("two words")),
        ("$(x(a=1;b=2;c){param.value,A})", s("1")),
        ("$(x(a=1;b=2;c){param.value,nope})", s("")),
        ("$(x(a=1;b=2;c){param.in,c})", i(1)),
        ("$(x(a=1;b=2;c){param.valueat,-2})", s("2")),
        ("$(x(a=1;b=2;c){param.name,2})", s("c")),
        ("$(x(a=1;b=2;c){param.count})", i(3)),
        ("$(x(a=1,b=2){param.value,b,,})", s("2")),
        ("$(x(){param.count})", NULL),
        ("$(x(\"N\" <sip:a@b;x=1>;tag=1){nameaddr.name})", s("\"N\" ")),
        ("$(x(\"N\" <sip:a@b;x=1>;tag=1){nameaddr.uri})", s("sip:a@b;x=1")),
        ("$(x(\"N\" <sip:a@b;x=1>;tag=1){nameaddr.len})", i(17)),
        ("$(x(sip:a@b;x=1){nameaddr.uri})", s("sip:a@b;x=1")),
        ("$(x(\"N\" <sip:a@b;x=1>;tag=1){tobody.tag})", s("1")),
        ("$(x(\"N\" <sip:a@b;x=1>;tag=1){tobody.params})", s("tag=1")),
        ("$(x(\"N\" <sip:a@b;x=1>;tag=1){tobody.display})", s("\"N\"")),
        ("$(x(sip:a@b;x=1){tobody.uri})", s("sip:a@b")),
        ("$(x(sip:a@b;x=1){tobody.params})", s("x=1")),
        ("$(x(l1\nl2\r\nl3){line.count})", s("3")),
        ("$(x(l1\nl2\r\nl3){line.at,1})", s("l2")),
        ("$(x(l1\nl2\r\nl3){line.at,-1})", s("l3")),
        ("$(x(l1\nl2\r\nl3){line.sw,l2})", s("l2")),
        ("$(n{val.n0})", i(0)),
        ("$(n{val.ne})", s("")),
        ("$(x(a\"b){val.json})", s("\"a\\\"b\"")),
        ("$(n{val.json})", s("null")),
        ("$(x(123){num.fdigit})", i(1)),
        ("$(x(123){num.ldigit})", i(3)),
        ("$(x(it's){sql.val})", s("'it\\'s'")),
        ("$(i(5){sql.val})", s("5")),
        ("$(n{sql.val})", s("NULL")),
        ("$(n{sql.val.int})", s("0")),
        ("$(n{sql.val.str})", s("''")),
    ]);
}

#[test]
fn errors_name_the_nearest() {
    let bench = bench();
    let err = |t: &str| bench.core.registry.parse_pv(t.as_bytes()).err().unwrap_or_default();
    assert_eq!(err("$(x(a){s.subst,1,2})"), "unknown transformation {s.subst}; did you mean {s.substr}?");
    assert_eq!(err("$(x(a){s.substr,1})"), "transformation {s.substr} takes 2 parameters");
    assert_eq!(err("$(x(a){s.len)"), "`$(x(a){s.len)`: { without }");
    assert_eq!(err("$y(a)"), "unknown pseudo-variable $y; did you mean $i?");
    assert_eq!(err("$x"), "$x needs a name in parentheses, as in $x(name)");
    assert_eq!(err("x"), "`x`: a pseudo-variable begins with $");
    assert!(err("$(x(a){re.subst,/(/x/})").starts_with("regular expression (:"));
}
