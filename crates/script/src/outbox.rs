//! Datagrams waiting to be sent, in one buffer per worker: printing into it costs no allocation.
//!
//! Behind a mutex that only its worker takes in ordinary times; when a worker is stuck in a script, another thread takes what is
//! ready and sends it.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use transaction::Hop;

/// One datagram.
#[derive(Debug, Clone)]
pub enum Datagram {
    /// A span of [`Batch::buffer`].
    Span(Range<usize>),
    /// Bytes that a transaction also keeps for retransmission.
    Shared(Arc<[u8]>),
}

/// What is ready to be sent.
#[derive(Debug, Default)]
pub struct Batch {
    /// Bytes of the [`Datagram::Span`]s.
    pub buffer: Vec<u8>,
    /// In sending order.
    pub items: Vec<(Hop, Datagram)>,
}

impl Batch {
    /// Bytes of an item.
    pub fn bytes<'a>(&'a self, datagram: &'a Datagram) -> &'a [u8] {
        match datagram {
            Datagram::Span(range) => self.buffer.get(range.clone()).unwrap_or_default(),
            Datagram::Shared(bytes) => bytes,
        }
    }
    /// Empties it, keeping the memory.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.items.clear();
    }
}

/// A worker's outgoing datagrams.
#[derive(Debug, Default)]
pub struct Outbox {
    batch: Mutex<Batch>,
}

impl Outbox {
    /// Prints one datagram straight into the buffer.
    pub fn print(&self, hop: Hop, write: impl FnOnce(&mut Vec<u8>)) {
        let mut b = self.batch.lock().unwrap_or_else(|e| e.into_inner());
        let start = b.buffer.len();
        write(&mut b.buffer);
        let end = b.buffer.len();
        b.items.push((hop, Datagram::Span(start..end)));
    }
    /// Queues bytes that are kept elsewhere.
    pub fn push(&self, hop: Hop, bytes: Arc<[u8]>) {
        self.batch.lock().unwrap_or_else(|e| e.into_inner()).items.push((hop, Datagram::Shared(bytes)));
    }
    /// Swaps what is ready against an empty batch (which brings its memory along).
    pub fn take(&self, into: &mut Batch) {
        into.clear();
        std::mem::swap(&mut *self.batch.lock().unwrap_or_else(|e| e.into_inner()), into);
    }
    /// Whether nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.batch.lock().unwrap_or_else(|e| e.into_inner()).items.is_empty()
    }
}
