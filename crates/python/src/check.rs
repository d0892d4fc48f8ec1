//! What a script uses and defines, by its syntax tree, held against the registry. The script is not run.

use std::collections::{BTreeSet, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use pyo3_ffi as c;
use script::{Function, ParamKind, Registry};
use serde_json::Value as Json;

use crate::exceptions::Exception;
use crate::ffi::{Attached, Object};
use crate::interpreter::{self, Interpreter, ThreadState};
use crate::{Flavour, Settings, load, native};

/// Something wrong in a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The script.
    pub file: String,
    /// Line, from 1; 0 when it is about the whole file.
    pub line: u32,
    /// Column, from 1; 0 when it is about the whole file.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
    /// It is no Python: the script cannot be loaded.
    pub fatal: bool,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}

/// What a sound script has and uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Callbacks found: those the server calls by itself, then those the script arms.
    pub callbacks: Vec<String>,
    /// KSR functions used, as `KSR.tm.t_relay`, sorted.
    pub functions: Vec<String>,
}

const PROGRAM: &str = include_str!("check.py");

/// A script's syntax tree as far as it matters here.
pub(crate) struct Survey(Json);

/// Parses a script. Errors are syntax errors (and trouble of our own).
pub(crate) fn survey(main: Interpreter, script: &Path, source: &[u8]) -> Result<Survey, Problem> {
    let file = script.display().to_string();
    let failed = |message: String| Problem {
        file: file.clone(),
        line: 0,
        column: 0,
        message,
        hint: String::new(),
        fatal: false,
    };
    let state = ThreadState::of(main).map_err(failed)?;
    let text = state.with(|py| {
        run(py, script, source).map_err(|exception| {
            // SAFETY: a static type.
            if unsafe { !exception.is(py, c::PyExc_SyntaxError) } {
                return failed(exception.traceback(py));
            }
            let number = |name| exception.value().find(py, name).and_then(|n| n.as_int(py)).unwrap_or(0);
            let message = load::syntax_error(py, &exception);
            // The place is in fields of its own, and its line is shown by whoever prints the problem.
            let first = message.lines().next().unwrap_or_default();
            let message = first.split_once(": ").map_or(first, |(_, rest)| rest).to_owned();
            Problem {
                file: file.clone(),
                line: u32::try_from(number("lineno")).unwrap_or(0),
                column: u32::try_from(number("offset")).unwrap_or(0),
                message,
                hint: String::new(),
                fatal: true,
            }
        })
    });
    state.delete();
    serde_json::from_str(&text?).map(Survey).map_err(|e| failed(e.to_string()))
}

fn run(py: Attached<'_>, script: &Path, source: &[u8]) -> Result<String, Exception> {
    let survey = native::module(py, "_trunkline_check", PROGRAM)?.attr(py, c"survey")?;
    let file = Object::str(py, script.as_os_str().as_bytes())?;
    Ok(survey.call(py, &[&Object::bytes(py, source)?, &file])?.text(py))
}

/// One use of a KSR name.
struct Use<'a> {
    object: &'a str,
    name: &'a str,
    line: u32,
    column: u32,
    /// Arguments when it is called directly.
    args: Option<&'a Vec<Json>>,
}

fn number(row: &Json, name: &str) -> u32 {
    row[name].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

/// The parameter that takes a callback's name.
fn callback_param(object: &str, name: &str) -> Option<usize> {
    match (object, name) {
        ("tm", "t_continue") => Some(2),
        _ if name.starts_with("t_on_") => Some(0),
        _ => None,
    }
}

impl Survey {
    fn uses(&self) -> impl Iterator<Item = Use<'_>> {
        self.0["uses"].as_array().into_iter().flatten().filter_map(|row| {
            let path: Vec<&str> = row["path"].as_array()?.iter().filter_map(Json::as_str).collect();
            let (object, name) = match *path.as_slice() {
                [name] => ("", name),
                [object, name, ..] => (object, name),
                [] => return None,
            };
            let args = if path.len() <= 2 { row["args"].as_array() } else { None };
            Some(Use { object, name, line: number(row, "line"), column: number(row, "column"), args })
        })
    }
    /// Callback names that the script arms by literals, in order.
    pub fn armed(&self) -> impl Iterator<Item = &str> {
        self.uses().filter_map(|u| {
            let name = u.args?.get(callback_param(u.object, u.name)?)?["value"].as_str()?;
            (!name.is_empty()).then_some(name)
        })
    }
    /// Names of the handler's attributes, and whether that is all of them.
    fn methods(&self, settings: &Settings) -> (HashSet<&str>, bool) {
        if settings.flavour == Flavour::Functions {
            let functions =
                self.0["functions"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
            let others = self.0["others"].as_array().into_iter().flatten().filter_map(Json::as_str);
            return (functions.chain(others).collect(), true);
        }
        let returned = self.0["functions"][&settings.script_init]["returns"].as_array();
        let mut wanted: Vec<&str> = returned.into_iter().flatten().filter_map(Json::as_str).collect();
        let mut methods = HashSet::new();
        let mut all = !wanted.is_empty();
        let mut seen = HashSet::new();
        while let Some(class) = wanted.pop() {
            if class == "object" || !seen.insert(class) {
                continue;
            }
            let row = &self.0["classes"][class];
            if row.is_null() {
                all = false;
                continue;
            }
            methods.extend(row["methods"].as_array().into_iter().flatten().filter_map(Json::as_str));
            wanted.extend(row["bases"].as_array().into_iter().flatten().filter_map(Json::as_str));
        }
        all &= !methods.contains("__getattr__");
        (methods, all)
    }
}

/// See [`crate::check`].
pub(crate) fn check(
    settings: &Settings,
    registry: &Registry,
    elsewhere: &[&'static Function],
) -> Result<Report, Vec<Problem>> {
    let file = settings.script.display().to_string();
    let whole = |message: String| Problem {
        file: file.clone(),
        line: 0,
        column: 0,
        message,
        hint: String::new(),
        fatal: false,
    };
    let source = std::fs::read(&settings.script).map_err(|e| vec![whole(format!("cannot be read: {e}"))])?;
    let main = interpreter::start(&settings.script).map_err(|e| vec![whole(e.message)])?;
    let survey = survey(main, &settings.script, &source).map_err(|p| vec![p])?;

    let loaded: Vec<&'static Function> = registry.functions().map(|(_, f)| f).collect();
    let mut problems = Vec::new();
    let (methods, all) = survey.methods(settings);
    let is_known = |name: &str| !all || methods.contains(name);
    if settings.flavour == Flavour::Handler && survey.0["functions"][&settings.script_init].is_null() {
        let others = survey.0["others"].as_array();
        if !others.into_iter().flatten().any(|o| o.as_str() == Some(&settings.script_init)) {
            problems.push(whole(format!(
                "no function {}(), which must return the handler object",
                settings.script_init
            )));
        }
    } else if !is_known(&settings.request_callback) {
        problems
            .push(whole(format!("no callback {}: no request would be routed", settings.request_callback)));
    }
    let mut functions = BTreeSet::new();
    for u in survey.uses() {
        let problem = |line, column, message, hint| Problem {
            file: file.clone(),
            line,
            column,
            message,
            hint,
            fatal: false,
        };
        match loaded.iter().find(|f| f.object == u.object && f.name == u.name) {
            Some(function) => {
                functions.insert(function.path());
                check_arguments(function, &u, registry, &mut |line, column, message, hint| {
                    problems.push(problem(line, column, message, hint));
                });
                if let Some(index) = callback_param(u.object, u.name)
                    && let Some(arg) = u.args.and_then(|a| a.get(index))
                    && let Some(name) = arg["value"].as_str().filter(|n| !n.is_empty())
                    && !is_known(name)
                {
                    problems.push(problem(
                        number(arg, "line"),
                        number(arg, "column"),
                        format!("{} arms {name:?}, which the script does not define", function.path()),
                        nearest(name, methods.iter().copied())
                            .map(|n| format!("nearest: {n}"))
                            .unwrap_or_default(),
                    ));
                }
            }
            None => {
                if let Some((message, hint)) = unknown(&u, &loaded, elsewhere) {
                    problems.push(problem(u.line, u.column, message, hint));
                }
            }
        }
    }
    if !problems.is_empty() {
        problems.sort_by_key(|p| (p.line, p.column));
        problems.dedup();
        return Err(problems);
    }
    let own = [
        &settings.request_callback,
        &settings.reply_callback,
        &settings.onsend_callback,
        &settings.script_child_init,
    ];
    let mut callbacks: Vec<String> =
        own.into_iter().filter(|n| methods.contains(n.as_str())).cloned().collect();
    for name in survey.armed() {
        if !callbacks.iter().any(|c| c == name) {
            callbacks.push(name.to_owned());
        }
    }
    Ok(Report { callbacks, functions: functions.into_iter().collect() })
}

fn check_arguments(
    function: &Function,
    u: &Use<'_>,
    registry: &Registry,
    problem: &mut dyn FnMut(u32, u32, String, String),
) {
    let Some(args) = u.args else { return };
    if args.iter().any(|a| a["kind"] == "star") {
        return;
    }
    let names: Vec<&str> =
        function.params.iter().filter(|p| p.kind != ParamKind::Rest).map(|p| p.name).collect();
    if args.len() < names.len() {
        problem(
            u.line,
            u.column,
            format!("{} takes {} arguments, got {}", function.path(), names.len(), args.len()),
            format!("arguments: {}", names.join(", ")),
        );
        return;
    }
    for (param, arg) in function.params.iter().zip(args) {
        let kind = arg["kind"].as_str().unwrap_or("other");
        let mut at =
            |message: String| problem(number(arg, "line"), number(arg, "column"), message, String::new());
        let wrong = match param.kind {
            ParamKind::Int => !matches!(kind, "int" | "bool" | "other"),
            ParamKind::Rest => !matches!(kind, "int" | "bool" | "str" | "bytes" | "other"),
            _ => !matches!(kind, "str" | "bytes" | "other"),
        };
        if wrong {
            let wanted = if param.kind == ParamKind::Int { "an int" } else { "a str" };
            at(format!("{}: {} must be {wanted}, got {kind}", function.path(), param.name));
            continue;
        }
        let Some(text) = arg["value"].as_str() else { continue };
        let parsed = match param.kind {
            ParamKind::Pv => registry.parse_pv(text.as_bytes()).map(drop),
            ParamKind::Format => registry.parse_format(text.as_bytes()).map(drop),
            _ => Ok(()),
        };
        if let Err(why) = parsed {
            at(format!("{}: {text:?}: {why}", function.path()));
        }
    }
}

/// Message and hint for a name that is not loaded; `None` when it is no function's name (`KSR.__dict__`, `KSR.pv` itself).
fn unknown(
    u: &Use<'_>,
    loaded: &[&'static Function],
    elsewhere: &[&'static Function],
) -> Option<(String, String)> {
    if u.name.starts_with("__") || (u.object == "x" && matches!(u.name, "Exit" | "Drop")) {
        return None;
    }
    if u.object.is_empty() && loaded.iter().any(|f| f.object == u.name) {
        return None;
    }
    let path =
        if u.object.is_empty() { format!("KSR.{}", u.name) } else { format!("KSR.{}.{}", u.object, u.name) };
    let here = |f: &&&'static Function| f.object == u.object && f.name == u.name;
    if let Some(function) = elsewhere.iter().find(here) {
        let hint = format!("add loadmodule \"{}.so\"", function.module);
        return Some((format!("{path} is in module {}, which is not loaded", function.module), hint));
    }
    if u.object.is_empty()
        && let Some(function) = elsewhere.iter().find(|f| f.object == u.name)
    {
        let hint = format!("add loadmodule \"{}.so\"", function.module);
        return Some((format!("{path} belongs to module {}, which is not loaded", function.module), hint));
    }
    let all = || loaded.iter().chain(elsewhere);
    let hint = if all().any(|f| f.object == u.object) {
        let names = all().filter(|f| f.object == u.object).map(|f| f.name);
        nearest(u.name, names).map(|name| {
            if u.object.is_empty() {
                format!("nearest: KSR.{name}")
            } else {
                format!("nearest: KSR.{}.{name}", u.object)
            }
        })
    } else {
        nearest(u.object, all().map(|f| f.object)).map(|object| {
            match nearest(u.name, all().filter(|f| f.object == object).map(|f| f.name)) {
                Some(name) => format!("nearest: KSR.{object}.{name}"),
                None => format!("nearest: KSR.{object}"),
            }
        })
    };
    Some((format!("there is no {path}"), hint.unwrap_or_default()))
}

/// The most similar name, if any is similar at all.
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|other| (distance(name.as_bytes(), other.as_bytes()), other))
        .filter(|(d, other)| *d <= name.len().max(other.len()) / 2)
        .min()
        .map(|(_, other)| other)
}

/// Edit distance.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, above) in b.iter().zip(row.iter().skip(1)) {
            let best = if x == y { diagonal } else { 1 + diagonal.min(left).min(*above) };
            diagonal = *above;
            left = best;
            next.push(best);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names() {
        assert_eq!(distance(b"kitten", b"sitting"), 3);
        assert_eq!(distance(b"", b"abc"), 3);
        assert_eq!(nearest("t_rely", ["t_relay", "t_reply", "is_method"].into_iter()), Some("t_relay"));
        assert_eq!(nearest("zzz", ["t_relay"].into_iter()), None);
    }
}
