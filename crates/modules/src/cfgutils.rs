//! Utilities of the configuration: named locks, waiting, chance, global flags, hashes.
//!
//! A lock is held by a script, not by this server: it is an entry in a table that the script must take out again. `lock` waits for it
//! outside the interpreter; a lock that its holder forgot is given away after 30 seconds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use script::pv::Inner;
use script::{
    Function, ModParam, ModParams, Module, Outcome, ParamValue, PseudoVariable, RouteContext, RpcCommand,
    RpcError, Setup, SetupError, Value, ksr_module,
};
use serde_json::{Value as Json, json};

/// How long `lock` waits for a holder before it takes the lock over.
const FORGOTTEN: Duration = Duration::from_secs(30);
/// Longest wait of `sleep` and `usleep`.
const LONGEST: Duration = Duration::from_secs(600);

/// Module `cfgutils`.
#[derive(Debug)]
pub struct CfgUtils {
    settings: Settings,
    probability: AtomicI64,
    flags: AtomicU32,
    locks: Mutex<HashMap<u32, u64>>,
    released: Condvar,
    random: AtomicU64,
}

impl Default for CfgUtils {
    fn default() -> Self {
        CfgUtils {
            settings: Settings::default(),
            probability: AtomicI64::new(10),
            flags: AtomicU32::new(0),
            locks: Mutex::default(),
            released: Condvar::new(),
            random: AtomicU64::new(0x9e37_79b9_7f4a_7c15),
        }
    }
}

/// Parameters of `cfgutils`.
#[derive(Debug, ModParams)]
struct Settings {
    /// File whose hash `cfgutils.get_config_hash` tells. Default none. Taken; no file is read here yet.
    hash_file: Option<String>,
    /// Global flags at the start, a bit mask. Default 0.
    initial_gflags: u32,
    /// Probability of `rand_event` in percent, 0 to 100. Default 10.
    initial_probability: i64,
    /// The locks are `2^lock_set_size` many; keys share them by their hash. 0 to 16, default 0: no locks, `lock` fails.
    lock_set_size: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { hash_file: None, initial_gflags: 0, initial_probability: 10, lock_set_size: 0 }
    }
}

/// A quick hash of one or two texts, FNV-1a; `size` slots when it is not 0.
fn core_hash(a: &[u8], b: &[u8], size: u32) -> u32 {
    let hash =
        a.iter().chain(b).fold(0x811c_9dc5u32, |h, byte| (h ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    if size == 0 { hash } else { hash % size }
}

impl CfgUtils {
    /// The lock a key falls on, `None` without a lock set.
    fn slot(&self, k1: &[u8], k2: &[u8]) -> Option<u32> {
        let size = self.settings.lock_set_size.min(16);
        if size == 0 {
            tracing::error!(target: "cfgutils", "lock_set_size is 0: there are no locks");
            return None;
        }
        Some(core_hash(k1, k2, 1 << size))
    }

    /// Takes the lock `slot`; waits for it when `wait`.
    fn take(&self, slot: u32, wait: bool) -> Outcome {
        let mut locks = self.locks.lock().unwrap_or_else(|e| e.into_inner());
        while let Some(turn) = locks.get(&slot).copied() {
            if !wait {
                return Outcome::FALSE;
            }
            let (back, timeout) =
                self.released.wait_timeout(locks, FORGOTTEN).unwrap_or_else(|e| e.into_inner());
            locks = back;
            if timeout.timed_out() && locks.get(&slot) == Some(&turn) {
                tracing::error!(target: "cfgutils", slot, "a lock was not released for 30 s: taken over; look for a missing unlock");
                break;
            }
        }
        locks.insert(slot, self.next_random());
        Outcome::TRUE
    }

    fn release(&self, slot: u32) -> Outcome {
        self.locks.lock().unwrap_or_else(|e| e.into_inner()).remove(&slot);
        self.released.notify_all();
        Outcome::TRUE
    }

    /// A pseudo-random number (splitmix64).
    fn next_random(&self) -> u64 {
        let mut z = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn set_probability(&self, percent: i64) -> Outcome {
        if !(0..=100).contains(&percent) {
            tracing::error!(target: "cfgutils", percent, "a probability is 0 to 100 percent");
            return Outcome::FALSE;
        }
        self.probability.store(percent, Ordering::Relaxed);
        Outcome::TRUE
    }

    /// Waits on a condition nobody signals: this crate has no clock of its own.
    fn pause(&self, duration: Duration) -> Outcome {
        let quiet = Mutex::new(());
        let guard = quiet.lock().unwrap_or_else(|e| e.into_inner());
        let _ = Condvar::new().wait_timeout_while(guard, duration.min(LONGEST), |()| true);
        Outcome::TRUE
    }
}

#[ksr_module("cfgutils")]
impl CfgUtils {
    /// Takes the lock the key falls on, waiting for it. Release it with `unlock`. Returns 1; -1 when `lock_set_size` is 0.
    ///
    /// Different keys may share a lock: do not take a second one while holding one.
    #[ksr(cfg = ["lock"], blocking, no_message)]
    fn lock(&self, lkey: &[u8]) -> Outcome {
        self.slot(lkey, b"").map_or(Outcome::FALSE, |s| self.take(s, true))
    }
    /// As `lock`, for a key made of two texts.
    #[ksr(cfg = ["lock"], blocking, no_message)]
    fn lock_key2(&self, lkey1: &[u8], lkey2: &[u8]) -> Outcome {
        self.slot(lkey1, lkey2).map_or(Outcome::FALSE, |s| self.take(s, true))
    }
    /// Releases the lock the key falls on. Returns 1; -1 when `lock_set_size` is 0.
    #[ksr(cfg = ["unlock"], no_message)]
    fn unlock(&self, lkey: &[u8]) -> Outcome {
        self.slot(lkey, b"").map_or(Outcome::FALSE, |s| self.release(s))
    }
    /// As `unlock`, for a key made of two texts.
    #[ksr(cfg = ["unlock"], no_message)]
    fn unlock_key2(&self, lkey1: &[u8], lkey2: &[u8]) -> Outcome {
        self.slot(lkey1, lkey2).map_or(Outcome::FALSE, |s| self.release(s))
    }
    /// Takes the lock the key falls on if it is free. Returns 1, or -1 when it is held.
    #[ksr(cfg = ["trylock"], no_message)]
    fn trylock(&self, lkey: &[u8]) -> Outcome {
        self.slot(lkey, b"").map_or(Outcome::FALSE, |s| self.take(s, false))
    }
    /// As `trylock`, for a key made of two texts.
    #[ksr(cfg = ["trylock"], no_message)]
    fn trylock_key2(&self, lkey1: &[u8], lkey2: &[u8]) -> Outcome {
        self.slot(lkey1, lkey2).map_or(Outcome::FALSE, |s| self.take(s, false))
    }
    /// Sets the probability of `rand_event` in percent, 0 to 100. Returns 1, or -1 outside that range.
    #[ksr(cfg = ["rand_set_prob"], no_message)]
    fn rand_set_prob(&self, percent: i64) -> Outcome {
        self.set_probability(percent)
    }
    /// Sets the probability of `rand_event` back to `initial_probability`. Returns 1.
    #[ksr(cfg = ["rand_reset_prob"], no_message)]
    fn rand_reset_prob(&self) -> Outcome {
        self.set_probability(self.settings.initial_probability)
    }
    /// The probability of `rand_event` in percent.
    #[ksr(cfg = ["rand_get_prob"], no_message)]
    fn rand_get_prob(&self) -> i64 {
        self.probability.load(Ordering::Relaxed)
    }
    /// 1 with the probability set, -1 otherwise.
    #[ksr(cfg = ["rand_event"], no_message)]
    fn rand_event(&self) -> Outcome {
        Outcome::from(((self.next_random() % 100) as i64) < self.probability.load(Ordering::Relaxed))
    }
    /// Kamailio stops the server here, with a core dump. This server goes on: it logs an error and ends the route. Returns -1.
    #[ksr(cfg = ["abort"], no_message)]
    fn abort(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        tracing::error!(target: "cfgutils", "abort() was called by the script: the route ends, the server does not");
        ctx.unwind = Some(script::context::Unwind::Exit);
        Outcome::FALSE
    }
    /// Logs that there is no private memory here as Kamailio has it. Returns 1.
    #[ksr(cfg = ["pkg_status"], no_message)]
    fn pkg_status(&self) -> Outcome {
        no_pools()
    }
    /// Logs that there is no shared memory here as Kamailio has it. Returns 1.
    #[ksr(cfg = ["shm_status"], no_message)]
    fn shm_status(&self) -> Outcome {
        no_pools()
    }
    /// Logs that there is no private memory here as Kamailio has it. Returns 1.
    #[ksr(cfg = ["pkg_summary"], no_message)]
    fn pkg_summary(&self) -> Outcome {
        no_pools()
    }
    /// Logs that there is no shared memory here as Kamailio has it. Returns 1.
    #[ksr(cfg = ["shm_summary"], no_message)]
    fn shm_summary(&self) -> Outcome {
        no_pools()
    }
    /// A quick hash of one or two texts in `2^size` slots (at most `2^30`), plus one so that the result is true. Not for security.
    #[ksr(cfg = ["core_hash"], no_message)]
    fn core_hash(&self, s1: &[u8], s2: &[u8], sz: i64) -> i64 {
        let slots = if (1..=30).contains(&sz) { 1u32 << sz } else { 1 };
        i64::from(core_hash(s1, s2, slots)) + 1
    }
    /// Waits that many seconds, at most 600; the worker does nothing else meanwhile. Returns 1.
    #[ksr(cfg = ["sleep"], blocking, no_message)]
    fn sleep(&self, v: i64) -> Outcome {
        self.pause(Duration::from_secs(v.max(0) as u64))
    }
    /// Waits that many microseconds; the worker does nothing else meanwhile. Returns 1.
    #[ksr(cfg = ["usleep"], blocking, no_message)]
    fn usleep(&self, v: i64) -> Outcome {
        self.pause(Duration::from_micros(v.max(0) as u64))
    }
    /// Whether the script has a callback of that name. Returns 1 or -1.
    #[ksr(cfg = ["check_route_exists"], no_message)]
    fn check_route_exists(&self, ctx: &mut RouteContext<'_>, route: &[u8]) -> Outcome {
        Outcome::from(ctx.callback(route).is_some_and(|id| ctx.engine.has(id)))
    }
    /// Runs the script's callback of that name if there is one. Returns what it returned; -1 when there is none.
    #[ksr(cfg = ["route_if_exists"])]
    fn route_if_exists(&self, ctx: &mut RouteContext<'_>, route: &[u8]) -> Outcome {
        crate::app_python3::run_callback(ctx, route, None)
    }
}

fn no_pools() -> Outcome {
    tracing::info!(target: "cfgutils", "memory is not divided into private and shared pools here");
    Outcome::TRUE
}

const PSEUDO_VARIABLES: &[PseudoVariable] = &[PseudoVariable {
    module: "cfgutils",
    name: "RANDOM",
    doc: "A random number from 0 to 2^31-1, another one at every use.",
    inner: Inner::None,
    get: |ctx, _| match ctx.core.registry.module::<CfgUtils>() {
        Some(m) => Value::Int((m.next_random() >> 33) as i64),
        None => Value::Null,
    },
    set: None,
}];

type Call = fn(&CfgUtils, &[Json]) -> Result<Json, RpcError>;

/// The first parameter as a number; hexadecimal texts are numbers too.
fn first(params: &[Json]) -> Result<i64, RpcError> {
    let number = match params.first() {
        Some(Json::String(s)) => match s.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16).ok(),
            None => s.parse().ok(),
        },
        Some(other) => other.as_i64(),
        None => None,
    };
    number.ok_or_else(|| RpcError::new(400, "a number is needed"))
}

fn with(module: &dyn Module, params: &[Json], call: Call) -> Result<Json, RpcError> {
    match (module as &dyn std::any::Any).downcast_ref::<CfgUtils>() {
        Some(m) => call(m, params),
        None => Err(RpcError::new(500, "not cfgutils")),
    }
}

const NO_HASH: &str = "no file to hash is read here";

const RPC: &[RpcCommand] = &[
    RpcCommand {
        name: "cfgutils.rand_set_prob",
        doc: "Sets the probability of `rand_event`: percent 0 to 100.",
        call: |m, _, _, p| {
            with(m, p, |m, p| match m.set_probability(first(p)?) {
                Outcome::TRUE => Ok(Json::Null),
                _ => Err(RpcError::new(500, "Invalid Percent")),
            })
        },
    },
    RpcCommand {
        name: "cfgutils.rand_reset_prob",
        doc: "Sets the probability of `rand_event` back to its initial value.",
        call: |m, _, _, p| {
            with(m, p, |m, _| {
                m.rand_reset_prob();
                Ok(Json::Null)
            })
        },
    },
    RpcCommand {
        name: "cfgutils.rand_get_prob",
        doc: "The probability of `rand_event` in percent.",
        call: |m, _, _, p| {
            with(m, p, |m, _| Ok(json!(format!("actual probability: {} percent", m.rand_get_prob()))))
        },
    },
    RpcCommand {
        name: "cfgutils.set_gflag",
        doc: "Sets global flags: a bit mask, decimal or 0x hexadecimal.",
        call: |m, _, _, p| {
            with(m, p, |m, p| {
                m.flags.fetch_or(first(p)? as u32, Ordering::Relaxed);
                Ok(Json::Null)
            })
        },
    },
    RpcCommand {
        name: "cfgutils.reset_gflag",
        doc: "Resets global flags: a bit mask, decimal or 0x hexadecimal.",
        call: |m, _, _, p| {
            with(m, p, |m, p| {
                m.flags.fetch_and(!(first(p)? as u32), Ordering::Relaxed);
                Ok(Json::Null)
            })
        },
    },
    RpcCommand {
        name: "cfgutils.is_gflag",
        doc: "Whether all flags of a bit mask are set: `TRUE` or `FALSE`.",
        call: |m, _, _, p| {
            with(m, p, |m, p| {
                let mask = first(p)? as u32;
                let all = m.flags.load(Ordering::Relaxed) & mask == mask;
                Ok(json!(if all { "TRUE" } else { "FALSE" }))
            })
        },
    },
    RpcCommand {
        name: "cfgutils.get_gflags",
        doc: "All global flags, decimal and hexadecimal.",
        call: |m, _, _, p| {
            with(m, p, |m, _| {
                let flags = m.flags.load(Ordering::Relaxed);
                Ok(json!(format!("0x{flags:X} ({flags})")))
            })
        },
    },
    RpcCommand {
        name: "cfgutils.check_config_hash",
        doc: "Compares the hash of `hash_file` with the one of the start. Always fault 500: no file is read here.",
        call: |_, _, _, _| Err(RpcError::new(500, NO_HASH)),
    },
    RpcCommand {
        name: "cfgutils.get_config_hash",
        doc: "The hash of `hash_file`. Always fault 500: no file is read here.",
        call: |_, _, _, _| Err(RpcError::new(500, NO_HASH)),
    },
];

impl Module for CfgUtils {
    fn name(&self) -> &'static str {
        "cfgutils"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn pseudo_variables(&self) -> &'static [PseudoVariable] {
        PSEUDO_VARIABLES
    }
    fn params(&self) -> &'static [ModParam] {
        Settings::PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.settings.set(name, value)
    }
    fn rpc(&self) -> &'static [RpcCommand] {
        RPC
    }
    fn setup(&mut self, setup: &Setup<'_>) -> Result<(), SetupError> {
        if !(0..=100).contains(&self.settings.initial_probability) {
            return Err(SetupError("initial_probability is 0 to 100 percent".into()));
        }
        self.probability.store(self.settings.initial_probability, Ordering::Relaxed);
        self.flags.store(self.settings.initial_gflags, Ordering::Relaxed);
        self.random.fetch_xor(setup.config.seed, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::testing::Bench;
    use std::sync::Arc;

    fn bench() -> Bench {
        let mut m = CfgUtils::default();
        m.set_param("lock_set_size", ParamValue::Int(4)).expect("declared");
        Bench::new(vec![Arc::new(m)])
    }
    fn call(b: &Bench, name: &str, args: &[Value<'_>]) -> Option<i64> {
        let mut ctx = b.request("OPTIONS sip:a@b SIP/2.0\n");
        b.call(&mut ctx, &format!("cfgutils.{name}"), args).to_int()
    }

    #[test]
    fn locks_exclude_each_other() {
        let b = bench();
        let k = [Value::str(b"key")];
        assert_eq!(call(&b, "lock", &k), Some(1));
        assert_eq!(call(&b, "trylock", &k), Some(-1));
        std::thread::scope(|s| {
            let module = b.core.registry.module::<CfgUtils>().expect("there");
            let waiter = s.spawn(move || module.lock(b"key"));
            assert_eq!(call(&b, "unlock", &k), Some(1));
            assert_eq!(waiter.join().ok(), Some(Outcome::TRUE));
        });
        assert_eq!(call(&b, "unlock", &k), Some(1));
        assert_eq!(call(&b, "trylock", &k), Some(1));
        let two = [Value::str(b"k"), Value::str(b"ey")];
        assert_eq!(call(&b, "trylock_key2", &two), Some(-1));
        assert_eq!(call(&b, "unlock_key2", &two), Some(1));
        assert_eq!(call(&b, "lock_key2", &two), Some(1));
    }
    #[test]
    fn no_lock_set_no_locks() {
        let b = Bench::new(vec![Arc::new(CfgUtils::default())]);
        assert_eq!(call(&b, "lock", &[Value::str(b"k")]), Some(-1));
    }
    #[test]
    fn chance() {
        let b = bench();
        assert_eq!(call(&b, "rand_get_prob", &[]), Some(10));
        assert_eq!(call(&b, "rand_set_prob", &[Value::Int(101)]), Some(-1));
        for (percent, result) in [(0, -1), (100, 1)] {
            call(&b, "rand_set_prob", &[Value::Int(percent)]);
            assert!((0..50).all(|_| call(&b, "rand_event", &[]) == Some(result)));
        }
        assert_eq!(call(&b, "rand_reset_prob", &[]), Some(1));
        let ctx = b.request("OPTIONS sip:a@b SIP/2.0\n");
        let one = b.pv(&ctx, "$RANDOM").to_int().expect("number");
        assert!((0..1 << 31).contains(&one) && b.pv(&ctx, "$RANDOM").to_int() != Some(one));
    }
    #[test]
    fn hashes_and_waiting() {
        let b = bench();
        let hash =
            |a: &[u8], c: &[u8], n| call(&b, "core_hash", &[Value::str(a), Value::str(c), Value::Int(n)]);
        assert_eq!(hash(b"ab", b"c", 4), hash(b"a", b"bc", 4));
        assert!((1..=16).contains(&hash(b"x", b"", 4).expect("number")));
        assert_eq!(hash(b"x", b"", 0), Some(1));
        assert_eq!(call(&b, "usleep", &[Value::Int(1)]), Some(1));
        assert_eq!(call(&b, "sleep", &[Value::Int(-1)]), Some(1));
        assert_eq!(call(&b, "pkg_status", &[]), Some(1));
        assert_eq!(call(&b, "shm_summary", &[]), Some(1));
        assert_eq!(call(&b, "abort", &[]), Some(-1));
        assert_eq!(call(&b, "check_route_exists", &[Value::str(b"nope")]), Some(-1));
        assert_eq!(call(&b, "route_if_exists", &[Value::str(b"nope")]), Some(-1));
    }
    #[test]
    fn flags_by_rpc() {
        let b = bench();
        let rpc = |name: &str, p: Json| {
            let (m, row) = b.core.registry.rpc().find(|(_, r)| r.name == name).expect("there");
            (row.call)(m.as_ref(), &b.core, b.now, &[p])
        };
        assert!(rpc("cfgutils.set_gflag", json!("0x400")).is_ok());
        assert_eq!(rpc("cfgutils.is_gflag", json!(1024)), Ok(json!("TRUE")));
        assert_eq!(rpc("cfgutils.get_gflags", json!(0)), Ok(json!("0x400 (1024)")));
        assert!(rpc("cfgutils.reset_gflag", json!(1024)).is_ok());
        assert_eq!(rpc("cfgutils.is_gflag", json!(1024)), Ok(json!("FALSE")));
        assert!(rpc("cfgutils.set_gflag", json!("many")).is_err());
        assert!(rpc("cfgutils.rand_set_prob", json!(20)).is_ok());
        assert_eq!(rpc("cfgutils.rand_get_prob", json!(0)), Ok(json!("actual probability: 20 percent")));
    }
}
