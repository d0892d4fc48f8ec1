//! Log lines with pseudo-variables: `xlog xinfo xerr ...`.
//!
//! Lines go to the log under target `script`, at the level that fits Kamailio's; a level above the `debug` parameter is not
//! even formatted.

use message::Method;
use script::module::joined;
use script::pv::Inner;
use script::{
    Format, Function, ModParam, ModParams, Module, Outcome, ParamType, ParamValue, PseudoVariable, Pv,
    RouteContext, SetupError, Value, ksr_module,
};

use crate::kex;

/// Kamailio's log levels.
pub(crate) mod level {
    pub const ALERT: i64 = -5;
    pub const BUG: i64 = -4;
    pub const CRIT2: i64 = -3;
    pub const CRIT: i64 = -2;
    pub const ERR: i64 = -1;
    pub const WARN: i64 = 0;
    pub const NOTICE: i64 = 1;
    pub const INFO: i64 = 2;
    pub const DBG: i64 = 3;
}

/// Module `xlog`.
#[derive(Debug, Default)]
pub struct Xlog {
    settings: Settings,
    colors: Vec<String>,
}

/// Parameters of `xlog`.
#[derive(Debug, ModParams)]
struct Settings {
    /// Most bytes of a line; what is longer is cut. Default 4096.
    buf_size: usize,
    /// 1: colours also when the log does not go to a terminal. Taken; the log decides about colours.
    force_color: bool,
    /// Syslog facility of these lines (`LOG_LOCAL0`). Taken; shown as field `facility`.
    log_facility: Option<String>,
    /// 1: `xlogl` names the configuration file beside the line. Taken; scripts have their own tracebacks.
    long_format: bool,
    /// Bit mask of methods `xlogm` is silent for. Default -1, all.
    methods_filter: i64,
    /// Text before every line. Default `<script>: `.
    prefix: String,
    /// 1: pseudo-variables in `prefix` are replaced for every line. Default 0.
    prefix_mode: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            buf_size: 4096,
            force_color: false,
            log_facility: None,
            long_format: false,
            methods_filter: -1,
            prefix: "<script>: ".into(),
            prefix_mode: 0,
        }
    }
}

/// Whether a line of this level will be written; asked before it is formatted.
pub(crate) fn wanted(ctx: &RouteContext<'_>, number: i64) -> bool {
    use tracing::{Level, enabled};
    if let Some(level) = kex::worker_level(ctx) {
        return number <= level;
    }
    number <= i64::from(ctx.core.config.levels.of("core"))
        || match number {
            ..=level::ERR => enabled!(target: "script", Level::ERROR),
            level::WARN => enabled!(target: "script", Level::WARN),
            level::NOTICE | level::INFO => enabled!(target: "script", Level::INFO),
            _ => enabled!(target: "script", Level::DEBUG),
        }
}

/// Writes one line of a script to the log, with the Call-ID of the message it is about.
pub(crate) fn emit(ctx: &RouteContext<'_>, number: i64, facility: &str, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let text = text.trim_end_matches(['\n', '\r']);
    // A worker that `setdebug` made louder speaks at the loudest level the log lets through.
    let severity = match kex::worker_level(ctx) {
        Some(_) => number.min(i64::from(ctx.core.config.levels.of("core"))),
        None => number,
    };
    let call_id = if ctx.faked { "".into() } else { String::from_utf8_lossy(ctx.message.call_id()) };
    macro_rules! at {
        ($macro:ident) => {
            match (call_id.is_empty(), facility.is_empty()) {
                (true, true) => tracing::$macro!(target: "script", severity, "{text}"),
                (false, true) => tracing::$macro!(target: "script", severity, %call_id, "{text}"),
                (true, false) => tracing::$macro!(target: "script", severity, facility, "{text}"),
                (false, false) => tracing::$macro!(target: "script", severity, facility, %call_id, "{text}"),
            }
        };
    }
    match severity {
        ..=level::ERR => at!(error),
        level::WARN => at!(warn),
        level::NOTICE | level::INFO => at!(info),
        _ => at!(debug),
    }
}

impl Xlog {
    fn line(&self, ctx: &RouteContext<'_>, number: i64, facility: &str, format: &Format) -> Outcome {
        if !wanted(ctx, number) {
            return Outcome::TRUE;
        }
        let mut text = Vec::with_capacity(128);
        match self.settings.prefix_mode {
            1 => match ctx.core.registry.parse_format(self.settings.prefix.as_bytes()) {
                Ok(prefix) => prefix.write(ctx, &mut text),
                Err(_) => text.extend_from_slice(self.settings.prefix.as_bytes()),
            },
            _ => text.extend_from_slice(self.settings.prefix.as_bytes()),
        }
        format.write(ctx, &mut text);
        text.truncate(self.settings.buf_size);
        emit(ctx, number, facility, &text);
        Outcome::TRUE
    }
    fn facility(&self) -> &str {
        self.settings.log_facility.as_deref().unwrap_or_default()
    }
}

/// `L_INFO`, `info`, `2`: as Kamailio, the third letter decides.
fn parse_level(text: &[u8]) -> Option<i64> {
    if let Some(number) = std::str::from_utf8(text).ok().and_then(|t| t.trim().parse().ok()) {
        return Some(number);
    }
    let word = text.strip_prefix(b"L_").unwrap_or(text);
    Some(match word.first()?.to_ascii_uppercase() {
        b'A' => level::ALERT,
        b'B' => level::BUG,
        b'C' if word.eq_ignore_ascii_case(b"CRIT2") => level::CRIT2,
        b'C' => level::CRIT,
        b'E' => level::ERR,
        b'W' => level::WARN,
        b'N' => level::NOTICE,
        b'I' => level::INFO,
        b'D' => level::DBG,
        _ => return None,
    })
}

#[ksr_module("xlog")]
impl Xlog {
    /// Writes a debug line; pseudo-variables in the text are replaced. Returns 1.
    #[ksr(cfg = ["xdbg"], no_message)]
    fn xdbg(&self, ctx: &mut RouteContext<'_>, txt: &Format) -> Outcome {
        self.line(ctx, level::DBG, self.facility(), txt)
    }
    /// Writes an information line; pseudo-variables in the text are replaced. Returns 1.
    #[ksr(cfg = ["xinfo"], no_message)]
    fn xinfo(&self, ctx: &mut RouteContext<'_>, txt: &Format) -> Outcome {
        self.line(ctx, level::INFO, self.facility(), txt)
    }
    /// Writes a notice; pseudo-variables in the text are replaced. Returns 1.
    #[ksr(cfg = ["xnotice"], no_message)]
    fn xnotice(&self, ctx: &mut RouteContext<'_>, txt: &Format) -> Outcome {
        self.line(ctx, level::NOTICE, self.facility(), txt)
    }
    /// Writes a warning; pseudo-variables in the text are replaced. Returns 1.
    #[ksr(cfg = ["xwarn"], no_message)]
    fn xwarn(&self, ctx: &mut RouteContext<'_>, txt: &Format) -> Outcome {
        self.line(ctx, level::WARN, self.facility(), txt)
    }
    /// Writes an error line; pseudo-variables in the text are replaced. Returns 1.
    #[ksr(cfg = ["xerr"], no_message)]
    fn xerr(&self, ctx: &mut RouteContext<'_>, txt: &Format) -> Outcome {
        self.line(ctx, level::ERR, self.facility(), txt)
    }
    /// Writes a line of level alert; pseudo-variables in the text are replaced. Returns 1.
    #[ksr(cfg = ["xalert"], no_message)]
    fn xalert(&self, ctx: &mut RouteContext<'_>, txt: &Format) -> Outcome {
        self.line(ctx, level::ALERT, self.facility(), txt)
    }
    /// Writes a line of level critical; pseudo-variables in the text are replaced. Returns 1.
    #[ksr(cfg = ["xcrit"], no_message)]
    fn xcrit(&self, ctx: &mut RouteContext<'_>, txt: &Format) -> Outcome {
        self.line(ctx, level::CRIT, self.facility(), txt)
    }
    /// Writes a line at a level: `L_ALERT L_BUG L_CRIT L_ERR L_WARN L_NOTICE L_INFO L_DBG`, a number from -5 to 3, or a pseudo-variable that
    /// holds one. Returns 1, or -1 for an unknown level.
    #[ksr(cfg = ["xlog", "xlogl"], no_message)]
    fn xlog(&self, ctx: &mut RouteContext<'_>, slevel: &Format, txt: &Format) -> Outcome {
        match parse_level(&slevel.text(ctx)) {
            Some(number) => self.line(ctx, number, self.facility(), txt),
            None => Outcome::FALSE,
        }
    }
    /// As `xlog`, with a syslog facility (`LOG_LOCAL3`) for this line.
    #[ksr(cfg = ["xlog", "xlogl"], no_message)]
    fn xlog_facility(
        &self,
        ctx: &mut RouteContext<'_>,
        facility: &[u8],
        slevel: &Format,
        txt: &Format,
    ) -> Outcome {
        match parse_level(&slevel.text(ctx)) {
            Some(number) => self.line(ctx, number, &String::from_utf8_lossy(facility), txt),
            None => Outcome::FALSE,
        }
    }
}

impl Xlog {
    /// Whether `xlogm` is silent for a method.
    pub fn filtered(&self, method: Method) -> bool {
        self.settings.methods_filter & (1 << method as i64) != 0
    }
}

/// Terminal escapes: two letters, foreground and background; `x` default, an upper case foreground is bright.
fn color<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    let name = pv.inner_text(ctx);
    let [foreground, background] = *name else { return Value::Null };
    let number = |c: u8| b"srgybpcw".iter().position(|k| *k == c.to_ascii_lowercase()).map(|i| i as u8);
    let mut text = String::from("\x1b[");
    text.push_str(match foreground {
        b'x' => "0;39",
        f if f.is_ascii_uppercase() => "1;3",
        _ => "0;3",
    });
    if foreground != b'x' {
        match number(foreground) {
            Some(n) => text.push((b'0' + n) as char),
            None => return Value::Null,
        }
    }
    match (background, number(background)) {
        (b'x', _) => text.push_str(";49m"),
        (_, Some(n)) => text.push_str(&format!(";4{n}m")),
        _ => return Value::Null,
    }
    Value::owned(text)
}

const PSEUDO_VARIABLES: &[PseudoVariable] = &[PseudoVariable {
    module: "xlog",
    name: "C",
    doc: "Terminal colour for what follows: `$C(fb)` with foreground and background out of `s r g y b p c w` (black, red, green, yellow, \
          blue, purple, cyan, white), `x` default; an upper case foreground is bright.",
    inner: Inner::Text,
    get: color,
    set: None,
}];

const EXTRA: [ModParam; 2] = [
    ModParam {
        name: "log_colors",
        kind: ParamType::Str,
        doc: "Colours of log levels, `L_ERR=cr;L_WARN=px`; may be given several times. Taken; the log has colours of its own.",
    },
    ModParam {
        name: "auto_newline",
        kind: ParamType::Int,
        doc: "1: end every line that has no line break with one. Taken; every line of the log ends with one.",
    },
];

const PARAMS: [ModParam; Settings::PARAMS.len() + 2] =
    joined::<{ Settings::PARAMS.len() + EXTRA.len() }>(Settings::PARAMS, &EXTRA);

impl Module for Xlog {
    fn name(&self) -> &'static str {
        "xlog"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn pseudo_variables(&self) -> &'static [PseudoVariable] {
        PSEUDO_VARIABLES
    }
    fn params(&self) -> &'static [ModParam] {
        &PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        match (name, value) {
            ("log_colors", ParamValue::Str(colors)) => self.colors.push(colors),
            ("auto_newline", ParamValue::Int(_)) => {}
            (name, value) => return self.settings.set(name, value),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::testing::Bench;
    use std::sync::{Arc, Mutex};

    #[test]
    fn levels() {
        for (text, number) in
            [("L_ERR", -1), ("L_INFO", 2), ("info", 2), ("3", 3), ("-5", -5), ("L_WARN", 0), ("L_DBG", 3)]
        {
            assert_eq!(parse_level(text.as_bytes()), Some(number), "{text}");
        }
        assert_eq!(parse_level(b"L_"), None);
        assert_eq!(parse_level(b"?"), None);
    }

    /// Collects what is logged.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);
    impl tracing::Subscriber for Lines {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            *metadata.level() <= tracing::Level::WARN
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            struct Text(String);
            impl tracing::field::Visit for Text {
                fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                    self.0.push_str(&format!(" {}={value:?}", field.name()));
                }
            }
            let mut text = Text(event.metadata().level().to_string());
            event.record(&mut text);
            self.0.lock().expect("not poisoned").push(text.0);
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }

    #[test]
    fn lines_reach_the_log_at_their_level() {
        let bench = Bench::new(vec![Arc::new(Xlog::default()), Arc::new(crate::kex::Kex::default())]);
        let mut ctx = bench.request("OPTIONS sip:a@b SIP/2.0\n");
        let lines = Lines::default();
        let text = Value::str(b"hello\n");
        tracing::subscriber::with_default(lines.clone(), || {
            assert_eq!(bench.call(&mut ctx, "xlog.xerr", std::slice::from_ref(&text)).to_int(), Some(1));
            bench.call(&mut ctx, "xlog.xinfo", std::slice::from_ref(&text));
            bench.call(&mut ctx, "kex.setdebug", &[Value::Int(3)]);
            bench.call(&mut ctx, "xlog.xinfo", std::slice::from_ref(&text));
            bench.call(&mut ctx, "xlog.xdbg", std::slice::from_ref(&text));
            bench.call(&mut ctx, "kex.resetdebug", &[]);
            bench.call(&mut ctx, "xlog.xnotice", std::slice::from_ref(&text));
            bench.call(&mut ctx, "xlog.xwarn", std::slice::from_ref(&text));
            bench.call(&mut ctx, "xlog.xalert", std::slice::from_ref(&text));
            bench.call(&mut ctx, "xlog.xcrit", std::slice::from_ref(&text));
            bench.call(&mut ctx, "xlog.xlog", &[Value::str(b"L_ERR"), text.clone()]);
            let args = [Value::str(b"LOG_LOCAL3"), Value::str(b"L_ERR"), text.clone()];
            bench.call(&mut ctx, "xlog.xlog_facility", &args);
            assert_eq!(
                bench.call(&mut ctx, "xlog.xlog", &[Value::str(b"?"), text.clone()]).to_int(),
                Some(-1)
            );
        });
        let lines = lines.0.lock().expect("not poisoned").clone();
        let levels: Vec<_> = lines.iter().filter_map(|l| l.split(' ').next()).collect();
        // The bench's `debug` is 0: the information and the debug line came through as warnings.
        assert_eq!(levels, ["ERROR", "WARN", "WARN", "WARN", "ERROR", "ERROR", "ERROR", "ERROR"]);
        assert!(
            lines.first().is_some_and(|l| l.contains("message=<script>: hello") && l.contains("severity=-1"))
        );
        assert!(lines.last().is_some_and(|l| l.contains("LOG_LOCAL3")));
    }
    #[test]
    fn colors() {
        let bench = Bench::new(vec![Arc::new(Xlog::default())]);
        let ctx = bench.request("OPTIONS sip:a@b SIP/2.0\n");
        assert_eq!(bench.format(&ctx, "$C(bx)|$C(xx)|$C(Rg)"), "\x1b[0;34;49m|\x1b[0;39;49m|\x1b[1;31;42m");
    }
    #[test]
    fn params() {
        let mut xlog = Xlog::default();
        assert_eq!(xlog.params().len(), 9);
        assert!(xlog.set_param("log_colors", ParamValue::Str("L_ERR=cr".into())).is_ok());
        assert!(xlog.set_param("auto_newline", ParamValue::Int(1)).is_ok());
        assert!(xlog.set_param("nope", ParamValue::Int(1)).is_err());
        assert!(xlog.filtered(Method::Invite));
    }
}
