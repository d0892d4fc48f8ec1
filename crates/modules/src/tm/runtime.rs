//! Parameters of `tm` that `cfg.*` shows, and its timers, which can be changed: for transactions that begin later.

use std::any::Any;
use std::sync::LazyLock;

use script::timing::Timer;
use script::{Core, Module, ParamType, ParamValue, RuntimeParam, SetupError, read_only_params};

use super::Tm;

/// All of them.
pub(super) static PARAMS: LazyLock<Vec<RuntimeParam>> = LazyLock::new(|| [TIMERS, FIXED].concat());

/// Longest timer: a day.
const LONGEST: i64 = 86_400_000;

fn value(module: &dyn Module, core: &Core, timer: Timer) -> ParamValue {
    let Some(tm) = (module as &dyn Any).downcast_ref::<Tm>() else { return ParamValue::Int(0) };
    let s = &tm.settings;
    let configured = match timer {
        Timer::Fr => s.fr_timer,
        Timer::FrInv => s.fr_inv_timer,
        Timer::Retransmit1 => s.retr_timer1,
        Timer::Retransmit2 => s.retr_timer2,
        Timer::Wait => s.wt_timer,
        Timer::MaxInvite => s.max_inv_lifetime,
        Timer::MaxNonInvite => s.max_noninv_lifetime,
    };
    let changed = core.config.timing.changed(timer);
    changed.and_then(|ms| i64::try_from(ms).ok()).unwrap_or(configured).into()
}

fn change(module: &dyn Module, core: &Core, timer: Timer, new: ParamValue) -> Result<(), SetupError> {
    let ParamValue::Int(ms @ 1..=LONGEST) = new else {
        return Err(SetupError(format!("{} is not 1 to {LONGEST} milliseconds", new.describe())));
    };
    let other = |timer| match value(module, core, timer) {
        ParamValue::Int(ms) => ms,
        ParamValue::Str(_) => 0,
    };
    if timer == Timer::Retransmit1 && ms > other(Timer::Retransmit2)
        || timer == Timer::Retransmit2 && ms < other(Timer::Retransmit1)
    {
        return Err(SetupError("retr_timer1 would be above retr_timer2".into()));
    }
    core.config.timing.change(timer, ms.unsigned_abs());
    Ok(())
}

macro_rules! timers {
    ($($name:literal $timer:ident $doc:literal;)*) => {
        &[$(RuntimeParam {
            group: "tm",
            name: $name,
            doc: $doc,
            kind: ParamType::Int,
            value: |m, core| value(m, core, Timer::$timer),
            change: Some(|m, core, new| change(m, core, Timer::$timer, new)),
        }),*]
    };
}

const TIMERS: &[RuntimeParam] = timers! {
    "fr_timer" Fr "Milliseconds until a branch without any reply fails.";
    "fr_inv_timer" FrInv "Milliseconds until an INVITE with only provisional replies fails.";
    "wt_timer" Wait "Milliseconds a finished transaction absorbs late messages.";
    "retr_timer1" Retransmit1 "Milliseconds to the first retransmission.";
    "retr_timer2" Retransmit2 "Most milliseconds between retransmissions.";
    "max_inv_lifetime" MaxInvite "Most milliseconds of an INVITE transaction.";
    "max_noninv_lifetime" MaxNonInvite "Most milliseconds of another transaction.";
};

const FIXED: &[RuntimeParam] = read_only_params! { "tm", Tm;
    "auto_inv_100_reason" Str "Reason phrase of the automatic 100." |m| m.settings.auto_inv_100_reason.as_str().into();
    "default_reason" Str "Reason phrase of a reply nobody chose." |m| m.settings.default_reason.as_str().into();
    "ac_extra_hdrs" Str "Beginning of header names that a CANCEL or ACK made here takes over." |m| m.settings.ac_extra_hdrs.as_deref().unwrap_or_default().into();
    "auto_inv_100" Int "1: an INVITE is answered with 100 at once." |m| m.settings.auto_inv_100.into();
    "aggregate_challenges" Int "1: challenges of all branches are joined in a 401 or 407." |m| m.settings.aggregate_challenges.into();
    "unmatched_cancel" Int "What becomes of a CANCEL without INVITE: 0 statefully, 1 statelessly forwarded, 2 dropped." |m| m.settings.unmatched_cancel.into();
    "default_code" Int "Code of a reply nobody chose." |m| m.settings.default_code.into();
    "blst_503" Int "1: who answers 503 is left alone for a while." |m| m.settings.blst_503.into();
    "blst_503_def_timeout" Int "Seconds for blst_503 without Retry-After." |m| m.settings.blst_503_def_timeout.into();
    "blst_503_max_timeout" Int "Most seconds for blst_503." |m| m.settings.blst_503_max_timeout.into();
    "disable_6xx_block" Int "1: a 6xx does not end the other branches." |m| m.settings.disable_6xx_block.into();
    "local_cancel_reason" Int "1: a CANCEL made here has a Reason." |m| m.settings.local_cancel_reason.into();
    "e2e_cancel_reason" Int "1: the Reason of a CANCEL is passed on." |m| m.settings.e2e_cancel_reason.into();
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cfg_rpc::CfgRpc;
    use script::testing::Bench;
    use serde_json::{Value as Json, json};
    use std::sync::Arc;

    #[test]
    fn timers_change_within_reason() {
        let bench = Bench::new(vec![Arc::new(Tm::default()), Arc::new(CfgRpc::default())]);
        let ask = |command: &str, params: Json| {
            let params = params.as_array().cloned().unwrap_or_default();
            script::rpc::call(&bench.core, bench.now, command, &params)
        };
        assert_eq!(ask("cfg.get", json!(["tm", "fr_timer"])), Ok(json!(30_000)));
        assert_eq!(ask("cfg.set", json!(["tm", "fr_timer", 20_000])), Ok(Json::Null));
        assert_eq!(ask("cfg.get", json!(["tm", "fr_timer"])), Ok(json!(20_000)));
        let now = bench.core.config.timing.apply(transaction::Timing::default());
        assert_eq!(now.fr.as_millis(), 20_000);
        for (name, ms) in
            [("fr_timer", 0), ("retr_timer1", 5000), ("retr_timer2", 100), ("default_code", 486)]
        {
            assert!(ask("cfg.set", json!(["tm", name, ms])).is_err(), "{name} {ms}");
        }
        assert_eq!(ask("cfg.reset", json!(["tm"])), Ok(Json::Null));
        assert_eq!(ask("cfg.get", json!(["tm", "fr_timer"])), Ok(json!(30_000)));
    }
}
