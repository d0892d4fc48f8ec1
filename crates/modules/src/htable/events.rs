//! `event_callback`: the script hears once that the tables are there, of every item that ended, and of every reload.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use script::{RouteContext, Services};
use transaction::Now;

use super::pv::Record;
use super::table::{Item, Stored};

/// Most events waiting; further ones are not told, which is logged.
const LIMIT: usize = 10_000;
/// Most callbacks in a row; what is left waits for the next second.
const BUDGET: usize = 1000;

/// Something to tell.
#[derive(Debug)]
struct Event {
    name: String,
    item: Option<(Box<[u8]>, Stored)>,
}

/// What is still to be told.
#[derive(Debug, Default)]
pub struct Events(Mutex<VecDeque<Event>>);

impl Events {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
    fn push(&self, event: Event) {
        let mut waiting = self.waiting();
        if waiting.len() < LIMIT {
            waiting.push_back(event);
            if waiting.len() == LIMIT {
                tracing::warn!(target: "htable", limit = LIMIT, "events come faster than their callback runs: some are not told");
            }
        }
    }
    /// `htable:mod-init`, `htable:reloaded:<table>`.
    pub fn tell(&self, name: &str) {
        self.push(Event { name: name.into(), item: None });
    }
    /// `htable:expired:<table>`.
    pub fn expired(&self, table: &str, item: Item) {
        let name = format!("htable:expired:{table}");
        self.push(Event { name, item: Some((item.key().into(), item.value)) });
    }
    /// Runs the callback.
    pub fn run(&self, callback: &str, services: &Services<'_>, now: Now) {
        let Some(callback) = services.core.callbacks.intern(callback.as_bytes()) else { return };
        for _ in 0..BUDGET {
            let Some(event) = self.waiting().pop_front() else { return };
            let Some(mut ctx) = RouteContext::stand_in(services, now) else { return };
            ctx.slots.slot::<Record>().0 = event.item;
            ctx.engine.run_event(callback, &event.name, &mut ctx);
        }
    }
    /// Forgets what nobody listens to.
    pub fn clear(&self) {
        self.waiting().clear();
    }
}
