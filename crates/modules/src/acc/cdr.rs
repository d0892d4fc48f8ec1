//! Call data records: one for each dialog that ended, with its start, end and duration.
//!
//! Start, end and duration also stand in variables of the dialog (`$dlg_var(start_time)`), so that they outlive a restart with it.

use std::sync::Arc;

use script::{DialogMoment, RouteContext};
use store::Value;
use store::journal::Row;

use super::record::nullable;
use super::{Acc, log_line};
use crate::dialog::Dialog;

impl Acc {
    /// Something happened to the dialog of the context.
    pub(super) fn record_dialog(&self, ctx: &mut RouteContext<'_>, what: DialogMoment) {
        let Some(dialog) = ctx.kept.get::<Dialog>() else { return };
        let now = ctx.now.unix_micros / 1000;
        match what {
            DialogMoment::Made => self.begin(&dialog, now),
            DialogMoment::Confirmed if self.settings.cdr_start_on_confirmed => self.begin(&dialog, now),
            DialogMoment::Failed if self.settings.cdr_on_failed => self.write_record(ctx, &dialog),
            DialogMoment::Ended => {
                self.finish(&dialog, now);
                self.write_record(ctx, &dialog);
            }
            DialogMoment::Expired if self.settings.cdr_expired_dlg_enable => {
                self.finish(&dialog, now);
                self.write_record(ctx, &dialog);
            }
            _ => {}
        }
    }

    fn begin(&self, dialog: &Dialog, now: u64) {
        let time = seconds(now);
        dialog.set_var(self.settings.cdr_start_id.as_bytes(), Some(time.as_bytes()));
        dialog.set_var(self.settings.cdr_end_id.as_bytes(), Some(time.as_bytes()));
        dialog.set_var(self.settings.cdr_duration_id.as_bytes(), Some(b"0"));
    }

    fn finish(&self, dialog: &Dialog, now: u64) {
        let start = self.millis(dialog, &self.settings.cdr_start_id).unwrap_or(now);
        dialog.set_var(self.settings.cdr_end_id.as_bytes(), Some(seconds(now).as_bytes()));
        let lasted = now.saturating_sub(start);
        let duration = match self.settings.cdr_duration_mode {
            1 => lasted.div_ceil(1000).to_string(),
            2 => (lasted / 1000).to_string(),
            _ => seconds(lasted),
        };
        dialog.set_var(self.settings.cdr_duration_id.as_bytes(), Some(duration.as_bytes()));
    }

    fn millis(&self, dialog: &Dialog, name: &str) -> Option<u64> {
        let text = dialog.var(name.as_bytes())?;
        let (whole, part) = std::str::from_utf8(&text).ok()?.split_once('.')?;
        whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(part.parse().ok()?)
    }

    fn write_record(&self, ctx: &RouteContext<'_>, dialog: &Dialog) {
        let s = &self.settings;
        if s.cdr_skip.as_deref().is_some_and(|name| dialog.var(name.as_bytes()).is_some()) {
            return;
        }
        let compiled = self.compiled(&ctx.core.registry);
        let extra: Vec<(&str, Option<Vec<u8>>)> =
            compiled.cdr_extra.iter().map(|e| (e.name.as_str(), e.text(ctx))).collect();
        let core = [&s.cdr_start_id, &s.cdr_end_id, &s.cdr_duration_id]
            .map(|name| (name.as_str(), dialog.var(name.as_bytes()).unwrap_or_default()));
        if s.cdr_log_enable {
            let core = core.iter().map(|(name, value)| (*name, &value[..]));
            let extra = extra.iter().map(|(name, value)| (*name, value.as_deref().unwrap_or_default()));
            let pairs: Vec<String> =
                core.chain(extra).map(|(name, value)| format!("{name}={}", one_line(value))).collect();
            log_line(s.log_level, &s.cdr_facility, &pairs.join("; "));
        }
        if s.cdrs_table.is_empty() || self.database.is_none() {
            return;
        }
        let time =
            |name: &str| self.millis(dialog, name).map_or(Value::Null, |ms| Value::Time((ms / 1000) as i64));
        let duration = dialog
            .var(s.cdr_duration_id.as_bytes())
            .and_then(|d| std::str::from_utf8(&d).ok()?.parse().ok())
            .map_or(Value::Null, Value::Float);
        let mut columns: Vec<String> = core.iter().map(|(name, _)| (*name).to_owned()).collect();
        let mut values = vec![time(&s.cdr_start_id), time(&s.cdr_end_id), duration];
        for (name, value) in extra {
            columns.push(name.to_owned());
            values.push(nullable(value, s.cdr_extra_nullable));
        }
        let table: Arc<str> = self.tables.cdrs.clone();
        self.queue(vec![Row { table, columns: columns.into(), values }]);
    }
}

/// `1767323045.123`
fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

fn one_line(value: &[u8]) -> String {
    String::from_utf8_lossy(value).replace(['\r', '\n', '\0'], " ")
}
