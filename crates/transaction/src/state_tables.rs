//! Every state of the four machines against every input, as tables: `state  input  -> state  asks  next sending, end`.
//!
//! Times are milliseconds after the input. Each state was entered 1 s before the input by the shortest way.

use std::fmt::Write;
use std::time::Duration;

use crate::machine::{Ask, Deadlines, Setting};
use crate::{Timestamp, Timing};
use crate::{invite_client, invite_server, noninvite_client, noninvite_server};

const START: Timestamp = Timestamp::from_millis(1_000_000);

fn setting(now: Timestamp, timing: &Timing, reliable: bool) -> Setting<'_> {
    let limit = START + if reliable { timing.max_noninvite } else { timing.max_invite };
    Setting { now, timing, reliable, limit, short_wait: false }
}

fn asks(ask: Ask) -> String {
    let names = [
        (ask.transmit, "send"),
        (ask.ack, "ack"),
        (ask.pass_up, "up"),
        (ask.timeout, "timeout"),
        (ask.no_ack, "no-ack"),
    ];
    let text: Vec<_> = names.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect();
    if text.is_empty() { "-".to_owned() } else { text.join("+") }
}

fn when(at: Timestamp, now: Timestamp) -> String {
    match at {
        Timestamp::NEVER => "-".to_owned(),
        at => (at.as_millis() as i64 - now.as_millis() as i64).to_string(),
    }
}

/// One machine to tabulate.
trait Machine: Copy {
    type Input: Copy + std::fmt::Debug;
    fn take(&mut self, input: Self::Input, setting: &Setting<'_>) -> Ask;
    fn state(&self) -> &'static str;
    fn times(&self) -> Deadlines;
}

macro_rules! machine {
    ($module:ident, $name:ident) => {
        impl Machine for $module::$name {
            type Input = $module::Input;
            fn take(&mut self, input: Self::Input, setting: &Setting<'_>) -> Ask {
                self.step(input, setting)
            }
            fn state(&self) -> &'static str {
                self.name()
            }
            fn times(&self) -> Deadlines {
                self.deadlines
            }
        }
    };
}

machine!(invite_client, InviteClient);
machine!(invite_server, InviteServer);
machine!(noninvite_client, NonInviteClient);
machine!(noninvite_server, NonInviteServer);

fn table<M: Machine>(
    make: impl Fn(&Setting<'_>) -> M,
    ways: &[&[M::Input]],
    inputs: &[M::Input],
    timer: M::Input,
) -> String {
    let timing = Timing::default();
    let mut text = String::new();
    for reliable in [false, true] {
        let _ = writeln!(text, "{}", if reliable { "over a reliable transport" } else { "over UDP" });
        for way in ways {
            let start = setting(START, &timing, reliable);
            let mut entered = make(&start);
            for input in *way {
                entered.take(*input, &start);
            }
            let now = START + Duration::from_secs(1);
            let mut row = |label: String, input: M::Input, now: Timestamp| {
                let mut machine = entered;
                let ask = machine.take(input, &setting(now, &timing, reliable));
                let times = machine.times();
                let _ = writeln!(
                    text,
                    "  {:<11} {label:<34} -> {:<11} {:<8} again {:<6} end {}",
                    entered.state(),
                    machine.state(),
                    asks(ask),
                    when(times.again, now),
                    when(times.end, now),
                );
            };
            for input in inputs {
                row(format!("{input:?}"), *input, now);
            }
            let times = entered.times();
            for (label, at) in [("Timer, to send again", times.again), ("Timer, to end", times.end)] {
                if at != Timestamp::NEVER {
                    row(label.to_owned(), timer, at);
                    // Nothing fires early.
                    let mut early = entered;
                    let before = Timestamp(at.0 - 1);
                    if before < times.next() {
                        assert_eq!(early.take(timer, &setting(before, &timing, reliable)), Ask::NOTHING);
                        assert_eq!(early.state(), entered.state());
                    }
                }
            }
        }
    }
    text
}

#[test]
fn invite_client_table() {
    use invite_client::{Input, InviteClient};
    let inputs = [
        Input::Provisional(100),
        Input::Provisional(180),
        Input::Success,
        Input::Failure,
        Input::Cancelled,
        Input::TransportError,
    ];
    let ways: [&[Input]; 6] = [
        &[],
        &[Input::Provisional(180)],
        &[Input::Provisional(180), Input::Cancelled],
        &[Input::Failure],
        &[Input::Success],
        &[Input::TransportError],
    ];
    insta::assert_snapshot!(table(InviteClient::new, &ways, &inputs, Input::Timer));
}

#[test]
fn noninvite_client_table() {
    use noninvite_client::{Input, NonInviteClient};
    let inputs = [Input::Provisional, Input::Final, Input::TransportError];
    let ways: [&[Input]; 4] = [&[], &[Input::Provisional], &[Input::Final], &[Input::TransportError]];
    insta::assert_snapshot!(table(NonInviteClient::new, &ways, &inputs, Input::Timer));
}

#[test]
fn invite_server_table() {
    use invite_server::{Input, InviteServer};
    let reply = |code, local| Input::Reply { code, local };
    let inputs = [
        Input::Retransmission,
        reply(180, false),
        reply(200, false),
        reply(200, true),
        reply(486, false),
        Input::Ack,
        Input::Silent,
    ];
    let failed = reply(486, false);
    let ways: [&[Input]; 7] = [
        &[],
        &[failed],
        &[failed, Input::Ack],
        &[reply(200, false)],
        &[reply(200, true)],
        &[reply(200, true), Input::Ack],
        &[Input::Silent],
    ];
    insta::assert_snapshot!(table(|_| InviteServer::new(), &ways, &inputs, Input::Timer));
}

#[test]
fn noninvite_server_table() {
    use noninvite_server::{Input, NonInviteServer};
    let reply = |code| Input::Reply { code };
    let inputs = [Input::Retransmission, reply(100), reply(200), reply(486), Input::Silent];
    let ways: [&[Input]; 4] = [&[], &[reply(100)], &[reply(200)], &[Input::Silent]];
    insta::assert_snapshot!(table(|_| NonInviteServer::new(), &ways, &inputs, Input::Timer));
}

/// Memory at ten thousand calls a second is mostly these, 32 s long.
#[test]
fn a_transaction_stays_small() {
    let (t, branch) = (size_of::<crate::transaction::Transaction>(), size_of::<crate::branch::Branch>());
    assert!(t <= 456 && branch <= 312, "{t} {branch}");
}
