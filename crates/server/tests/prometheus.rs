//! `stats.prometheus`: every line obeys the text exposition format, and the numbers are those of the messages sent.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Server, text};
use serde_json::json;

/// INFO raises; everything else is answered.
const SCRIPT: &str = "
import KSR
class Handler:
    def child_init(self, rank):
        return 0
    def ksr_request_route(self, msg):
        if msg.Method == 'INFO':
            raise ValueError('as asked')
        KSR.sl.send_reply(200, 'OK')
        return 1
    def ksr_reply_route(self, msg):
        return 1
def mod_init():
    return Handler()
";

type Labels = BTreeMap<String, String>;

/// A page held against the format: families declared once, with HELP and TYPE before their samples and all samples together, names and
/// labels of the allowed letters, label texts escaped, no series twice.
#[derive(Default)]
struct Page {
    kinds: BTreeMap<String, String>,
    samples: BTreeMap<(String, Labels), f64>,
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl Page {
    fn read(text: &str) -> Result<Page, String> {
        let mut page = Page::default();
        let mut helped = BTreeSet::new();
        let mut current = String::new();
        if !text.ends_with('\n') {
            return Err("the last line has no end".into());
        }
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, doc) = rest.split_once(' ').ok_or_else(|| format!("no documentation: {line}"))?;
                if !is_name(name) || doc.is_empty() || !helped.insert(name.to_owned()) {
                    return Err(format!("bad HELP: {line}"));
                }
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').ok_or_else(|| format!("no type: {line}"))?;
                if !helped.contains(name) || !matches!(kind, "counter" | "gauge") {
                    return Err(format!("bad TYPE: {line}"));
                }
                if (kind == "counter") != name.ends_with("_total") {
                    return Err(format!("only counters end with _total: {line}"));
                }
                if page.kinds.insert(name.to_owned(), kind.to_owned()).is_some() {
                    return Err(format!("declared twice: {line}"));
                }
                current = name.to_owned();
            } else {
                let (name, labels, value) = sample(line).ok_or_else(|| format!("bad sample: {line}"))?;
                if name != current {
                    return Err(format!("not below its TYPE: {line}"));
                }
                if page.kinds[&name] == "counter" && value < 0.0 {
                    return Err(format!("a counter below zero: {line}"));
                }
                if page.samples.insert((name, labels), value).is_some() {
                    return Err(format!("twice: {line}"));
                }
            }
        }
        Ok(page)
    }
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        self.samples.get(&(name.to_owned(), labels)).copied()
    }
    /// Sum over workers.
    fn of(&self, name: &str, callback: &str) -> f64 {
        let of = |l: &Labels| l.get("callback").is_some_and(|c| c == callback);
        self.samples.iter().filter(|((n, l), _)| n == name && of(l)).map(|(_, v)| v).sum()
    }
}

/// `name{label="text",...} value`
fn sample(line: &str) -> Option<(String, Labels, f64)> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"")?;
            let mut value = String::new();
            let mut chars = after.char_indices();
            let close = loop {
                match chars.next()? {
                    (i, '"') => break i,
                    (_, '\\') => value.push(match chars.next()?.1 {
                        'n' => '\n',
                        c @ ('\\' | '"') => c,
                        _ => return None,
                    }),
                    (_, c) => value.push(c),
                }
            };
            if !is_name(label) || labels.insert(label.to_owned(), value).is_some() {
                return None;
            }
            rest = after.get(close + 1..)?;
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.strip_prefix(' ')?;
    (is_name(name) && !value.contains(' ')).then_some(())?;
    Some((name.to_owned(), labels, value.parse().ok()?))
}

#[test]
fn what_the_format_forbids_is_found() {
    let head = "# HELP a_total x\n# TYPE a_total counter\n";
    assert!(Page::read(&format!("{head}a_total{{x=\"a\\\"b\"}} 1\n")).is_ok());
    for wrong in [
        "a_total 1",
        "a_total 1\na_total 2\n",
        "b 1\n",
        "a_total{x=\"\"\"} 1\n",
        "a_total{x=\"\\d\"} 1\n",
        "a_total{x-y=\"\"} 1\n",
        "a_total  1\n",
        "a_total one\n",
        "a_total -1\n",
        "# TYPE a_total counter\n",
        "# TYPE b counter\n",
        "# HELP c\n",
    ] {
        assert!(Page::read(&format!("{head}{wrong}")).is_err(), "{wrong}");
    }
}

#[test]
fn all_counters_and_each_callback_of_each_worker() {
    let server = Server::start("children=2", SCRIPT);
    let phone = server.phone();
    for n in 0..5 {
        phone.send(if n == 4 { "INFO" } else { "OPTIONS" }, &format!("metrics-{n}"));
        phone.reply();
    }
    let out = server.ctl(&["stats.prometheus"]);
    let printed = text(&out.stdout);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let page = Page::read(&printed).unwrap_or_else(|e| panic!("{e}\n{printed}"));

    assert_eq!(page.of("trunkline_callback_calls_total", "ksr_request_route"), 5.0, "{printed}");
    assert_eq!(page.of("trunkline_callback_exceptions_total", "ksr_request_route"), 1.0);
    let spent = page.of("trunkline_callback_script_seconds_total", "ksr_request_route");
    assert!(spent > 0.0 && spent < 5.0, "seconds: {spent}");
    server.ran(&[("ksr_request_route", 5)]);
    // Not run, and there all the same, for each worker.
    for worker in ["1", "2"] {
        let labels = [("callback", "ksr_reply_route"), ("worker", worker)];
        assert_eq!(page.value("trunkline_callback_calls_total", &labels), Some(0.0), "{printed}");
    }
    assert_eq!(page.value("trunkline_core_rcv_requests_total", &[]), Some(5.0));
    assert_eq!(page.value("trunkline_tmx_inuse_transactions", &[]), Some(0.0));
    assert_eq!(page.kinds["trunkline_tmx_inuse_transactions"], "gauge");

    // Every statistic has its line.
    let all = server.ask("stats.fetchn", json!(["all"]));
    for name in all.as_object().expect("an object").keys() {
        let metric = format!("trunkline_{}", name.replace(['.', '-'], "_").to_ascii_lowercase());
        let found = [metric.clone(), format!("{metric}_total")].iter().any(|m| page.kinds.contains_key(m));
        assert!(found, "{name} is not in\n{printed}");
    }
}
