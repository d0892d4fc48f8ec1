//! Trusted peers: source address, transport, and patterns for From and Request-URI.

use std::collections::HashMap;
use std::sync::Arc;

use message::Transport;
use regex::bytes::Regex;

/// A row of the table.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// Source address, as text.
    pub source: Vec<u8>,
    /// `any`, `udp`, `tcp`, `tls`, `sctp`, `ws`, `wss`, `none`.
    pub transport: Vec<u8>,
    /// Pattern of From URIs; empty any.
    pub from: Vec<u8>,
    /// Pattern of Request-URIs; empty any.
    pub ruri: Vec<u8>,
    /// Tag; `None` for NULL.
    pub tag: Option<Vec<u8>>,
    /// Higher ones are looked at first.
    pub priority: i64,
}

/// A row, compiled.
#[derive(Debug)]
pub struct Rule {
    row: Row,
    transport: Option<Transport>,
    from: Option<Regex>,
    ruri: Option<Regex>,
}

/// What is looked up.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'a> {
    /// Source address.
    pub source: &'a [u8],
    /// Transport; `None` fits every rule.
    pub transport: Option<Transport>,
    /// From URI.
    pub from: &'a [u8],
    /// Request-URI.
    pub ruri: &'a [u8],
}

impl Rule {
    /// Compiles a row; the error says what is wrong with it. `Ok(None)`: it never fits (`none`).
    pub fn new(row: Row) -> Result<Option<Rule>, String> {
        let pattern = |text: &[u8]| match text {
            b"" => Ok(None),
            text => script::regexp::compile(text, b"").map(Some),
        };
        let transport = match &row.transport.to_ascii_lowercase()[..] {
            b"none" => return Ok(None),
            b"any" | b"" => None,
            name => Some(Transport::parse(name).ok_or("the transport is not known")?),
        };
        let (from, ruri) = (pattern(&row.from)?, pattern(&row.ruri)?);
        Ok(Some(Rule { row, transport, from, ruri }))
    }
    /// The row it was made from.
    pub fn row(&self) -> &Row {
        &self.row
    }
    /// Whether a peer is one this rule trusts; its address is not compared.
    pub fn fits(&self, peer: Peer<'_>) -> bool {
        let fits = |pattern: &Option<Regex>, text: &[u8]| pattern.as_ref().is_none_or(|p| p.is_match(text));
        self.transport.is_none_or(|t| peer.transport.is_none_or(|p| p == t))
            && fits(&self.from, peer.from)
            && fits(&self.ruri, peer.ruri)
    }
    /// Kamailio's number of the transport, 0 any.
    pub fn transport_number(&self) -> u8 {
        match self.transport {
            None => 0,
            Some(Transport::Udp) => 1,
            Some(Transport::Tcp) => 2,
            Some(Transport::Tls) => 3,
            Some(Transport::Sctp) => 4,
            Some(Transport::Ws) => 5,
            Some(Transport::Wss) => 6,
        }
    }
}

/// The rules by source address, highest priority first.
#[derive(Debug, Default)]
pub struct Table {
    by_source: HashMap<Vec<u8>, Vec<Arc<Rule>>>,
    /// All of them, for dumps.
    pub rules: Vec<Arc<Rule>>,
}

impl Table {
    /// Makes a table of rules.
    pub fn new(mut rules: Vec<Rule>) -> Table {
        rules.sort_by_key(|r| std::cmp::Reverse(r.row.priority));
        let mut table = Table::default();
        for rule in rules.into_iter().map(Arc::new) {
            table.by_source.entry(rule.row.source.clone()).or_default().push(rule.clone());
            table.rules.push(rule);
        }
        table
    }
    /// The rules that trust a peer.
    pub fn find<'t>(&'t self, peer: Peer<'t>) -> impl Iterator<Item = &'t Rule> + 't {
        let rules = self.by_source.get(peer.source).map(Vec::as_slice).unwrap_or_default();
        rules.iter().map(|r| &**r).filter(move |r| r.fits(peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(transport: &str, from: &str, ruri: &str, priority: i64) -> Rule {
        let row = Row {
            source: b"192.0.2.1".to_vec(),
            transport: transport.into(),
            from: from.into(),
            ruri: ruri.into(),
            tag: Some(priority.to_string().into_bytes()),
            priority,
        };
        Rule::new(row).expect("compiles").expect("fits something")
    }

    /// As seen at Kamailio 5.6.3.
    #[test]
    fn the_highest_priority_comes_first() {
        let table = Table::new(vec![
            rule("udp", "^sip:.*@example.com$", "", 0),
            rule("any", "^sip:bob@.*$", "", 5),
            rule("tcp", "", "", 9),
            rule("any", "", "^sip:gw@.*", 1),
            rule("any", "^sip:bob@.*net$", "", 7),
        ]);
        let find = |source: &str, from: &str, ruri: &str| {
            let peer = Peer {
                source: source.as_bytes(),
                transport: Some(Transport::Udp),
                from: from.as_bytes(),
                ruri: ruri.as_bytes(),
            };
            table.find(peer).map(|r| r.row.priority).collect::<Vec<_>>()
        };
        assert_eq!(find("192.0.2.1", "sip:alice@example.com", "sip:x"), [0]);
        assert_eq!(find("192.0.2.1", "sip:bob@example.com", "sip:x"), [5, 0]);
        assert_eq!(find("192.0.2.1", "sip:bob@example.net", "sip:x"), [7, 5]);
        assert_eq!(find("192.0.2.1", "sip:eve@else.org", "sip:gw@x"), [1]);
        assert_eq!(find("192.0.2.1", "sip:Alice@EXAMPLE.com", "sip:x"), [0; 0]);
        assert_eq!(find("192.0.2.2", "sip:bob@example.net", "sip:x"), [0; 0]);
    }

    #[test]
    fn rows_that_say_nothing() {
        assert!(matches!(Rule::new(Row { transport: b"none".to_vec(), ..Row::default() }), Ok(None)));
        assert!(Rule::new(Row { transport: b"smoke".to_vec(), ..Row::default() }).is_err());
        assert!(Rule::new(Row { from: b"(".to_vec(), ..Row::default() }).is_err());
    }
}
