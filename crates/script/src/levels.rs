//! Log levels that may change while the server runs: one for everything (`debug`), and one for a module where the operator set it.
//!
//! The log asks here for every line; who changes a level calls [`Levels::set_debug`] or [`Levels::set_module`].

use std::collections::BTreeMap;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// Modules that can have a level of their own at one time.
pub const MODULES_MAX: usize = 1024;

/// The levels in force, Kamailio's numbers: -5 alerts to 3 everything.
#[derive(Debug, Default)]
pub struct Levels {
    debug: AtomicI32,
    /// Whether levels of modules hold.
    by_module: AtomicBool,
    modules: RwLock<BTreeMap<String, i32>>,
}

impl Levels {
    /// Levels with this one for everything.
    pub fn new(debug: i32) -> Levels {
        Levels { debug: AtomicI32::new(debug), ..Levels::default() }
    }
    /// The level for everything.
    pub fn debug(&self) -> i32 {
        self.debug.load(Ordering::Relaxed)
    }
    /// Changes the level for everything.
    pub fn set_debug(&self, level: i32) {
        self.debug.store(level, Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }
    /// Whether levels of modules hold (`mod_level_mode`).
    pub fn by_module(&self) -> bool {
        self.by_module.load(Ordering::Relaxed)
    }
    /// Lets levels of modules hold, or not.
    pub fn set_by_module(&self, hold: bool) {
        self.by_module.store(hold, Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }
    /// The level that was set for a module, whether or not levels of modules hold.
    pub fn module(&self, name: &str) -> Option<i32> {
        self.modules.read().unwrap_or_else(|e| e.into_inner()).get(name).copied()
    }
    /// Sets a module's level; false when [`MODULES_MAX`] have one already.
    pub fn set_module(&self, name: &str, level: i32) -> bool {
        let mut modules = self.modules.write().unwrap_or_else(|e| e.into_inner());
        if modules.len() >= MODULES_MAX && !modules.contains_key(name) {
            return false;
        }
        modules.insert(name.to_owned(), level);
        drop(modules);
        tracing::callsite::rebuild_interest_cache();
        true
    }
    /// The level that holds for lines of a module.
    pub fn of(&self, module: &str) -> i32 {
        if !self.by_module() {
            return self.debug();
        }
        self.module(module).unwrap_or_else(|| self.debug())
    }
    /// The highest level any line may be shown at.
    pub fn highest(&self) -> i32 {
        let debug = self.debug();
        if !self.by_module() {
            return debug;
        }
        let modules = self.modules.read().unwrap_or_else(|e| e.into_inner());
        modules.values().copied().fold(debug, i32::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_has_a_level_of_its_own_once_they_hold() {
        let levels = Levels::new(1);
        assert!(levels.set_module("tm", 3));
        assert_eq!((levels.of("tm"), levels.of("sl"), levels.highest()), (1, 1, 1));
        levels.set_by_module(true);
        assert_eq!((levels.of("tm"), levels.of("sl"), levels.highest()), (3, 1, 3));
        assert!(levels.set_module("sl", -1));
        levels.set_debug(2);
        assert_eq!((levels.of("sl"), levels.of("rr")), (-1, 2));
    }
    #[test]
    fn no_more_modules_than_there_is_room_for() {
        let levels = Levels::default();
        assert!((0..MODULES_MAX).all(|i| levels.set_module(&i.to_string(), 0)));
        assert!(!levels.set_module("one more", 0) && levels.set_module("5", 3));
    }
}
