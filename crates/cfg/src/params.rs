//! Core parameters: one row each, with type and documentation.

mod table;

use std::collections::HashMap;
use std::sync::OnceLock;

/// What may stand behind `=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// A number, also a negative one; `yes` and `no` count as 1 and 0.
    Int,
    /// A number that is not negative.
    Uint,
    /// `yes no on off true false enable disable`, or a number.
    Bool,
    /// A string between quotes.
    Str,
    /// A string or a bare word, but for `yes`, `no` and their synonyms.
    Word,
    /// A bare word.
    Ident,
    /// A number or a bare word.
    IntOrIdent,
    /// A host name or address, bare or between quotes.
    Host,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// A port.
    Port,
    /// `UDP TCP TLS SCTP`, also in small letters.
    Proto,
    /// Socket addresses: see `listen`.
    Listen,
    /// Host names of this server.
    Alias,
    /// Folders separated by `:`; the `=` may be left out.
    Path,
    /// The name of an engine; the `=` may be left out.
    Engine,
    /// A block `{ bind = ...; }`.
    Socket,
    /// `coreparam[name] = value`.
    Indexed,
}

impl ParamKind {
    /// For documentation and messages.
    pub fn describe(self) -> &'static str {
        match self {
            ParamKind::Int => "a number",
            ParamKind::Uint => "a number that is not negative",
            ParamKind::Bool => "yes or no",
            ParamKind::Str => "a string between quotes",
            ParamKind::Word => "a string or a word",
            ParamKind::Ident => "a word without quotes",
            ParamKind::IntOrIdent => "a number or a word",
            ParamKind::Host => "a host name or an address",
            ParamKind::Ipv4 => "an IPv4 address",
            ParamKind::Ipv6 => "an IPv6 address",
            ParamKind::Port => "a port",
            ParamKind::Proto => "UDP, TCP, TLS or SCTP",
            ParamKind::Listen => "a socket address such as udp:127.0.0.1:5060",
            ParamKind::Alias => "a host name such as example.com:5060",
            ParamKind::Path => "folders between quotes, separated by ':'",
            ParamKind::Engine => "the name of an engine between quotes",
            ParamKind::Socket => "a block such as { bind = udp:127.0.0.1:5060; }",
            ParamKind::Indexed => "a number or a string",
        }
    }
}

/// A core parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreParam {
    /// Its name.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// What it takes.
    pub kind: ParamKind,
    /// What it does, with unit and default where there is one.
    pub doc: &'static str,
}

/// All core parameters, ordered by subject.
pub fn core_params() -> &'static [CoreParam] {
    &table::ROWS
}

/// The core parameter of that name or alias.
pub fn core_param(name: &str) -> Option<&'static CoreParam> {
    find(name)
}

pub(crate) fn find(name: &str) -> Option<&'static CoreParam> {
    static INDEX: OnceLock<HashMap<&'static str, &'static CoreParam>> = OnceLock::new();
    let index = INDEX.get_or_init(|| names().collect());
    index.get(name).copied()
}

/// Every name and alias with its row.
pub(crate) fn names() -> impl Iterator<Item = (&'static str, &'static CoreParam)> {
    table::ROWS.iter().flat_map(|row| {
        std::iter::once(row.name).chain(row.aliases.iter().copied()).map(move |name| (name, row))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_documented() {
        let mut seen = std::collections::HashSet::new();
        for (name, row) in names() {
            assert!(seen.insert(name), "{name} is listed twice");
            assert!(row.doc.len() > 10 && row.doc.ends_with('.'), "{name} has no sentence: {}", row.doc);
        }
        assert!(seen.len() >= 240, "{}", seen.len());
    }

    /// Names of the cookbook that are no parameters here.
    const NOT_HERE: &[(&str, &str)] = &[
        ("desc", "goes with custom globals"),
        ("descr", "goes with custom globals"),
        ("description", "goes with custom globals; Kamailio takes no parameter of that name"),
        ("flags", "a statement of its own"),
        ("loadmodule", "a statement of its own"),
        ("loadmodulex", "a statement of its own"),
        ("modparam", "a statement of its own"),
        ("modparamx", "a statement of its own"),
        ("statistics", "about a module"),
        ("syn_branch", "gone since Kamailio 4.1"),
    ];

    #[test]
    fn the_cookbooks_parameters_are_known() {
        let table = include_str!("../../../docs/kamailio/core_parameters.tsv");
        let documented: Vec<&str> = table.lines().skip(1).filter_map(|row| row.split('\t').next()).collect();
        assert!(documented.len() > 250, "{}", documented.len());
        let known = |name: &str| core_param(name).is_some();
        let listed = |name: &str| NOT_HERE.iter().any(|(n, _)| *n == name);
        let wrong: Vec<_> = documented.iter().filter(|name| known(name) == listed(name)).collect();
        assert!(wrong.is_empty(), "unknown and not listed, or both: {wrong:?}");
    }

    #[test]
    fn aliases_lead_to_the_row() {
        assert_eq!(core_param("mpath").map(|p| p.name), Some("loadpath"));
        assert_eq!(core_param("childern"), None);
    }
}
