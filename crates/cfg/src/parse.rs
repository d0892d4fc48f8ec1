//! Tokens to a [`Config`]: the statements of the main level.
//!
//! After an error parsing goes on behind the line, the `;` or the block, so that one run tells everything.

mod blocks;
mod sockets;
mod statements;

use crate::config::Config;
use crate::diagnostic::{Diagnostic, Findings, suggest};
use crate::lex::{Token, TokenKind};
use crate::params::{self, CoreParam, ParamKind};
use crate::preprocess::Preprocessed;
use crate::route::RouteKind;
use crate::source::{Sources, Span};
use crate::value::{Assignment, CustomGlobal, Value, boolean};
use crate::{Options, keywords};

pub(crate) fn parse(
    input: Preprocessed,
    sources: &mut Sources,
    found: &mut Findings,
    options: &Options,
) -> Config {
    let config = Config { defines: input.defines, files: input.files, ..Config::default() };
    let mut parser = Parser { tokens: input.tokens, pos: 0, sources, found, config, workers: None };
    parser.command_line(options);
    parser.file();
    parser.config
}

pub(crate) struct Parser<'a> {
    tokens: Vec<Token>,
    pos: usize,
    sources: &'a mut Sources,
    found: &'a mut Findings,
    config: Config,
    /// `socket_workers` for the next socket.
    workers: Option<u32>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.pos)
    }

    fn ahead(&self, n: usize) -> Option<&Token> {
        self.tokens.get(self.pos + n)
    }

    fn ahead_is(&self, n: usize, punct: &str) -> bool {
        self.ahead(n).is_some_and(|t| t.is(punct))
    }

    fn take(&mut self, punct: &str) -> bool {
        let there = self.ahead_is(0, punct);
        self.pos += usize::from(there);
        there
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned()?;
        self.pos += 1;
        Some(token)
    }

    /// The place where something is missing: behind the last token.
    fn behind(&self) -> Span {
        self.pos.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(Span::default(), |t| t.span.after())
    }

    fn error(&mut self, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.found.error(self.sources, span, message)
    }

    fn warning(&mut self, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.found.warning(self.sources, span, message)
    }

    fn file(&mut self) {
        while let Some(token) = self.peek() {
            let before = self.pos;
            if token.is(";") {
                self.pos += 1;
            } else if token.kind == TokenKind::Ident {
                self.statement();
            } else {
                self.unexpected();
            }
            self.pos = self.pos.max(before + 1);
        }
    }

    fn unexpected(&mut self) {
        let Some(token) = self.next() else { return };
        if token.is("}") {
            let hint = "a '{' is missing before it, or it is one too many";
            self.error(token.span, "this '}' closes nothing").hint = Some(hint.into());
        } else {
            let message = format!(
                "{} cannot stand here: a parameter, loadmodule, modparam or a route block is expected",
                token.described()
            );
            self.error(token.span, message);
        }
        self.skip_to_statement();
    }

    fn statement(&mut self) {
        let Some(token) = self.next() else { return };
        let word = token.text.as_str();
        if let Some(kind) = RouteKind::parse(word) {
            return self.route_block(kind, token.span);
        }
        match word {
            "loadmodule" | "loadmodulex" => return self.loadmodule(&token),
            "modparam" | "modparamx" => return self.modparam(&token),
            "flags" | "bool" | "avpflags" => return self.flags(&token),
            _ => {}
        }
        if self.ahead_is(0, ".")
            && self.ahead(1).is_some_and(|t| t.kind == TokenKind::Ident)
            && self.ahead_is(2, "=")
        {
            return self.dotted(&token);
        }
        match params::find(word) {
            Some(row) => self.parameter(row, &token),
            None => self.unknown(&token),
        }
    }

    fn unknown(&mut self, token: &Token) {
        let word = &token.text;
        let names = || params::names().map(|(name, _)| name).chain(keywords::STATEMENTS);
        let near = suggest(word, names());
        if self.ahead_is(0, "=") {
            let hint = near.map(|near| format!("did you mean '{near}'?"));
            self.error(token.span, format!("unknown core parameter '{word}'")).hint = hint;
            return self.skip_line();
        }
        if self.ahead_is(0, "{") || (self.ahead_is(0, "[") && self.block_follows()) {
            let hint = near.map(|near| format!("did you mean '{near}'?"));
            self.error(token.span, format!("unknown kind of block '{word}'")).hint = hint;
            return self.skip_block();
        }
        match near {
            Some(near) => {
                self.error(token.span, format!("unknown word '{word}'")).hint =
                    Some(format!("did you mean '{near}'?"));
                self.skip_line();
            }
            None if self.ahead_is(0, "(") || keywords::is_action(word) => {
                let hint = "is there a '}' too many before it?";
                self.error(token.span, format!("'{word}' stands outside of a route block")).hint =
                    Some(hint.into());
                self.skip_to_statement();
            }
            None => {
                self.error(token.span, format!("unknown word '{word}': a parameter, loadmodule, modparam or a route block is expected"));
                self.skip_line();
            }
        }
    }

    /// `group.name = value desc "..."`.
    fn dotted(&mut self, group: &Token) {
        self.pos += 1;
        let Some(name) = self.next() else { return };
        let full = format!("{}.{}", group.text, name.text);
        let span = group.span.to(name.span);
        if let Some(row) = params::find(&full) {
            return self.parameter(row, &Token { text: full, span, ..group.clone() });
        }
        if group.text == "kemi" {
            let near =
                suggest(&full, params::names().map(|(name, _)| name).filter(|n| n.starts_with("kemi.")));
            let hint = near.map(|near| format!("did you mean '{near}'?"));
            self.error(span, format!("unknown core parameter '{full}'")).hint = hint;
            return self.skip_line();
        }
        self.pos += 1;
        let Some((value, _)) = self.scalar(&full) else { return };
        let mut description = None;
        if self.peek().is_some_and(|t| t.is_ident("desc") || t.is_ident("descr") || t.is_ident("description"))
            && self.ahead(1).is_some_and(|t| t.kind == TokenKind::Str)
        {
            self.pos += 1;
            description = self.next().map(|t| t.text);
        }
        self.config.custom.push(CustomGlobal {
            group: group.text.clone(),
            name: name.text,
            value,
            description,
            span,
        });
        self.end_of_statement();
    }

    /// A number, a string, or `yes` and `no`.
    fn scalar(&mut self, what: &str) -> Option<(Value, Span)> {
        let expected = format!("a number or a string between quotes is expected for '{what}'");
        let negative = self.ahead_is(0, "-");
        let token = self.ahead(usize::from(negative)).cloned();
        let value = match &token {
            Some(Token { kind: TokenKind::Int(n), .. }) => Some(Value::Int(if negative { -n } else { *n })),
            Some(Token { kind: TokenKind::Str, text, .. }) if !negative => Some(Value::Str(text.clone())),
            Some(Token { kind: TokenKind::Ident, text, .. }) if !negative => {
                boolean(text).map(|b| Value::Int(b.into()))
            }
            _ => None,
        };
        match (value, token) {
            (Some(value), Some(token)) => {
                self.pos += 1 + usize::from(negative);
                Some((value, token.span))
            }
            (None, Some(token)) if !token.newline_before || token.kind == TokenKind::Str => {
                let hint = self.word_hint(&token);
                self.error(token.span, expected).hint = hint;
                self.skip_line();
                None
            }
            _ => {
                let span = self.behind();
                self.error(span, expected);
                None
            }
        }
    }

    /// What may be meant by a bare word where a value is expected.
    fn word_hint(&self, token: &Token) -> Option<String> {
        if token.kind != TokenKind::Ident {
            return None;
        }
        let word = &token.text;
        match self.config.defines.iter().find(|d| &d.name == word) {
            Some(define) if define.value.is_none() => {
                return Some(format!("'{word}' is defined without a value"));
            }
            _ => {}
        }
        match self.near_define(word) {
            Some(near) => Some(format!("did you mean '{near}'?")),
            None => Some(format!("'{word}' is not defined; a string needs quotes: \"{word}\"")),
        }
    }

    /// The define of the configuration that `word` may be a slip of.
    fn near_define(&self, word: &str) -> Option<&str> {
        suggest(word, self.config.defines.iter().filter(|d| d.span.is_some()).map(|d| d.name.as_str()))
    }

    /// `name = value` of a core parameter; the name is taken.
    fn parameter(&mut self, row: &'static CoreParam, name: &Token) {
        if row.kind == ParamKind::Indexed {
            return self.indexed(row, name);
        }
        let optional = matches!(row.kind, ParamKind::Path | ParamKind::Engine);
        let follows = optional && self.peek().is_some_and(|t| !t.newline_before && !t.is(";"));
        if !self.take("=") && !follows {
            let span = self.behind();
            let hint = format!("{} = {}", name.text, row.kind.describe());
            self.error(span, format!("'=' expected after '{}'", name.text)).hint = Some(hint);
            return self.skip_line();
        }
        if self.peek().is_none_or(|t| t.is(";") || (t.newline_before && self.starts_statement(self.pos))) {
            let span = self.behind();
            self.error(
                span,
                format!("the value of '{}' is missing: {} is expected", name.text, row.kind.describe()),
            );
            return;
        }
        match row.kind {
            ParamKind::Listen => return self.listen(),
            ParamKind::Alias => return self.alias(),
            ParamKind::Socket => return self.socket(),
            _ => {}
        }
        let start = self.pos;
        let Some((value, span)) = self.typed_value(row.kind) else {
            self.pos = start;
            let Some(token) = self.peek().cloned() else { return };
            let hint = self.kind_hint(row.kind, &token);
            self.error(
                token.span,
                format!("'{}' takes {}, not {}", name.text, row.kind.describe(), token.described()),
            )
            .hint = hint;
            return self.skip_line();
        };
        self.assign(row, name, value, span);
        self.end_of_statement();
    }

    fn kind_hint(&self, kind: ParamKind, token: &Token) -> Option<String> {
        match (kind, &token.kind) {
            (ParamKind::Uint | ParamKind::Int | ParamKind::Bool, TokenKind::Str) => {
                Some("leave the quotes out".into())
            }
            (ParamKind::Ident, TokenKind::Str) => Some(format!("leave the quotes out: {}", token.text)),
            (ParamKind::Bool, TokenKind::Ident) => {
                let small = token.text.to_ascii_lowercase();
                let meant = boolean(&small).map(|_| small.as_str());
                let words = ["yes", "no", "on", "off", "true", "false", "enable", "disable"];
                meant
                    .or_else(|| suggest(&small, words))
                    .map(|near| format!("did you mean '{near}'?"))
                    .or_else(|| self.word_hint(token))
            }
            (ParamKind::Uint | ParamKind::Int | ParamKind::Port, TokenKind::Ident) => {
                self.near_define(&token.text).map(|near| format!("did you mean '{near}'?"))
            }
            (ParamKind::Str | ParamKind::Path | ParamKind::Engine, TokenKind::Ident) => self.word_hint(token),
            (ParamKind::Str | ParamKind::Path | ParamKind::Engine, TokenKind::Int(_)) => {
                Some(format!("a string needs quotes: \"{}\"", token.text))
            }
            _ => None,
        }
    }

    fn typed_value(&mut self, kind: ParamKind) -> Option<(Value, Span)> {
        let token = self.peek().cloned()?;
        let one = |value: Option<Value>| value.map(|v| (v, token.span, 1));
        let number = match &token.kind {
            TokenKind::Int(n) => Some((Value::Int(*n), token.span, 1)),
            TokenKind::Ident => one(boolean(&token.text).map(|b| Value::Int(b.into()))),
            _ => None,
        };
        let string = one((token.kind == TokenKind::Str).then(|| Value::Str(token.text.clone())));
        let ident = one((token.kind == TokenKind::Ident).then(|| Value::Ident(token.text.clone())));
        let taken = match kind {
            ParamKind::Uint | ParamKind::Bool => number,
            ParamKind::Port => {
                number.filter(|(value, ..)| value.as_int().is_some_and(|n| (0..=65535).contains(&n)))
            }
            ParamKind::Int if token.is("-") => match self.ahead(1) {
                Some(Token { kind: TokenKind::Int(n), span, .. }) => {
                    Some((Value::Int(-n), token.span.to(*span), 2))
                }
                _ => None,
            },
            ParamKind::Int => number,
            ParamKind::Str | ParamKind::Path | ParamKind::Engine => string,
            // The others are numbers to Kamailio.
            ParamKind::Word => string.or(ident.filter(|_| number.is_none())),
            ParamKind::Ident => ident,
            ParamKind::IntOrIdent => number.or(ident),
            ParamKind::Proto => ident.filter(|(value, ..)| {
                let proto = value.as_str().and_then(crate::Proto::parse);
                proto.is_some_and(|p| !matches!(p, crate::Proto::Ws | crate::Proto::Wss))
            }),
            ParamKind::Host | ParamKind::Ipv4 | ParamKind::Ipv6 => {
                if kind != ParamKind::Host && string.is_some() {
                    return None;
                }
                let (text, span) = self.joined()?;
                let bare = text.trim_start_matches('[').trim_end_matches(']');
                let fits = match kind {
                    ParamKind::Ipv4 => bare.parse::<std::net::Ipv4Addr>().is_ok(),
                    ParamKind::Ipv6 => bare.parse::<std::net::Ipv6Addr>().is_ok(),
                    _ => !bare.is_empty(),
                };
                return fits.then(|| (Value::Str(bare.to_owned()), span));
            }
            ParamKind::Listen | ParamKind::Alias | ParamKind::Socket | ParamKind::Indexed => None,
        };
        let (value, span, length) = taken?;
        self.pos += length;
        Some((value, span))
    }

    fn assign(&mut self, row: &'static CoreParam, name: &Token, value: Value, value_span: Span) {
        match (row.name, &value) {
            ("loadpath", Value::Str(path)) => {
                self.config.loadpath = path.split(':').filter(|p| !p.is_empty()).map(str::to_owned).collect();
            }
            ("cfgengine", Value::Str(engine)) => {
                let span = name.span.to(value_span);
                self.config.cfgengine = Some(crate::EngineChoice { name: engine.clone(), span });
            }
            ("socket_workers", Value::Int(n)) => self.workers = u32::try_from(*n).ok(),
            (name, Value::Ident(word) | Value::Str(word)) => self.choice(name, word, value_span),
            _ => {}
        }
        self.config.params.push(Assignment { name: row.name.to_owned(), value, span: name.span, value_span });
    }

    /// Says so when a parameter takes certain words only, and this is none of them.
    fn choice(&mut self, name: &str, word: &str, span: Span) {
        let (choices, what, such_as): (&[&str], _, _) = match name {
            "log_facility" => (&FACILITIES, "a syslog facility", "such as LOG_DAEMON or LOG_LOCAL0"),
            "tcp_poll_method" => (&POLL_METHODS, "a way to watch sockets", "such as epoll_lt or poll"),
            "ipv6_hex_style" => (&["A", "a", "c"], "a style of IPv6 addresses", "\"A\", \"a\" or \"c\""),
            _ => return,
        };
        let fits = |choice: &&str| match choice.len() {
            1 => word.starts_with(*choice),
            _ => choice.eq_ignore_ascii_case(word),
        };
        if choices.iter().any(fits) {
            return;
        }
        let near = suggest(word, choices.iter().copied()).map(|near| format!("did you mean '{near}'?"));
        self.error(span, format!("'{word}' is not {what}")).hint = near.or_else(|| Some(such_as.into()));
    }

    /// `coreparam[name] = value`.
    fn indexed(&mut self, row: &'static CoreParam, name: &Token) {
        let index = self.ahead(1).filter(|t| matches!(t.kind, TokenKind::Ident | TokenKind::Str)).cloned();
        let (Some(index), true, true, true) =
            (index, self.ahead_is(0, "["), self.ahead_is(2, "]"), self.ahead_is(3, "="))
        else {
            self.error(name.span, format!("'{}' needs a name between brackets", row.name)).hint =
                Some("coreparam[name] = value".into());
            return self.skip_line();
        };
        self.pos += 4;
        let value = match self.peek().cloned() {
            Some(t) if t.kind == TokenKind::Ident && boolean(&t.text).is_none() => {
                self.pos += 1;
                Some((Value::Ident(t.text), t.span))
            }
            _ => self.scalar(&index.text),
        };
        if let Some((value, value_span)) = value {
            let name = format!("coreparam.{}", index.text);
            self.config.params.push(Assignment { name, value, span: index.span, value_span });
            self.end_of_statement();
        }
    }

    /// Something behind a complete statement on its line, other than another statement, is an error.
    fn end_of_statement(&mut self) {
        if self.take(";") {
            return;
        }
        if let Some(token) =
            self.peek().filter(|t| !t.newline_before && !self.starts_statement(self.pos)).cloned()
        {
            self.error(token.span, format!("{} is not expected here", token.described())).hint =
                Some("the statement ends before it".into());
            self.skip_line();
        }
    }

    /// Whether a statement of the main level begins at `at`, as far as can be seen from its first tokens.
    fn starts_statement(&self, at: usize) -> bool {
        let Some(token) = self.tokens.get(at).filter(|t| t.kind == TokenKind::Ident) else { return false };
        if keywords::STATEMENTS.contains(&token.text.as_str()) {
            return true;
        }
        let Some(next) = self.tokens.get(at + 1) else { return false };
        let dotted = next.is(".") && self.tokens.get(at + 3).is_some_and(|t| t.is("="));
        next.is("=")
            || next.is("{")
            || dotted
            || next.kind == TokenKind::Str && params::find(&token.text).is_some()
    }

    /// To the next line or behind a `;`.
    fn skip_line(&mut self) {
        while let Some(token) = self.peek().filter(|t| !t.newline_before) {
            if token.is("{") {
                return self.skip_block();
            }
            let done = token.is(";");
            self.pos += 1;
            if done {
                return;
            }
        }
    }

    /// Behind the block that begins at the next `{`.
    fn skip_block(&mut self) {
        let mut depth = 0usize;
        while let Some(token) = self.peek() {
            if token.is("{") {
                depth += 1;
            } else if token.is("}") {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    self.pos += 1;
                    return;
                }
            } else if token.newline_before && self.starts_block(self.pos) {
                return;
            }
            self.pos += 1;
        }
    }

    /// To the next line that certainly begins a statement.
    fn skip_to_statement(&mut self) {
        while let Some(token) = self.peek() {
            let known = token.kind == TokenKind::Ident
                && (keywords::STATEMENTS.contains(&token.text.as_str())
                    && !(token.text == "route" && self.ahead_is(1, "("))
                    || params::find(&token.text).is_some() && self.ahead_is(1, "="));
            if token.newline_before && known {
                return;
            }
            self.pos += 1;
        }
    }
}

const FACILITIES: [&str; 20] = [
    "LOG_AUTH",
    "LOG_AUTHPRIV",
    "LOG_CRON",
    "LOG_DAEMON",
    "LOG_FTP",
    "LOG_KERN",
    "LOG_LPR",
    "LOG_MAIL",
    "LOG_NEWS",
    "LOG_SYSLOG",
    "LOG_USER",
    "LOG_UUCP",
    "LOG_LOCAL0",
    "LOG_LOCAL1",
    "LOG_LOCAL2",
    "LOG_LOCAL3",
    "LOG_LOCAL4",
    "LOG_LOCAL5",
    "LOG_LOCAL6",
    "LOG_LOCAL7",
];

const POLL_METHODS: [&str; 7] = ["poll", "epoll_lt", "epoll_et", "sigio_rt", "select", "kqueue", "/dev/poll"];
