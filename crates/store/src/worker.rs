//! A thread that works off jobs in order: for who changes rows and must not wait for the database.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

type Job = Box<dyn FnOnce() + Send>;

/// The thread and its queue. It ends, with its jobs done, when this is dropped.
pub struct Worker {
    jobs: SyncSender<Job>,
}

impl Worker {
    /// Starts it; `queue` jobs can wait.
    pub fn start(name: &str, queue: usize) -> std::io::Result<Worker> {
        let (jobs, work): (_, Receiver<Job>) = sync_channel(queue);
        let run = move || work.into_iter().for_each(|job| job());
        std::thread::Builder::new().name(name.into()).spawn(run)?;
        Ok(Worker { jobs })
    }
    /// Has a job done, without waiting. False when the queue is full: it will not be done.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) -> bool {
        self.jobs.try_send(Box::new(job)).is_ok()
    }
    /// Waits until all jobs so far are done; false when that took too long.
    pub fn flush(&self, within: Duration) -> bool {
        let (done, wait) = sync_channel(1);
        let job: Job = Box::new(move || {
            let _ = done.send(());
        });
        self.jobs.send(job).is_ok() && wait.recv_timeout(within).is_ok()
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Worker")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn jobs_are_done_in_order_and_a_full_queue_says_so() {
        let worker = Worker::start("test", 2).expect("a thread");
        let done = Arc::new(Mutex::new(Vec::new()));
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock().expect("nobody panicked");
        for n in 0..5 {
            let (done, gate) = (done.clone(), gate.clone());
            if !worker.run(move || {
                drop(gate.lock());
                done.lock().expect("nobody panicked").push(n);
            }) {
                break;
            }
        }
        assert!(!worker.run(|| ()), "full");
        drop(closed);
        assert!(worker.flush(Duration::from_secs(20)));
        let done = done.lock().expect("nobody panicked").clone();
        assert!(done.len() >= 2 && done.is_sorted(), "{done:?}");
    }
}
