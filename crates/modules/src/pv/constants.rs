//! `$null $def(..) $env(..) $TS $time(..) $stat(..) $version(..) ..`: what does not come from the message.

use script::clock::{self, BrokenDown};
use script::{PseudoVariable, Pv, RouteContext, Value, pseudo_variables};

/// Pseudo-variables of the core.
pub const CORE: &[PseudoVariable] = pseudo_variables! { "core";
    "null" None "Null." |_, _| Value::Null;
    "rc" None "Result of the last function." |ctx, _| Value::Int(ctx.last_result);
    "retcode" None "Result of the last function." |ctx, _| Value::Int(ctx.last_result);
    "?" None "Result of the last function." |ctx, _| Value::Int(ctx.last_result);
    "def" Text "Value of a preprocessor define; null when it is not defined." |ctx, pv| Value::opt(define(ctx, pv).map(str::as_bytes));
    "defn" Text "Value of a preprocessor define as an integer, 0 when it is none." |ctx, pv| {
        Value::Int(define(ctx, pv).map_or(0, |d| script::transformations::leading_int(d.as_bytes())))
    };
    "defs" Text "Value of a preprocessor define in double quotes." |ctx, pv| {
        define(ctx, pv).map_or(Value::Null, |d| Value::owned(format!("\"{}\"", unquoted(d))))
    };
    "defv" Text "Value of a preprocessor define without quotes around it." |ctx, pv| Value::opt(define(ctx, pv).map(|d| unquoted(d).as_bytes()));
    "env" Text "Environment variable; null when it is not set." |ctx, pv| environment(ctx, pv).map_or(Value::Null, Value::owned);
    "envn" Text "Environment variable as an integer, 0 when it is none; null when it is not set." |ctx, pv| {
        environment(ctx, pv).map_or(Value::Null, |e| Value::Int(script::transformations::leading_int(&e)))
    };
    "iuid" None "A text that is unique over instances and time." |ctx, _| {
        let c = &ctx.core.config;
        Value::owned(format!("{:x}-{:x}-{:x}-{:x}", c.started, c.pid, ctx.worker.rank, next_id(ctx)))
    };
};

pub(super) const ROWS: &[PseudoVariable] = pseudo_variables! { "pv";
    "true" None "1." |_, _| Value::Int(1);
    "En" None "Line feed." |_, _| Value::str(b"\n");
    "Er" None "Carriage return." |_, _| Value::str(b"\r");
    "Et" None "Tab." |_, _| Value::str(b"\t");
    "Es" None "Space." |_, _| Value::str(b" ");
    "Ec" None "Comma." |_, _| Value::str(b",");
    "Eq" None "Double quote." |_, _| Value::str(b"\"");
    "Ek" None "Single quote." |_, _| Value::str(b"'");
    "Ei" None "Colon." |_, _| Value::str(b":");
    "Ej" None "Semicolon." |_, _| Value::str(b";");
    "Ev" None "Back quote." |_, _| Value::str(b"`");
    "Eb" None "Backslash." |_, _| Value::str(b"\\");
    "K" Keyword(&["IPv4", "IPv6", "INET", "INET6", "UDP", "TCP", "TLS", "SCTP", "WS", "WSS"]) "Numbers of address families and transports." |_, pv| {
        Value::Int([2, 10, 2, 10, 1, 2, 3, 4, 5, 6].get(pv.keyword()).copied().unwrap_or(0))
    };
    "af" Keyword(&["IPv4", "IPv6", "INET", "INET6"]) "Numbers of address families." |_, pv| Value::Int(if pv.keyword() % 2 == 0 { 2 } else { 10 });
    "pp" None "Process id." |ctx, _| Value::Int(i64::from(ctx.core.config.pid));
    "mi" None "Number of the message in this worker." |ctx, _| Value::Int(ctx.worker.message_number.get() as i64);
    "sid" None "`server_id`." |ctx, _| Value::Int(i64::from(ctx.core.config.server_id));
    "version" Keyword(&["num", "full", "hash"]) "Version of this server: number, name with number, source." |_, pv| match pv.keyword() {
        0 => Value::from(env!("CARGO_PKG_VERSION")),
        1 => Value::from(concat!("trunkline ", env!("CARGO_PKG_VERSION"))),
        _ => Value::from("unknown"),
    };
    "ksr" Text "Runtime attributes of the server; null for unknown names." |_, _| Value::Null;
    "ccp" Text "Attributes of the core context; null." |_, _| Value::Null, |_, _, _| false;
    "err.class" None "Class of the last parsing error, 0: messages that do not parse never reach a script." |_, _| Value::Int(0);
    "err.level" None "Severity of the last parsing error." |_, _| Value::Int(0);
    "err.info" None "Description of the last parsing error." |_, _| Value::Null;
    "err.rcode" None "Reply code suggested for the last parsing error." |_, _| Value::Null;
    "err.rreason" None "Reply reason suggested for the last parsing error." |_, _| Value::Null;
    "rpl" Keyword(&["duplicate"]) "Attributes of the reply: `duplicate` is 1 for a retransmission; those never reach a script." |_, _| Value::Int(0);
    "stat" Text "Value of a statistic; null when there is none of that name." |ctx, pv| {
        let name = pv.inner_text(ctx);
        let found = std::str::from_utf8(&name).ok().and_then(|n| ctx.core.statistics.value(n));
        found.map_or(Value::Null, Value::Int)
    };
    "_s" Text "Text with the pseudo-variables in it replaced." |ctx, pv| Value::Str(pv.inner_text(ctx));
    "Tb" None "Unix time of the start." |ctx, _| Value::Int(ctx.core.config.started as i64);
    "Ts" None "Unix time." |ctx, _| Value::Int(unix(ctx));
    "TS" None "Unix time." |ctx, _| Value::Int(unix(ctx));
    "Tf" None "Local time, `Sun Nov 22 11:05:01 2026`." |ctx, _| text(clock::local(unix(ctx), b"%a %b %e %H:%M:%S %Y"));
    "TF" None "Local time, `Sun Nov 22 11:05:01 2026`." |ctx, _| text(clock::local(unix(ctx), b"%a %b %e %H:%M:%S %Y"));
    "TV" Keyword(&["s", "u", "sn", "un", "Sn"]) "`s sn` Unix time, `u un` its microseconds, `Sn` both as `seconds.microseconds`." time_value;
    "time" Keyword(PARTS) "A part of the local time: `sec min hour mday mon year wday yday isdst`; `mon`, `wday` and `yday` count from 1." |ctx, pv| {
        part(clock::local_parts(unix(ctx)), pv)
    };
    "utime" Keyword(PARTS) "A part of the time in UTC, as `$time`." |ctx, pv| part(clock::utc_parts(unix(ctx)), pv);
    "timef" Text "Local time by a strftime format." |ctx, pv| text(clock::local(unix(ctx), &pv.inner_text(ctx)));
    "utimef" Text "UTC by a strftime format." |ctx, pv| text(clock::utc(unix(ctx), &pv.inner_text(ctx)));
};

const PARTS: &[&str] = &["sec", "min", "hour", "mday", "mon", "year", "wday", "yday", "isdst"];

fn unix(ctx: &RouteContext<'_>) -> i64 {
    ctx.now.unix() as i64
}

fn text(formatted: Option<Vec<u8>>) -> Value<'static> {
    formatted.filter(|t| !t.is_empty()).map_or(Value::Null, Value::owned)
}

fn part(time: Option<BrokenDown>, pv: &Pv) -> Value<'static> {
    let Some(t) = time else { return Value::Null };
    // Seen in 5.6: months, days of the week and of the year are counted from 1.
    let parts = [t.second, t.minute, t.hour, t.day, t.month, t.year, t.weekday + 1, t.yearday + 1, 0];
    parts.get(pv.keyword()).map_or(Value::Null, |n| Value::Int(*n))
}

fn time_value<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    let micros = ctx.now.unix_micros;
    match pv.keyword() {
        0 | 2 => Value::Int(unix(ctx)),
        1 | 3 => Value::Int((micros % 1_000_000) as i64),
        _ => Value::owned(format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)),
    }
}

fn define<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Option<&'c str> {
    let name = pv.inner_text(ctx);
    ctx.core.config.defines.get(std::str::from_utf8(&name).ok()?).map(String::as_str)
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text)
}

/// An environment variable; names with `=` or NUL have no value.
pub fn environment_variable(name: &[u8]) -> Option<Vec<u8>> {
    let name = std::str::from_utf8(name).ok().filter(|n| !n.is_empty() && !n.contains(['=', '\0']))?;
    std::env::var(name).ok().map(String::into_bytes)
}

fn environment(ctx: &RouteContext<'_>, pv: &Pv) -> Option<Vec<u8>> {
    environment_variable(&pv.inner_text(ctx))
}

/// Counts calls of this worker.
#[derive(Default)]
struct Counter(u64);

fn next_id(ctx: &RouteContext<'_>) -> u64 {
    let mut slots = ctx.worker.slots.borrow_mut();
    let counter = slots.slot::<Counter>();
    counter.0 += 1;
    counter.0
}
