//! What is wrong with a configuration, where, and what was probably meant.
//!
//! A [`Diagnostic`] prints as
//! ```text
//! kamailio.cfg:12:1: error: unknown core parameter 'childern'
//!   childern=4
//!   ^~~~~~~~ did you mean 'children'?
//! ```

use std::fmt;
use std::path::PathBuf;

use crate::source::{Sources, Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The server can start; the operator should know.
    Warning,
    /// The server must not start with this.
    Error,
}

/// One finding, with the line it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The file as it was named, or `command line`; empty when no place is known.
    pub file: PathBuf,
    /// Line, from 1; 0 when the finding is about the file as a whole.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Number of characters to underline.
    pub width: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The line's text.
    pub source_line: String,
    pub(crate) order: (u32, u32),
}

impl Diagnostic {
    /// A finding at `span`.
    pub fn at(severity: Severity, sources: &Sources, span: Span, message: impl Into<String>) -> Self {
        let place = sources.locate(span);
        Self {
            severity,
            file: place.file,
            line: place.line,
            column: place.column,
            width: place.width,
            message: message.into(),
            hint: None,
            source_line: place.text,
            order: (span.file, span.start),
        }
    }

    /// A finding about a file as a whole, such as one that cannot be read.
    pub fn about_file(severity: Severity, file: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self {
            severity,
            file: file.into(),
            line: 0,
            column: 0,
            width: 0,
            message: message.into(),
            hint: None,
            source_line: String::new(),
            order: (0, 0),
        }
    }

    /// Adds what to do about it.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether the server must not start.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The same text as `Display` with terminal colours.
    pub fn coloured(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = self.write(&mut text, true);
        text
    }

    fn write(&self, out: &mut impl fmt::Write, colour: bool) -> fmt::Result {
        let paint = |code: &'static str| if colour { code } else { "" };
        let (bold, off) = (paint("\x1b[1m"), paint("\x1b[0m"));
        let (word, tint) = match self.severity {
            Severity::Error => ("error", paint("\x1b[1;31m")),
            Severity::Warning => ("warning", paint("\x1b[1;35m")),
        };
        write!(out, "{bold}{}", self.file.display())?;
        if self.line > 0 {
            write!(out, ":{}:{}", self.line, self.column)?;
        }
        write!(out, ":{off} {tint}{word}:{off} {}", self.message)?;
        if self.line == 0 {
            return match &self.hint {
                Some(hint) => write!(out, "\n  {hint}"),
                None => Ok(()),
            };
        }
        // Tabs are shown as one blank each, so that the caret stands below its character.
        let shown: String = self.source_line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let trimmed = shown.trim_start();
        let cut = shown.chars().count() - trimmed.chars().count();
        write!(out, "\n  {}\n  ", trimmed.trim_end())?;
        for _ in 1..(self.column as usize).saturating_sub(cut) {
            out.write_char(' ')?;
        }
        write!(out, "{tint}^")?;
        let room = trimmed.trim_end().chars().count() + cut + 1;
        for _ in 1..(self.width as usize).min(room.saturating_sub(self.column as usize)) {
            out.write_char('~')?;
        }
        write!(out, "{off}")?;
        match &self.hint {
            Some(hint) => write!(out, " {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, false)
    }
}

impl std::error::Error for Diagnostic {}

/// Collects findings while a configuration is read.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) list: Vec<Diagnostic>,
}

impl Findings {
    pub(crate) fn error(
        &mut self,
        sources: &Sources,
        span: Span,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.push(Diagnostic::at(Severity::Error, sources, span, message))
    }

    pub(crate) fn warning(
        &mut self,
        sources: &Sources,
        span: Span,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.push(Diagnostic::at(Severity::Warning, sources, span, message))
    }

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        let at = self.list.len();
        self.list.push(diagnostic);
        &mut self.list[at]
    }
}

/// The candidate nearest to `word`, if it is near enough to be what was meant.
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = match word.chars().count() {
        0..=2 => return None,
        3..=5 => 1,
        6..=9 => 2,
        _ => 3,
    };
    let near = |c: &'a str| {
        (c != word && c.len().abs_diff(word.len()) <= limit).then(|| (edit_distance(word, c), c))
    };
    candidates
        .into_iter()
        .filter_map(near)
        .filter(|(d, _)| *d <= limit)
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`, ignoring case.
fn edit_distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().map(|c| c.to_ascii_lowercase()).collect();
    let b: Vec<char> = b.chars().map(|c| c.to_ascii_lowercase()).collect();
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (rows[i][j] + usize::from(x != y)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn shows_the_line_and_a_caret() {
        let mut sources = Sources::default();
        let file = sources.add(Path::new("kamailio.cfg"), "debug=2\n  childern=4\n".into());
        let found = Diagnostic::at(
            Severity::Error,
            &sources,
            Span::new(file, 10, 18),
            "unknown core parameter 'childern'",
        )
        .with_hint("did you mean 'children'?");
        let expected = "kamailio.cfg:2:3: error: unknown core parameter 'childern'\n  childern=4\n  ^~~~~~~~ did you mean 'children'?";
        assert_eq!(found.to_string(), expected);
        assert!(found.coloured().contains("\x1b[1;31m^"));
    }

    #[test]
    fn suggests_only_what_is_near() {
        assert_eq!(suggest("childern", ["children", "chroot"]), Some("children"));
        assert_eq!(suggest("lissten", ["children", "listen"]), Some("listen"));
        assert_eq!(suggest("elephant", ["children", "listen"]), None);
        assert_eq!(suggest("ab", ["abc"]), None);
    }
}
