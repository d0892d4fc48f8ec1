//! `event_callback`: the script hears of every contact that ended, as `usrloc:contact-expired`.

use script::{RouteContext, Services};
use transaction::Now;

use super::Registrar;

/// Most callbacks in a row; what is left waits for the next second.
const BUDGET: usize = 1000;

const EVENT: &str = "usrloc:contact-expired";

/// Runs the callback for contacts that ended.
pub(super) fn run(registrar: &Registrar, services: &Services<'_>, now: Now) {
    let Some(name) = &registrar.settings.event_callback else { return };
    let Some(callback) = services.core.callbacks.intern(name.as_bytes()) else { return };
    for _ in 0..BUDGET {
        let Some(ended) = registrar.domains.next_ended() else { return };
        let Some(mut ctx) = RouteContext::stand_in(services, now) else { return };
        Registrar::show_ended(&mut ctx, &ended);
        ctx.engine.run_event(callback, EVENT, &mut ctx);
    }
}
