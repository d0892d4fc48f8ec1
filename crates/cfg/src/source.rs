//! The texts that a configuration is made of, and places in them.
//!
//! Every token carries a [`Span`]; [`Sources`] turns it into file, line, column and the line's text. What the
//! command line contributes (`-A`, `--modparam`) is kept as a text too, so that its errors can be shown alike.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A stretch of one source text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    pub(crate) file: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn new(file: u32, start: usize, end: usize) -> Self {
        let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { file, start: clamp(start), end: clamp(end) }
    }

    /// From the beginning of `self` to the end of `other`; `self` when they lie in different files.
    pub(crate) fn to(self, other: Span) -> Span {
        if self.file == other.file && other.end >= self.start {
            Span { end: other.end, ..self }
        } else {
            self
        }
    }

    /// The empty place just behind this span.
    pub(crate) fn after(self) -> Span {
        Span { start: self.end, ..self }
    }
}

/// Where a [`Span`] begins, for a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file as it was named, or `command line`.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Number of characters that the span covers on this line, at least 1.
    pub width: u32,
    /// The text of the line, without its end.
    pub text: String,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

#[derive(Debug)]
struct SourceFile {
    path: PathBuf,
    text: Arc<str>,
    line_starts: Vec<u32>,
}

/// All texts read for one configuration.
#[derive(Debug, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

impl Sources {
    pub(crate) fn add(&mut self, path: &Path, text: Arc<str>) -> u32 {
        let starts = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at as u32 + 1);
        let line_starts = std::iter::once(0).chain(starts).collect();
        self.files.push(SourceFile { path: path.to_path_buf(), text, line_starts });
        (self.files.len() - 1) as u32
    }

    /// Resolves a place; an unknown one gives an empty location.
    pub fn locate(&self, span: Span) -> Location {
        let Some(file) = self.files.get(span.file as usize) else {
            return Location { file: PathBuf::new(), line: 0, column: 0, width: 1, text: String::new() };
        };
        let line = file.line_starts.partition_point(|start| *start <= span.start).max(1);
        let start = file.line_starts.get(line - 1).copied().unwrap_or(0) as usize;
        let rest = file.text.get(start..).unwrap_or("");
        let text = rest.split('\n').next().unwrap_or("").trim_end_matches('\r');
        let offset = (span.start as usize).saturating_sub(start);
        let chars_before = |upto: usize| text.char_indices().take_while(|(at, _)| *at < upto).count();
        let column = chars_before(offset);
        let width = chars_before((span.end as usize).saturating_sub(start)).saturating_sub(column).max(1);
        Location {
            file: file.path.clone(),
            line: line as u32,
            column: column as u32 + 1,
            width: width as u32,
            text: text.to_owned(),
        }
    }

    /// Column (from 0) of the first character of the line that `span` begins on that is not blank.
    pub(crate) fn indentation(&self, span: Span) -> usize {
        let text = self.locate(span).text;
        text.len() - text.trim_start().len()
    }
}
