//! A thread that sleeps while nothing happens and is woken when something does: timer and watch cost an idle server nothing, and a busy
//! one an atomic read per batch.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::thread::Thread;
use std::time::Duration;

/// The bed of one thread.
#[derive(Debug, Default)]
pub struct Sleeper {
    thread: OnceLock<Thread>,
    asleep: AtomicBool,
}

impl Sleeper {
    /// Sleeps until it is roused, at most for `at_most`; called by its thread only. `nothing_to_do` is asked once more after the thread
    /// counts as asleep, so that work which came in between is not slept through.
    pub fn sleep(&self, at_most: Duration, nothing_to_do: impl FnOnce() -> bool) {
        self.thread.get_or_init(std::thread::current);
        self.asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if nothing_to_do() {
            std::thread::park_timeout(at_most);
        }
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Wakes it when it sleeps. What it is to find was written before.
    pub fn rouse(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed)
            && self.asleep.swap(false, Ordering::AcqRel)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    #[test]
    fn work_that_comes_while_it_lies_down_is_not_slept_through() {
        let bed = Arc::new(Sleeper::default());
        let work = Arc::new(AtomicBool::new(false));
        let (tell, told) = channel();
        let (theirs, their_work) = (bed.clone(), work.clone());
        std::thread::spawn(move || {
            for _ in 0..2000 {
                while !their_work.swap(false, Ordering::SeqCst) {
                    theirs.sleep(Duration::from_secs(60), || !their_work.load(Ordering::SeqCst));
                }
                let _ = tell.send(());
            }
        });
        for _ in 0..2000 {
            work.store(true, Ordering::SeqCst);
            bed.rouse();
            assert_eq!(told.recv_timeout(Duration::from_secs(30)), Ok(()));
        }
    }
}
