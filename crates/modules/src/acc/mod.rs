//! Accounting: who called whom, and what became of it, in the log and in a database.
//!
//! A script marks requests with flags; what they say when the final reply leaves decides:
//!
//! ```text
//! transaction made   flags (or acc_prepare_*): is it watched at all?
//! leg failed         missed flags: a row for missed_calls, before the failure route; the flags are reset
//! final reply        2xx with the flags, others with failed_transaction_flag besides: a row for acc
//! dialog ended       cdr_enable: a record with start, end and duration (cdr.rs)
//! ```
//!
//! Rows go to a queue that never makes a call wait ([`store::journal`], which states what is promised).

mod cdr;
mod extra;
mod record;
mod settings;

use std::sync::{Arc, OnceLock};

use message::{HeaderName, Method};
use script::{
    Core, Function, Interest, ModParam, Module, Moment, Outcome, ParamValue, Registry, RouteContext, Setup,
    SetupError, ksr_module,
};
use store::journal::{Journal, Row};
use transaction::Now;

use extra::{Extra, Legs};
use record::Record;
use settings::Settings;

/// Module `acc`.
#[derive(Default)]
pub struct Acc {
    settings: Settings,
    failed_filter: Vec<u16>,
    database: Option<Arc<dyn store::Database>>,
    journal: OnceLock<Option<Arc<Journal>>>,
    compiled: OnceLock<Compiled>,
    tables: Tables,
}

/// Names of tables as rows have them.
#[derive(Default)]
struct Tables {
    acc: Arc<str>,
    missed: Arc<str>,
    cdrs: Arc<str>,
}

/// What needs the pseudo-variables of all modules.
#[derive(Default)]
struct Compiled {
    log_extra: Vec<Extra>,
    db_extra: Vec<Extra>,
    cdr_extra: Vec<Extra>,
    legs: Option<Legs>,
}

/// Kept with requests that were prepared for accounting when their transaction was made.
struct Prepared;

/// What is accounted, by the text of its log line.
const ANSWERED: &str = "ACC: transaction answered: ";
const MISSED: &str = "ACC: call missed: ";
const ACKNOWLEDGED: &str = "ACC: request acknowledged: ";
const ACCOUNTED: &str = "ACC: request accounted: ";

#[ksr_module("acc")]
impl Acc {
    /// Logs the request with a comment: a code and a reason (`404 Not here`), or any text. Returns 1.
    #[ksr(cfg = ["acc_log_request"])]
    fn acc_log_request(&self, ctx: &mut RouteContext<'_>, comment: &[u8]) -> Outcome {
        let record = Record::of_comment(self, ctx, comment);
        self.log(ctx, ACCOUNTED, &record);
        Outcome::TRUE
    }

    /// Writes the request with a comment to a table of the database. Returns 1 when it is on its way; -1 without `db_url`, or when
    /// there is no room for the row.
    #[ksr(cfg = ["acc_db_request"])]
    fn acc_db_request(&self, ctx: &mut RouteContext<'_>, comment: &[u8], dbtable: &[u8]) -> Outcome {
        let Ok(table) = std::str::from_utf8(dbtable) else { return Outcome::FALSE };
        let record = Record::of_comment(self, ctx, comment);
        Outcome::from(!table.is_empty() && self.store(ctx, &Arc::from(table), &record))
    }

    /// Both `acc_log_request` and, when there is a database, `acc_db_request`. Returns 1, or -1 when there is no room for the row.
    #[ksr]
    fn acc_request(&self, ctx: &mut RouteContext<'_>, comment: &[u8], dbtable: &[u8]) -> Outcome {
        let logged = self.acc_log_request(ctx, comment);
        match self.database {
            Some(_) => self.acc_db_request(ctx, comment, dbtable),
            None => logged,
        }
    }
}

impl Module for Acc {
    fn name(&self) -> &'static str {
        "acc"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn params(&self) -> &'static [ModParam] {
        Settings::PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.settings.set(name, value)
    }
    fn setup(&mut self, _: &Setup<'_>) -> Result<(), SetupError> {
        self.settings.check()?;
        self.failed_filter = self.settings.filtered().filter_map(Result::ok).collect();
        if let Some(url) = self.settings.db_url.as_deref().filter(|url| !url.is_empty()) {
            self.database = Some(store::open(url).map_err(|e| SetupError(format!("db_url: {e}")))?);
        }
        self.tables = Tables {
            acc: self.settings.db_table_acc.as_str().into(),
            missed: self.settings.db_table_missed_calls.as_str().into(),
            cdrs: self.settings.cdrs_table.as_str().into(),
        };
        Ok(())
    }
    fn interest(&self) -> Interest {
        let s = &self.settings;
        let mut interest = Interest::NONE;
        let flags = [s.log_flag, s.log_missed_flag, s.db_flag, s.db_missed_flag];
        if flags.iter().any(|flag| *flag >= 0) {
            interest = Interest::CREATED | Interest::FAILING | Interest::FINAL;
            if s.early_media {
                interest = interest | Interest::PROVISIONAL;
            }
            if s.report_ack {
                interest = interest | Interest::ACK;
            }
            if s.report_cancels {
                interest = interest | Interest::CANCEL;
            }
        }
        if s.cdr_enable {
            interest = interest | Interest::DIALOG;
        }
        interest
    }
    fn hear(&self, ctx: &mut RouteContext<'_>, moment: &Moment<'_>) {
        match moment {
            Moment::Created => self.prepare(ctx),
            Moment::Failing => self.missed(ctx),
            Moment::Provisional if has_body(ctx) => self.answered(ctx),
            Moment::Final if self.counts(ctx) => self.answered(ctx),
            Moment::Cancel if self.is_on(ctx) => self.write(ctx, ANSWERED, &Record::of_code(self, ctx, 200)),
            Moment::Ack if self.is_on(ctx) => self.write(ctx, ACKNOWLEDGED, &Record::of_code(self, ctx, 200)),
            Moment::Dialog(what) => self.record_dialog(ctx, *what),
            _ => {}
        }
    }
    fn tick(&self, core: &Core, _: Now) {
        let first = self.compiled.get().is_none();
        self.compiled(&core.registry);
        if first
            && self.settings.cdr_enable
            && core.registry.module::<crate::dialog::DialogModule>().is_none()
        {
            tracing::error!(target: "acc", "cdr_enable: there are no records without module dialog");
        }
        if self.journal().is_some() {
            self.show_counts(core);
        }
    }
}

impl Acc {
    fn prepare(&self, ctx: &mut RouteContext<'_>) {
        let s = &self.settings;
        let method = ctx.message.method();
        if method == Method::Cancel && !s.report_cancels {
            return;
        }
        let invite = method == Method::Invite;
        let prepared = invite && (s.acc_prepare_always || flag(ctx, s.acc_prepare_flag));
        let (on, missed) = (self.is_on(ctx), invite && self.is_missed_on(ctx));
        if !prepared && !on && !missed {
            return;
        }
        ctx.watch = ctx.watch | Interest::FINAL;
        if prepared || missed {
            ctx.watch = ctx.watch | Interest::FAILING;
        }
        if invite {
            if s.early_media {
                ctx.watch = ctx.watch | Interest::PROVISIONAL;
            }
            if s.report_ack {
                ctx.watch = ctx.watch | Interest::ACK;
            }
        }
        ctx.kept.put(Arc::new(Prepared));
    }

    fn is_on(&self, ctx: &RouteContext<'_>) -> bool {
        flag(ctx, self.settings.log_flag) || flag(ctx, self.settings.db_flag)
    }

    fn is_missed_on(&self, ctx: &RouteContext<'_>) -> bool {
        flag(ctx, self.settings.log_missed_flag) || flag(ctx, self.settings.db_missed_flag)
    }

    /// Whether the final reply is one to account: a failure only where that is asked for.
    fn counts(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.reply_code < 300
            || (flag(ctx, self.settings.failed_transaction_flag)
                && !self.failed_filter.contains(&ctx.reply_code))
    }

    fn answered(&self, ctx: &RouteContext<'_>) {
        if self.is_on(ctx) && ctx.kept.peek::<Prepared>().is_some() {
            self.write(ctx, ANSWERED, &Record::of_reply(self, ctx));
        }
    }

    fn missed(&self, ctx: &mut RouteContext<'_>) {
        if !self.is_missed_on(ctx) || ctx.kept.peek::<Prepared>().is_none() {
            return;
        }
        let record = Record::of_reply(self, ctx);
        if flag(ctx, self.settings.log_missed_flag) {
            self.log(ctx, MISSED, &record);
        }
        if flag(ctx, self.settings.db_missed_flag) {
            self.store(ctx, &self.tables.missed, &record);
        }
        // Mostly one flag for both.
        reset(ctx, self.settings.log_missed_flag);
        reset(ctx, self.settings.db_missed_flag);
    }

    fn write(&self, ctx: &RouteContext<'_>, text: &str, record: &Record) {
        if flag(ctx, self.settings.log_flag) {
            self.log(ctx, text, record);
        }
        if flag(ctx, self.settings.db_flag) {
            self.store(ctx, &self.tables.acc, record);
        }
    }

    fn log(&self, ctx: &RouteContext<'_>, text: &str, record: &Record) {
        let compiled = self.compiled(&ctx.core.registry);
        let line = record.line(self, ctx, &compiled.log_extra, compiled.legs.as_ref());
        log_line(self.settings.log_level, &self.settings.log_facility, &format!("{text}{line}"));
    }

    fn store(&self, ctx: &RouteContext<'_>, table: &Arc<str>, record: &Record) -> bool {
        if self.database.is_none() {
            return false;
        }
        let compiled = self.compiled(&ctx.core.registry);
        let rows = record.rows(self, ctx, table, &compiled.db_extra, compiled.legs.as_ref());
        self.queue(rows)
    }

    fn queue(&self, rows: Vec<Row>) -> bool {
        let Some(journal) = self.journal() else { return false };
        rows.into_iter().filter(|row| !journal.write(row.clone())).count() == 0
    }

    /// The queue of rows, started when it is first needed: not by who only checks a configuration.
    fn journal(&self) -> Option<&Arc<Journal>> {
        let start = || {
            let database = self.database.clone()?;
            let url = self.settings.db_url.as_deref().unwrap_or_default();
            let file = match &self.settings.journal_file {
                Some(file) => file.into(),
                None => store::journal::usual_file("acc", url),
            };
            let settings = store::journal::Settings {
                file,
                queue: self.settings.journal_queue as usize,
                limit: u64::from(self.settings.journal_limit) << 20,
            };
            Journal::start(database, settings)
                .inspect_err(|e| tracing::error!(target: "acc", "no thread for rows of the database: {e}"))
                .ok()
        };
        self.journal.get_or_init(start).as_ref()
    }

    fn compiled(&self, registry: &Registry) -> &Compiled {
        self.compiled.get_or_init(|| {
            let s = &self.settings;
            let list = |name: &str, text: &str| {
                extra::parse(registry, text)
                    .inspect_err(|e| tracing::error!(target: "acc", "{name}: {e}: none of it is accounted"))
                    .unwrap_or_default()
            };
            let legs = s.multi_leg_info.as_deref().filter(|l| !l.is_empty()).and_then(|text| {
                Legs::parse(registry, text)
                    .inspect_err(
                        |e| tracing::error!(target: "acc", "multi_leg_info: {e}: legs are not accounted"),
                    )
                    .ok()
            });
            Compiled {
                log_extra: list("log_extra", &s.log_extra),
                db_extra: list("db_extra", &s.db_extra),
                cdr_extra: list("cdr_extra", &s.cdr_extra),
                legs,
            }
        })
    }

    fn show_counts(&self, core: &Core) {
        use script::statistics::Kind;
        let Some(journal) = self.journal().filter(|_| core.statistics.value("journal_inserted").is_none())
        else {
            return;
        };
        type Count = fn(&store::journal::Counts) -> u64;
        let rows: [(&str, Kind, &str, Count); 5] = [
            ("journal_inserted", Kind::Counter, "Rows written to the database.", |c| c.inserted),
            ("journal_queued", Kind::Level, "Rows waiting in memory.", |c| c.queued),
            ("journal_filed", Kind::Level, "Rows waiting in the file for a database that is away.", |c| {
                c.filed
            }),
            ("journal_refused", Kind::Counter, "Rows that the database refused.", |c| c.refused),
            ("journal_lost", Kind::Counter, "Rows lost because queue and file were full.", |c| c.lost),
        ];
        for (name, kind, doc, count) in rows {
            let journal = journal.clone();
            let value = move || i64::try_from(count(&journal.counts())).unwrap_or(i64::MAX);
            core.statistics.computed("acc", name, doc, kind, Box::new(value));
        }
    }
}

fn flag(ctx: &RouteContext<'_>, flag: i64) -> bool {
    (0..32).contains(&flag) && ctx.flags & 1 << flag != 0
}

fn reset(ctx: &mut RouteContext<'_>, flag: i64) {
    if (0..32).contains(&flag) {
        ctx.flags &= !(1 << flag);
    }
}

fn has_body(ctx: &RouteContext<'_>) -> bool {
    ctx.reply.as_ref().is_some_and(|r| !r.body().is_empty() && r.header(HeaderName::ContentType).is_some())
}

/// A line at one of Kamailio's levels.
fn log_line(severity: i64, facility: &str, text: &str) {
    macro_rules! at {
        ($macro:ident) => {
            match facility.is_empty() {
                true => tracing::$macro!(target: "acc", severity, "{text}"),
                false => tracing::$macro!(target: "acc", severity, facility, "{text}"),
            }
        };
    }
    match severity {
        ..=-1 => at!(error),
        0 => at!(warn),
        1 | 2 => at!(info),
        _ => at!(debug),
    }
}
