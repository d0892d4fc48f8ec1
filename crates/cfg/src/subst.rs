//! `#!subst`, `#!substdef`, `#!substdefs`: `"/regexp/replacement/flags"`.
//!
//! Any character may take the place of `/`. Flags: `g` replaces every match, `i` ignores case. In the replacement
//! `\0` to `\9` are groups, `$env(NAME)` and `$def(NAME)` are resolved when the rule is read.

use regex::{Regex, RegexBuilder};

/// A compiled rule; strings of the configuration pass through it.
#[derive(Clone, Debug)]
pub(crate) struct Subst {
    regex: Regex,
    replacement: Vec<Part>,
    global: bool,
    /// The pattern as written: the name that `#!substdef` defines.
    pub(crate) pattern: String,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Group(usize),
}

impl Subst {
    /// Reads a rule; `resolve("env", NAME)` gives the values of `$env(NAME)` and `$def(NAME)`.
    pub(crate) fn parse(rule: &str, resolve: &dyn Fn(&str, &str) -> Option<String>) -> Result<Self, String> {
        let delimiter = rule.chars().next().ok_or("the rule is empty")?;
        if delimiter.is_alphanumeric() || delimiter == '\\' {
            return Err(format!("'{delimiter}' cannot separate the parts of the rule"));
        }
        let mut parts = split(rule.get(delimiter.len_utf8()..).unwrap_or(""), delimiter);
        if parts.len() != 3 {
            return Err(format!(
                "the rule has {} '{delimiter}' where 3 are needed: {delimiter}regexp{delimiter}replacement{delimiter}flags",
                parts.len()
            ));
        }
        let flags = parts.pop().unwrap_or_default();
        let replacement = parts.pop().unwrap_or_default();
        let pattern = parts.pop().unwrap_or_default();
        if pattern.is_empty() {
            return Err("the regular expression is empty".into());
        }
        if let Some(flag) = flags.chars().find(|c| !matches!(c, 'g' | 'i' | 's')) {
            return Err(format!("unknown flag '{flag}'; known are g (every match) and i (ignore case)"));
        }
        let regex = posix(&pattern, flags.contains('i'))
            .map_err(|e| format!("bad regular expression '{pattern}': {e}"))?;
        let replacement = parse_replacement(&replacement, resolve)?;
        Ok(Self { regex, replacement, global: flags.contains('g'), pattern })
    }

    /// What a `#!substdef` define stands for: the replacement without groups.
    pub(crate) fn value(&self) -> String {
        self.replacement.iter().map(|p| if let Part::Text(text) = p { text.as_str() } else { "" }).collect()
    }

    /// Applies the rule; `None` when nothing matched.
    pub(crate) fn apply(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        let mut last = 0;
        for found in self.regex.captures_iter(text).take(if self.global { usize::MAX } else { 1 }) {
            let whole = found.get(0)?;
            out.push_str(text.get(last..whole.start()).unwrap_or(""));
            for part in &self.replacement {
                match part {
                    Part::Text(text) => out.push_str(text),
                    Part::Group(n) => out.push_str(found.get(*n).map_or("", |m| m.as_str())),
                }
            }
            last = whole.end();
        }
        if last == 0 && out.is_empty() && !self.regex.is_match(text) {
            return None;
        }
        out.push_str(text.get(last..).unwrap_or(""));
        Some(out)
    }
}

/// A POSIX extended regular expression.
pub(crate) fn posix(pattern: &str, ignore_case: bool) -> Result<Regex, String> {
    // `\<` and `\>` are word boundaries in the C library.
    let translated = pattern.replace("\\<", "\\b").replace("\\>", "\\b");
    let built = RegexBuilder::new(&translated).case_insensitive(ignore_case).size_limit(1 << 20).build();
    built.map_err(|e| e.to_string().lines().last().unwrap_or("").trim_start_matches("error: ").to_owned())
}

/// Splits at `delimiter` unless a backslash stands before it.
fn split(text: &str, delimiter: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let Some(last) = parts.last_mut() else { break };
        if c == '\\' && chars.peek() == Some(&delimiter) {
            chars.next();
            last.push(delimiter);
        } else if c == '\\' {
            last.push(c);
            last.extend(chars.next());
        } else if c == delimiter {
            parts.push(String::new());
        } else {
            last.push(c);
        }
    }
    parts
}

fn parse_replacement(
    text: &str,
    resolve: &dyn Fn(&str, &str) -> Option<String>,
) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or("");
        let next = rest.chars().next();
        match (c, next) {
            ('\\', Some(digit @ '0'..='9')) => {
                rest = rest.get(1..).unwrap_or("");
                parts.push(Part::Text(std::mem::take(&mut literal)));
                parts.push(Part::Group(digit as usize - '0' as usize));
            }
            ('\\', Some(escaped)) => {
                rest = rest.get(escaped.len_utf8()..).unwrap_or("");
                match escaped {
                    'n' => literal.push('\n'),
                    'r' => literal.push('\r'),
                    't' => literal.push('\t'),
                    other => literal.push(other),
                }
            }
            ('$', Some('$')) => {
                rest = rest.get(1..).unwrap_or("");
                literal.push('$');
            }
            ('$', _) => {
                let name = crate::lex::word_length(rest);
                let class = rest.get(..name).unwrap_or("");
                let argument =
                    rest.get(name..).and_then(|r| r.strip_prefix('(')).and_then(|r| r.split_once(')'));
                match argument {
                    Some((argument, behind)) if matches!(class, "env" | "def" | "defn" | "defs") => {
                        // An unknown name gives nothing, as in Kamailio.
                        literal.push_str(&resolve(class, argument).unwrap_or_default());
                        rest = behind;
                    }
                    _ => {
                        return Err(format!(
                            "'${class}' cannot be used in a replacement; known are $env(NAME) and $def(NAME), and $$ for a dollar sign"
                        ));
                    }
                }
            }
            (c, _) => literal.push(c),
        }
    }
    parts.push(Part::Text(literal));
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rule: &str, text: &str) -> Result<String, String> {
        let resolve =
            |class: &str, name: &str| (class == "env" && name == "HOME").then(|| "/root".to_owned());
        Subst::parse(rule, &resolve).map(|s| s.apply(text).unwrap_or_else(|| text.to_owned()))
    }

    #[test]
    fn rules() {
        for (rule, text, result) in [
            ("/abc/def/", "abcabc", "defabc"),
            ("/abc/def/g", "abcabc", "defdef"),
            ("/ABC/def/gi", "abcabc", "defdef"),
            ("/a(b)c/d\\1f/g", "abcabc", "dbfdbf"),
            ("/a(b)c/d\\0f/g", "abcabc", "dabcfdabcf"),
            ("/abc/d$def(X)f/g", "abcabc", "dfdf"),
            ("|a/c|q|g", "a/ca/c", "qq"),
            ("!AB!$env(HOME)!", "xAB", "x/root"),
            ("/a\\/b/c/", "a/b", "c"),
            ("/[[:digit:]]+/n/", "a12", "an"),
            ("/nothing//", "abc", "abc"),
            ("/^/x/", "abc", "xabc"),
        ] {
            assert_eq!(run(rule, text).as_deref(), Ok(result), "{rule}");
        }
    }

    #[test]
    fn bad_rules() {
        assert!(run("!AB!", "").is_err_and(|e| e.contains("3 are needed")));
        assert!(run("!AB!a!b", "").is_err_and(|e| e.contains("unknown flag 'b'")));
        assert!(run("/(/a/", "").is_err_and(|e| e.contains("bad regular expression")));
        assert!(run("/a/$ru/", "").is_err_and(|e| e.contains("'$ru'")));
        assert!(run("", "").is_err());
    }
}
