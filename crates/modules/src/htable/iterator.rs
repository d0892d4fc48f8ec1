//! `sht_iterator_*`: four named iterators per worker. They hold no lock: items may come and go meanwhile, also by the loop itself.

use std::sync::Arc;

use script::{RouteContext, Value};

use super::table::Table;

/// Iterators that can be open at a time in a worker, as in Kamailio.
const LIMIT: usize = 4;

/// An open iterator: the keys of the part it is in, and how many of them are done.
#[derive(Debug)]
struct Open {
    name: Box<[u8]>,
    table: Arc<Table>,
    part: usize,
    keys: Vec<Box<[u8]>>,
    done: usize,
}

#[derive(Debug, Default)]
struct Iterators(Vec<Open>);

impl Open {
    fn new(name: &[u8], table: Arc<Table>) -> Open {
        Open { name: name.into(), table, part: 0, keys: Vec::new(), done: 0 }
    }
    fn key(&self) -> Option<&[u8]> {
        self.keys.get(self.done.checked_sub(1)?).map(|k| &**k)
    }
    /// To the next item that is still there; after the last it stands before the first again.
    fn advance(&mut self, now: u32) -> bool {
        loop {
            while let Some(key) = self.keys.get(self.done) {
                self.done += 1;
                if self.table.look(key, now, |_| ()).is_some() {
                    return true;
                }
            }
            let keys = self.table.keys(self.part, now);
            (self.done, self.part) = (0, self.part + 1);
            self.keys = keys.unwrap_or_else(|| {
                self.part = 0;
                Vec::new()
            });
            if self.part == 0 {
                return false;
            }
        }
    }
}

/// Opens an iterator, or one that is open already anew. False when too many are open.
pub fn start(ctx: &RouteContext<'_>, name: &[u8], table: &Arc<Table>) -> bool {
    let mut slots = ctx.worker.slots.borrow_mut();
    let open = &mut slots.slot::<Iterators>().0;
    open.retain(|o| *o.name != *name);
    if open.len() >= LIMIT {
        tracing::error!(target: "htable", limit = LIMIT, "too many open iterators; close them with sht_iterator_end");
        return false;
    }
    open.push(Open::new(name, table.clone()));
    true
}

/// Closes an iterator. False when there is none of that name.
pub fn end(ctx: &RouteContext<'_>, name: &[u8]) -> bool {
    let mut slots = ctx.worker.slots.borrow_mut();
    let open = &mut slots.slot::<Iterators>().0;
    let before = open.len();
    open.retain(|o| *o.name != *name);
    open.len() < before
}

/// To the next item. False at the end, and when there is no iterator of that name.
pub fn next(ctx: &RouteContext<'_>, name: &[u8], now: u32) -> bool {
    let mut slots = ctx.worker.slots.borrow_mut();
    slots.slot::<Iterators>().0.iter_mut().find(|o| *o.name == *name).is_some_and(|o| o.advance(now))
}

/// Table and key of the item an iterator stands on.
pub fn current(ctx: &RouteContext<'_>, name: &[u8]) -> Option<(Arc<Table>, Vec<u8>)> {
    let slots = ctx.worker.slots.borrow();
    let open = slots.peek::<Iterators>()?.0.iter().find(|o| *o.name == *name)?;
    Some((open.table.clone(), open.key()?.to_vec()))
}

/// Value of the item an iterator stands on; null when it has gone.
pub fn value(ctx: &RouteContext<'_>, name: &[u8], now: u32) -> Value<'static> {
    let Some((table, key)) = current(ctx, name) else { return Value::Null };
    table.look(&key, now, |i| i.value.to_value()).unwrap_or(Value::Null)
}
