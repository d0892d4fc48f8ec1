//! Timers of transactions that were changed while the server runs (`cfg.set tm fr_timer 20000`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use transaction::Timing;

/// A timer that can be changed, in the words of `tm`'s parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// `fr_timer`
    Fr,
    /// `fr_inv_timer`
    FrInv,
    /// `retr_timer1`
    Retransmit1,
    /// `retr_timer2`
    Retransmit2,
    /// `wt_timer`
    Wait,
    /// `max_inv_lifetime`
    MaxInvite,
    /// `max_noninv_lifetime`
    MaxNonInvite,
}

/// Changes of timers; they hold for transactions that begin later.
#[derive(Debug, Default)]
pub struct LiveTiming {
    any: AtomicBool,
    /// Milliseconds by [`Timer`], 0 where nothing was changed.
    changed: [AtomicU64; 7],
}

impl LiveTiming {
    /// The configured timers with the changes.
    pub fn apply(&self, configured: Timing) -> Timing {
        if !self.any.load(Ordering::Acquire) {
            return configured;
        }
        let or = |timer, d| self.changed(timer).map_or(d, Duration::from_millis);
        Timing {
            fr: or(Timer::Fr, configured.fr),
            fr_inv: or(Timer::FrInv, configured.fr_inv),
            t1: or(Timer::Retransmit1, configured.t1),
            t2: or(Timer::Retransmit2, configured.t2),
            wait: or(Timer::Wait, configured.wait),
            max_invite: or(Timer::MaxInvite, configured.max_invite),
            max_noninvite: or(Timer::MaxNonInvite, configured.max_noninvite),
            ..configured
        }
    }
    /// What a timer was changed to, in milliseconds.
    pub fn changed(&self, timer: Timer) -> Option<u64> {
        let ms = self.changed.get(timer as usize)?.load(Ordering::Relaxed);
        (ms > 0).then_some(ms)
    }
    /// Changes one; 0 takes the change back.
    pub fn change(&self, timer: Timer, ms: u64) {
        if let Some(slot) = self.changed.get(timer as usize) {
            slot.store(ms, Ordering::Relaxed);
            self.any.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_hold_over_the_configuration() {
        let live = LiveTiming::default();
        assert_eq!(live.apply(Timing::default()), Timing::default());
        live.change(Timer::Fr, 20);
        live.change(Timer::MaxNonInvite, 7);
        let now = live.apply(Timing::default());
        let wanted = Timing {
            fr: Duration::from_millis(20),
            max_noninvite: Duration::from_millis(7),
            ..Timing::default()
        };
        assert_eq!(now, wanted);
        live.change(Timer::Fr, 0);
        assert_eq!(live.apply(Timing::default()).fr, Timing::default().fr);
    }
}
