//! Classes over lines, numbers and null: `line val num sql`.

use super::{TransformationRow, part, table};
use crate::Value;

pub(super) const LINE: &[TransformationRow] = table! { "pv", "line";
    "count" 0 0 Text "How many lines there are." |s, _| {
        if s.is_empty() {
            return Value::Null;
        }
        Value::owned(lines(&s).count().to_string())
    };
    "at" 1 1 Text "`{line.at,index}`: a line without its end, 0 is the first, -1 the last; empty when there is none." |s, a| {
        let index = a.int(0).unwrap_or(0);
        part(s, |t| {
            let at = crate::Index::At(index).position(lines(t).count());
            Some(at.and_then(|i| lines(t).nth(i)).unwrap_or_default())
        })
    };
    "sw" 1 1 Text "`{line.sw,text}`: the first line that begins with the text; empty when there is none." |s, a| {
        let what = a.text(0).into_owned();
        part(s, |t| Some(lines(t).find(|l| l.starts_with(&what)).unwrap_or_default()))
    };
};

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.split(|c| *c == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l))
}

pub(super) const VAL: &[TransformationRow] = table! { "pv", "val";
    "n0" 0 0 Value "0 for null." |v, _| if v.is_null() { Value::Int(0) } else { v };
    "ne" 0 0 Value "Empty text for null." |v, _| if v.is_null() { Value::str(b"") } else { v };
    "json" 0 0 Value "As JSON: `null`, a number, or a quoted string." |v, _| json(v, b"null");
    "jsonqe" 0 0 Value "As JSON, null as an empty string." |v, _| json(v, b"\"\"");
};

fn json<'c>(v: Value<'c>, null: &'static [u8]) -> Value<'c> {
    match v {
        Value::Null => Value::str(null),
        Value::Str(s) => Value::owned(serde_json::Value::from(String::from_utf8_lossy(&s)).to_string()),
        other => Value::owned(other.to_text().into_owned()),
    }
}

pub(super) const NUM: &[TransformationRow] = table! { "pv", "num";
    "fdigit" 0 0 Value "First digit of a number; null when it is none." |v, _| digit(&v, false);
    "ldigit" 0 0 Value "Last digit of a number; null when it is none." |v, _| digit(&v, true);
};

fn digit(v: &Value<'_>, last: bool) -> Value<'static> {
    let Some(n) = v.to_int() else { return Value::Null };
    let mut n = n.unsigned_abs();
    while !last && n > 9 {
        n /= 10;
    }
    Value::Int((n % 10) as i64)
}

pub(super) const SQL: &[TransformationRow] = table! { "sqlops", "sql";
    "val" 0 0 Value "As an SQL literal: `NULL`, a number, or a quoted string." |v, _| sql(v, b"NULL");
    "val.int" 0 0 Value "As an SQL literal, null as 0." |v, _| sql(v, b"0");
    "val.str" 0 0 Value "As an SQL literal, null as an empty string." |v, _| sql(v, b"''");
};

fn sql<'c>(v: Value<'c>, null: &'static [u8]) -> Value<'c> {
    let text = match v {
        Value::Null => return Value::str(null),
        Value::Str(s) => s,
        other => return Value::owned(other.to_text().into_owned()),
    };
    let mut out = vec![b'\''];
    for c in text.iter() {
        match c {
            b'\'' | b'"' | b'\\' => out.extend_from_slice(&[b'\\', *c]),
            0 => out.extend_from_slice(b"\\0"),
            _ => out.push(*c),
        }
    }
    out.push(b'\'');
    Value::owned(out)
}
