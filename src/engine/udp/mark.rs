//! One end of a flow that a tunnel carries, as both its loop and the tunnel know it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// One end of a flow of a tunnel.
#[derive(Debug)]
pub(super) struct Mark {
    /// Its number in the loop.
    pub(super) number: u32,
    /// Datagrams that came and were dropped here, as too many waited.
    overflown: AtomicU64,
    /// Datagrams that the tunnel took and dropped.
    dropped: AtomicU64,
    /// The tunnel has ended it.
    is_over: AtomicBool,
}

impl Mark {
    pub(super) fn new(number: u32) -> Mark {
        let (overflown, dropped, is_over) = Default::default();
        Mark { number, overflown, dropped, is_over }
    }

    /// A datagram that came was dropped here.
    pub(super) fn overflows(&self) {
        self.overflown.fetch_add(1, Relaxed);
    }

    /// The tunnel has dropped what it took.
    pub(super) fn dropped(&self, count: u64) {
        self.dropped.fetch_add(count, Relaxed);
    }

    /// Whether the tunnel has ended it.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// The tunnel has ended it; false if it had before.
    pub(super) fn end(&self) -> bool {
        !self.is_over.swap(true, Relaxed)
    }

    /// How many datagrams were dropped since the last call: of those that came, and of those that the tunnel took.
    pub(super) fn take_dropped(&self) -> (u64, u64) {
        (self.overflown.swap(0, Relaxed), self.dropped.swap(0, Relaxed))
    }
}
