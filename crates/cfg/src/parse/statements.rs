//! `loadmodule`, `modparam`, `flags`, and what the command line adds to them.

use std::path::Path;

use super::Parser;
use crate::Options;
use crate::lex::{Token, TokenKind};
use crate::modules::{self, LoadModule, ModParam, module_name};
use crate::source::Span;
use crate::value::Value;

impl Parser<'_> {
    pub(super) fn command_line(&mut self, options: &Options) {
        for written in &options.loadmodules {
            let span = self.argument(written);
            self.add_module(written, String::new(), false, span);
        }
        for argument in &options.modparams {
            let span = self.argument(argument);
            let mut parts = argument.splitn(4, ':');
            let (Some(pattern), Some(name), Some(kind), Some(value)) =
                (parts.next(), parts.next(), parts.next(), parts.next())
            else {
                self.error(span, "'--modparam' takes module:parameter:type:value");
                continue;
            };
            let value = match (kind, value.parse()) {
                ("s", _) => Value::Str(value.to_owned()),
                ("i", Ok(number)) => Value::Int(number),
                ("i", Err(_)) => {
                    self.error(span, format!("'{value}' is not a number"));
                    continue;
                }
                _ => {
                    self.error(span, format!("unknown type '{kind}'")).hint =
                        Some("'s' for a string or 'i' for a number".into());
                    continue;
                }
            };
            self.add_modparam(pattern, name, value, false, [span; 4]);
        }
    }

    fn argument(&mut self, text: &str) -> Span {
        let file = self.sources.add(Path::new("command line"), text.into());
        Span::new(file, 0, text.len())
    }

    /// `loadmodule "m"`, `loadmodule("m")`, `loadmodule("m", "options")`; the keyword is taken.
    pub(super) fn loadmodule(&mut self, keyword: &Token) {
        let bracket = self.take("(");
        let Some(name) = self.string("the name of a module") else { return };
        let mut options = String::new();
        if bracket {
            if self.take(",") {
                let Some(given) = self.string("a string of options such as \"g\"") else { return };
                options = given.text;
            }
            if !self.take(")") {
                let span = self.behind();
                self.error(span, "')' is missing here");
            }
        }
        self.add_module(&name.text, options, keyword.text == "loadmodulex", name.span);
        self.end_of_statement();
    }

    fn add_module(&mut self, written: &str, options: String, expand: bool, span: Span) {
        let name = module_name(written);
        if name.is_empty() {
            self.error(span, "the name of the module is empty");
            return;
        }
        if let Some(first) = self.config.module(&name) {
            if !options.contains(['o', 'O']) {
                let message =
                    format!("the module '{name}' is loaded already ({})", self.sources.locate(first.span));
                self.warning(span, message).hint = Some("delete this line".into());
            }
            return;
        }
        self.config.modules.push(LoadModule { name, as_written: written.to_owned(), options, expand, span });
    }

    /// A string, or an error that says what should be in it.
    fn string(&mut self, what: &str) -> Option<Token> {
        match self.peek().cloned() {
            Some(token) if token.kind == TokenKind::Str => {
                self.pos += 1;
                Some(token)
            }
            Some(token) if !token.newline_before => {
                let hint = (token.kind == TokenKind::Ident)
                    .then(|| format!("a string needs quotes: \"{}\"", token.text));
                self.error(token.span, format!("{what} is expected, between quotes")).hint = hint;
                self.skip_line();
                None
            }
            _ => {
                let span = self.behind();
                self.error(span, format!("{what} is expected here, between quotes"));
                None
            }
        }
    }

    /// `modparam("modules", "name", value)`; the keyword is taken.
    pub(super) fn modparam(&mut self, keyword: &Token) {
        if !self.punct("(", "after 'modparam'") {
            return;
        }
        let Some(pattern) = self.string("the module") else { return };
        if !self.punct(",", "after the module") {
            return;
        }
        let Some(name) = self.string("the parameter's name") else { return };
        if !self.punct(",", "after the parameter's name") {
            return;
        }
        let Some((value, value_span)) = self.scalar(&name.text) else { return };
        if !self.punct(")", "after the value") {
            return;
        }
        let expand = keyword.text == "modparamx";
        self.add_modparam(
            &pattern.text,
            &name.text,
            value,
            expand,
            [pattern.span, name.span, value_span, keyword.span.to(value_span)],
        );
        self.end_of_statement();
    }

    fn punct(&mut self, punct: &str, place: &str) -> bool {
        if self.take(punct) {
            return true;
        }
        let span = self.behind();
        self.error(span, format!("'{punct}' expected {place}")).hint =
            Some("modparam(\"module\", \"name\", value)".into());
        self.skip_line();
        false
    }

    fn add_modparam(&mut self, pattern: &str, name: &str, value: Value, expand: bool, spans: [Span; 4]) {
        let [module_span, name_span, value_span, span] = spans;
        let modules = match modules::matching(pattern, &self.config.modules) {
            Ok(modules) => modules,
            Err(why) => {
                self.error(module_span, format!("bad pattern of modules: {why}"));
                return;
            }
        };
        if modules.is_empty() {
            let later = self.loaded_later(pattern);
            let loaded = self.config.modules.iter().map(|m| m.name.as_str());
            let hint = match (later, crate::suggest(pattern, loaded)) {
                (Some(line), _) => format!("it is loaded on line {line}: move the modparam behind that"),
                (None, Some(near)) => format!("did you mean '{near}'?"),
                (None, None) => format!("add 'loadmodule \"{pattern}.so\"' before this line"),
            };
            self.error(module_span, format!("no module '{pattern}' is loaded here")).hint = Some(hint);
            return;
        }
        let (pattern, name) = (pattern.to_owned(), name.to_owned());
        self.config.modparams.push(ModParam {
            modules,
            pattern,
            name,
            value,
            expand,
            module_span,
            name_span,
            value_span,
            span,
        });
    }

    /// The line of a `loadmodule` further down that loads `name`.
    fn loaded_later(&self, name: &str) -> Option<u32> {
        let rest = self.tokens.get(self.pos..).unwrap_or(&[]);
        let loads = rest.windows(3).filter(|w| w.first().is_some_and(|t| t.is_ident("loadmodule")));
        let mut strings = loads.flat_map(|w| w.iter().find(|t| t.kind == TokenKind::Str));
        strings.find(|t| module_name(&t.text) == name).map(|t| self.sources.locate(t.span).line)
    }

    /// `flags A : 1, B`; the keyword is taken.
    pub(super) fn flags(&mut self, keyword: &Token) {
        loop {
            let named = |t: &&Token| matches!(t.kind, TokenKind::Ident | TokenKind::Str);
            let Some(name) = self.peek().filter(named).cloned() else {
                let span = self.behind();
                self.error(span, format!("the name of a flag is expected after '{}'", keyword.text));
                return self.skip_line();
            };
            self.pos += 1;
            let mut number = None;
            if self.take(":") {
                match self.next() {
                    Some(Token { kind: TokenKind::Int(n), .. }) if (0..=31).contains(&n) => {
                        number = u32::try_from(n).ok()
                    }
                    _ => {
                        let message = format!("the number of the flag '{}' is expected: 0 to 31", name.text);
                        self.error(name.span, message);
                        return self.skip_line();
                    }
                }
            }
            self.config.flags.push((name.text, number));
            if !self.take(",") {
                break;
            }
        }
        self.end_of_statement();
    }
}
