//! A bounded pool of connections that knows whether its database is there.
//!
//! ```text
//!            connect fails: one log line                  connect succeeds: one log line
//!  there ------------------------------> away, asked again at `until` -----------------> there
//!                                        meanwhile every call fails at once
//! ```
//! A connection is opened when one is needed and none is idle. While the database is away one call at a time tries to reach it, after
//! 250 ms, then after twice the time, at most every 15 seconds.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::{Connect, Connection as _};
use crate::Error;

const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(15);
/// A connection that was idle longer is asked whether it still stands.
const TRUSTED: Duration = Duration::from_secs(1);

pub(crate) struct Pool<C: Connect> {
    connect: C,
    /// For log lines.
    place: String,
    limit: usize,
    patience: Duration,
    state: Mutex<State<C::Connection>>,
    freed: Condvar,
}

struct State<T> {
    idle: Vec<(T, Instant)>,
    /// Idle and lent.
    open: usize,
    away: Option<Away>,
    /// Grows when connections are found to be broken: those lent before are not taken back.
    generation: u64,
}

struct Away {
    since: Instant,
    why: String,
    delay: Duration,
    until: Instant,
    trying: bool,
}

/// A connection lent by the pool.
pub(crate) struct Lent<T> {
    pub connection: T,
    generation: u64,
}

impl<C: Connect> Pool<C> {
    /// `limit`: most connections; `patience`: how long to wait for one when all are lent.
    pub fn new(connect: C, place: String, limit: usize, patience: Duration) -> Pool<C> {
        let state = State { idle: Vec::new(), open: 0, away: None, generation: 0 };
        Pool {
            connect,
            place,
            limit: limit.max(1),
            patience,
            state: Mutex::new(state),
            freed: Condvar::new(),
        }
    }
    pub fn connect(&self) -> &C {
        &self.connect
    }
    fn lock(&self) -> MutexGuard<'_, State<C::Connection>> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// A connection, waiting for nothing that is known to be away.
    pub fn take(&self) -> Result<Lent<C::Connection>, Error> {
        let end = Instant::now() + self.patience;
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if let Some((mut connection, since)) = state.idle.pop() {
                let generation = state.generation;
                drop(state);
                if now - since < TRUSTED || connection.alive() {
                    return Ok(Lent { connection, generation });
                }
                // Its server went away meanwhile, and with it the others: they are asked in turn.
                drop(connection);
                state = self.lock();
                state.open -= 1;
                continue;
            }
            if let Some(away) = &mut state.away {
                if away.trying || now < away.until {
                    return Err(Error::Unavailable(away.why.clone()));
                }
                away.trying = true;
            }
            if state.open < self.limit {
                state.open += 1;
                drop(state);
                return self.open();
            }
            let left = end.saturating_duration_since(now);
            if left.is_zero() {
                return Err(Error::Unavailable(format!("all {} connections are in use", self.limit)));
            }
            state = self.freed.wait_timeout(state, left).unwrap_or_else(|e| e.into_inner()).0;
        }
    }

    fn open(&self) -> Result<Lent<C::Connection>, Error> {
        let made = self.connect.connect();
        let mut state = self.lock();
        match made {
            Ok(connection) => {
                if let Some(away) = state.away.take() {
                    let seconds = away.since.elapsed().as_secs();
                    tracing::warn!(target: "database", "{} is back after {seconds} s", self.place);
                }
                Ok(Lent { connection, generation: state.generation })
            }
            Err(why) => {
                state.open -= 1;
                let now = Instant::now();
                match &mut state.away {
                    Some(away) => {
                        if away.trying {
                            away.delay = (away.delay * 2).min(LONGEST_DELAY);
                        }
                        (away.trying, away.until) = (false, now + away.delay);
                        away.why.clone_from(&why);
                    }
                    None => {
                        tracing::error!(
                            target: "database",
                            "{} cannot be reached: {why}; what needs it fails until it is back", self.place
                        );
                        let (delay, until) = (FIRST_DELAY, now + FIRST_DELAY);
                        state.away = Some(Away { since: now, why: why.clone(), delay, until, trying: false });
                    }
                }
                drop(state);
                self.freed.notify_all();
                Err(Error::Unavailable(why))
            }
        }
    }

    /// Takes a connection back that is fine.
    pub fn give_back(&self, lent: Lent<C::Connection>) {
        let mut state = self.lock();
        if lent.generation == state.generation {
            state.idle.push((lent.connection, Instant::now()));
        } else {
            state.open -= 1;
        }
        drop(state);
        self.freed.notify_one();
    }

    /// A connection broke: it and all that are idle are given up.
    pub fn broken(&self, lent: Lent<C::Connection>) {
        let mut state = self.lock();
        if lent.generation == state.generation {
            state.generation += 1;
        }
        state.open -= 1 + state.idle.len();
        let old = std::mem::take(&mut state.idle);
        drop(state);
        self.freed.notify_all();
        // Closing may wait for the server: not under the lock.
        drop((old, lent));
    }
}
