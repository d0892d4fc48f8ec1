//! Where Trunkline is known to differ from Kamailio in what reaches the user agents, and why. Each is described in `docs/differences.md`.

/// One known difference: how to make a message of Kamailio's and of Trunkline's transcript equal.
pub struct Difference {
    /// Why it is there.
    pub reason: &'static str,
    /// Which messages show it.
    pub concerns: fn(&str) -> bool,
    /// Header rows that are not compared in those messages.
    pub rows: &'static [&'static str],
    /// Header rows of which only the place among the others is not compared.
    pub places: &'static [&'static str],
}

/// All of them.
pub const KNOWN: &[Difference] = &[
    Difference {
        reason: "A request that forks carries Max-Breadth (RFC 5393 §5.3.3), which bounds what a chain of forking proxies can do; Kamailio \
                 has no such bound.",
        concerns: |message| !message.starts_with("SIP/2.0 "),
        rows: &["Max-Breadth"],
        places: &[],
    },
    Difference {
        reason: "A chosen 503 goes on as 500 (RFC 3261 §16.7 step 6). Here it stays the callee's reply, with its To tag, Record-Route and \
                 Retry-After; Kamailio makes a reply of its own.",
        concerns: |message| message.starts_with("SIP/2.0 500 Service Unavailable\n"),
        rows: &["Via", "To", "Record-Route", "Retry-After", "Server"],
        places: &[],
    },
    Difference {
        reason: "The challenges of several branches are added to the chosen reply, which is forwarded \"without further modification\" \
                 (RFC 3261 §16.7 step 7); Kamailio makes a reply of its own.",
        concerns: |message| {
            message.contains("\nWWW-Authenticate:") && message.contains("\nProxy-Authenticate:")
        },
        rows: &["Via", "To", "Record-Route", "Server"],
        places: &["Proxy-Authenticate"],
    },
    Difference {
        reason: "Where the Route made of a Path stands among other header rows has no meaning (RFC 3261 §7.3.1); here it is on top.",
        concerns: |message| message.contains("\nRoute: <sip:tag1@"),
        rows: &[],
        places: &["Route"],
    },
];

/// A normalised message with the known differences taken out.
pub fn forget(message: &str) -> String {
    let name = |line: &str| line.split(':').next().unwrap_or_default().to_string();
    let concerned: Vec<&Difference> = KNOWN.iter().filter(|d| (d.concerns)(message)).collect();
    let listed = |line: &str, rows: fn(&Difference) -> &[&str]| {
        concerned.iter().any(|d| rows(d).contains(&name(line).as_str()))
    };
    let (head, body) = message.split_once("\n\n").unwrap_or((message.trim_end_matches('\n'), ""));
    let (placed, free): (Vec<&str>, Vec<&str>) =
        head.lines().filter(|l| !listed(l, |d| d.rows)).partition(|l| !listed(l, |d| d.places));
    [placed, free].concat().join("\n") + "\n\n" + body
}

/// Two lists of messages side by side: `-` theirs, `+` ours.
pub fn show(theirs: &[String], ours: &[String]) -> String {
    let mut out = String::new();
    for i in 0..theirs.len().max(ours.len()) {
        let (a, b) = (theirs.get(i).map_or("", String::as_str), ours.get(i).map_or("", String::as_str));
        if a == b {
            out += &format!("  {}\n", a.lines().next().unwrap_or_default());
            continue;
        }
        let (a, b): (Vec<&str>, Vec<&str>) = (a.lines().collect(), b.lines().collect());
        for line in &a {
            out += &format!("{} {line}\n", if b.contains(line) { ' ' } else { '-' });
        }
        for line in b.iter().filter(|l| !a.contains(l)) {
            out += &format!("+ {line}\n");
        }
        if a.len() == b.len() && a.iter().all(|l| b.contains(l)) {
            out += &format!("  (order) + {}\n", b.join(" | "));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_described() {
        let page = include_str!("../../docs/differences.md");
        for d in KNOWN {
            let section =
                d.reason.split("(RFC ").nth(1).and_then(|r| r.split([')', ',']).next()).expect("a section");
            assert!(
                page.contains(&format!("RFC {section}")),
                "docs/differences.md says nothing of RFC {section}: {}",
                d.reason
            );
        }
    }

    #[test]
    fn only_named_rows_are_forgotten() {
        let m = "INVITE sip:b SIP/2.0\nVia: x\nMax-Breadth: 30\nTo: b\n\nMax-Breadth: body";
        assert_eq!(forget(m), "INVITE sip:b SIP/2.0\nVia: x\nTo: b\n\nMax-Breadth: body");
        let m = "SIP/2.0 200 OK\nMax-Breadth: 30\n\n";
        assert_eq!(forget(m), m);
    }
}
