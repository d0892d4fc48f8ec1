//! REGISTER: bindings, their order and limits, and what a REGISTER is refused for (RFC 3261 §10).

use super::stage::{Stage, ack_negative, request};
use super::{SHORT, Transcript};
use crate::subject::Subject;

pub(super) fn register(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["bob"]);
    s.register("bob", "bob", ";expires=600");
    // Refresh, a second contact with q, fetch, removal.
    let text = s.register_text("bob", "bob", ";expires=1200", 2, "");
    s.request("bob", &text);
    s.peer("bob").expect("200 OK");
    let at = s.peer("bob").address;
    let text = s.register_text(
        "bob",
        "bob",
        "none",
        3,
        &format!("Contact: <sip:bob@{at};line=2>;q=0.5\nExpires: 300\n"),
    );
    s.request("bob", &text);
    s.peer("bob").expect("200 OK");
    let text = s.register_text("bob", "bob", "none", 4, "");
    s.request("bob", &text);
    s.peer("bob").expect("200 OK");
    let text = s.register_text("bob", "bob", ";expires=0", 5, "");
    s.request("bob", &text);
    s.peer("bob").expect("200 OK");
    s.end()
}

pub(super) fn register_star(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["bob"]);
    s.register("bob", "star", "");
    let text = s.register_text("bob", "star", "*", 2, "Expires: 60\n");
    s.request("bob", &text);
    s.peer("bob").expect("400");
    // The script answers once more (sl_reply_error); whichever worker is faster, that belongs here.
    s.peer("bob").settle(SHORT);
    let text = s.register_text("bob", "star", "*", 3, "Expires: 0\n");
    s.request("bob", &text);
    s.peer("bob").expect("200 OK");
    s.end()
}

pub(super) fn register_too_brief(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["bob"]);
    let text = s.register_text("bob", "brief", ";expires=5", 1, "");
    s.request("bob", &text);
    s.peer("bob").expect("SIP/2.0");
    s.end()
}

/// The script asked for `min_expires_mode`: too brief an interval is refused with Min-Expires (RFC 3261 §10.3 step 7).
pub(super) fn register_423(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["bob"]);
    let text = s.register_text("bob", "brief", ";expires=5", 1, "");
    s.request("bob", &text);
    s.peer("bob").expect("423");
    s.peer("bob").settle(SHORT);
    let text = s.register_text("bob", "brief", "", 2, "Expires: 59\n");
    s.request("bob", &text);
    s.peer("bob").expect("423");
    s.peer("bob").settle(SHORT);
    // Removing is never too brief; nothing was bound by the refused requests.
    let text = s.register_text("bob", "brief", ";expires=0", 3, "");
    s.request("bob", &text);
    s.peer("bob").expect("200 OK");
    s.register_as("bob", "brief", ";expires=60", 4);
    s.end()
}

/// Beyond `max_expires`, no number, none given: what the answer says is what the registrar chose.
pub(super) fn register_limits(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["bob"]);
    for (cseq, extra, rows, granted) in [
        (1, ";expires=99999", "", "expires=3600"),
        (2, "", "Expires: 120\n", "expires=120"),
        (3, ";expires=90", "Expires: 120\n", "expires=90"),
        (4, "", "", "expires=3600"),
        (5, ";expires=4294967295", "", "expires=3600"),
    ] {
        let text = s.register_text("bob", "limits", extra, cseq, rows);
        s.request("bob", &text);
        let ok = s.peer("bob").expect("200 OK");
        assert!(ok.header("Contact").contains(granted), "{extra} {rows}: {}", ok.header("Contact"));
    }
    s.end()
}

/// Contacts with q in one row and in several, listed in the order in which they are tried.
pub(super) fn register_order(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["bob"]);
    let at = s.at("bob");
    let rows = format!(
        "Contact: <sip:a@{at}>;q=0.3, \"B, b\" <sip:b@{at};x=1>;q=1;expires=100\nm: sip:c@{at};q=0.7\nContact: <sip:d@{at}>;q=0.7\n"
    );
    let text = s.register_text("bob", "order", "none", 1, &rows);
    s.request("bob", &text);
    s.peer("bob").expect("200 OK");
    // One more; a refresh of one, with its q.
    let rows = format!("Contact: <sip:e@{at}>;q=0.5\nContact: <sip:c@{at}>;q=0.7\n");
    let text = s.register_text("bob", "order", "none", 2, &rows);
    s.request("bob", &text);
    s.peer("bob").expect("200 OK");
    // A q that is none.
    let text = s.register_text("bob", "order", "none", 3, &format!("Contact: <sip:a@{at}>;q=1.5\n"));
    s.request("bob", &text);
    s.peer("bob").expect("400");
    s.peer("bob").settle(SHORT);
    s.end()
}

/// Call-ID and CSeq rules (RFC 3261 §10.3 step 7).
pub(super) fn register_cseq(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["bob"]);
    s.register_as("bob", "cseq", ";expires=600", 10);
    // An older request that was overtaken.
    let text = s.register_text("bob", "cseq", ";expires=0", 9, "");
    s.request("bob", &text);
    s.peer("bob").expect("400");
    s.peer("bob").settle(SHORT);
    // Another Call-ID: a phone that was started anew.
    let text =
        s.register_text("bob", "cseq", ";expires=700", 2, "").replace("Call-ID: reg", "Call-ID: again");
    s.request("bob", &text);
    s.peer("bob").expect("200 OK");
    let text = s.register_text("bob", "cseq", "none", 3, "");
    s.request("bob", &text);
    s.peer("bob").expect("200 OK");
    s.end()
}

/// The third contact is refused and changes nothing; a refresh and a replacement are not.
pub(super) fn register_max_contacts(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["bob", "carol", "dave"]);
    s.register("bob", "few", "");
    s.register("carol", "few", "");
    let text = s.register_text("dave", "few", "", 1, "");
    s.request("dave", &text);
    s.peer("dave").expect("503");
    s.peer("dave").settle(SHORT);
    s.register_as("carol", "few", "", 2);
    s.register_as("bob", "few", ";expires=0", 2);
    let text = s.register_text("dave", "few", "", 2, "");
    s.request("dave", &text);
    s.peer("dave").expect("200 OK");
    s.end()
}

/// A phone that comes back from another address is known by its instance (RFC 5626 §6), another flow is another binding.
pub(super) fn register_instance(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["bob"]);
    let instance = ";+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\"";
    s.register("bob", "inst", &format!("{instance};reg-id=1"));
    for (cseq, uri, reg_id) in
        [(2, "sip:inst@192.0.2.7", 1), (3, "sip:inst@192.0.2.8", 2), (4, "sip:inst@192.0.2.9", 2)]
    {
        let rows = format!("Supported: path, gruu\nContact: <{uri}>{instance};reg-id={reg_id}\n");
        let text = s.register_text("bob", "inst", "none", cseq, &rows);
        s.request("bob", &text);
        let ok = s.peer("bob").expect("200 OK");
        assert!(ok.0.contains(uri), "{uri} is bound: {}", ok.0);
    }
    s.end()
}

/// A REGISTER that came through an edge proxy: Path is stored, answered, and is the Route of what goes to the phone (RFC 3327).
pub(super) fn register_path(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob", "edge"]);
    let (alice, edge) = (s.at("alice"), s.at("edge"));
    let text = s.register_text(
        "bob",
        "path",
        "",
        1,
        &format!("Path: <sip:tag1@{edge};lr>\nPath: <sip:192.0.2.3;lr>\nSupported: path\n"),
    );
    s.request("bob", &text);
    let ok = s.peer("bob").expect("200 OK");
    assert!(ok.header("Path").contains("tag1"), "{}", ok.0);
    s.request("alice", &request(alice, "MESSAGE", "path", "path1", ""));
    let message = s.peer("edge").expect("MESSAGE");
    s.reply("edge", &message.reply("200 OK", "t-bob", ""));
    s.peer("alice").expect("200 OK");
    s.request("alice", &request(alice, "INVITE", "path", "path2", "Route: <sip:192.0.2.99;lr>\n"));
    let invite = s.peer("edge").expect("INVITE");
    s.reply("edge", &invite.reply("486 Busy Here", "t-bob", ""));
    s.peer("edge").expect("ACK");
    let busy = s.peer("alice").expect("486");
    let ack = ack_negative(alice, "path", "path2", &busy);
    s.peer("alice").send(&ack);
    // A client that does not say it knows Path gets none of it into its way.
    let text = s.register_text("bob", "pathless", "", 1, &format!("Path: <sip:tag2@{edge};lr>\n"));
    s.request("bob", &text);
    s.peer("bob").expect("SIP/2.0");
    s.peer("bob").settle(SHORT);
    s.ran("ksr_failure", 1);
    s.end()
}

/// A phone behind NAT: requests to it go to where its REGISTER came from.
pub(super) fn register_received(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    let alice = s.at("alice");
    let text =
        s.register_text("bob", "nat", "none", 1, "Contact: <sip:nat@192.0.2.1:5060>\nX-Do: received\n");
    s.request("bob", &text);
    s.peer("bob").expect("200 OK");
    s.request("alice", &request(alice, "MESSAGE", "nat", "nat1", ""));
    let message = s.peer("bob").expect("MESSAGE");
    assert_eq!(message.request_uri(), "sip:nat@192.0.2.1:5060");
    s.reply("bob", &message.reply("200 OK", "t-bob", ""));
    s.peer("alice").expect("200 OK");
    s.end()
}

/// `save()` with flags: one contact only, no reply.
pub(super) fn register_flags(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["bob", "carol"]);
    s.register("bob", "flags", "");
    let text = s.register_text("carol", "flags", "", 1, "X-Do: one\n");
    s.request("carol", &text);
    let ok = s.peer("carol").expect("200 OK");
    assert_eq!(ok.header("Contact").matches("sip:").count(), 1, "{}", ok.0);
    let text = s.register_text("bob", "flags", "", 2, "X-Do: silent\n");
    s.request("bob", &text);
    let own = s.peer("bob").expect("SIP/2.0");
    assert_eq!(own.first_line(), "SIP/2.0 202 Later", "the script answered");
    let text = s.register_text("bob", "flags", "none", 3, "");
    s.request("bob", &text);
    s.peer("bob").expect("200 OK");
    s.end()
}

/// `method_filtering`: a contact is only tried for what it said it can do.
pub(super) fn register_methods(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob", "carol"]);
    let alice = s.at("alice");
    s.register("bob", "able", ";methods=\"INVITE, ACK, BYE, CANCEL\"");
    s.request("alice", &request(alice, "MESSAGE", "able", "able1", ""));
    s.peer("alice").expect("405");
    let text = s.register_text("carol", "able", ";q=0.1", 1, "Allow: MESSAGE, OPTIONS\n");
    s.request("carol", &text);
    s.peer("carol").expect("200 OK");
    s.request("alice", &request(alice, "MESSAGE", "able", "able2", ""));
    let message = s.peer("carol").expect("MESSAGE");
    s.reply("carol", &message.reply("200 OK", "t-carol", ""));
    s.peer("alice").expect("200 OK");
    s.end()
}
