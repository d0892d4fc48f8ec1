//! One dialog: what never changes beside a lock, what does inside of it.

use std::sync::{Mutex, MutexGuard};

use transaction::SocketId;

/// States, with Kamailio's numbers.
///
/// ```text
/// Unconfirmed -- 101..199 --> Early -- 2xx --> Answered -- ACK --> Confirmed -- BYE, timeout --> Ended
///      \----------- 2xx, 300.. ---/--- 300.. -----------------------------------------------------^
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// The INVITE is on the way.
    Unconfirmed = 1,
    /// It rings.
    Early = 2,
    /// A 2xx came, its ACK did not.
    Answered = 3,
    /// Both came.
    Confirmed = 4,
    /// Over.
    Ended = 5,
}

impl State {
    /// By Kamailio's number.
    pub(super) fn from_number(n: i64) -> Option<State> {
        [State::Unconfirmed, State::Early, State::Answered, State::Confirmed, State::Ended]
            .into_iter()
            .find(|s| *s as i64 == n)
    }
}

/// Which way a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Caller to callee.
    Downstream,
    /// Callee to caller.
    Upstream,
}

/// `iflags`: a BYE to both sides at timeout.
pub(super) const TIMEOUT_BYE: u32 = 1;
/// `iflags`: keepalives to the caller.
pub(super) const KA_CALLER: u32 = 2;
/// `iflags`: keepalives to the callee.
pub(super) const KA_CALLEE: u32 = 4;
/// `iflags`: requests do not start the timeout anew.
pub(super) const TIMEOUT_NORESET: u32 = 8;

/// Most variables of one dialog.
const MAX_VARS: usize = 256;

/// A dialog.
#[derive(Debug)]
pub struct Dialog {
    /// `h_entry`.
    pub entry: u32,
    /// `h_id`.
    pub id: u32,
    /// Call-ID.
    pub call_id: Box<[u8]>,
    /// Tag of the caller.
    pub from_tag: Box<[u8]>,
    /// URI of From in the INVITE.
    pub from_uri: Box<[u8]>,
    /// URI of To in the INVITE.
    pub to_uri: Box<[u8]>,
    /// Request-URI of the INVITE.
    pub request_uri: Box<[u8]>,
    /// CSeq number of the INVITE.
    pub cseq: u32,
    facts: Mutex<Facts>,
}

/// One side of a dialog.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leg {
    /// Contact URI.
    pub contact: Box<[u8]>,
    /// CSeq of the last request from there.
    pub cseq: u32,
    /// Route set for requests to there: values with commas in between.
    pub route_set: Box<[u8]>,
    /// Our socket towards it.
    pub socket: Option<SocketId>,
}

/// What changes.
#[derive(Debug, Clone)]
pub struct Facts {
    /// State.
    pub state: State,
    /// Tag of the callee, empty before the 2xx.
    pub to_tag: Box<[u8]>,
    /// The caller.
    pub caller: Leg,
    /// The callee.
    pub callee: Leg,
    /// Unix time of the INVITE, seconds.
    pub made: i64,
    /// Of the 2xx, 0 before.
    pub started: i64,
    /// Of the end, 0 before.
    pub ended: i64,
    /// Seconds a confirmed dialog lasts without a request.
    pub lifetime: u32,
    /// Unix time of its timeout; 0 while there is none.
    pub timeout: i64,
    /// `$dlg_var`, newest first.
    pub vars: Vec<(Box<[u8]>, Box<[u8]>)>,
    /// Profiles it is in: number and value.
    pub profiles: Vec<(usize, Box<[u8]>)>,
    /// `sflags`.
    pub flags: u32,
    /// `iflags`.
    pub properties: u32,
    /// `toroute`.
    pub timeout_route: Box<[u8]>,
    /// Direction of the last request.
    pub direction: Option<Direction>,
    /// Unix time of the next keepalive.
    pub(super) keepalive: i64,
    /// Keepalives in a row that found nobody.
    pub(super) keepalives_failed: u32,
    /// Bucket of the wheel that will look at it, 0 none.
    pub(super) bucket: i64,
    /// There is a row in the database.
    pub(super) stored: bool,
    /// It waits to be written.
    pub(super) dirty: bool,
}

impl Dialog {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn new(
        (entry, id): (u32, u32),
        call_id: &[u8],
        from_tag: &[u8],
        from_uri: &[u8],
        to_uri: &[u8],
        request_uri: &[u8],
        cseq: u32,
        facts: Facts,
    ) -> Dialog {
        Dialog {
            entry,
            id,
            call_id: call_id.into(),
            from_tag: from_tag.into(),
            from_uri: from_uri.into(),
            to_uri: to_uri.into(),
            request_uri: request_uri.into(),
            cseq,
            facts: Mutex::new(facts),
        }
    }
    /// What changes, locked: for a look or a change, no longer.
    pub fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(|e| e.into_inner())
    }
    /// Whether a message with these tags belongs to it, and which way it goes. Without To tag: the INVITE, its CANCEL.
    pub(super) fn direction(&self, call_id: &[u8], from_tag: &[u8], to_tag: &[u8]) -> Option<Direction> {
        if *self.call_id != *call_id {
            return None;
        }
        let facts = self.facts();
        if *self.from_tag == *from_tag
            && (to_tag.is_empty() || facts.to_tag.is_empty() || *facts.to_tag == *to_tag)
        {
            return Some(Direction::Downstream);
        }
        let upstream = !to_tag.is_empty() && *self.from_tag == *to_tag;
        (upstream && (facts.to_tag.is_empty() || *facts.to_tag == *from_tag)).then_some(Direction::Upstream)
    }
    /// A variable.
    pub fn var(&self, name: &[u8]) -> Option<Box<[u8]>> {
        self.facts().vars.iter().find(|(n, _)| **n == *name).map(|(_, v)| v.clone())
    }
    /// Sets a variable, or with `None` removes it. False when it has too many already.
    pub fn set_var(&self, name: &[u8], value: Option<&[u8]>) -> bool {
        let mut facts = self.facts();
        let at = facts.vars.iter().position(|(n, _)| **n == *name);
        match (at, value) {
            (Some(at), Some(value)) => {
                if let Some(var) = facts.vars.get_mut(at) {
                    var.1 = value.into();
                }
            }
            (Some(at), None) => {
                facts.vars.remove(at);
            }
            (None, Some(_)) if facts.vars.len() >= MAX_VARS => return false,
            (None, Some(value)) => facts.vars.insert(0, (name.into(), value.into())),
            (None, None) => {}
        }
        true
    }
}

impl Facts {
    pub(super) fn new(made: i64, lifetime: u32) -> Facts {
        Facts {
            state: State::Unconfirmed,
            to_tag: Box::default(),
            caller: Leg::default(),
            callee: Leg::default(),
            made,
            started: 0,
            ended: 0,
            lifetime,
            timeout: 0,
            vars: Vec::new(),
            profiles: Vec::new(),
            flags: 0,
            properties: 0,
            timeout_route: Box::default(),
            direction: None,
            keepalive: 0,
            keepalives_failed: 0,
            bucket: 0,
            stored: false,
            dirty: false,
        }
    }
    /// Kamailio's `dflags`: what was seen of it.
    pub(super) fn seen(&self) -> i64 {
        1664 + i64::from(self.started != 0)
            + 2 * i64::from(self.state >= State::Confirmed && self.started != 0)
            + 4 * i64::from(self.state == State::Ended && self.started != 0)
    }
}
