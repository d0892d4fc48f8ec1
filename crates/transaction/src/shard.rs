//! One shard of the transaction table: slab, matching, dispatch. The caller keeps each behind its own lock.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use message::{Message, Method};

use crate::matching::{self, ByHash};
use crate::transaction::{Env, Maker, Transaction};
use crate::wheel::{Entry, TimerWheel};
use crate::{Action, Armed, Input, NewTransaction, Options, Timestamp, Timing, TransactionId, View};

/// One of N parts (a power of two) of the transaction table.
#[derive(Debug)]
pub struct Shard {
    number: u32,
    shards: u32,
    seed: u64,
    capacity: usize,
    slots: Vec<Slot>,
    free: Vec<u32>,
    live: usize,
    live_invite: usize,
    by_request: ByHash<u32>,
    by_call: ByHash<u32>,
    wheel: TimerWheel,
    due: Vec<Entry>,
    counts: Counts,
    forwards: bool,
}

/// One place of the slab. INVITEs with the same Call-ID and CSeq number (forked upstream, spiralling, or an attack) form a list.
#[derive(Debug, Default)]
struct Slot {
    label: u32,
    /// When the timer wheel will ask.
    scheduled: Timestamp,
    /// When the transaction has something to do: kept here, so that an entry that fires in between does not touch the transaction, which
    /// has left the processor's cache by then.
    next: Timestamp,
    transaction: Option<Box<Transaction>>,
    request_key: Option<u64>,
    call_key: Option<u64>,
    newer: Option<u32>,
    older: Option<u32>,
}

/// So many INVITEs of one Call-ID and CSeq number are looked at, newest first: a spiral has a few, an attack any number.
const CALL_WALK: usize = 8;

/// A transaction is looked at after this time at the latest, so that an entry of the wheel does not long outlive its transaction and a
/// transaction rarely needs a second one.
const LOOK_AGAIN: Duration = Duration::from_secs(32);

/// See [`FORGET_EVERY`].
const FORGET_LATER: Duration = Duration::from_secs(1);

/// Transactions that are over and only wait to be forgotten are forgotten in groups: deadlines so far away are put off to the next multiple
/// of this, and a server that has nothing else to do wakes up a few times a second for them.
const FORGET_EVERY: Duration = Duration::from_millis(250);

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
    /// Failures of INVITEs that were never acknowledged (timer H).
    pub no_ack: u64,
    /// Replies dropped because a transaction's deferred queue was full.
    pub deferred_dropped: u64,
    /// Transactions refused at the capacity.
    pub refused: u64,
}

impl Counts {
    /// Adds another shard's numbers.
    pub fn add(&mut self, other: &Counts) {
        self.current += other.current;
        self.current_invite += other.current_invite;
        self.waiting += other.waiting;
        self.total += other.total;
        self.total_local += other.total_local;
        self.freed += other.freed;
        for (sum, n) in self.final_class.iter_mut().zip(other.final_class) {
            *sum += n;
        }
        self.replied_locally += other.replied_locally;
        self.replies_received += other.replies_received;
        self.absorbed += other.absorbed;
        self.retransmitted += other.retransmitted;
        self.deferred_dropped += other.deferred_dropped;
        self.refused += other.refused;
    }
}

impl Shard {
    /// Shard `number` of `shards` (a power of two) with room for `capacity` live transactions. `seed`: unpredictable, for labels and hashing.
    pub fn new(number: u32, shards: u32, seed: u64, capacity: usize) -> Shard {
        Shard {
            number,
            shards: shards.max(1),
            seed,
            // The index has to hold the slot above the shard's number.
            capacity: capacity.min((u32::MAX / shards.max(1)) as usize),
            slots: Vec::new(),
            free: Vec::new(),
            live: 0,
            live_invite: 0,
            by_request: ByHash::default(),
            by_call: ByHash::default(),
            wheel: TimerWheel::new(),
            due: Vec::new(),
            counts: Counts::default(),
            forwards: false,
        }
    }

    /// From now on replies of branches are sent on by [`Action::Forward`].
    pub fn tell_forwards(&mut self) {
        self.forwards = true;
    }

    /// Live transactions.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Which shard a request belongs to: INVITE, its CANCEL, its ACK and the end-to-end ACK meet in one.
    pub fn select(call_id: &[u8], cseq_number: u32, shards: u32) -> u32 {
        matching::select(call_id, cseq_number, shards)
    }

    /// Which shard a transaction lives in.
    pub fn of_id(id: TransactionId, shards: u32) -> u32 {
        id.index & shards.saturating_sub(1)
    }

    /// The transaction a request belongs to (RFC 3261 §17.2.3). For an ACK also that of the INVITE it ends, over a 2xx.
    pub fn match_request(&self, request: &Message) -> Option<Match> {
        let method = request.method();
        let key = matching::request_key(self.seed, request, method == Method::Cancel);
        let hit = key.and_then(|key| self.find(key, request));
        if method == Method::Ack {
            return self.match_ack(hit, request);
        }
        let hit = hit.filter(|t| matching::same_method(&t.request, request))?;
        Some(Match { id: hit.id, kind: Kind::Retransmission })
    }

    fn match_ack(&self, hit: Option<&Transaction>, ack: &Message) -> Option<Match> {
        if let Some(t) = hit.filter(|t| t.is_invite() && t.status >= 300) {
            // "... the ACK ... matches a transaction if the ... To tag of the ACK [equals that] of the response sent" (§17.2.3)
            if !matching::is_rfc2543(ack) || t.last_reply_to_tag().as_deref() == Some(matching::to_tag(ack)) {
                return Some(Match { id: t.id, kind: Kind::AckNon2xx });
            }
        }
        let cseq = ack.cseq().ok()?;
        let (from_tag, to_tag) = (matching::from_tag(ack), matching::to_tag(ack));
        let t = self
            .calls(ack.call_id(), cseq.number)
            .find(|t| matching::from_tag(&t.request) == from_tag && t.has_success(to_tag))?;
        Some(Match { id: t.id, kind: Kind::AckEndToEnd })
    }

    /// The transaction a CANCEL means (§9.2).
    pub fn match_cancel(&self, cancel: &Message) -> Option<TransactionId> {
        let key = matching::request_key(self.seed, cancel, false)?;
        self.find(key, cancel).filter(|t| t.method != Method::Cancel).map(|t| t.id)
    }

    /// The newest INVITE transaction of that Call-ID and CSeq number (`t_cancel_callid`).
    pub fn lookup_callid(&self, call_id: &[u8], cseq_number: u32) -> Option<TransactionId> {
        self.calls(call_id, cseq_number).next().map(|t| t.id)
    }

    fn find(&self, key: u64, request: &Message) -> Option<&Transaction> {
        let slot = *self.by_request.get(&key)?;
        let t = self.slots.get(slot as usize)?.transaction.as_deref()?;
        matching::same_transaction(&t.request, request).then_some(t)
    }

    fn calls<'a>(&'a self, call_id: &'a [u8], cseq_number: u32) -> impl Iterator<Item = &'a Transaction> {
        let newest = self.by_call.get(&matching::call_key(self.seed, call_id, cseq_number)).copied();
        std::iter::successors(newest, |slot| self.slots.get(*slot as usize)?.older)
            .take(CALL_WALK)
            .filter_map(|slot| self.slots.get(slot as usize)?.transaction.as_deref())
            .filter(move |t| {
                t.request.call_id() == call_id
                    && t.request.cseq().is_ok_and(|cseq| cseq.number == cseq_number)
            })
    }

    /// Makes a transaction.
    pub fn create(
        &mut self,
        new: NewTransaction,
        now: Timestamp,
        out: &mut Vec<Action>,
    ) -> Result<TransactionId, Refused> {
        let request = Arc::clone(&new.request);
        let method = request.method();
        let local = new.local;
        let request_key = match local {
            true => None,
            false => matching::request_key(self.seed, &request, method == Method::Cancel),
        };
        if let Some(t) = request_key.and_then(|key| self.find(key, &request))
            && matching::same_method(&t.request, &request)
        {
            return Err(Refused::Duplicate(t.id));
        }
        let Some(slot) = self.take_slot() else {
            self.counts.refused += 1;
            return Err(Refused::Full);
        };
        let id = self.name(slot);
        let trying = match method {
            Method::Invite if !local && !new.options.no_auto_100 => new.trying.clone(),
            _ => None,
        };
        let mut t = Box::new(Transaction::new(id, new, now));
        let mut env = Env { now, out, counts: &mut self.counts, forwards: self.forwards };
        if let Some(bytes) = trying {
            t.send_upstream(100, bytes, Maker::Us, &mut env);
        }
        self.counts.total += 1;
        self.counts.total_local += u64::from(local);
        self.live += 1;
        self.live_invite += usize::from(method == Method::Invite);
        let call_key = (method == Method::Invite).then(|| {
            let cseq_number = request.cseq().map_or(0, |cseq| cseq.number);
            matching::call_key(self.seed, request.call_id(), cseq_number)
        });
        // Timer A, E or G comes then; the limit is far.
        let next = t.next();
        let scheduled = next.min(now + t.timing.t1);
        self.wheel.insert(Entry { at: scheduled, slot, label: id.label });
        if let Some(key) = request_key {
            self.by_request.insert(key, slot);
        }
        let older = call_key.and_then(|key| self.by_call.insert(key, slot));
        if let Some(older) = older.and_then(|older| self.slots.get_mut(older as usize)) {
            older.newer = Some(slot);
        }
        if let Some(place) = self.slots.get_mut(slot as usize) {
            let label = id.label;
            let transaction = Some(t);
            *place = Slot { label, scheduled, next, transaction, request_key, call_key, newer: None, older };
        }
        Ok(id)
    }

    fn take_slot(&mut self) -> Option<u32> {
        if self.live >= self.capacity {
            return None;
        }
        if let Some(slot) = self.free.pop() {
            return Some(slot);
        }
        let slot = u32::try_from(self.slots.len()).ok()?;
        self.slots.push(Slot::default());
        Some(slot)
    }

    /// A name that this shard has not given for 2**32 transactions, and that cannot be guessed from outside.
    fn name(&self, slot: u32) -> TransactionId {
        let count = (self.counts.total as u32).wrapping_add(self.seed as u32);
        let label = scramble(count) ^ (self.seed >> 32) as u32;
        TransactionId { index: slot.wrapping_mul(self.shards) | self.number, label }
    }

    fn slot_of(&self, id: TransactionId) -> Option<usize> {
        let slot = (id.index / self.shards) as usize;
        let place = self.slots.get(slot)?;
        (place.label == id.label && place.transaction.is_some() && id.index % self.shards == self.number)
            .then_some(slot)
    }

    fn get(&self, id: TransactionId) -> Option<&Transaction> {
        self.slots.get(self.slot_of(id)?)?.transaction.as_deref()
    }

    fn get_mut(&mut self, id: TransactionId) -> Option<&mut Transaction> {
        let slot = self.slot_of(id)?;
        self.slots.get_mut(slot)?.transaction.as_deref_mut()
    }

    /// Numbers for `n` branches, printed before they are started: the first of them. The first branches of a transaction that nobody
    /// else knows of yet are 0 and up, without asking.
    pub fn reserve_branches(&mut self, id: TransactionId, n: u16) -> Option<u16> {
        let t = self.get_mut(id)?;
        let first = t.next_number;
        t.next_number = first.checked_add(n)?;
        Some(first)
    }

    /// Lets something happen to a transaction.
    pub fn step(
        &mut self,
        id: TransactionId,
        input: Input,
        now: Timestamp,
        out: &mut Vec<Action>,
    ) -> Result<(), Unknown> {
        let slot = self.slot_of(id).ok_or(Unknown)?;
        let t = self.slots.get_mut(slot).and_then(|place| place.transaction.as_deref_mut()).ok_or(Unknown)?;
        t.step(input, &mut Env { now, out, counts: &mut self.counts, forwards: self.forwards });
        self.settle(slot, now, out);
        Ok(())
    }

    /// Fires what is due. Nothing fires early. Returns how many transactions were looked at.
    pub fn expire(&mut self, now: Timestamp, out: &mut Vec<Action>) -> usize {
        if self.wheel.next().is_none_or(|next| now < next) {
            return 0;
        }
        let mut due = std::mem::take(&mut self.due);
        self.wheel.expire(now, &mut due);
        let looked = due.len();
        for entry in due.drain(..) {
            let slot = entry.slot as usize;
            let Some(place) = self.slots.get_mut(slot) else { continue };
            if place.label != entry.label || place.scheduled != entry.at {
                continue;
            }
            let Some(t) = place.transaction.as_deref_mut() else { continue };
            place.scheduled = Timestamp::NEVER;
            if now < place.next {
                self.schedule(slot, now);
                continue;
            }
            t.expire(&mut Env { now, out, counts: &mut self.counts, forwards: self.forwards });
            self.settle(slot, now, out);
        }
        self.due = due;
        looked
    }

    /// Frees a transaction that is over, or sees to it that the wheel asks it in time.
    fn settle(&mut self, slot: usize, now: Timestamp, out: &mut Vec<Action>) {
        let Some(place) = self.slots.get_mut(slot) else { return };
        let Some(t) = place.transaction.as_deref_mut() else { return };
        if t.is_terminated() {
            let (id, method, script) = (t.id, t.method, t.script.take());
            out.push(Action::Freed { id, method, request: Arc::clone(&t.request), script });
            self.remove(slot);
            return;
        }
        place.next = t.next();
        if place.next >= now + FORGET_LATER && t.only_waits() {
            place.next = place.next.round_up(FORGET_EVERY);
        }
        self.schedule(slot, now);
    }

    /// Sees to it that the wheel asks a transaction in time.
    fn schedule(&mut self, slot: usize, now: Timestamp) {
        let Some(place) = self.slots.get_mut(slot) else { return };
        let at = place.next.min(now + LOOK_AGAIN);
        if at < place.scheduled {
            place.scheduled = at;
            self.wheel.insert(Entry { at, slot: slot as u32, label: place.label });
        }
    }

    fn remove(&mut self, slot: usize) {
        let Some(place) = self.slots.get_mut(slot) else { return };
        let gone = std::mem::take(place);
        place.label = gone.label;
        let number = slot as u32;
        if let Some(key) = gone.request_key {
            // The key may be another's by now: a hash is only a hash.
            if self.by_request.get(&key) == Some(&number) {
                self.by_request.remove(&key);
            }
        }
        if let Some(key) = gone.call_key {
            match (gone.newer, gone.older) {
                (None, None) => {
                    self.by_call.remove(&key);
                }
                (None, Some(older)) => {
                    self.by_call.insert(key, older);
                }
                (Some(newer), _) => {
                    if let Some(newer) = self.slots.get_mut(newer as usize) {
                        newer.older = gone.older;
                    }
                }
            }
            if let Some(older) = gone.older.and_then(|older| self.slots.get_mut(older as usize)) {
                older.newer = gone.newer;
            }
        }
        self.live -= 1;
        self.counts.freed += 1;
        if let Some(t) = gone.transaction {
            self.live_invite -= usize::from(t.is_invite());
            self.counts.waiting -= u64::from(t.done);
        }
        self.free.push(number);
    }

    /// When [`Shard::expire`] has something to do; may be too early, never too late.
    pub fn next_timeout(&self) -> Option<Timestamp> {
        self.wheel.next()
    }

    /// Read-only facts.
    pub fn view(&self, id: TransactionId) -> Option<View<'_>> {
        self.get(id).map(View)
    }

    /// Read-only facts about every live transaction.
    pub fn views(&self) -> impl Iterator<Item = View<'_>> {
        self.slots.iter().filter_map(|place| place.transaction.as_deref()).map(View)
    }

    /// Replaces the armed routes (`t_on_failure` outside of a relay). False when the transaction is gone.
    pub fn set_armed(&mut self, id: TransactionId, armed: Armed) -> bool {
        self.get_mut(id).map(|t| t.armed = armed).is_some()
    }

    /// Replaces what the script attached.
    pub fn set_script(&mut self, id: TransactionId, script: Arc<dyn Any + Send + Sync>) -> bool {
        self.get_mut(id).map(|t| t.script = Some(script)).is_some()
    }

    /// Replaces the timers for what is started from now on (`t_set_fr`, `t_set_retr`). Hard limits are counted from the creation.
    pub fn set_timing(&mut self, id: TransactionId, timing: Timing) -> bool {
        let Some(slot) = self.slot_of(id) else { return false };
        let Some(place) = self.slots.get_mut(slot) else { return false };
        let Some(t) = place.transaction.as_deref_mut() else { return false };
        t.set_timing(timing);
        place.next = t.next();
        true
    }

    /// Replaces the switches.
    pub fn set_options(&mut self, id: TransactionId, options: Options) -> bool {
        self.get_mut(id).map(|t| t.options = options).is_some()
    }

    /// Numbers for `tm.stats`.
    pub fn counts(&self) -> Counts {
        Counts { current: self.live as u64, current_invite: self.live_invite as u64, ..self.counts }
    }
}

/// A permutation of the 32-bit numbers.
fn scramble(mut x: u32) -> u32 {
    x = (x ^ x >> 16).wrapping_mul(0x85EB_CA6B);
    x = (x ^ x >> 13).wrapping_mul(0xC2B2_AE35);
    x ^ x >> 16
}
