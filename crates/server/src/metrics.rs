//! All counters as Prometheus reads them: text exposition format 0.0.4.
//!
//! Statistics keep Kamailio's words: `core:rcv_requests` is `trunkline_core_rcv_requests_total`. Callbacks have one family per number,
//! with the callback's name and the worker's rank as labels. Times are seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use script::statistics::Kind;
use script::{Core, ScriptEngine};
use serde_json::Value as Json;

/// The answer of `stats.prometheus`.
pub fn text(core: &Core, engine: &dyn ScriptEngine) -> String {
    let mut page = Page::default();
    let about = engine.rpc_engine();
    let word = |name: &str| about[name].as_str().unwrap_or("").to_owned();
    page.family("trunkline_info", "gauge", "What runs here; always 1.");
    let labels = [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("engine", word("engine")),
        ("engine_version", word("version")),
        ("interpreters", word("interpreters")),
        ("gil", word("gil")),
    ];
    page.sample("trunkline_info", &labels, "1");
    page.family("trunkline_start_time_seconds", "gauge", "When the server started, in seconds since 1970.");
    page.sample("trunkline_start_time_seconds", &[], &core.config.started.to_string());
    threads(&mut page, &engine.rpc_threads());
    callbacks(&mut page, &engine.rpc_callbacks());
    statistics(&mut page, core);
    page.text
}

/// Threads the script started.
fn threads(page: &mut Page, report: &Json) {
    let rows = report["threads"].as_array().map(Vec::as_slice).unwrap_or_default();
    page.family("trunkline_script_threads", "gauge", "Threads of the script that have not ended, by state.");
    for state in ["running", "held"] {
        let n = rows.iter().filter(|r| r["state"] == state).count();
        page.sample("trunkline_script_threads", &[("state", state.to_owned())], &n.to_string());
    }
}

/// Families of the callbacks: name, type, documentation, field of `kemi.callbacks`.
const CALLBACKS: [(&str, &str, &str, &str); 5] = [
    ("trunkline_callback_calls_total", "counter", "Times a callback of the script ran.", "calls"),
    (
        "trunkline_callback_exceptions_total",
        "counter",
        "Times a callback ended with an exception.",
        "exceptions",
    ),
    (
        "trunkline_callback_script_seconds_total",
        "counter",
        "Time spent in a callback, with the KSR functions and callbacks it called.",
        "script_us",
    ),
    (
        "trunkline_callback_waiting_seconds_total",
        "counter",
        "Time spent waiting for the interpreter before and during a callback.",
        "waiting_us",
    ),
    ("trunkline_callback_longest_seconds", "gauge", "Longest run of a callback so far.", "longest_us"),
];

fn callbacks(page: &mut Page, report: &Json) {
    let list = |rows: &Json| rows.as_array().cloned().unwrap_or_default();
    // The two timers have the same rank; and a callback that has not run yet is there with 0, so that a rate can be computed from its
    // first call on.
    let mut ranks = BTreeSet::new();
    let mut counted: BTreeMap<(String, i64), [u64; CALLBACKS.len()]> = BTreeMap::new();
    for worker in list(&report["workers"]) {
        let rank = worker["rank"].as_i64().unwrap_or(0);
        ranks.insert(rank);
        for row in list(&worker["callbacks"]) {
            let name = row["name"].as_str().unwrap_or_default().to_owned();
            let sums = counted.entry((name, rank)).or_default();
            for (sum, (_, kind, _, field)) in sums.iter_mut().zip(CALLBACKS) {
                let n = row[field].as_u64().unwrap_or(0);
                *sum = if kind == "gauge" { (*sum).max(n) } else { sum.saturating_add(n) };
            }
        }
    }
    for row in list(&report["callbacks"]) {
        let name = row["name"].as_str().unwrap_or_default();
        for rank in &ranks {
            counted.entry((name.to_owned(), *rank)).or_default();
        }
    }
    for (i, (family, kind, doc, field)) in CALLBACKS.iter().enumerate() {
        page.family(family, kind, doc);
        for ((callback, rank), sums) in &counted {
            let n = sums.get(i).copied().unwrap_or(0);
            let value = if field.ends_with("_us") {
                format!("{}.{:06}", n / 1_000_000, n % 1_000_000)
            } else {
                n.to_string()
            };
            page.sample(family, &[("callback", callback.clone()), ("worker", rank.to_string())], &value);
        }
    }
}

fn statistics(page: &mut Page, core: &Core) {
    let mut taken = BTreeSet::new();
    for row in core.statistics.readings() {
        let (kind, unit) = match row.kind {
            Kind::Counter => ("counter", "_total"),
            Kind::Level => ("gauge", ""),
        };
        let name = format!("trunkline_{}_{}", word(&row.group), word(&row.name));
        let full = format!("{}{unit}", name.strip_suffix("_total").unwrap_or(&name));
        // Names of location tables are the operator's: two may differ only in what a metric's name cannot hold.
        let distinct = (2..).map(|n| format!("{name}_{n}{unit}"));
        let Some(name) = std::iter::once(full).chain(distinct).find(|n| !taken.contains(n)) else { continue };
        page.family(&name, kind, &row.doc);
        page.sample(&name, &[], &row.value.to_string());
        taken.insert(name);
    }
}

/// A part of a metric's name: `[a-z0-9_]`.
fn word(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, doc: &str) {
        let doc = doc.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a String does not fail.
        let _ = write!(self.text, "# HELP {name} {doc}\n# TYPE {name} {kind}\n");
    }
    fn sample(&mut self, name: &str, labels: &[(&str, String)], value: &str) {
        self.text.push_str(name);
        for (i, (label, content)) in labels.iter().enumerate() {
            let content = content.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{}{label}=\"{content}\"", if i == 0 { '{' } else { ',' });
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_and_documentation_are_escaped() {
        let mut page = Page::default();
        page.family("a", "gauge", "one\ntwo \\ three");
        page.sample("a", &[("x", "q\"b\\n\nend".into()), ("y", String::new())], "-1");
        assert_eq!(
            page.text,
            "# HELP a one\\ntwo \\\\ three\n# TYPE a gauge\na{x=\"q\\\"b\\\\n\\nend\",y=\"\"} -1\n"
        );
    }

    #[test]
    fn callbacks_by_worker_in_seconds_with_zeros_for_those_that_have_not_run() {
        let mut page = Page::default();
        let ran = |calls: u64, us: u64| json!([{"name": "f", "calls": calls, "exceptions": 1, "script_us": us, "waiting_us": 0, "longest_us": us}]);
        callbacks(
            &mut page,
            &json!({
                "callbacks": [{"name": "f"}, {"name": "g"}],
                "workers": [
                    {"rank": 1, "callbacks": []},
                    {"rank": -1, "callbacks": ran(2, 1_500_001)},
                    {"rank": -1, "callbacks": ran(3, 20)},
                ],
            }),
        );
        for line in [
            "trunkline_callback_calls_total{callback=\"f\",worker=\"-1\"} 5",
            "trunkline_callback_calls_total{callback=\"f\",worker=\"1\"} 0",
            "trunkline_callback_calls_total{callback=\"g\",worker=\"1\"} 0",
            "trunkline_callback_exceptions_total{callback=\"f\",worker=\"-1\"} 2",
            "trunkline_callback_script_seconds_total{callback=\"f\",worker=\"-1\"} 1.500021",
            "trunkline_callback_longest_seconds{callback=\"f\",worker=\"-1\"} 1.500001",
        ] {
            assert!(page.text.lines().any(|l| l == line), "{line} is not in\n{}", page.text);
        }
    }

    #[test]
    fn statistics_that_would_have_one_name_keep_two() {
        let core = Core {
            config: script::CoreConfig::default(),
            listeners: Vec::new(),
            registry: script::Registry::new(Vec::new()),
            statistics: script::Statistics::default(),
            callbacks: script::Callbacks::default(),
            names: Default::default(),
            exchange: Default::default(),
        };
        core.statistics.level("usrloc", "a-b", "x").set(1);
        core.statistics.level("usrloc", "a.b", "x").set(2);
        core.statistics.register("core", "bad_URIs_rcvd", "x").add(3);
        let mut page = Page::default();
        statistics(&mut page, &core);
        for line in
            ["trunkline_usrloc_a_b 1", "trunkline_usrloc_a_b_2 2", "trunkline_core_bad_uris_rcvd_total 3"]
        {
            assert!(page.text.lines().any(|l| l == line), "{line} is not in\n{}", page.text);
        }
    }
}
