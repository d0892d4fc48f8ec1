//! One shard of the transaction table: slab, matching, dispatch. The caller keeps each behind its own lock.

use std::any::Any;
use std::sync::Arc;

use message::Message;

use crate::{Action, Armed, Input, NewTransaction, Options, Timestamp, Timing, TransactionId, View};

/// One of N parts (a power of two) of the transaction table.
#[derive(Debug)]
pub struct Shard {}

/// What a request turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// The transaction it belongs to.
    pub id: TransactionId,
    /// In which way.
    pub kind: Kind,
}

/// How a request belongs to a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The same request again: step with [`Input::Retransmission`].
    Retransmission,
    /// The ACK to a non-2xx final reply: step with [`Input::Ack`] and forget it.
    AckNon2xx,
    /// The ACK to a 2xx that passed here (same Call-ID, CSeq number, From tag and the 2xx's To tag): step with [`Input::Ack`] when the
    /// 2xx was made here, and route it on its own otherwise.
    AckEndToEnd,
}

/// Why [`Shard::create`] made no transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The shard is at its capacity: answer 503.
    Full,
    /// The request came twice and another worker was faster: treat it as a retransmission of that transaction.
    Duplicate(TransactionId),
}

/// No such transaction (any more): a late message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown;

/// Numbers for `tm.stats` and the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Live transactions.
    pub current: u64,
    /// Live INVITE transactions.
    pub current_invite: u64,
    /// Live transactions whose final reply was sent, kept to absorb late messages.
    pub waiting: u64,
    /// Created since start.
    pub total: u64,
    /// Created since start by ourselves (UAC).
    pub total_local: u64,
    /// Freed since start.
    pub freed: u64,
    /// Final replies by class: `[2xx, 3xx, 4xx, 5xx, 6xx]`.
    pub final_class: [u64; 5],
    /// Final replies made here.
    pub replied_locally: u64,
    /// Replies received on branches.
    pub replies_received: u64,
    /// Requests absorbed as retransmissions.
    pub absorbed: u64,
    /// Requests and replies sent again by timers A, E and G.
    pub retransmitted: u64,
    /// Replies dropped because a transaction's deferred queue was full.
    pub deferred_dropped: u64,
    /// Transactions refused at the capacity.
    pub refused: u64,
}

impl Shard {
    /// Shard `number` of `shards` (a power of two) with room for `capacity` live transactions. `seed`: unpredictable, for labels and hashing.
    pub fn new(number: u32, shards: u32, seed: u64, capacity: usize) -> Shard {
        todo!("{number}{shards}{seed}{capacity}")
    }
    /// Live transactions.
    pub fn len(&self) -> usize {
        todo!()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Which shard a request belongs to: INVITE, its CANCEL, its ACK and the end-to-end ACK meet in one.
    pub fn select(call_id: &[u8], cseq_number: u32, shards: u32) -> u32 {
        todo!("{call_id:?}{cseq_number}{shards}")
    }
    /// Which shard a transaction lives in.
    pub fn of_id(id: TransactionId, shards: u32) -> u32 {
        id.index & (shards - 1)
    }
    /// The transaction a request belongs to (RFC 3261 §17.2.3).
    pub fn match_request(&self, request: &Message) -> Option<Match> {
        todo!("{request:?}")
    }
    /// The transaction a CANCEL means (§9.2).
    pub fn match_cancel(&self, cancel: &Message) -> Option<TransactionId> {
        todo!("{cancel:?}")
    }
    /// The newest INVITE transaction of that Call-ID and CSeq number (`t_cancel_callid`).
    pub fn lookup_callid(&self, call_id: &[u8], cseq_number: u32) -> Option<TransactionId> {
        todo!("{call_id:?}{cseq_number}")
    }
    /// Makes a transaction.
    pub fn create(
        &mut self,
        new: NewTransaction,
        now: Timestamp,
        out: &mut Vec<Action>,
    ) -> Result<TransactionId, Refused> {
        todo!("{new:?}{now:?}{out:?}")
    }
    /// Lets something happen to a transaction.
    pub fn step(
        &mut self,
        id: TransactionId,
        input: Input,
        now: Timestamp,
        out: &mut Vec<Action>,
    ) -> Result<(), Unknown> {
        todo!("{id:?}{input:?}{now:?}{out:?}")
    }
    /// Fires what is due. Nothing fires early.
    pub fn expire(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        todo!("{now:?}{out:?}")
    }
    /// When [`Shard::expire`] has something to do; may be too early, never too late.
    pub fn next_timeout(&self) -> Option<Timestamp> {
        todo!()
    }
    /// Read-only facts.
    pub fn view(&self, id: TransactionId) -> Option<View<'_>> {
        todo!("{id:?}")
    }
    /// Replaces the armed routes (`t_on_failure` outside of a relay). False when the transaction is gone.
    pub fn set_armed(&mut self, id: TransactionId, armed: Armed) -> bool {
        todo!("{id:?}{armed:?}")
    }
    /// Replaces what the script attached.
    pub fn set_script(&mut self, id: TransactionId, script: Arc<dyn Any + Send + Sync>) -> bool {
        todo!("{id:?}{}", Arc::strong_count(&script))
    }
    /// Replaces the timers for branches started from now on (`t_set_fr`, `t_set_retr`).
    pub fn set_timing(&mut self, id: TransactionId, timing: Timing) -> bool {
        todo!("{id:?}{timing:?}")
    }
    /// Replaces the switches.
    pub fn set_options(&mut self, id: TransactionId, options: Options) -> bool {
        todo!("{id:?}{options:?}")
    }
    /// Numbers for `tm.stats`.
    pub fn counts(&self) -> Counts {
        todo!()
    }
}
