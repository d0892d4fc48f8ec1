//! Regular expressions of scripts, compiled once per worker: POSIX extended as Kamailio has them, over bytes.

use regex::bytes::{Regex, RegexBuilder};
use script::RouteContext;

/// Expressions one worker remembers; a script that builds more of them at run time pays for compiling.
const LIMIT: usize = 256;
/// Bytes a compiled expression may take.
const SIZE_LIMIT: usize = 1 << 20;

/// Compiled expressions, the last used ones at the end.
#[derive(Default)]
struct Compiled(Vec<(Box<[u8]>, Flags, Regex)>);

/// How an expression is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flags {
    /// Letters match in either case.
    pub ignore_case: bool,
    /// `^` and `$` match at every line.
    pub lines: bool,
    /// `.` matches the end of a line too.
    pub dot_all: bool,
}

impl Flags {
    /// As most functions of Kamailio compile: without case, line by line (POSIX `REG_ICASE|REG_NEWLINE`).
    pub(crate) const USUAL: Flags = Flags { ignore_case: true, lines: true, dot_all: false };
    /// Over a whole body: `^.+$` takes all of it.
    pub(crate) const AT_ONCE: Flags = Flags { ignore_case: true, lines: true, dot_all: true };
}

/// Compiles, or finds what was compiled before. A bad expression is logged and is an error.
pub(crate) fn get(ctx: &RouteContext<'_>, expression: &[u8], flags: Flags) -> Result<Regex, BadExpression> {
    let mut slots = ctx.worker.slots.borrow_mut();
    let compiled = &mut slots.slot::<Compiled>().0;
    if let Some(at) = compiled.iter().rposition(|(e, f, _)| **e == *expression && *f == flags) {
        let hit = compiled.len() - 1;
        if at != hit {
            compiled.swap(at, hit);
        }
        return compiled.last().map(|(_, _, re)| re.clone()).ok_or(BadExpression);
    }
    let regex = compile(expression, flags)?;
    if compiled.len() >= LIMIT {
        compiled.remove(0);
    }
    compiled.push((expression.into(), flags, regex.clone()));
    Ok(regex)
}

/// The expression does not compile; the reason was logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadExpression;

/// Compiles without remembering.
pub(crate) fn compile(expression: &[u8], flags: Flags) -> Result<Regex, BadExpression> {
    let text = String::from_utf8_lossy(expression);
    RegexBuilder::new(&text)
        .unicode(false)
        .case_insensitive(flags.ignore_case)
        .multi_line(flags.lines)
        .dot_matches_new_line(flags.dot_all)
        .size_limit(SIZE_LIMIT)
        .build()
        .map_err(|error| {
            tracing::error!(expression = %text, %error, "bad regular expression");
            BadExpression
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::testing::Bench;

    #[test]
    fn compiled_once_and_bounded() {
        let bench = Bench::new(vec![]);
        let ctx = bench.request("OPTIONS sip:a@b SIP/2.0\n");
        for i in 0..LIMIT + 10 {
            assert!(get(&ctx, format!("a{i}").as_bytes(), Flags::USUAL).is_ok());
        }
        let again = get(&ctx, b"A1", Flags::USUAL).expect("compiles");
        assert!(again.is_match(b"xa1x"));
        assert!(
            !get(&ctx, b"A1", Flags { ignore_case: false, ..Flags::USUAL })
                .expect("compiles")
                .is_match(b"a1")
        );
        assert_eq!(ctx.worker.slots.borrow_mut().slot::<Compiled>().0.len(), LIMIT);
        assert_eq!(get(&ctx, b"(", Flags::USUAL).err(), Some(BadExpression));
    }
    #[test]
    fn lines_and_bytes() {
        let re = compile(b"^b.*x$", Flags::USUAL).expect("compiles");
        assert!(re.is_match(b"a\nb\xffx\nc"));
        assert!(!re.is_match(b"a\nb\nx"));
    }
}
