//! Read-only facts about a transaction, for `$T(..)`, `t_check_status`, `t_is_canceled`, `tm.stats`.

use std::any::Any;
use std::sync::Arc;

use message::{Message, Method};

use crate::branch::Branch;
use crate::transaction::{Server, Transaction};
use crate::{Armed, Hop, Options, Route, Timestamp, Timing, TransactionId};

/// A transaction, seen.
#[derive(Debug, Clone, Copy)]
pub struct View<'a>(pub(crate) &'a Transaction);

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
    /// The final reply: a failure, or any to a request of our own.
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
        self.0.id
    }
    /// The request as received.
    pub fn request(&self) -> &'a Arc<Message> {
        &self.0.request
    }
    /// Method of the request.
    pub fn method(&self) -> Method {
        self.0.method
    }
    /// What the script attached.
    pub fn script(&self) -> Option<&'a Arc<dyn Any + Send + Sync>> {
        self.0.script.as_ref()
    }
    /// Last code sent to the caller (`$T_reply_code` of the UAS side), 0 when none.
    pub fn status(&self) -> u16 {
        self.0.status
    }
    /// A CANCEL came.
    pub fn is_canceled(&self) -> bool {
        self.0.canceled.is_some()
    }
    /// Made by ourselves.
    pub fn is_local(&self) -> bool {
        self.0.is_local()
    }
    /// Branches in order of their numbers.
    pub fn branches(&self) -> impl Iterator<Item = BranchView<'a>> + use<'a> {
        self.0.branches.iter().map(BranchView::new)
    }
    /// One branch.
    pub fn branch(&self, number: u16) -> Option<BranchView<'a>> {
        self.0.branches.get(self.0.index_of(number)?).map(BranchView::new)
    }
    /// How many branches there are.
    pub fn branch_count(&self) -> usize {
        self.0.branches.len()
    }
    /// The branch whose reply would be chosen now, of those that are final (`t_get_reply_code`, `$T_rpl` in a failure route).
    pub fn best(&self) -> Option<BranchView<'a>> {
        let best = self.0.choice()?.branch?;
        self.0.branches.get(best).map(BranchView::new)
    }
    /// Whether the final reply was sent (or it was decided that none will be).
    pub fn is_done(&self) -> bool {
        self.0.done
    }
    /// Whether the final reply was made here.
    pub fn replied_locally(&self) -> bool {
        self.0.replied_locally
    }
    /// Whether any branch received a reply (`t_any_replied`).
    pub fn any_replied(&self) -> bool {
        self.0.branches.iter().any(|branch| branch.replied)
    }
    /// Whether any branch ended by a timer (`t_any_timeout`).
    pub fn any_timed_out(&self) -> bool {
        self.0.branches.iter().any(|branch| branch.timed_out)
    }
    /// Where replies go.
    pub fn reply_to(&self) -> Hop {
        self.0.reply_to
    }
    /// When it was made.
    pub fn created(&self) -> Timestamp {
        self.0.created
    }
    /// The server machine's state (`Trying`, `Proceeding`, `Completed`, ...).
    pub fn state(&self) -> &'static str {
        match &self.0.server {
            Server::Invite(machine) => machine.name(),
            Server::NonInvite(machine) => machine.name(),
            Server::Local if self.0.done => "Terminated",
            Server::Local => "Local",
        }
    }
    /// The route a decision waits for.
    pub fn deciding(&self) -> Option<Route> {
        self.0.deciding.as_ref().and_then(|deciding| deciding.awaited.route())
    }
    /// `t_suspend` holds it.
    pub fn is_suspended(&self) -> bool {
        self.0.deciding.as_ref().is_some_and(|deciding| deciding.suspended)
    }
    /// Routes that are armed.
    pub fn armed(&self) -> Armed {
        self.0.armed
    }
    /// Timers.
    pub fn timing(&self) -> Timing {
        self.0.timing
    }
    /// Switches.
    pub fn options(&self) -> Options {
        self.0.options
    }
}

impl<'a> BranchView<'a> {
    fn new(branch: &'a Branch) -> BranchView<'a> {
        BranchView {
            number: branch.number,
            code: branch.result.unwrap_or(branch.last_code),
            hop: branch.hop,
            uri: &branch.uri,
            script: branch.script.as_ref(),
            reply: branch.reply.as_ref(),
            state: branch.state(),
            replied: branch.replied,
            timed_out: branch.timed_out,
            pending: branch.is_pending(),
        }
    }
}
