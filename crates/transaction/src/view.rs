//! Read-only facts about a transaction, for `$T(..)`, `t_check_status`, `t_is_canceled`, `tm.stats`.

use std::any::Any;
use std::sync::Arc;

use message::{Message, Method};

use crate::{Armed, Hop, Options, Route, Timestamp, Timing, TransactionId};

/// A transaction, seen.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    _t: &'a (),
}

/// A branch, seen.
#[derive(Debug, Clone, Copy)]
pub struct BranchView<'a> {
    /// Number in the Via branch.
    pub number: u16,
    /// Code of the last reply, 408 after a timeout, 0 when there was none.
    pub code: u16,
    /// Where it went.
    pub hop: Hop,
    /// Its Request-URI.
    pub uri: &'a [u8],
    /// What the script attached.
    pub script: Option<&'a Arc<dyn Any + Send + Sync>>,
    /// The last reply kept.
    pub reply: Option<&'a Arc<Message>>,
    /// The client machine's state (`Calling`, `Proceeding`, ...).
    pub state: &'static str,
    /// Any reply was received.
    pub replied: bool,
    /// It ended by a timer.
    pub timed_out: bool,
    /// It has no final result yet.
    pub pending: bool,
}

impl<'a> View<'a> {
    /// Its name.
    pub fn id(&self) -> TransactionId {
        todo!()
    }
    /// The request as received.
    pub fn request(&self) -> &'a Arc<Message> {
        todo!()
    }
    /// Method of the request.
    pub fn method(&self) -> Method {
        todo!()
    }
    /// What the script attached.
    pub fn script(&self) -> Option<&'a Arc<dyn Any + Send + Sync>> {
        todo!()
    }
    /// Last code sent to the caller (`$T_reply_code` of the UAS side), 0 when none.
    pub fn status(&self) -> u16 {
        todo!()
    }
    /// A CANCEL came.
    pub fn is_canceled(&self) -> bool {
        todo!()
    }
    /// Made by ourselves.
    pub fn is_local(&self) -> bool {
        todo!()
    }
    /// Branches in order of their numbers.
    pub fn branches(&self) -> impl Iterator<Item = BranchView<'a>> + use<'a> {
        std::iter::empty()
    }
    /// One branch.
    pub fn branch(&self, number: u16) -> Option<BranchView<'a>> {
        todo!("{number}")
    }
    /// How many branches there are.
    pub fn branch_count(&self) -> usize {
        todo!()
    }
    /// The branch whose reply would be chosen now, of those that are final (`t_get_reply_code`, `$T_rpl` in a failure route).
    pub fn best(&self) -> Option<BranchView<'a>> {
        todo!()
    }
    /// Where replies go.
    pub fn reply_to(&self) -> Hop {
        todo!()
    }
    /// When it was made.
    pub fn created(&self) -> Timestamp {
        todo!()
    }
    /// The server machine's state (`Trying`, `Proceeding`, `Completed`, ...).
    pub fn state(&self) -> &'static str {
        todo!()
    }
    /// The route a decision waits for.
    pub fn deciding(&self) -> Option<Route> {
        todo!()
    }
    /// `t_suspend` holds it.
    pub fn is_suspended(&self) -> bool {
        todo!()
    }
    /// Routes that are armed.
    pub fn armed(&self) -> Armed {
        todo!()
    }
    /// Timers.
    pub fn timing(&self) -> Timing {
        todo!()
    }
    /// Switches.
    pub fn options(&self) -> Options {
        todo!()
    }
}
