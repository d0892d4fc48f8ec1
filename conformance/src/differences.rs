//! Where Trunkline is known to differ from Kamailio in what reaches the user agents, and why. Each is described in `docs/differences.md`.

/// One known difference: how to make a line of Kamailio's and of Trunkline's transcript equal.
pub struct Difference {
    /// Why it is there.
    pub reason: &'static str,
    /// Rewrites a normalised line of either side; `None` drops the line from both.
    pub forget: fn(&str) -> Option<String>,
}

/// All of them.
pub const KNOWN: &[Difference] = &[Difference {
    reason: "A request that forks carries Max-Breadth (RFC 5393 §5.3.3), which bounds what a chain of forking proxies can do; Kamailio has no \
             such bound.",
    forget: |line| (!line.starts_with("Max-Breadth:")).then(|| line.to_string()),
}];

/// A normalised message with the known differences taken out.
pub fn forget(message: &str) -> String {
    let mut lines = Vec::new();
    'line: for line in message.lines() {
        let mut line = line.to_string();
        for d in KNOWN {
            match (d.forget)(&line) {
                Some(l) => line = l,
                None => continue 'line,
            }
        }
        lines.push(line);
    }
    lines.join("\n") + "\n"
}
