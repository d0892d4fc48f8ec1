//! Call-flow ladders as text: a snapshot that shows what happened to whoever reads it.
//!
//! ```text
//!        alice             proxy              bob
//!      0   |--- INVITE ----->|                 |
//!      0   |<-- 100 ---------|                 |
//!      0   |                 |--- INVITE ----x |
//!    500   |                 |--- INVITE ----->|
//! ```
//!
//! Times are milliseconds of sending. `x`: lost, `»`: arrives twice.

use std::fmt::Write;
use std::net::SocketAddr;

use message::Message;

use crate::{Fate, Sent};

const WIDTH: usize = 18;

/// Draws what was sent between these participants, in the order of sending. What goes elsewhere is left out.
pub fn ladder(participants: &[(&str, SocketAddr)], sent: &[Sent]) -> String {
    let mut text = " ".repeat(10);
    for (name, _) in participants {
        let _ = write!(text, "{name:<WIDTH$}");
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    let column = |address: SocketAddr| participants.iter().position(|(_, a)| *a == address);
    for message in sent {
        let (Some(from), Some(to)) = (column(message.from), column(message.to)) else { continue };
        let at = message.at.0 as f64 / 1e6;
        let _ = write!(text, "{at:>8} ");
        let mut line = lanes(participants.len());
        arrow(&mut line, from, to, &summary(&message.bytes), message.fate);
        text.extend(line);
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

fn lanes(count: usize) -> Vec<char> {
    let mut line = vec![' '; (count.saturating_sub(1)) * WIDTH + 3];
    for lane in 0..count {
        line[lane * WIDTH + 1] = '|';
    }
    line
}

fn arrow(line: &mut [char], from: usize, to: usize, label: &str, fate: Fate) {
    let (left, right) = (from.min(to) * WIDTH + 2, from.max(to) * WIDTH);
    if left >= right {
        return;
    }
    for place in &mut line[left..=right] {
        *place = '-';
    }
    let (head, tail) = if from < to { (right, left + 3) } else { (left, left + 3) };
    line[head] = match fate {
        Fate::Delivered(_) if from < to => '>',
        Fate::Delivered(_) => '<',
        Fate::Duplicated(..) if from < to => '»',
        Fate::Duplicated(..) => '«',
        Fate::Lost | Fate::Unreachable => 'x',
    };
    for (place, c) in line[tail..right].iter_mut().zip(format!(" {label} ").chars()) {
        *place = c;
    }
}

/// `INVITE`, `200 BYE`: a reply to anything but an INVITE names its method.
fn summary(bytes: &[u8]) -> String {
    let Ok(message) = Message::parse(bytes) else { return "?".to_owned() };
    let method = String::from_utf8_lossy(message.method_text());
    match (message.is_request(), &*method) {
        (true, method) => method.to_owned(),
        (false, "INVITE") => message.status().to_string(),
        (false, method) => format!("{} {method}", message.status()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use transaction::Timestamp;

    #[test]
    fn arrows_span_lanes_and_show_their_fate() {
        let a = |n: u16| SocketAddr::from(([10, 0, 0, 1], n));
        let message = |at, from, to, first: &str, fate| Sent {
            at: Timestamp::from_millis(at),
            from: a(from),
            to: a(to),
            bytes: format!("{first}\r\nVia: SIP/2.0/UDP h\r\nCSeq: 1 BYE\r\n\r\n").into_bytes(),
            fate,
        };
        let delivered = Fate::Delivered(Timestamp(0));
        let sent = [
            message(0, 1, 2, "BYE sip:a SIP/2.0", delivered),
            message(1500, 2, 3, "BYE sip:a SIP/2.0", Fate::Lost),
            message(1501, 3, 1, "SIP/2.0 200 OK", delivered),
            message(1502, 3, 9, "SIP/2.0 200 OK", delivered),
            message(1503, 2, 1, "SIP/2.0 200 OK", Fate::Duplicated(Timestamp(0), Timestamp(1))),
        ];
        let text = ladder(&[("alice", a(1)), ("proxy", a(2)), ("bob", a(3))], &sent);
        let expected = "          alice             proxy             bob\n       0  |--- BYE -------->|                 |\n    1500  |                 |--- BYE --------x|\n    1501  |<-- 200 BYE -----------------------|\n    1503  |«-- 200 BYE -----|                 |\n";
        assert_eq!(text, expected, "\n{text}");
    }
}
