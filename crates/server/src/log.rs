//! Log lines: Kamailio's levels, a bounded queue, one writer thread. Logging never blocks a worker; lines that found the queue full are
//! counted, and the count is written when there is room again.
//!
//! `2026-11-22T10:43:52.123 WARNING udp-3 tm a84b4c76e66710@pc33: text key=value`: time (UTC), level, thread, module, Call-ID where
//! the event names one. Under systemd the level goes in front as `<4>` and the time is left to the journal.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use script::Levels;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber, span};

use crate::clock;

/// Lines that may wait for the writer: at 200 bytes a line about 1.6 MB.
const QUEUE: usize = 8192;
/// Longest line; the rest is cut.
const LINE_MAX: usize = 16 * 1024;

/// Kamailio's log levels with their numbers, names, `tracing` level and syslog number.
const LEVELS: [(i32, &str, Level, u8); 9] = [
    (-5, "ALERT", Level::ERROR, 1),
    (-4, "BUG", Level::ERROR, 2),
    (-3, "CRITICAL", Level::ERROR, 2),
    (-2, "CRITICAL", Level::ERROR, 2),
    (-1, "ERROR", Level::ERROR, 3),
    (0, "WARNING", Level::WARN, 4),
    (1, "NOTICE", Level::INFO, 5),
    (2, "INFO", Level::INFO, 6),
    (3, "DEBUG", Level::DEBUG, 7),
];

enum Item {
    Line(String),
    Flush(SyncSender<()>),
}

struct State {
    /// Levels before the configuration's are known.
    first: Levels,
    /// Those of the configuration.
    levels: OnceLock<Arc<Levels>>,
    dropped: AtomicU64,
    queue: SyncSender<Item>,
    prefix: OnceLock<String>,
    colour: bool,
    journal: bool,
}

static STATE: OnceLock<Arc<State>> = OnceLock::new();

struct Log(Arc<State>);

/// Starts the writer and takes all `tracing` events from here on. `debug` is Kamailio's level; `colour` asks for colours (they are used
/// only on a terminal and without `NO_COLOR`).
pub fn start(debug: i32, colour: bool) {
    let (queue, items) = sync_channel(QUEUE);
    let stderr = std::io::stderr();
    let state = Arc::new(State {
        first: Levels::new(debug),
        levels: OnceLock::new(),
        dropped: AtomicU64::new(0),
        queue,
        prefix: OnceLock::new(),
        colour: stderr.is_terminal() && (colour || colours_wanted()),
        journal: std::env::var_os("JOURNAL_STREAM").is_some() && !stderr.is_terminal(),
    });
    if STATE.set(state.clone()).is_err() {
        return;
    }
    let writer = state.clone();
    let spawned = std::thread::Builder::new().name("log".into()).spawn(move || write_lines(&writer, &items));
    if let Err(e) = spawned {
        crate::say::err(format_args!("trunkline: no log: {e}"));
        return;
    }
    // A second subscriber is refused: then a test installed its own, which is fine.
    let _ = tracing::subscriber::set_global_default(Log(state));
}

/// Whether a terminal may be given colours (<https://no-color.org>).
pub fn colours_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        && std::env::var_os("TERM").is_some_and(|t| t != "dumb")
}

/// `log_prefix`: text put before every message, once known.
pub fn set_prefix(prefix: &str) {
    if let Some(s) = STATE.get() {
        let _ = s.prefix.set(prefix.to_owned());
    }
}

/// From here on these levels hold, and changes to them.
pub fn follow(levels: Arc<Levels>) {
    if let Some(s) = STATE.get() {
        let _ = s.levels.set(levels);
        tracing::callsite::rebuild_interest_cache();
    }
}

/// Lines lost so far because the queue was full.
pub fn dropped() -> u64 {
    STATE.get().map_or(0, |s| s.dropped.load(Ordering::Relaxed))
}

/// Waits, a second at most, until everything logged so far is written.
pub fn flush() {
    let Some(s) = STATE.get() else { return };
    let (done, wait) = sync_channel(1);
    if s.queue.send(Item::Flush(done)).is_ok() {
        let _ = wait.recv_timeout(Duration::from_secs(1));
    }
}

fn write_lines(state: &State, items: &Receiver<Item>) {
    let mut out: Vec<u8> = Vec::with_capacity(64 * 1024);
    let mut told = 0;
    while let Ok(first) = items.recv() {
        let mut waiting = Vec::new();
        let mut next = Some(first);
        while let Some(item) = next {
            match item {
                Item::Line(line) => out.extend_from_slice(line.as_bytes()),
                Item::Flush(done) => waiting.push(done),
            }
            next = if out.len() < 60 * 1024 { items.try_recv().ok() } else { None };
        }
        let lost = state.dropped.load(Ordering::Relaxed);
        if lost > told {
            let line = format!(
                "{} log lines were dropped: the log is read more slowly than it is written\n",
                lost - told
            );
            let _ = write!(out, "{}", state.line(0, "log", None, &line));
            told = lost;
        }
        // A log that cannot be written must not stop the server.
        let _ = std::io::stderr().write_all(&out);
        out.clear();
        waiting.iter().for_each(|w| {
            let _ = w.try_send(());
        });
    }
}

impl State {
    fn levels(&self) -> &Levels {
        self.levels.get().map_or(&self.first, |l| l)
    }
    fn line(&self, level: i32, module: &str, call_id: Option<&str>, text: &str) -> String {
        let row = LEVELS.iter().find(|(n, ..)| *n == level).unwrap_or(&LEVELS[8]);
        let mut line = String::with_capacity(96 + text.len());
        if self.journal {
            let _ = write!(line, "<{}>", row.3);
        } else {
            let t = clock::unix();
            let iso = clock::Civil::from_unix(t.as_secs()).iso();
            let _ = write!(line, "{iso}.{:03} ", t.subsec_millis());
        }
        let (on, off) = match (self.colour, level) {
            (true, ..=-1) => ("\x1b[31m", "\x1b[0m"),
            (true, 0) => ("\x1b[33m", "\x1b[0m"),
            (true, 3) => ("\x1b[2m", "\x1b[0m"),
            _ => ("", ""),
        };
        let thread = std::thread::current();
        let _ = write!(line, "{on}{}{off} {} {module}", row.1, thread.name().unwrap_or("?"));
        if let Some(id) = call_id {
            let _ = write!(line, " {id}");
        }
        let _ = write!(line, ": {}", self.prefix.get().map_or("", String::as_str));
        let room = LINE_MAX.min(text.len());
        let end = (0..=room).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        let text = text.get(..end).unwrap_or_default().trim_end();
        // One event, one line: what a peer sent cannot forge another. Tracebacks keep their lines, indented.
        for (i, part) in text.split('\n').enumerate() {
            if i > 0 {
                line.push_str("\n    ");
            }
            line.extend(part.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }));
        }
        line.push('\n');
        line
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= most(self.0.levels().of(judged_as(module_of(metadata))))
    }
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(most(self.0.levels().highest()))
    }
    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let meta = event.metadata();
        let level = fields.level.unwrap_or(match *meta.level() {
            Level::ERROR => -1,
            Level::WARN => 0,
            Level::INFO => 2,
            _ => 3,
        });
        let module = module_of(meta);
        if level > self.0.levels().of(judged_as(module)) {
            return;
        }
        fields.text.push_str(&fields.rest);
        let line = self.0.line(level, module, fields.call_id.as_deref(), &fields.text);
        if let Err(TrySendError::Full(_)) = self.0.queue.try_send(Item::Line(line)) {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// The module whose level a line goes by: the server's own parts are Kamailio's core.
fn judged_as(module: &str) -> &str {
    match module {
        "script" | "server" | "udp" | "log" | "python" | "proxy" | "transport" => "core",
        other => other,
    }
}

/// The module a line is of: the first part of its target.
fn module_of<'a>(metadata: &Metadata<'a>) -> &'a str {
    let module = metadata.target();
    let module = module.strip_prefix("trunkline_").unwrap_or(module);
    module.split("::").next().unwrap_or(module)
}

/// The `tracing` level that lets everything through that a Kamailio level may show.
fn most(debug: i32) -> LevelFilter {
    match debug {
        ..=-6 => LevelFilter::OFF,
        -5..=-1 => LevelFilter::ERROR,
        0 => LevelFilter::WARN,
        1 | 2 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    }
}

/// `message`, `call_id` and `severity` (a Kamailio level number, for those `tracing` has no level for) apart; the rest as `key=value`.
#[derive(Default)]
struct Fields {
    text: String,
    rest: String,
    call_id: Option<String>,
    level: Option<i32>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.text.push_str(value),
            "call_id" => self.call_id = Some(value.to_owned()),
            name => {
                let _ = write!(self.rest, " {name}={value}");
            }
        }
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        match field.name() {
            "severity" => self.level = i32::try_from(value).ok(),
            name => {
                let _ = write!(self.rest, " {name}={value}");
            }
        }
    }
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "message" => {
                let _ = write!(self.text, "{value:?}");
            }
            "call_id" => self.call_id = Some(format!("{value:?}")),
            name => {
                let _ = write!(self.rest, " {name}={value:?}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State {
            first: Levels::default(),
            levels: OnceLock::new(),
            dropped: AtomicU64::new(0),
            queue: sync_channel(1).0,
            prefix: OnceLock::new(),
            colour: false,
            journal: true,
        }
    }

    #[test]
    fn a_line_has_level_thread_module_and_call_id() {
        let line = state().line(-1, "tm", Some("abc@pc33"), "lost\n");
        let thread = std::thread::current().name().unwrap_or("?").to_owned();
        assert_eq!(line, format!("<3>ERROR {thread} tm abc@pc33: lost\n"));
    }

    #[test]
    fn what_peers_send_cannot_forge_lines_or_terminals() {
        let line = state().line(0, "core", None, "a\r\nb\x1b[31m");
        assert!(line.ends_with("a\u{fffd}\n    b\u{fffd}[31m\n"), "{line:?}");
    }

    #[test]
    fn levels_follow_kamailio() {
        let shown = |debug: i32| LEVELS.iter().filter(|(n, ..)| *n <= debug).count();
        assert_eq!((shown(-5), shown(0), shown(3)), (1, 6, 9));
        for debug in -5..=3 {
            let most = most(debug);
            for (n, name, level, _) in LEVELS {
                assert!(n > debug || level <= most, "debug={debug} must let {name} through");
            }
        }
    }
}
