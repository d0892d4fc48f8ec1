//! Parameters of `tm` that `cfg.*` shows. They are read once: timers of transactions are made from them.

use script::{RuntimeParam, read_only_params};

use super::Tm;

pub(super) const PARAMS: &[RuntimeParam] = read_only_params! { "tm", Tm;
    "auto_inv_100_reason" Str "Reason phrase of the automatic 100." |m| m.settings.auto_inv_100_reason.as_str().into();
    "default_reason" Str "Reason phrase of a reply nobody chose." |m| m.settings.default_reason.as_str().into();
    "ac_extra_hdrs" Str "Beginning of header names that a CANCEL or ACK made here takes over." |m| m.settings.ac_extra_hdrs.as_deref().unwrap_or_default().into();
    "fr_timer" Int "Milliseconds until a branch without any reply fails." |m| m.settings.fr_timer.into();
    "fr_inv_timer" Int "Milliseconds until an INVITE with only provisional replies fails." |m| m.settings.fr_inv_timer.into();
    "wt_timer" Int "Milliseconds a finished transaction absorbs late messages." |m| m.settings.wt_timer.into();
    "retr_timer1" Int "Milliseconds to the first retransmission." |m| m.settings.retr_timer1.into();
    "retr_timer2" Int "Most milliseconds between retransmissions." |m| m.settings.retr_timer2.into();
    "max_inv_lifetime" Int "Most milliseconds of an INVITE transaction." |m| m.settings.max_inv_lifetime.into();
    "max_noninv_lifetime" Int "Most milliseconds of another transaction." |m| m.settings.max_noninv_lifetime.into();
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
