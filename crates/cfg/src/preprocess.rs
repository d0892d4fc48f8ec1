//! The preprocessor: text to tokens.
//!
//! Directives begin with `#!` or `!!`, anywhere outside strings and comments, and end with the line. Names that were
//! defined are replaced by what they stand for, strings pass through the `#!subst` rules, included files are read in
//! place. Reserved words (parameters, statements) are never replaced.

mod defines;
mod directives;

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Findings, Severity, suggest};
use crate::lex::{Fault, Gap, Raw, Scanner, Token, TokenKind};
use crate::source::{Sources, Span};
use crate::subst::Subst;
use crate::{Options, keywords, modules};

pub use defines::{Define, Defines};

/// Kamailio's bound.
const MAX_INCLUDE_DEPTH: usize = 10;
/// Defines inside of defines.
const MAX_EXPANSION_DEPTH: usize = 32;
/// More tokens than any real configuration has; bounds defines that double themselves.
const MAX_TOKENS: usize = 250_000;
/// A longer file is not a configuration.
const MAX_FILE_SIZE: u64 = 16 << 20;

/// What preprocessing leaves for the parser.
pub(crate) struct Preprocessed {
    pub(crate) tokens: Vec<Token>,
    pub(crate) defines: Defines,
    pub(crate) files: Vec<PathBuf>,
}

/// An `#!ifdef` that is not closed yet.
struct Conditional {
    opened: Span,
    directive: String,
    /// This branch is read.
    active: bool,
    /// The `#!else` branch will be read.
    other: bool,
    has_else: bool,
}

pub(crate) struct Preprocessor<'a> {
    sources: &'a mut Sources,
    found: &'a mut Findings,
    options: &'a Options,
    defines: Defines,
    substs: Vec<Subst>,
    conditionals: Vec<Conditional>,
    tokens: Vec<Token>,
    files: Vec<PathBuf>,
    /// Files being read, outermost first, each with the place that included it.
    open: Vec<(PathBuf, Option<Span>)>,
    expanding: Vec<String>,
    overflow: bool,
    environment: Option<HashMap<&'a str, &'a str>>,
}

/// One text on its way through [`Preprocessor::scan`].
struct Input {
    text: Arc<str>,
    file: u32,
    /// Set for the value of a define: the place where it is used.
    used_at: Option<Span>,
    /// Of the name that a define replaces.
    gap: Gap,
}

impl Input {
    fn span(&self, start: usize, end: usize) -> Span {
        self.used_at.unwrap_or_else(|| Span::new(self.file, start, end))
    }
}

impl<'a> Preprocessor<'a> {
    pub(crate) fn new(sources: &'a mut Sources, found: &'a mut Findings, options: &'a Options) -> Self {
        let environment = options
            .environment
            .as_ref()
            .map(|list| list.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect());
        let mut new = Self {
            sources,
            found,
            options,
            defines: Defines::predefined(options.kamailio_version),
            substs: Vec::new(),
            conditionals: Vec::new(),
            tokens: Vec::new(),
            files: Vec::new(),
            open: Vec::new(),
            expanding: Vec::new(),
            overflow: false,
            environment,
        };
        new.command_line();
        new
    }

    fn command_line(&mut self) {
        let options = self.options;
        for (name, value) in &options.defines {
            let text = value.as_ref().map_or_else(|| name.clone(), |v| format!("{name}={v}"));
            let span = self.argument(&text);
            if directives::is_name(name) {
                self.define(name, value.clone(), span, directives::Mode::New);
            } else {
                let message = format!("'{name}' cannot be the name of a define");
                self.found.error(self.sources, span, message).hint =
                    Some("use letters, digits and '_'".into());
            }
        }
        for (kind, rule) in &options.substs {
            let span = self.argument(rule);
            self.add_subst(*kind, rule, span);
        }
        for name in &options.loadmodules {
            self.defines.set_module(&modules::module_name(name));
        }
    }

    /// Keeps a command line argument as a source, so that findings can show it.
    fn argument(&mut self, text: &str) -> Span {
        let file = self.sources.add(Path::new("command line"), text.into());
        Span::new(file, 0, text.len())
    }

    /// Reads the main file.
    pub(crate) fn run(mut self, path: &Path) -> Preprocessed {
        self.read_file(path, None);
        self.finish()
    }

    /// Reads a text as if it were the file `path`.
    pub(crate) fn run_text(mut self, path: &Path, text: &str) -> Preprocessed {
        self.read_text(path, text.into(), None);
        self.finish()
    }

    fn finish(self) -> Preprocessed {
        Preprocessed { tokens: self.tokens, defines: self.defines, files: self.files }
    }

    fn read_file(&mut self, path: &Path, included_at: Option<Span>) {
        let bytes = match read_bounded(path) {
            Ok(bytes) => bytes,
            Err(why) => {
                let message = format!("cannot read '{}': {why}", path.display());
                match included_at {
                    Some(span) => self.found.error(self.sources, span, message),
                    None => self.found.push(Diagnostic::about_file(
                        Severity::Error,
                        path,
                        format!("cannot read the file: {why}"),
                    )),
                };
                return;
            }
        };
        let lossy = String::from_utf8_lossy(&bytes);
        let broken = std::str::from_utf8(&bytes).err().map(|e| e.valid_up_to());
        let file = self.read_text(path, lossy.as_ref().into(), included_at);
        if let Some(at) = broken {
            let found = self.found.warning(
                self.sources,
                Span::new(file, at, at + 1),
                "this byte is not UTF-8; it was replaced",
            );
            found.hint = Some("save the file as UTF-8".into());
        }
    }

    fn read_text(&mut self, path: &Path, text: Arc<str>, included_at: Option<Span>) -> u32 {
        let file = self.sources.add(path, text.clone());
        self.files.push(path.to_path_buf());
        self.open.push((path.to_path_buf(), included_at));
        let level = self.conditionals.len();
        self.scan(&Input { text, file, used_at: None, gap: Gap::default() });
        self.open.pop();
        for unclosed in self.conditionals.drain(level.min(self.conditionals.len())..) {
            let message = format!("'#!{}' has no '#!endif' in this file", unclosed.directive);
            self.found.error(self.sources, unclosed.opened, message);
        }
        file
    }

    fn active(&self) -> bool {
        // An inner one is active only if the outer one is.
        self.conditionals.last().is_none_or(|c| c.active)
    }

    fn scan(&mut self, input: &Input) {
        let mut scanner = Scanner::new(&input.text);
        let mut first_of_expansion = input.used_at.is_some();
        let mut long_string: Option<Span> = None;
        // A directive is a line of its own to the tokens around it.
        let mut after_directive = false;
        loop {
            if input.used_at.is_none() && !self.active() {
                self.skip_inactive(&mut scanner, input);
            }
            let mut gap = scanner.skip_gap();
            if std::mem::take(&mut after_directive) {
                (gap.space, gap.newline, gap.comment) = (true, true, true);
            }
            if let Some(at) = gap.unclosed_comment {
                let found =
                    self.found.error(self.sources, input.span(at, at + 2), "this comment is not closed");
                found.hint = Some("add '*/'".into());
            }
            if std::mem::take(&mut first_of_expansion) {
                gap = input.gap;
            }
            if self.directive(&mut scanner, input) {
                after_directive = true;
                continue;
            }
            let Some(raw) = scanner.token() else { return };
            let span = input.span(raw.start, raw.end);
            self.report_fault(&raw, span, long_string);
            if raw.kind == TokenKind::Str
                && long_string.is_none()
                && scanner.text.get(raw.start..raw.end).is_some_and(|s| s.contains('\n'))
            {
                long_string = Some(span);
            }
            if self.tokens.len() >= MAX_TOKENS {
                self.overflow(
                    span,
                    format!("more than {MAX_TOKENS} tokens: a define probably repeats itself"),
                );
            }
            if self.overflow {
                return;
            }
            match raw.kind {
                TokenKind::Ident if matches!(raw.text.as_str(), "include_file" | "import_file") => {
                    self.include(&mut scanner, input, raw.text == "import_file", span);
                    after_directive = true;
                }
                TokenKind::Ident => self.name(raw, span, gap),
                _ => self.emit(raw, span, gap),
            }
        }
    }

    fn report_fault(&mut self, raw: &Raw, span: Span, long_string: Option<Span>) {
        match raw.fault {
            None => {}
            Some(Fault::UnclosedString) => match long_string {
                // An earlier string has probably swallowed a line or more.
                Some(long) => {
                    let line = self.sources.locate(span).line;
                    let hint = format!(
                        "it runs over several lines, and then no quote is left for the string on line {line}"
                    );
                    self.found.error(self.sources, long, "this string is probably not closed").hint =
                        Some(hint);
                }
                None => {
                    self.found.error(self.sources, span, "this string is not closed").hint =
                        Some("add the closing quote".into());
                }
            },
            Some(Fault::UnclosedPv) => {
                self.found.error(
                    self.sources,
                    span,
                    "the '(' of this pseudo-variable is not closed on its line",
                );
            }
            Some(Fault::NumberTooLarge) => {
                self.found.error(self.sources, span, format!("the number {} is too large", raw.text));
            }
        }
    }

    /// A name: replaced if it is defined.
    fn name(&mut self, raw: Raw, span: Span, gap: Gap) {
        let replaceable = !keywords::is_reserved(&raw.text) && !self.expanding.contains(&raw.text);
        let value = self.defines.find(&raw.text).filter(|_| replaceable).map(|d| d.value.clone());
        match value {
            None | Some(None) => self.emit(raw, span, gap),
            Some(Some(value)) => {
                if self.expanding.len() >= MAX_EXPANSION_DEPTH {
                    self.overflow(span, format!("the defines behind '{}' are nested too deeply", raw.text));
                    return;
                }
                self.expanding.push(raw.text);
                self.scan(&Input { text: value.as_str().into(), file: span.file, used_at: Some(span), gap });
                self.expanding.pop();
            }
        }
    }

    /// Nothing more is read: defines have grown beyond every bound.
    fn overflow(&mut self, span: Span, message: String) {
        if !std::mem::replace(&mut self.overflow, true) {
            self.found.error(self.sources, span, message);
        }
    }

    fn emit(&mut self, raw: Raw, span: Span, gap: Gap) {
        let mut text = raw.text;
        if raw.kind == TokenKind::Str {
            for rule in &self.substs {
                if let Some(changed) = rule.apply(&text) {
                    text = changed;
                }
            }
            // "a" "b" is "ab" when nothing but blanks is between them.
            if let Some(last) = self.tokens.last_mut().filter(|t| t.kind == TokenKind::Str && !gap.comment) {
                last.text.push_str(&text);
                last.span = last.span.to(span);
                return;
            }
            self.note_module(&text);
        }
        self.tokens.push(Token {
            kind: raw.kind,
            text,
            span,
            space_before: gap.space,
            newline_before: gap.newline,
        });
    }

    /// `loadmodule "tm.so"` defines `MOD_tm` for the lines behind it.
    fn note_module(&mut self, name: &str) {
        let mut before = self.tokens.iter().rev();
        let mut last = before.next();
        if last.is_some_and(|t| t.is("(")) {
            last = before.next();
        }
        if last.is_some_and(|t| t.is_ident("loadmodule") || t.is_ident("loadmodulex")) {
            self.defines.set_module(&modules::module_name(name));
        }
    }

    fn include(&mut self, scanner: &mut Scanner<'_>, input: &Input, optional: bool, directive: Span) {
        let blank = scanner.rest().len() - scanner.rest().trim_start_matches([' ', '\t']).len();
        scanner.pos += blank;
        let raw = match scanner.rest().starts_with(['"', '\'']) {
            true => scanner.token(),
            false => None,
        };
        let Some(raw) = raw else {
            self.found.error(
                self.sources,
                directive,
                "the name of the file to include must follow, between quotes",
            );
            return;
        };
        let span = input.span(raw.start, raw.end);
        self.report_fault(&raw, span, None);
        let name = self.substs.iter().fold(raw.text, |text, rule| rule.apply(&text).unwrap_or(text));
        let path = self.resolve(&name);
        if self.open.iter().any(|(open, _)| same_file(open, &path)) {
            let chain: Vec<_> = self.open.iter().map(|(p, _)| p.display().to_string()).collect();
            let found = self.found.error(self.sources, span, format!("'{name}' includes itself"));
            found.hint = Some(format!("{} -> {}", chain.join(" -> "), path.display()));
            return;
        }
        if self.open.len() > MAX_INCLUDE_DEPTH {
            self.found.error(
                self.sources,
                span,
                format!("includes are nested more than {MAX_INCLUDE_DEPTH} deep"),
            );
            return;
        }
        if optional && !path.exists() {
            return;
        }
        self.read_file(&path, Some(span));
    }

    /// As Kamailio: as given, relative to the working directory, if there is such a file; else beside the including file.
    fn resolve(&self, name: &str) -> PathBuf {
        let given = Path::new(name);
        match self.open.last().and_then(|(open, _)| open.parent()) {
            Some(folder) if !given.exists() => folder.join(given),
            _ => given.to_path_buf(),
        }
    }

    fn environment(&self, name: &str) -> Option<String> {
        match &self.environment {
            Some(map) => map.get(name).map(|v| (*v).to_owned()),
            None => std::env::var_os(name).map(|v| v.to_string_lossy().into_owned()),
        }
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|e| plain(&e))?;
    if file.metadata().is_ok_and(|m| m.is_dir()) {
        return Err("it is a directory".into());
    }
    // Counted while reading: a pipe or a device has no size.
    let mut bytes = Vec::new();
    file.take(MAX_FILE_SIZE + 1).read_to_end(&mut bytes).map_err(|e| plain(&e))?;
    match bytes.len() as u64 > MAX_FILE_SIZE {
        true => Err(format!("it is larger than {} MiB", MAX_FILE_SIZE >> 20)),
        false => Ok(bytes),
    }
}

/// The operating system's reason without its number.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// The directive that was probably meant.
fn nearest_directive(word: &str) -> Option<&'static str> {
    suggest(word, directives::DIRECTIVES)
}
