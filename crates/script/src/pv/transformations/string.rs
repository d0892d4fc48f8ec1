//! Class `s`: cutting, searching and counting.

use std::borrow::Cow;

use super::{Args, TransformationRow, find, part, slice, table};
use crate::Value;

type Text<'c> = Cow<'c, [u8]>;

pub(super) const ROWS: &[TransformationRow] = table! { "pv", "s";
    "len" 0 0 Text "Length in bytes." |s, _| Value::Int(s.len() as i64);
    "int" 0 0 Text "The text as an integer; null when it is not one." int;
    "intv" 0 0 Text "The integer the text begins with; 0 when it begins with none." |s, _| Value::Int(leading_int(&s));
    "tolower" 0 0 Text "ASCII letters in lower case." |s, _| map(s, <[u8]>::make_ascii_lowercase);
    "toupper" 0 0 Text "ASCII letters in upper case." |s, _| map(s, <[u8]>::make_ascii_uppercase);
    "numeric" 0 0 Text "The digits of the text." |s, _| keep(s, u8::is_ascii_digit);
    "rmws" 0 0 Text "Without white space." |s, _| keep(s, |c| !is_space(c));
    "rmhdws" 0 0 Text "Runs of white space as one space, as in a header on one line." rmhdws;
    "rmhlws" 0 0 Text "Without the white space that lines begin with." rmhlws;
    "trim" 0 0 Text "Without white space at both ends." |s, _| part(s, |t| Some(trim_end(trim_start(t))));
    "rtrim" 0 0 Text "Without white space at the end." |s, _| part(s, |t| Some(trim_end(t)));
    "ltrim" 0 0 Text "Without white space at the beginning." |s, _| part(s, |t| Some(trim_start(t)));
    "substr" 2 2 Text "`{s.substr,offset,length}`: a part of the text. A negative offset counts from the end, -1 is the last \
        character; length 0 is all that follows. Null when the offset lies outside or the length is negative." substr;
    "select" 2 2 Text "`{s.select,index,separator}`: a field between one-character separators; a negative index counts from \
        the end. Empty when there is none." select;
    "selectsw" 1 2 Text "`{s.selectsw,text,separator}`: the first field that begins with the text; the separator is a comma by default. \
        Null when there is none." selectsw;
    "strip" 1 1 Text "`{s.strip,n}`: without the first n characters." strip;
    "striptail" 1 1 Text "`{s.striptail,n}`: without the last n characters." striptail;
    "stripto" 1 1 Text "`{s.stripto,c}`: from the first such character on; empty when there is none." stripto;
    "replace" 2 2 Text "`{s.replace,match,text}`: every match replaced." replace;
    "rm" 1 1 Text "`{s.rm,match}`: every match removed." |s, a| replace_all(s, &a.text(0), b"");
    "count" 1 1 Text "`{s.count,c}`: how often the character occurs." |s, a| {
        let c = a.text(0).first().copied();
        Value::Int(s.iter().filter(|b| Some(**b) == c).count() as i64)
    };
    "before" 1 1 Text "`{s.before,text}`: what stands before the first match; everything when there is none." |s, a| {
        let end = find(&s, &a.text(0)).unwrap_or(s.len());
        slice(s, 0..end)
    };
    "after" 1 1 Text "`{s.after,text}`: what stands after the first match; empty when there is none." |s, a| {
        let what = a.text(0);
        let start = find(&s, &what).map_or(s.len(), |at| at + what.len());
        let end = s.len();
        slice(s, start..end)
    };
    "rbefore" 1 1 Text "`{s.rbefore,text}`: what stands before the last match; everything when there is none." |s, a| {
        let end = rfind(&s, &a.text(0)).unwrap_or(s.len());
        slice(s, 0..end)
    };
    "rafter" 1 1 Text "`{s.rafter,text}`: what stands after the last match; empty when there is none." |s, a| {
        let what = a.text(0);
        let start = rfind(&s, &what).map_or(s.len(), |at| at + what.len());
        let end = s.len();
        slice(s, start..end)
    };
    "charat" 1 1 Text "`{s.charat,n}`: the character at a position, 0 is the first; null outside." |s, a| {
        match a.int(0).and_then(|n| usize::try_from(n).ok()).filter(|n| *n < s.len()) {
            Some(n) => slice(s, n..n + 1),
            None => Value::Null,
        }
    };
    "byteat" 1 1 Text "`{s.byteat,n}`: the value of the byte at a position, 0 is the first; null outside." |s, a| {
        let byte = a.int(0).and_then(|n| s.get(usize::try_from(n).ok()?).copied());
        byte.map_or(Value::Null, |b| Value::Int(i64::from(b)))
    };
    "unquote" 0 0 Text "Without the quotes (double or single) around it." |s, _| unwrap_pair(s, &[(b'"', b'"'), (b'\'', b'\'')]);
    "unbracket" 0 0 Text "Without the brackets (`<> () [] {}`) around it." |s, _| {
        unwrap_pair(s, &[(b'<', b'>'), (b'(', b')'), (b'[', b']'), (b'{', b'}')])
    };
    "prefixes" 0 1 Text "`{s.prefixes,max}`: all beginnings, shortest first, with commas between." |s, a| prefixes(&s, a, "");
    "prefixes.quoted" 0 1 Text "`{s.prefixes.quoted,max}`: as `prefixes`, each in single quotes." |s, a| prefixes(&s, a, "'");
    "fmtlines" 2 2 Text "`{s.fmtlines,n,m}`: in lines of n characters, each further line with m spaces before it." |s, a| {
        lines(&s, a, b' ')
    };
    "fmtlinet" 2 2 Text "`{s.fmtlinet,n,m}`: in lines of n characters, each further line with m tabs before it." |s, a| {
        lines(&s, a, b'\t')
    };
    "ftime" 1 1 Text "`{s.ftime,format}`: Unix time in local time, by a strftime format." |s, a| {
        let time = std::str::from_utf8(&s).ok().and_then(|t| t.trim().parse().ok());
        let format = a.text(0);
        let text = time.and_then(|t| crate::clock::local(t, &format));
        text.map_or(Value::Null, Value::owned)
    };
};

fn int<'c>(s: Text<'c>, _: &Args<'c, '_>) -> Value<'c> {
    if s.is_empty() {
        return Value::Int(0);
    }
    std::str::from_utf8(&s).ok().and_then(|t| t.parse().ok()).map_or(Value::Null, Value::Int)
}

/// The number text begins with, as C's `atoi`; 0 for none.
pub fn leading_int(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let n = digits
        .iter()
        .take_while(|c| c.is_ascii_digit())
        .fold(0i64, |n, c| n.saturating_mul(10).saturating_add(i64::from(c - b'0')));
    if negative { -n } else { n }
}

fn map<'c>(s: Text<'c>, change: fn(&mut [u8])) -> Value<'c> {
    let mut v = s.into_owned();
    change(&mut v);
    Value::owned(v)
}

fn keep<'c>(s: Text<'c>, wanted: fn(&u8) -> bool) -> Value<'c> {
    if s.iter().all(wanted) {
        return Value::Str(s);
    }
    Value::owned(s.iter().copied().filter(wanted).collect::<Vec<_>>())
}

fn is_space(c: &u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\r' | b'\n')
}
fn trim_start(t: &[u8]) -> &[u8] {
    let at = t.iter().position(|c| !is_space(c)).unwrap_or(t.len());
    t.get(at..).unwrap_or_default()
}
fn trim_end(t: &[u8]) -> &[u8] {
    let end = t.iter().rposition(|c| !is_space(c)).map_or(0, |at| at + 1);
    t.get(..end).unwrap_or_default()
}

fn rmhdws<'c>(s: Text<'c>, _: &Args<'c, '_>) -> Value<'c> {
    let mut out = Vec::with_capacity(s.len());
    for c in trim_end(&s) {
        if !is_space(c) {
            out.push(*c);
        } else if out.last().is_some_and(|l| *l != b' ') {
            out.push(b' ');
        }
    }
    Value::owned(out)
}

fn rmhlws<'c>(s: Text<'c>, _: &Args<'c, '_>) -> Value<'c> {
    let mut out = Vec::with_capacity(s.len());
    for line in s.split_inclusive(|c| *c == b'\n') {
        let at = line.iter().position(|c| !matches!(c, b' ' | b'\t')).unwrap_or(line.len());
        out.extend_from_slice(line.get(at..).unwrap_or_default());
    }
    Value::owned(out)
}

fn substr<'c>(s: Text<'c>, a: &Args<'c, '_>) -> Value<'c> {
    let (Some(offset), Some(length)) = (a.int(0), a.int(1)) else { return Value::Null };
    let start = if offset < 0 { s.len() as i64 + offset } else { offset };
    let (Ok(start), Ok(length)) = (usize::try_from(start), usize::try_from(length)) else {
        return Value::Null;
    };
    if start >= s.len() {
        return Value::Null;
    }
    let end = if length == 0 { s.len() } else { start.saturating_add(length).min(s.len()) };
    slice(s, start..end)
}

fn select<'c>(s: Text<'c>, a: &Args<'c, '_>) -> Value<'c> {
    let (Some(index), separator) = (a.int(0), a.byte(1, b',')) else { return Value::Null };
    part(s, |t| {
        let mut fields = t.split(|c| *c == separator);
        let field = match usize::try_from(index) {
            Ok(n) => fields.nth(n),
            Err(_) => fields.rev().nth(usize::try_from(index.saturating_neg() - 1).unwrap_or(usize::MAX)),
        };
        Some(field.unwrap_or_default())
    })
}

fn selectsw<'c>(s: Text<'c>, a: &Args<'c, '_>) -> Value<'c> {
    let (what, separator) = (a.text(0), a.byte(1, b','));
    part(s, |t| t.split(|c| *c == separator).find(|f| f.starts_with(&what)))
}

fn strip<'c>(s: Text<'c>, a: &Args<'c, '_>) -> Value<'c> {
    let n = a.int(0).and_then(|n| usize::try_from(n).ok()).unwrap_or(0).min(s.len());
    let end = s.len();
    slice(s, n..end)
}

fn striptail<'c>(s: Text<'c>, a: &Args<'c, '_>) -> Value<'c> {
    let n = a.int(0).and_then(|n| usize::try_from(n).ok()).unwrap_or(0).min(s.len());
    let end = s.len() - n;
    slice(s, 0..end)
}

fn stripto<'c>(s: Text<'c>, a: &Args<'c, '_>) -> Value<'c> {
    let c = a.text(0).first().copied();
    let start = s.iter().position(|b| Some(*b) == c).unwrap_or(s.len());
    let end = s.len();
    slice(s, start..end)
}

fn replace<'c>(s: Text<'c>, a: &Args<'c, '_>) -> Value<'c> {
    let (what, with) = (a.text(0), a.text(1));
    replace_all(s, &what, &with)
}

fn replace_all<'c>(s: Text<'c>, what: &[u8], with: &[u8]) -> Value<'c> {
    if find(&s, what).is_none() {
        return Value::Str(s);
    }
    let mut out = Vec::with_capacity(s.len());
    let mut rest = &*s;
    while let Some(at) = find(rest, what) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(with);
        rest = &rest[at + what.len()..];
    }
    out.extend_from_slice(rest);
    Value::owned(out)
}

fn rfind(text: &[u8], what: &[u8]) -> Option<usize> {
    if what.is_empty() {
        return None;
    }
    text.windows(what.len()).rposition(|w| w == what)
}

fn unwrap_pair<'c>(s: Text<'c>, pairs: &[(u8, u8)]) -> Value<'c> {
    let wrapped = s.len() >= 2 && pairs.iter().any(|(a, b)| s.first() == Some(a) && s.last() == Some(b));
    if !wrapped {
        return Value::Str(s);
    }
    let end = s.len() - 1;
    slice(s, 1..end)
}

fn prefixes<'c>(s: &[u8], a: &Args<'c, '_>, quote: &str) -> Value<'c> {
    let max =
        a.int(0).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(s.len()).min(s.len());
    // The result grows with the square of the length: a bound keeps hostile text from filling memory.
    let mut out = Vec::new();
    for end in 1..=max.min(1024) {
        if end > 1 {
            out.push(b',');
        }
        out.extend_from_slice(quote.as_bytes());
        out.extend_from_slice(&s[..end]);
        out.extend_from_slice(quote.as_bytes());
    }
    Value::owned(out)
}

fn lines<'c>(s: &[u8], a: &Args<'c, '_>, pad: u8) -> Value<'c> {
    let width = a.int(0).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let indent = a.int(1).and_then(|n| usize::try_from(n).ok()).unwrap_or(0).min(255);
    let Some(width) = width else { return Value::Null };
    let mut out = Vec::with_capacity(s.len() + s.len() / width * (indent + 2));
    for (i, line) in s.chunks(width).enumerate() {
        if i > 0 {
            out.extend_from_slice(b"\r\n");
            out.resize(out.len() + indent, pad);
        }
        out.extend_from_slice(line);
    }
    Value::owned(out)
}
