//! Characters to tokens.
//!
//! [`Scanner`] reads one text. It knows comments, strings, numbers, names, pseudo-variables and operators, but
//! nothing of the preprocessor: that asks it for one token after the other and decides what becomes of a name.

use crate::source::Span;

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A name: `request_route`, `yes`, `xlog`.
    Ident,
    /// A number, in decimal, `0x1f`, `017` or `101b`.
    Int(i64),
    /// A string; the token's text is its value, without quotes, escapes resolved and `#!subst` applied.
    Str,
    /// A pseudo-variable with its argument: `$ru`, `$var(x)`, `$(hdr(From){s.len})`.
    Pv,
    /// An operator or bracket.
    Punct,
    /// A character that has no meaning in a configuration.
    Other,
}

/// One token of a configuration, after preprocessing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its text; of a string, the value.
    pub text: String,
    /// Where it was written; a token that came out of a define has the place where the define was used.
    pub span: Span,
    /// White space or a comment stands before it.
    pub space_before: bool,
    /// It is the first of its line.
    pub newline_before: bool,
}

impl Token {
    pub(crate) fn is(&self, punct: &str) -> bool {
        self.kind == TokenKind::Punct && self.text == punct
    }

    pub(crate) fn is_ident(&self, name: &str) -> bool {
        self.kind == TokenKind::Ident && self.text == name
    }

    /// As a reader would name it in a message.
    pub(crate) fn described(&self) -> String {
        match self.kind {
            TokenKind::Str => format!("\"{}\"", self.text),
            _ => format!("'{}'", self.text),
        }
    }
}

/// What stood between two tokens.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gap {
    pub(crate) space: bool,
    pub(crate) newline: bool,
    pub(crate) comment: bool,
    pub(crate) unclosed_comment: Option<usize>,
}

/// What can be wrong with a single token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    UnclosedString,
    UnclosedPv,
    NumberTooLarge,
}

/// A token before the preprocessor has looked at it.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) kind: TokenKind,
    pub(crate) text: String,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) fault: Option<Fault>,
}

const OPERATORS: [&str; 30] = [
    "==", "!=", "=~", "!~", "<=", ">=", "&&", "||", "<<", ">>", "=>", "{", "}", "(", ")", "[", "]", "=", "<",
    ">", "!", "+", "-", "*", "/", "%", "&", "|", "^", "~",
];
const MORE_OPERATORS: [&str; 6] = [":", ";", ",", ".", "@", "?"];

pub(crate) struct Scanner<'a> {
    pub(crate) text: &'a str,
    pub(crate) pos: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, pos: 0 }
    }

    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.pos..).unwrap_or("")
    }

    /// Skips white space and comments; stops before `#!`, which may be a directive.
    pub(crate) fn skip_gap(&mut self) -> Gap {
        let mut gap = Gap { newline: self.pos == 0, ..Gap::default() };
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            if blank > 0 {
                gap.space = true;
                gap.newline |= rest.get(..blank).is_some_and(|s| s.contains('\n'));
                self.pos += blank;
                continue;
            }
            if (rest.starts_with('#') && !rest.starts_with("#!")) || rest.starts_with("//") {
                self.skip_line();
            } else if rest.starts_with("/*") {
                match rest.get(2..).and_then(|body| body.find("*/")) {
                    Some(end) => {
                        gap.newline |= rest.get(..end + 4).is_some_and(|s| s.contains('\n'));
                        self.pos += end + 4;
                    }
                    None => {
                        gap.unclosed_comment = Some(self.pos);
                        self.pos = self.text.len();
                    }
                }
            } else {
                return gap;
            }
            gap.comment = true;
            gap.space = true;
        }
    }

    /// Moves to the end of the line, before its line feed.
    pub(crate) fn skip_line(&mut self) {
        self.pos += self.rest().find('\n').unwrap_or(self.rest().len());
    }

    /// The next token; `None` at the end. The scanner must stand behind a gap.
    pub(crate) fn token(&mut self) -> Option<Raw> {
        let rest = self.rest();
        let first = rest.chars().next()?;
        let start = self.pos;
        let mut fault = None;
        let (kind, text, length) = match first {
            '"' | '\'' => match read_string(rest, first) {
                Some((value, length)) => (TokenKind::Str, value, length),
                None => {
                    // Carry on behind this line, so that the rest of the file is still checked.
                    let line = rest.find('\n').unwrap_or(rest.len());
                    fault = Some(Fault::UnclosedString);
                    (TokenKind::Str, rest.get(1..line).unwrap_or("").to_owned(), line)
                }
            },
            '$' => {
                let (length, closed) = pv_length(rest);
                if !closed {
                    fault = Some(Fault::UnclosedPv);
                }
                (TokenKind::Pv, rest.get(..length).unwrap_or("").to_owned(), length)
            }
            c if c.is_ascii_alphanumeric() || c == '_' => {
                let length = word_length(rest);
                let word = rest.get(..length).unwrap_or("");
                let kind = match number(word) {
                    Some(Some(value)) => TokenKind::Int(value),
                    Some(None) => {
                        fault = Some(Fault::NumberTooLarge);
                        TokenKind::Int(i64::MAX)
                    }
                    None => TokenKind::Ident,
                };
                (kind, word.to_owned(), length)
            }
            c => match OPERATORS.iter().chain(&MORE_OPERATORS).find(|op| rest.starts_with(**op)) {
                Some(op) => (TokenKind::Punct, (*op).to_owned(), op.len()),
                None => (TokenKind::Other, c.to_string(), c.len_utf8()),
            },
        };
        self.pos += length;
        Some(Raw { kind, text, start, end: self.pos, fault })
    }
}

pub(crate) fn word_length(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// The value and the length with quotes of the string at the beginning of `text`.
///
/// A string's value between double quotes, so that [`Scanner`] reads the same value again.
pub(crate) fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

/// Between double quotes `\n \r \t \a \\ \" \xHH \OO` are escapes and a backslash at a line's end joins lines; any
/// other backslash stays, as `\.` in a regular expression must. Between single quotes nothing is an escape.
pub(crate) fn read_string(text: &str, quote: char) -> Option<(String, usize)> {
    let body = text.get(1..)?;
    if quote == '\'' {
        let end = body.find('\'')?;
        return Some((body.get(..end)?.to_owned(), end + 2));
    }
    let mut value = String::new();
    let mut chars = body.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, at + 2)),
            '\\' => {
                let rest = body.get(at + 1..).unwrap_or("");
                let (replacement, length) = escape(rest);
                match replacement {
                    Some(c) => value.extend(c),
                    None => value.push('\\'),
                }
                for _ in 0..length {
                    chars.next();
                }
            }
            c => value.push(c),
        }
    }
    None
}

/// What the characters behind a backslash stand for, and how many they are; `(None, 0)` when it is no escape.
fn escape(rest: &str) -> (Option<Option<char>>, usize) {
    let one = |c| (Some(Some(c)), 1);
    let radix = |digits: &str, radix| u8::from_str_radix(digits, radix).ok().map(char::from);
    match rest.bytes().next() {
        Some(b'n') => one('\n'),
        Some(b'r') => one('\r'),
        Some(b't') => one('\t'),
        Some(b'a') => one('\x07'),
        Some(b'\\') => one('\\'),
        Some(b'"') => one('"'),
        Some(b'\n') => (Some(None), 1),
        Some(b'x') => {
            let length = rest.bytes().skip(1).take(2).take_while(u8::is_ascii_hexdigit).count();
            match rest.get(1..1 + length).and_then(|digits| radix(digits, 16)) {
                Some(c) => (Some(Some(c)), 1 + length),
                None => (None, 0),
            }
        }
        Some(b'0'..=b'7') => {
            // One digit is a back reference of `#!subst`, two or three are a character.
            let length = rest.bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
            match rest.get(..length).filter(|_| length >= 2).and_then(|digits| radix(digits, 8)) {
                Some(c) => (Some(Some(c)), length),
                None => (None, 0),
            }
        }
        _ => (None, 0),
    }
}

/// `None`: not a number. `Some(None)`: a number that does not fit.
fn number(word: &str) -> Option<Option<i64>> {
    let parse = |digits: &str, radix| i64::from_str_radix(digits, radix).ok();
    let all = |digits: &str, set: fn(&u8) -> bool| !digits.is_empty() && digits.bytes().all(|b| set(&b));
    if let Some(hex) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        return all(hex, u8::is_ascii_hexdigit).then(|| parse(hex, 16));
    }
    if let Some(binary) = word.strip_suffix('b') {
        return all(binary, |b| matches!(b, b'0' | b'1')).then(|| parse(binary, 2));
    }
    if word.len() > 1 && word.starts_with('0') && all(word, |b| (b'0'..=b'7').contains(b)) {
        return Some(parse(word, 8));
    }
    all(word, u8::is_ascii_digit).then(|| parse(word, 10))
}

/// Length of the pseudo-variable at the beginning of `text`, and whether its brackets are closed on the line.
fn pv_length(text: &str) -> (usize, bool) {
    let after = |n: usize| text.get(n..).unwrap_or("");
    // `$?` is the last return code.
    if text.starts_with("$$") || text.starts_with("$?") {
        return (2, true);
    }
    let name = word_length(after(1));
    let mut end = 1 + name;
    if after(end).starts_with('(') {
        match bracket_length(after(end)) {
            Some(length) => end += length,
            None => return (after(end).find('\n').map_or(text.len(), |n| end + n), false),
        }
    }
    (end.max(1), true)
}

fn bracket_length(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, b) in text.bytes().enumerate() {
        match b {
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b'\n' => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut scanner = Scanner::new(text);
        let mut found = Vec::new();
        loop {
            scanner.skip_gap();
            let Some(raw) = scanner.token() else { return found };
            found.push(format!("{:?} {}", raw.kind, raw.text));
        }
    }

    #[test]
    fn numbers_and_names() {
        assert_eq!(
            all("10 0x1F 017 101b 1A eth0"),
            ["Int(10) 10", "Int(31) 0x1F", "Int(15) 017", "Int(5) 101b", "Ident 1A", "Ident eth0"]
        );
    }

    #[test]
    fn comments_are_gaps() {
        assert_eq!(all("a # b\n// c\n/* d\ne */ f /* g"), ["Ident a", "Ident f"]);
    }

    #[test]
    fn strings_as_kamailio_reads_them() {
        let value = |text: &str| read_string(text, text.chars().next().unwrap_or('"'));
        assert_eq!(value(r#""a\tb\\c\"d\x41\101\.\1\q" x"#), Some(("a\tb\\c\"dAA\\.\\1\\q".into(), 26)));
        assert_eq!(value(r"'a\tb' x"), Some(("a\\tb".into(), 6)));
        assert_eq!(value("\"a\nb\""), Some(("a\nb".into(), 5)));
        assert_eq!(value("\"a"), None);
    }

    #[test]
    fn pseudo_variables_are_one_token() {
        assert_eq!(
            all("$ru=$(hdr(From)[0]{s.substr,(1)}) $xavp(a=>b[0]);"),
            ["Pv $ru", "Punct =", "Pv $(hdr(From)[0]{s.substr,(1)})", "Pv $xavp(a=>b[0])", "Punct ;"]
        );
    }
}
