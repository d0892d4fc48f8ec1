//! Servers that a test started, ended.

use std::process::{Child, Command};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// For how long a server may take to end: what it keeps in memory it may write as it ends, on a busy machine.
const GRACE: Duration = Duration::from_secs(30);

/// Sends a signal (`TERM`); whether it got there. By the shell, which has `kill` built in: a small Debian has no such program.
pub fn signal(process: u32, signal: &str) -> bool {
    let command = format!("kill -{signal} {process}");
    Command::new("sh").args(["-c", &command]).status().is_ok_and(|status| status.success())
}

/// SIGTERM, and patience. Afterwards neither it nor a child of its runs; false when it had to be killed for that.
pub fn end(server: &mut Child) -> bool {
    if !matches!(server.try_wait(), Ok(None)) {
        return true;
    }
    let process = server.id();
    let (ended, end) = channel::<()>();
    std::thread::scope(|scope| {
        let watch = scope.spawn(move || {
            signal(process, "TERM");
            let begin = Instant::now();
            let mut by_itself = true;
            while end.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                by_itself = begin.elapsed() < GRACE;
                // A process of Kamailio's that was not up yet did not hear it, and the others wait for that one.
                for child in children_of(process) {
                    signal(child, if by_itself { "TERM" } else { "KILL" });
                }
                if !by_itself {
                    signal(process, "KILL");
                }
            }
            by_itself
        });
        let _ = server.wait();
        drop(ended);
        watch.join().unwrap_or(false)
    })
}

/// SIGKILL to it and its children.
pub fn crash(server: &mut Child) {
    for child in children_of(server.id()) {
        signal(child, "KILL");
    }
    let _ = server.kill();
    let _ = server.wait();
}

fn children_of(process: u32) -> Vec<u32> {
    let path = format!("/proc/{process}/task/{process}/children");
    let list = std::fs::read_to_string(path).unwrap_or_default();
    list.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    use super::*;

    /// Whether it is there and no zombie.
    fn runs(process: u32) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    }

    #[test]
    fn children_that_did_not_hear_the_first_are_told_again() {
        // As Kamailio when it is stopped as it starts: its main process waits for one that lives on.
        let script = "exec 3<&0; trap 'kill -TERM $!' TERM; \
                      bash -c 'trap \"trap - TERM\" TERM; echo ready; while :; do read -t 1 x <&3; done' & \
                      while kill -0 $! 2>/dev/null; do wait $!; done";
        let mut command = Command::new("bash");
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = command.spawn().expect("bash");
        let mut ready = String::new();
        BufReader::new(server.stdout.take().expect("stdout")).read_line(&mut ready).expect("a line");
        let children = children_of(server.id());
        assert!(!children.is_empty() && end(&mut server));
        assert!(!children.into_iter().any(runs));
    }
}
