//! How many stateless replies were sent, by code.

use script::{RpcCommand, Statistic, Statistics};
use serde_json::{Value as Json, json};

/// Codes and classes as `sl.stats` shows them.
const SHOWN: &[&str] = &[
    "200", "202", "2xx", "300", "301", "302", "3xx", "400", "401", "403", "404", "407", "408", "483", "4xx",
    "500", "5xx", "6xx", "xxx",
];

/// Codes counted one by one, as Kamailio does.
const CODES: &[u16] = &[200, 202, 300, 301, 302, 400, 401, 403, 404, 407, 408, 483, 500];

/// The module's statistics, group `sl`.
#[derive(Debug)]
pub(super) struct Counters {
    /// 1xx to 6xx, and what fits nowhere.
    classes: [Statistic; 7],
    sent_errors: Statistic,
    pub(super) failures: Statistic,
}

impl Counters {
    pub(super) fn register(statistics: &Statistics) -> Counters {
        let one = |name: &str, doc: &str| statistics.register("sl", name, doc);
        let class = |i: usize| match i {
            0 => one("xxx_replies", "Stateless replies of no known class."),
            i => one(&format!("{i}xx_replies"), &format!("Stateless {i}xx replies.")),
        };
        one("sent_replies", "Stateless replies sent.");
        one("received_ACKs", "ACKs to stateless replies that were absorbed.");
        for code in CODES {
            one(&format!("{code}_replies"), &format!("Stateless {code} replies."));
        }
        Counters {
            classes: std::array::from_fn(class),
            sent_errors: one("sent_err_replies", "Stateless replies sent because of an error here."),
            failures: one("failures", "Stateless replies that could not be sent."),
        }
    }
    /// The sender has counted the reply, by its code or class.
    pub(super) fn sent(&self, code: u16) {
        if !(100..700).contains(&code)
            && let Some(other) = self.classes.first()
        {
            other.inc();
        }
        if code >= 500 {
            self.sent_errors.inc();
        }
    }
}

pub(super) const RPC: &[RpcCommand] = &[RpcCommand {
    name: "sl.stats",
    doc: "Stateless replies sent, by code and class. No parameters. Answers an object.",
    call: |_, core, _, _| {
        let value =
            |name: &str| core.statistics.find("sl", &format!("{name}_replies")).map_or(0, |s| s.value());
        let mut all = serde_json::Map::new();
        for name in SHOWN {
            all.insert((*name).to_owned(), json!(value(name)));
        }
        Ok(Json::Object(all))
    },
}];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_by_code_and_class() {
        let statistics = Statistics::default();
        let c = Counters::register(&statistics);
        for code in [100, 200, 404, 499, 603, 999] {
            c.sent(code);
        }
        let value = |name: &str| statistics.value(name);
        assert_eq!(value("sent_err_replies"), Some(2));
        assert_eq!(value("xxx_replies"), Some(1));
    }
}
