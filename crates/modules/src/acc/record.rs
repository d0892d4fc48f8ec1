//! One thing that is accounted: its values, the log line and the rows made of it.

use std::sync::Arc;

use message::{HeaderName, Message};
use script::{RouteContext, clock};
use store::Value;
use store::journal::Row;

use super::Acc;
use super::extra::{Extra, Legs};

/// What every record has.
#[derive(Debug, Default)]
pub(super) struct Record {
    method: Vec<u8>,
    from_tag: Vec<u8>,
    to_tag: Vec<u8>,
    call_id: Vec<u8>,
    code: String,
    reason: Vec<u8>,
}

impl Record {
    /// Of a request and the reply that the context names; a reply made here has the usual reason phrase and this server's To tag.
    pub(super) fn of_reply(acc: &Acc, ctx: &RouteContext<'_>) -> Record {
        let reply = ctx.reply.as_deref();
        let code = ctx.reply_code;
        let to_tag = tag(ctx.message.to().ok())
            .or_else(|| reply.and_then(|r| tag(r.to().ok())))
            .or_else(|| reply.is_none().then(|| ctx.transactions.to_tag(ctx, false)).flatten());
        let phrase = match reply {
            Some(reply) => reply.reason().to_vec(),
            None => usual_reason(code).as_bytes().to_vec(),
        };
        let reason = match acc.settings.reason_from_hf {
            true => reply.and_then(|r| r.header(HeaderName::Reason)).map_or(phrase, |h| h.value.to_vec()),
            false => phrase,
        };
        Record {
            to_tag: to_tag.unwrap_or_default(),
            code: code.to_string(),
            reason,
            ..Record::of_request(acc, ctx)
        }
    }

    /// Of a request to which a code is given.
    pub(super) fn of_code(acc: &Acc, ctx: &RouteContext<'_>, code: u16) -> Record {
        let reason = usual_reason(code).as_bytes().to_vec();
        Record { code: code.to_string(), reason, ..Record::of_request(acc, ctx) }
    }

    /// Of a request with the comment of a script: `404 Not found`, or any text.
    pub(super) fn of_comment(acc: &Acc, ctx: &RouteContext<'_>, comment: &[u8]) -> Record {
        let digits = comment.iter().take_while(|b| b.is_ascii_digit()).count();
        let (code, reason) = match comment.split_at_checked(3) {
            Some((code, rest)) if digits == 3 && rest.first().is_none_or(|b| *b == b' ') => {
                (String::from_utf8_lossy(code).into_owned(), rest.trim_ascii_start())
            }
            _ => (String::new(), comment),
        };
        Record { code, reason: reason.to_vec(), ..Record::of_request(acc, ctx) }
    }

    fn of_request(acc: &Acc, ctx: &RouteContext<'_>) -> Record {
        let message: &Message = &ctx.message;
        let mut record = Record {
            method: message.method_text().to_vec(),
            from_tag: tag(message.from().ok()).unwrap_or_default(),
            to_tag: tag(message.to().ok()).unwrap_or_default(),
            call_id: message.call_id().to_vec(),
            ..Record::default()
        };
        if acc.settings.detect_direction && !record.to_tag.is_empty() && crate::rr::is_upstream(ctx) {
            std::mem::swap(&mut record.from_tag, &mut record.to_tag);
        }
        record
    }

    /// A line as Kamailio's syslog has it, without its text in front.
    pub(super) fn line(
        &self,
        acc: &Acc,
        ctx: &RouteContext<'_>,
        extra: &[Extra],
        legs: Option<&Legs>,
    ) -> String {
        let mut out = format!("timestamp={}", unix(ctx)).into_bytes();
        for (name, value) in acc.times(ctx) {
            // The seconds stand in front already.
            if acc.settings.time_mode == 1 && name == acc.settings.time_attr {
                continue;
            }
            let value = match &value {
                Value::Int(n) => n.to_string().into_bytes(),
                Value::Float(f) => format!("{f:.3}").into_bytes(),
                other => other.as_text().unwrap_or_default().to_vec(),
            };
            pair(&mut out, name, &value);
        }
        pair(&mut out, "method", &self.method);
        pair(&mut out, "from_tag", &self.from_tag);
        pair(&mut out, "to_tag", &self.to_tag);
        pair(&mut out, "call_id", &self.call_id);
        pair(&mut out, "code", self.code.as_bytes());
        pair(&mut out, "reason", &self.reason);
        for extra in extra {
            pair(&mut out, &extra.name, &extra.text(ctx).unwrap_or_default());
        }
        if let Some(legs) = legs {
            for leg in legs.of(ctx) {
                for (name, value) in legs.names.iter().zip(leg) {
                    pair(&mut out, name, &value.unwrap_or_default());
                }
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    /// The rows for a table: one for each leg.
    pub(super) fn rows(
        &self,
        acc: &Acc,
        ctx: &RouteContext<'_>,
        table: &Arc<str>,
        extra: &[Extra],
        legs: Option<&Legs>,
    ) -> Vec<Row> {
        let s = &acc.settings;
        let mut columns: Vec<String> = [
            &s.acc_method_column,
            &s.acc_from_tag_column,
            &s.acc_to_tag_column,
            &s.acc_callid_column,
            &s.acc_sip_code_column,
            &s.acc_sip_reason_column,
            &s.acc_time_column,
        ]
        .map(String::clone)
        .into();
        let mut values = vec![
            Value::text(&self.method),
            Value::text(&self.from_tag),
            Value::text(&self.to_tag),
            Value::text(&self.call_id),
            Value::text(&self.code),
            Value::text(&self.reason),
            Value::Time(unix(ctx)),
        ];
        for (name, value) in acc.times(ctx) {
            columns.push(name.to_owned());
            values.push(value);
        }
        for extra in extra {
            columns.push(extra.name.clone());
            values.push(nullable(extra.text(ctx), s.acc_extra_nullable));
        }
        let Some(legs) = legs else {
            return vec![Row { table: table.clone(), columns: columns.into(), values }];
        };
        columns.extend(legs.names.iter().cloned());
        let columns: Arc<[String]> = columns.into();
        let row = |leg: Vec<Option<Vec<u8>>>| {
            let mut values = values.clone();
            values.extend(leg.into_iter().map(|value| nullable(value, s.acc_extra_nullable)));
            Row { table: table.clone(), columns: columns.clone(), values }
        };
        legs.of(ctx).into_iter().map(row).collect()
    }
}

impl Acc {
    /// The columns of `time_mode`.
    fn times(&self, ctx: &RouteContext<'_>) -> Vec<(&str, Value)> {
        let s = &self.settings;
        let micros = i64::try_from(ctx.now.unix_micros).unwrap_or(i64::MAX);
        let formatted =
            |text: Option<Vec<u8>>| vec![(s.time_attr.as_str(), Value::Text(text.unwrap_or_default()))];
        match s.time_mode {
            1 => vec![
                (s.time_attr.as_str(), Value::Int(micros / 1_000_000)),
                (s.time_exten.as_str(), Value::Int(micros % 1_000_000)),
            ],
            2 => vec![(s.time_attr.as_str(), Value::Float((micros / 1000) as f64 / 1000.0))],
            3 => formatted(clock::local(micros / 1_000_000, s.time_format.as_bytes())),
            4 => formatted(clock::utc(micros / 1_000_000, s.time_format.as_bytes())),
            _ => Vec::new(),
        }
    }
}

/// NULL or, where that is not wanted, no text.
pub(super) fn nullable(value: Option<Vec<u8>>, null: bool) -> Value {
    match value {
        Some(text) => Value::Text(text),
        None if null => Value::Null,
        None => Value::Text(Vec::new()),
    }
}

fn unix(ctx: &RouteContext<'_>) -> i64 {
    i64::try_from(ctx.now.unix_micros / 1_000_000).unwrap_or(i64::MAX)
}

fn tag(address: Option<message::NameAddr<'_>>) -> Option<Vec<u8>> {
    address?.tag().filter(|t| !t.is_empty()).map(<[u8]>::to_vec)
}

/// Line feeds in a value would make two lines of one.
fn pair(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.push(b';');
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    out.extend(value.iter().map(|b| if matches!(b, b'\r' | b'\n' | 0) { b' ' } else { *b }));
}

/// The phrase that goes with a code (RFC 3261 §21 and later), as records of replies made here have it whatever the script sent.
pub(super) fn usual_reason(code: u16) -> &'static str {
    match code {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        305 => "Use Proxy",
        380 => "Alternative Service",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        493 => "Undecipherable",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        _ => match code / 100 {
            1 => "Session Progress",
            2 => "OK",
            3 => "Redirection",
            4 => "Request Failure",
            5 => "Server Failure",
            _ => "Global Failure",
        },
    }
}
