//! Allow and deny files in the manner of `hosts.allow`: pairs of patterns for who asks and what is asked for.
//!
//! ```text
//! # from [EXCEPT from] : uri [EXCEPT uri]
//! ALL : "^sip:361[0-9]*@example\.com$" EXCEPT "^sip:3613@"
//! ```

use regex::bytes::Regex;

/// The rules of one file, in its order.
#[derive(Debug, Default)]
pub struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    from: Side,
    uri: Side,
}

/// One side of a rule.
#[derive(Debug)]
struct Side {
    /// `None`: ALL.
    any_of: Option<Vec<Regex>>,
    except: Option<Option<Vec<Regex>>>,
}

fn any(list: &Option<Vec<Regex>>, text: &[u8]) -> bool {
    list.as_ref().is_none_or(|l| l.iter().any(|r| r.is_match(text)))
}

impl Side {
    fn fits(&self, text: &[u8]) -> bool {
        any(&self.any_of, text) && !self.except.as_ref().is_some_and(|e| any(e, text))
    }
}

impl Rules {
    /// Most rules of a file.
    const LIMIT: usize = 10_000;

    /// Parses a file. Lines that cannot be read are left out and reported by number.
    pub fn parse(text: &str, mut complain: impl FnMut(usize, &str)) -> Rules {
        let mut rules = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = without_comment(line).trim();
            if line.is_empty() {
                continue;
            }
            if rules.len() >= Self::LIMIT {
                complain(at + 1, "there are too many rules");
                break;
            }
            match parse_rule(line) {
                Ok(rule) => rules.push(rule),
                Err(why) => complain(at + 1, &why),
            }
        }
        Rules(rules)
    }
    /// Whether a rule names this pair.
    pub fn name(&self, from: &[u8], uri: &[u8]) -> bool {
        self.0.iter().any(|r| r.from.fits(from) && r.uri.fits(uri))
    }
}

/// Places outside of quotes.
fn outside(line: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    let mut quoted = false;
    line.char_indices().filter(move |(_, c)| {
        if *c == '"' {
            quoted = !quoted;
        }
        !quoted
    })
}

fn without_comment(line: &str) -> &str {
    let end = outside(line).find(|(_, c)| *c == '#').map_or(line.len(), |(at, _)| at);
    line.get(..end).unwrap_or(line)
}

fn parse_rule(line: &str) -> Result<Rule, String> {
    let colon = outside(line).find(|(_, c)| *c == ':').ok_or("a colon is missing")?.0;
    let (from, uri) = (line.get(..colon).unwrap_or_default(), line.get(colon + 1..).unwrap_or_default());
    Ok(Rule { from: parse_side(from)?, uri: parse_side(uri)? })
}

fn parse_side(text: &str) -> Result<Side, String> {
    let word = " EXCEPT ";
    let upper = text.to_ascii_uppercase();
    let except =
        outside(&upper).map(|(at, _)| at).find(|at| upper.get(*at..).is_some_and(|t| t.starts_with(word)));
    let Some(at) = except else { return Ok(Side { any_of: parse_list(text)?, except: None }) };
    let (list, except) =
        (text.get(..at).unwrap_or_default(), text.get(at + word.len()..).unwrap_or_default());
    Ok(Side { any_of: parse_list(list)?, except: Some(parse_list(except)?) })
}

/// Patterns with commas; `None` for ALL.
fn parse_list(text: &str) -> Result<Option<Vec<Regex>>, String> {
    let commas: Vec<usize> = outside(text).filter(|(_, c)| *c == ',').map(|(at, _)| at).collect();
    let mut list = Vec::new();
    let mut start = 0;
    for end in commas.into_iter().chain([text.len()]) {
        let item = text.get(start..end).unwrap_or_default().trim();
        start = end + 1;
        if item.eq_ignore_ascii_case("all") {
            return Ok(None);
        }
        let item = item.strip_prefix('"').and_then(|i| i.strip_suffix('"')).unwrap_or(item);
        if item.is_empty() {
            return Err("a pattern is missing".into());
        }
        list.push(script::regexp::compile(item.as_bytes(), b"i")?);
    }
    Ok(Some(list))
}

/// The files of one basename. Without a file there are no rules.
#[derive(Debug, Default)]
pub struct Pair {
    /// Allow file.
    pub allow: Rules,
    /// Deny file.
    pub deny: Rules,
}

impl Pair {
    /// All pairs allowed: yes. One of them denied: no. Otherwise yes.
    pub fn allows(&self, from: &[u8], uris: &[&[u8]]) -> bool {
        uris.iter().all(|u| self.allow.name(from, u)) || !uris.iter().any(|u| self.deny.name(from, u))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: &str = r#"
# comment
ALL : "^sip:361[0-9]*@abc\.com$" EXCEPT "^sip:361[0-9]*3@abc\.com$", "^sip:361[0-9]*4@abc\.com$"

"^sip:alice@example\.com$" : "^sip:ok@example\.com$" # end
"^sip:full@.*;x=y" : all
"#;
    const DENY: &str = "ALL : \"^sip:bad@\", \"noquote\"\n\"^sip:eve@\" EXCEPT \"^sip:eve@good\" : ALL\nALL : \"^sip:36.*#\"\n";

    fn pair() -> Pair {
        let parse = |text| Rules::parse(text, |line, why| panic!("{line}: {why}"));
        Pair { allow: parse(ALLOW), deny: parse(DENY) }
    }

    /// As seen at Kamailio 5.6.3.
    #[test]
    fn the_same_is_allowed_as_in_kamailio() {
        for (from, uris, wanted) in [
            ("sip:alice@example.com", &["sip:3611@abc.com"][..], true),
            ("sip:alice@example.com", &["sip:OK@EXAMPLE.com"], true),
            ("sip:alice@example.com", &["sip:bad@x"], false),
            ("sip:alice@example.com", &["sip:noquote@x"], false),
            ("sip:alice@example.com", &["sip:y@z"], true),
            ("sip:alice@example.com", &["sip:ok@example.com", "sip:bad@x"], false),
            ("sip:eve@x.org;p=1", &["sip:x@y"], false),
            ("sip:eve@good.org", &["sip:x@y"], true),
            ("sip:full@h;x=y", &["sip:bad@x"], true),
        ] {
            let uris: Vec<&[u8]> = uris.iter().map(|u| u.as_bytes()).collect();
            assert_eq!(pair().allows(from.as_bytes(), &uris), wanted, "{from} {uris:?}");
        }
        assert!(
            !pair().allow.name(b"sip:a@b", b"sip:3613@abc.com")
                && pair().allow.name(b"x", b"sip:3611@abc.com")
        );
        assert!(pair().deny.name(b"x", b"sip:36#"), "a quoted # begins no comment");
    }

    #[test]
    fn lines_that_cannot_be_read() {
        let mut wrong = Vec::new();
        let rules =
            Rules::parse("ALL\nALL :\n\"(\" : ALL\nALL : \"ok\"\n: ALL\nALL : \"a\",\n", |line, _| {
                wrong.push(line)
            });
        assert_eq!((wrong, rules.0.len()), (vec![1, 2, 3, 5, 6], 1));
    }
}
