//! The directives themselves: `#!define` and its kin, conditionals, `#!subst`, includes.

use super::{Conditional, Define, Input, Preprocessor, nearest_directive};
use crate::expression::{self, Value};
use crate::lex::{Scanner, TokenKind, word_length};
use crate::source::Span;
use crate::subst::Subst;
use crate::{SubstKind, keywords};

pub(super) const DIRECTIVES: [&str; 26] = [
    "define",
    "def",
    "trydef",
    "trydefine",
    "redefine",
    "redef",
    "undef",
    "undefine",
    "tryundef",
    "tryundefine",
    "ifdef",
    "ifndef",
    "ifexp",
    "else",
    "endif",
    "subst",
    "substdef",
    "substdefs",
    "defenv",
    "defenvs",
    "trydefenv",
    "trydefenvs",
    "defexp",
    "defexps",
    "include_file",
    "import_file",
];

/// First lines that choose a dialect; Kamailio reads all of them as comments today.
const MARKERS: [&str; 7] = ["KAMAILIO", "OPENSER", "SER", "ALL", "MAXCOMPAT", "MAX_COMPAT", "TRUNKLINE"];

/// What happens when the name is defined already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    New,
    Keep,
    Replace,
}

/// The rest of a directive's line: joined continuation lines, and where it begins.
struct Rest {
    text: String,
    start: usize,
    end: usize,
}

impl Preprocessor<'_> {
    /// Handles the directive that the scanner stands before; false when there is none.
    pub(super) fn directive(&mut self, scanner: &mut Scanner<'_>, input: &Input) -> bool {
        let text = scanner.rest();
        let Some(body) = text.strip_prefix("#!").or_else(|| text.strip_prefix("!!")) else { return false };
        let word = body.get(..word_length(body)).unwrap_or("");
        let known = DIRECTIVES.contains(&word) && input.used_at.is_none();
        if text.starts_with("!!") && !known {
            return false;
        }
        let start = scanner.pos;
        let name = input.span(start, start + 2 + word.len());
        if !known {
            self.unknown(word, name, start);
            scanner.skip_line();
            return true;
        }
        scanner.pos += 2 + word.len();
        if matches!(word, "include_file" | "import_file") {
            self.include(scanner, input, word == "import_file", name);
            return true;
        }
        let rest = take_line(scanner);
        self.execute(word, &rest, name, input);
        true
    }

    fn unknown(&mut self, word: &str, span: Span, start: usize) {
        let marker = MARKERS.contains(&word) || (word.is_empty() && start == 0);
        if marker || word.is_empty() {
            return;
        }
        let found = self.found.warning(
            self.sources,
            span,
            format!("'#!{word}' is not a directive: the line is read as a comment"),
        );
        found.hint = nearest_directive(word).map(|near| format!("did you mean '#!{near}'?"));
    }

    fn execute(&mut self, word: &str, rest: &Rest, name: Span, input: &Input) {
        match word {
            "define" | "def" => self.define_line(rest, name, input, Mode::New),
            "trydef" | "trydefine" => self.define_line(rest, name, input, Mode::Keep),
            "redef" | "redefine" => self.define_line(rest, name, input, Mode::Replace),
            "undef" | "undefine" | "tryundef" | "tryundefine" => {
                let Some((id, span)) = self.single_name(word, rest, name, input) else { return };
                if !self.defines.remove(&id) && !word.starts_with("try") {
                    let found = self.found.warning(self.sources, span, format!("'{id}' is not defined"));
                    found.hint = Some("'#!tryundef' says nothing in this case".into());
                }
            }
            "ifdef" | "ifndef" | "ifexp" => {
                if let Some(truth) = self.condition(word, rest, name, input) {
                    self.open_conditional(word, name, truth);
                }
            }
            "else" | "endif" => self.close_conditional(word, rest, name, input),
            "subst" => self.subst_line(SubstKind::Subst, rest, name, input),
            "substdef" => self.subst_line(SubstKind::SubstDef, rest, name, input),
            "substdefs" => self.subst_line(SubstKind::SubstDefs, rest, name, input),
            "defenv" | "defenvs" | "trydefenv" | "trydefenvs" => {
                self.define_environment(word, rest, name, input)
            }
            _ => self.define_expression(word, rest, name, input),
        }
    }

    fn define_line(&mut self, rest: &Rest, name: Span, input: &Input, mode: Mode) {
        let Some((id, span, value)) = self.split_name(rest, name, input) else { return };
        let value = (!value.is_empty()).then(|| value.to_owned());
        self.define(&id, value, span, mode);
    }

    /// The first word of the line and what follows it.
    fn split_name<'r>(
        &mut self,
        rest: &'r Rest,
        name: Span,
        input: &Input,
    ) -> Option<(String, Span, &'r str)> {
        let text = rest.text.trim_start();
        let start = rest.start + (rest.text.len() - text.len());
        let length = text.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(text.len());
        let id = text.get(..length).unwrap_or("");
        let span = input.span(start, start + length);
        if id.is_empty() || id.starts_with('#') || id.starts_with("//") {
            let found =
                self.found.warning(self.sources, name, "the name is missing: the line is read as a comment");
            found.hint = Some("put a name behind the directive".into());
            return None;
        }
        if let Some(bad) = id.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '_') {
            let found = self.found.error(
                self.sources,
                span,
                format!("'{bad}' is not allowed in the name of a define"),
            );
            found.hint = Some("use letters, digits and '_'".into());
            return None;
        }
        Some((id.to_owned(), span, text.get(length..).unwrap_or("").trim()))
    }

    pub(super) fn define(&mut self, id: &str, value: Option<String>, span: Span, mode: Mode) {
        if let Some(known) = self.defines.find(id) {
            if mode == Mode::Keep {
                return;
            }
            if mode == Mode::New {
                let place = known.span.map(|s| format!(" ({})", self.sources.locate(s))).unwrap_or_default();
                let found = self.found.error(self.sources, span, format!("'{id}' is already defined{place}"));
                found.hint =
                    Some("use '#!redefine' to replace it, '#!trydef' to keep the first value".into());
                return;
            }
        }
        if value.is_some() && keywords::is_reserved(id) {
            let message = format!("'{id}' is a reserved word, which a define never replaces");
            self.found.warning(self.sources, span, message).hint = Some("choose another name".into());
        }
        self.defines.set(Define { name: id.to_owned(), value, span: Some(span) });
    }

    /// A line that holds one name and nothing else.
    fn single_name(&mut self, word: &str, rest: &Rest, name: Span, input: &Input) -> Option<(String, Span)> {
        let (id, span, behind) = self.split_name(rest, name, input)?;
        if !behind.is_empty() && !is_comment(behind) {
            let message = format!("'#!{word}' takes one name: the rest of the line is ignored");
            self.found.warning(self.sources, span.after(), message);
        }
        Some((id, span))
    }

    fn condition(&mut self, word: &str, rest: &Rest, name: Span, input: &Input) -> Option<bool> {
        if word == "ifexp" {
            let text = strip_comment(&rest.text);
            let defines = &self.defines;
            return match expression::evaluate(text, &|id| lookup(defines, id)) {
                Ok(value) => Some(value.is_true()),
                Err((at, why)) => {
                    let at = rest.start + at.min(text.len());
                    self.found.error(self.sources, input.span(at, at + 1), why);
                    Some(false)
                }
            };
        }
        let (id, _) = self.single_name(word, rest, name, input)?;
        Some(self.defines.is_defined(&id) == (word == "ifdef"))
    }

    fn open_conditional(&mut self, word: &str, opened: Span, truth: bool) {
        let outer = self.active();
        self.conditionals.push(Conditional {
            opened,
            directive: word.to_owned(),
            active: outer && truth,
            other: outer && !truth,
            has_else: false,
        });
    }

    fn close_conditional(&mut self, word: &str, rest: &Rest, name: Span, input: &Input) {
        if !rest.text.trim().is_empty() {
            let message = format!("Kamailio does not see '#!{word}' when text follows it on the line");
            let found = self.found.warning(self.sources, input.span(rest.start, rest.end), message);
            found.hint = Some("move it to a line of its own".into());
        }
        // Conditionals of an including file are not this file's to close.
        let own = self.conditionals.last_mut().filter(|c| c.opened.file == input.file);
        match (own, word) {
            (None, _) => {
                self.found.error(
                    self.sources,
                    name,
                    format!("'#!{word}' without '#!ifdef', '#!ifndef' or '#!ifexp'"),
                );
            }
            (Some(open), "else") if open.has_else => {
                let place = self.sources.locate(open.opened);
                self.found.error(
                    self.sources,
                    name,
                    format!("a second '#!else' for the '#!{}' on line {}", open.directive, place.line),
                );
            }
            (Some(open), "else") => {
                open.has_else = true;
                open.active = open.other;
            }
            _ => {
                self.conditionals.pop();
            }
        }
    }

    fn subst_line(&mut self, kind: SubstKind, rest: &Rest, name: Span, input: &Input) {
        let mut scanner = Scanner::new(&rest.text);
        scanner.skip_gap();
        let raw = match scanner.rest().starts_with(['"', '\'']) {
            true => scanner.token().filter(|raw| raw.fault.is_none()),
            false => None,
        };
        match raw {
            Some(raw) if raw.kind == TokenKind::Str => {
                let span = input.span(rest.start + raw.start, rest.start + raw.end);
                self.add_subst(kind, &raw.text, span);
            }
            _ => {
                let found = self.found.error(self.sources, name, "a rule between quotes must follow");
                found.hint = Some("such as \"/regexp/replacement/g\"".into());
            }
        }
    }

    pub(super) fn add_subst(&mut self, kind: SubstKind, rule: &str, span: Span) {
        let resolve = |class: &str, name: &str| match class {
            "env" => self.environment(name),
            _ => self.defines.value(name).map(str::to_owned),
        };
        let rule = match Subst::parse(rule, &resolve) {
            Ok(rule) => rule,
            Err(why) => {
                self.found.error(self.sources, span, why);
                return;
            }
        };
        let value = match kind {
            SubstKind::Subst => None,
            SubstKind::SubstDef => Some(rule.value()),
            SubstKind::SubstDefs => Some(quoted(&rule.value())),
        };
        if let Some(value) = value {
            let id = rule.pattern.clone();
            self.define(&id, Some(value), span, Mode::New);
        }
        self.substs.push(rule);
    }

    fn define_environment(&mut self, word: &str, rest: &Rest, name: Span, input: &Input) {
        let Some((id, span, behind)) = self.split_name(rest, name, input) else { return };
        let variable = match behind.strip_prefix('=') {
            Some(variable) => variable.split_whitespace().next().unwrap_or(""),
            None => &id,
        };
        match self.environment(variable) {
            Some(value) => {
                let value = if word.ends_with('s') { quoted(&value) } else { value };
                self.define(&id, Some(value), span, Mode::New);
            }
            None if word.starts_with("try") => {}
            None => {
                let found = self.found.error(
                    self.sources,
                    span,
                    format!("the environment variable '{variable}' is not set"),
                );
                found.hint = Some(format!("'#!try{word}' says nothing in this case"));
            }
        }
    }

    fn define_expression(&mut self, word: &str, rest: &Rest, name: Span, input: &Input) {
        let Some((id, span, behind)) = self.split_name(rest, name, input) else { return };
        let offset = rest.start + rest.text.find(behind).unwrap_or(0);
        let defines = &self.defines;
        match expression::evaluate(strip_comment(behind), &|id| lookup(defines, id)) {
            Ok(value) => {
                let value = if word == "defexps" { quoted(&value.to_string()) } else { value.to_string() };
                self.define(&id, Some(value), span, Mode::New);
            }
            Err((at, why)) => {
                self.found.error(self.sources, input.span(offset + at, offset + at + 1), why);
            }
        }
    }

    /// Moves on to the directive that ends a region that is not read.
    pub(super) fn skip_inactive(&mut self, scanner: &mut Scanner<'_>, input: &Input) {
        while !self.active() {
            if scanner.rest().is_empty() {
                return;
            }
            let line = scanner.rest().split('\n').next().unwrap_or("");
            let trimmed = line.trim_start();
            let body = trimmed.strip_prefix("#!").or_else(|| trimmed.strip_prefix("!!")).unwrap_or("");
            let word = body.get(..word_length(body)).unwrap_or("");
            let start = scanner.pos + (line.len() - trimmed.len());
            let name = input.span(start, start + 2 + word.len());
            match word {
                "ifdef" | "ifndef" | "ifexp" => {
                    self.open_conditional(word, name, false);
                    scanner.skip_line();
                }
                "else" | "endif" => {
                    scanner.pos = start + 2 + word.len();
                    let rest = take_line(scanner);
                    self.close_conditional(word, &rest, name, input);
                }
                _ => scanner.skip_line(),
            }
            if self.active() {
                return;
            }
            // Over the line feed.
            scanner.pos += usize::from(scanner.rest().starts_with('\n'));
        }
    }
}

fn lookup(defines: &super::Defines, id: &str) -> Option<Value> {
    let define = defines.find(id)?;
    Some(define.unquoted().map_or(Value::Number(1.0), |v| Value::Text(v.to_owned())))
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

pub(super) fn is_name(id: &str) -> bool {
    !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_comment(text: &str) -> bool {
    text.starts_with('#') || text.starts_with("//") || text.starts_with("/*")
}

/// Cuts a comment off an expression.
fn strip_comment(text: &str) -> &str {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (None, '#') => return text.get(..at).unwrap_or(text),
            (None, '/') if text.get(at..).is_some_and(|t| t.starts_with("//")) => {
                return text.get(..at).unwrap_or(text);
            }
            (Some(q), c) if q == c => quote = None,
            _ => {}
        }
    }
    text
}

/// Takes the rest of the line; a backslash at its end joins the next one.
fn take_line(scanner: &mut Scanner<'_>) -> Rest {
    let start = scanner.pos;
    let mut text = String::new();
    loop {
        let line = scanner.rest().split('\n').next().unwrap_or("");
        scanner.pos += line.len();
        let line = line.trim_end_matches('\r');
        match line.strip_suffix('\\') {
            Some(joined) if scanner.rest().starts_with('\n') => {
                text.push_str(joined);
                scanner.pos += 1;
            }
            _ => {
                text.push_str(line);
                return Rest { text, start, end: scanner.pos };
            }
        }
    }
}
