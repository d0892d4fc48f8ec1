//! Core parameters: each name that the configuration reader knows is tried with values of all kinds. Kamailio's own check of a
//! configuration (`kamailio -c`) and this one take the same.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use cfg::Severity;

/// Tried with every parameter.
const VALUES: &[&str] = &["1", "-1", "yes", "maybe", "\"1\"", "\"x\"", "127.0.0.1"];
/// Tried with some, which take single words only.
const OWN_VALUES: &[(&str, &[&str])] = &[
    ("log_facility", &["LOG_DAEMON", "log_local7", "LOG_LOCAL8", "\"LOG_DAEMON\""]),
    (
        "tcp_poll_method",
        &["poll", "\"EPOLL_LT\"", "epoll_et", "sigio_rt", "select", "kqueue", "\"/dev/poll\""],
    ),
    ("ipv6_hex_style", &["\"A\"", "\"a\"", "\"c\"", "\"C\"", "A"]),
    ("udp_mtu_try_proto", &["UDP", "TCP", "tls", "SCTP", "Tcp", "ws", "17"]),
    ("tcp_source_ipv6", &["::1", "[::1]", "\"::1\""]),
    ("tcp_source_ipv4", &["\"127.0.0.1\""]),
    ("tos", &["IPTOS_LOWDELAY", "0x10"]),
    ("user", &["nobody", "\"nobody\""]),
    ("port", &["70000"]),
    ("loadpath", &["\"/tmp:/usr\""]),
];

/// Names, or how they begin, that 5.6.3 does not know though its cookbook has them, or that no cookbook has; with the reason why they are
/// known here.
const NAMES: &[(&str, &str)] = &[
    ("sctp_", "the cookbook has them; Debian's build without the module sctp does not"),
    ("return_mode", "5.7 and later, in no list of the cookbook"),
];

/// Values on which the two differ, `*` for any, with the reason.
const KNOWN: &[(&str, &str, &str)] = &[
    ("port", "70000", "there is no such port"),
    ("user", "maybe", "there is no such user: told at the start here"),
    ("user", "\"x\"", "there is no such user: told at the start here"),
    ("uid", "maybe", "there is no such user: told at the start here"),
    ("uid", "\"x\"", "there is no such user: told at the start here"),
    (
        "tls_method",
        "*",
        "Debian's build has no TLS in the core and refuses all of them; they are without effect here",
    ),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Taken,
    Refused,
    Unknown,
}

fn text(name: &str, value: &str) -> String {
    format!("auto_aliases=no\nlisten=udp:127.0.0.1:5060\n{name} = {value}\nroute {{ exit; }}\n")
}

fn ours(name: &str, value: &str) -> Verdict {
    if cfg::core_param(name).is_none() {
        return Verdict::Unknown;
    }
    let (_, found) = cfg::read_str(Path::new("k.cfg"), &text(name, value), &cfg::Options::default());
    match found.iter().any(|d| d.severity == Severity::Error && d.line == 3) {
        true => Verdict::Refused,
        false => Verdict::Taken,
    }
}

/// What `kamailio -c` says of the text; what it finds after it has read all of it, such as sockets, does not count.
fn kamailio(folder: &Path, number: usize, name: &str, value: &str) -> Verdict {
    let file = folder.join(number.to_string());
    std::fs::write(&file, text(name, value)).expect("a temporary file");
    let output = Command::new("/usr/sbin/kamailio").args(["-c", "-E", "-f"]).arg(&file).output();
    let output = output.expect("kamailio (Debian package kamailio) is installed");
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    if said.contains("unknown config variable") {
        return Verdict::Unknown;
    }
    if said.contains("bad config file") { Verdict::Refused } else { Verdict::Taken }
}

/// Both verdicts for each pair.
fn try_all(pairs: &[(&'static str, &'static str)]) -> Vec<(Verdict, Verdict)> {
    let folder = std::env::temp_dir().join(format!("trunkline-core-parameters-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get()) * 2;
    let mut all: Vec<(usize, Verdict)> = std::thread::scope(|scope| {
        let work = || {
            let mut mine = Vec::new();
            while let number = next.fetch_add(1, Ordering::Relaxed)
                && let Some((name, value)) = pairs.get(number)
            {
                mine.push((number, kamailio(&folder, number, name, value)));
            }
            mine
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    let _ = std::fs::remove_dir_all(&folder);
    all.sort_by_key(|(number, _)| *number);
    pairs.iter().zip(all).map(|((name, value), (_, theirs))| (theirs, ours(name, value))).collect()
}

#[test]
fn kamailio_takes_the_same_names_and_values() {
    let documented: HashMap<&str, (&str, &str)> = include_str!("../../docs/kamailio/core_parameters.tsv")
        .lines()
        .skip(1)
        .filter_map(|row| {
            let mut columns = row.split('\t');
            Some((columns.next()?, (columns.next()?, columns.next()?)))
        })
        .collect();
    let names = cfg::core_params().iter().flat_map(|row| std::iter::once(&row.name).chain(row.aliases));
    let own = |name: &str| OWN_VALUES.iter().find(|(n, _)| *n == name).map_or(&[][..], |(_, values)| values);
    let pairs: Vec<(&str, &str)> =
        names.flat_map(|name| VALUES.iter().chain(own(name)).map(move |value| (*name, *value))).collect();
    let mut wrong = Vec::new();
    for ((name, value), (theirs, ours)) in pairs.iter().zip(try_all(&pairs)) {
        if theirs == Verdict::Unknown {
            // Of another version, says the cookbook; or listed.
            let other = documented.get(name).is_some_and(|(first, last)| !(*first..=*last).contains(&"5.6"));
            if !other && !NAMES.iter().any(|(start, _)| name.starts_with(start)) {
                wrong.push(format!("{name}: unknown to Kamailio"));
            }
            continue;
        }
        let listed = KNOWN.iter().find(|(n, v, _)| n == name && [value, "*"].contains(v));
        // With `*` it need not be all.
        let fits = match listed {
            None => theirs == ours,
            Some((_, all, _)) => theirs != ours || *all == "*",
        };
        if !fits {
            let listed = listed.map_or("not listed", |_| "listed");
            wrong.push(format!("{name} = {value}: Kamailio {theirs:?}, Trunkline {ours:?}, {listed}"));
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), pairs.len(), wrong.join("\n"));
}
