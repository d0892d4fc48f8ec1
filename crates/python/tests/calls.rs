//! KSR functions from Python: arguments, results, refusals; the `msg` object.

mod common;
use common::*;
use script::RunOutcome;

#[test]
fn results() {
    check_in_python(
        r#"
assert KSR.pv.get("$ru") == "sip:bob@b.org"
assert KSR.pv.get("$rm") == "INVITE"
assert KSR.pv.get("$null") is None
assert KSR.pv.is_null("$null") is True
assert KSR.is_INVITE() is True and KSR.is_method_in("R") is False
assert KSR.t.number(-7) == -7 and type(KSR.t.number(1)) is int
assert KSR.info("x") == 0
assert KSR.t.list() == [1, "two", None]
assert KSR.t.map() == {"k": True, "l": []}
assert getattr(KSR, "async").one() == 1 and KSR.__dict__["async"].one() == 1
"#,
    );
}

#[test]
fn bytes_beyond_utf8() {
    check_in_python(
        r#"
assert KSR.t.binary() == "a\udcffb"
assert KSR.t.length(KSR.t.binary()) == 3
assert KSR.t.echo("caf\u00e9 \U0001F600") == "caf\u00e9 \U0001F600" and KSR.t.length("\u00e9") == 2
assert KSR.t.echo(b"\xff\x00") == "\udcff\0" and KSR.t.length(b"\0\0") == 2
assert KSR.t.length("\ud800") is False
"#,
    );
}

#[test]
fn arguments_are_checked_but_never_raise() {
    check_in_python(
        r#"
assert KSR.t.two(1) is False
assert KSR.t.two() is False
assert KSR.t.two(1, "abc", "too", "many") == 4
assert KSR.t.two(True, "") == 1
assert KSR.t.two("1", "") is False
assert KSR.t.two(1.5, "") is False
assert KSR.t.two(1, 5) is False
assert KSR.t.two(1, None) is False
assert KSR.t.number(2**70) is False
assert KSR.t.number(2**62) == 2**62
assert KSR.t.count("n") == "n:[]"
assert KSR.t.count("n", 1, "a", b"b").startswith("n:[Int(1), Str(")
assert KSR.t.count("n", 1.5) is False
"#,
    );
    let log = log();
    assert!(
        log.contains("KSR.t.two takes 2 arguments (a, b), got 1, at ") && log.contains("route.py:5;"),
        "{log}"
    );
    assert!(log.contains("KSR.t.two: argument 2 (b) must be a str, got NoneType"), "{log}");
    assert!(log.contains("KSR.t.number: argument 1 (n) does not fit 64 bits"), "{log}");
}

#[test]
fn unknown_pseudo_variables_are_null() {
    check_in_python(
        r#"
assert KSR.pv.get("$nosuch") is None
assert KSR.pv.is_null("$nosuch") is True
assert KSR.pv.sets("$nosuch", "x") is False
assert KSR.pv.getvs("$nosuch", "default") == "default"
assert KSR.pv.get("ru") is None
assert KSR.pv.get(5) is False
"#,
    );
    assert!(log().contains("KSR.pv.get: argument 1 (name) \"$nosuch\": "), "{}", log());
}

#[test]
fn literals_and_made_up_strings() {
    check_in_python(
        r#"
for i in range(20000):
    name = "$" + "ru"[0:2]
    assert KSR.pv.get(name) == "sip:bob@b.org"
    assert KSR.pv.get("$rm") == "INVITE"
names = ["$ru%s" % ("{s.substr,%d,1}" % i) for i in range(5)]
kept = [str(i) for i in range(10000)]
# More strings than the cache holds, all kept alive by the script.
many = ["$" + ("rm" if i % 2 else "ru") for i in range(10000)]
for i, name in enumerate(many):
    assert KSR.pv.get(name) == ("INVITE" if i % 2 else "sip:bob@b.org"), i
for i, name in enumerate(many):
    assert KSR.pv.get(name) == ("INVITE" if i % 2 else "sip:bob@b.org"), i
class S(str): pass
assert KSR.pv.get(S("$rm")) == "INVITE"
"#,
    );
}

#[test]
fn functions_look_like_functions() {
    check_in_python(
        r#"
import inspect
assert KSR.pv.get.__name__ == "get"
assert KSR.pv.get.__doc__ == "Value of a pseudo-variable."
assert KSR.pv.get.__module__ == "KSR.pv"
assert str(inspect.signature(KSR.t.two)) == "(a, b, /)", inspect.signature(KSR.t.two)
assert str(inspect.signature(KSR.t.count)) == "(name, /, *rest)", inspect.signature(KSR.t.count)
assert str(inspect.signature(KSR.t.list)) == "()"
assert "two" in dir(KSR.t) and repr(KSR.t) == "<module 'KSR.t'>"
assert KSR.__name__ == "KSR"
try:
    KSR.nosuch
except AttributeError as e:
    assert "nosuch" in str(e)
else:
    assert False
"#,
    );
}

#[test]
fn a_fault_inside_stays_inside() {
    check_in_python("assert KSR.t.broken() is False\nassert KSR.t.number(1) == 1");
    assert!(log().contains("KSR.t.broken failed inside"));
}

#[test]
fn msg() {
    check_in_python(
        r#"
assert (msg.Type, msg.Method, msg.RURI) == ("SIP_REQUEST", "INVITE", "sip:bob@b.org")
assert msg.src_address == ("127.0.0.1", 5070) and msg.dst_address == ("127.0.0.1", 5060)
assert msg.getHeader("call-id") == "call-1" and msg.getHeader("i") == "call-1" and msg.getHeader("X-No") is None
assert msg.rewrite_ruri("sip:new@x") is None and msg.RURI == "sip:bob@b.org" and KSR.pv.get("$ru") == "sip:new@x"
assert msg.set_dst_uri("sip:10.0.0.1") is None
assert msg.copy().Method == "INVITE"
assert msg.call_function("t_number", "12") == 12 and msg.call_function("is_method", "I") is True
for bad in (lambda: msg.Status, lambda: msg.call_function("nosuch")):
    try:
        bad()
    except RuntimeError:
        pass
    else:
        assert False
for bad in (lambda: msg.nosuch, lambda: setattr(msg, "x", 1)):
    try:
        bad()
    except AttributeError:
        pass
    else:
        assert False
for bad in (lambda: msg.getHeader(5), lambda: msg.call_function()):
    try:
        bad()
    except TypeError:
        pass
    else:
        assert False
"#,
    );
}

#[test]
fn msg_is_closed_with_its_callback() {
    let text = r#"
import KSR
class Handler:
    def __init__(self): self.kept = []
    def ksr_request_route(self, msg):
        self.kept += [msg, msg.copy()]
        return 1
    def later(self, msg):
        assert msg is not self.kept[0]
        for old in self.kept:
            for use in (lambda: old.Method, lambda: old.copy(), lambda: old.rewrite_ruri("sip:x"), lambda: old.src_address):
                try:
                    use()
                except RuntimeError as e:
                    assert "no longer valid" in str(e), e
                else:
                    return -1
        return 2
    def outer(self, msg):
        self.outer_msg = msg
        return KSR.t.nested("inner")
    def inner(self, msg):
        return 5 if self.outer_msg.Method == "INVITE" and msg.Method == "INVITE" and msg is not self.outer_msg else 6
def mod_init(): return Handler()
"#;
    for mode in modes() {
        let server = Server::mode(text, mode);
        let station = server.station(1);
        assert_eq!(station.run("ksr_request_route", INVITE).outcome, RunOutcome::Returned(1));
        assert_eq!(station.run("later", INVITE).outcome, RunOutcome::Returned(2), "{}", log());
        assert_eq!(station.run("outer", INVITE).outcome, RunOutcome::Returned(5), "{}", log());
    }
}
