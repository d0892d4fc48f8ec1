//! What a script's workers share: what `docs/python.md` promises for each interpreter mode.

mod common;

use std::sync::Arc;

use common::*;
use script::RunOutcome;
use trunkline_python::Interpreters;

const SCRIPT: &str = r#"
import KSR
KSR.info("MARK imported")
seen = []                               # a global of the module

class Handler:
    shared = []                         # of the class
    def __init__(self):
        self.made = []                  # of the object, made in mod_init
        self.plain = "from mod_init"
    def child_init(self, rank):
        KSR.info("MARK child_init %d" % rank)
        self.rank = rank
        self.own = []                   # of the object, made in child_init
        return 0
    def ksr_request_route(self, msg):
        for kept in (seen, self.shared, self.made, self.own):
            kept.append(self.rank)
        if self.plain == "from mod_init":
            self.plain = "of %d" % self.rank
        assert self.plain == "of %d" % self.rank, self.plain
        return self.rank
    def globals(self, msg): return len(seen)
    def of_class(self, msg): return len(self.shared)
    def of_mod_init(self, msg): return len(self.made)
    def of_child_init(self, msg): return len(self.own)

def mod_init():
    KSR.info("MARK mod_init")
    return Handler()
"#;

/// Three workers, each of which has routed as many messages as its rank says; what each then sees.
fn seen(mode: Interpreters) -> Vec<[i64; 4]> {
    const WORKERS: i32 = 3;
    let server = Arc::new(Server::mode(SCRIPT, mode));
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let (mut asking, mut answers) = (Vec::new(), Vec::new());
    for rank in 1..=WORKERS {
        let (server, tell) = (server.clone(), tell.clone());
        let (ask, asked) = std::sync::mpsc::channel::<()>();
        asking.push(ask);
        answers.push(std::thread::spawn(move || {
            let station = server.station(rank);
            for _ in 0..rank {
                let ran = station.run("ksr_request_route", INVITE).outcome;
                assert_eq!(ran, RunOutcome::Returned(i64::from(rank)), "{}", log());
            }
            station.worker.detach();
            tell.send(()).expect("the test");
            asked.recv().expect("the test");
            ["globals", "of_class", "of_mod_init", "of_child_init"].map(|callback| {
                match station.run(callback, INVITE).outcome {
                    RunOutcome::Returned(n) => n,
                    other => panic!("{callback}: {other:?}: {}", log()),
                }
            })
        }));
    }
    // All have routed before the first is asked.
    (0..WORKERS).for_each(|_| told.recv().expect("a worker"));
    asking.iter().for_each(|ask| ask.send(()).expect("a worker"));
    answers.into_iter().map(|a| a.join().expect("a worker")).collect()
}

fn marks(what: &str) -> usize {
    log().matches(&format!("MARK {what}")).count()
}

#[test]
fn who_shares_what() {
    for mode in modes() {
        let before = ["imported", "mod_init", "child_init 1", "child_init 2", "child_init 3"].map(marks);
        let seen = seen(mode);
        let after = ["imported", "mod_init", "child_init 1", "child_init 2", "child_init 3"].map(marks);
        let times: Vec<usize> = after.iter().zip(before).map(|(a, b)| a - b).collect();
        match mode {
            Interpreters::PerWorker => {
                assert_eq!(
                    times,
                    [3, 3, 1, 1, 1],
                    "import and mod_init once per interpreter, child_init per worker"
                );
                assert_eq!(seen, [[1; 4], [2; 4], [3; 4]], "everything is a worker's own");
            }
            _ => {
                assert_eq!(times, [1, 1, 1, 1, 1], "import and mod_init once, child_init once per worker");
                // Handlers are shallow copies: what mod_init put into one is the same list in all, what child_init made is not.
                assert_eq!(seen, [[6, 6, 6, 1], [6, 6, 6, 2], [6, 6, 6, 3]]);
            }
        }
    }
}
