//! Who is here now: one entry a session, its byte counts readable while it lives.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::outcome::{Client, Flow, Traffic, Way};

/// A session that has not ended yet.
#[derive(Debug)]
pub struct Live {
    /// Counts up from 1 over the life of the process.
    pub id: u64,
    /// The route it was born with.
    pub route: Arc<str>,
    /// What the route dials, as written.
    pub target: Arc<str>,
    /// Who connected.
    pub client: Client,
    /// When it was accepted.
    pub started: Instant,
    /// Its byte counts, live.
    pub meter: Meter,
}

/// The byte counts of one session. Only its own task writes them, anybody may read them.
#[derive(Debug, Default)]
pub struct Meter {
    /// Client → target.
    pub up: FlowMeter,
    /// Target → client.
    pub down: FlowMeter,
}

impl Meter {
    /// What has moved so far.
    pub fn traffic(&self) -> Traffic {
        Traffic { up: self.up.flow(), down: self.down.flow() }
    }

    /// How bytes have moved so far.
    pub fn way(&self) -> Way {
        match self.traffic() {
            _ if self.up.spliced.load(Relaxed) || self.down.spliced.load(Relaxed) => Way::Splice,
            Traffic { up: Flow { read: 0, .. }, down: Flow { read: 0, .. } } => Way::None,
            _ => Way::Copy,
        }
    }
}

/// The byte counts of one direction.
///
/// One writer, so a load and a store do where a locked add would cost more.
#[derive(Debug, Default)]
pub struct FlowMeter {
    read: AtomicU64,
    delivered: AtomicU64,
    spliced: AtomicBool,
}

impl FlowMeter {
    /// Books bytes taken from the source.
    pub fn read(&self, bytes: usize) {
        self.read.store(self.read.load(Relaxed) + bytes as u64, Relaxed);
    }

    /// Notes that bytes move inside the kernel from here on.
    pub fn splices(&self) {
        self.spliced.store(true, Relaxed);
    }

    /// Books bytes the destination accepted.
    pub fn delivered(&self, bytes: usize) {
        self.delivered.store(self.delivered.load(Relaxed) + bytes as u64, Relaxed);
    }

    /// Takes back bytes that a reset destroyed in the destination's send queue.
    pub fn destroyed(&self, bytes: u32) {
        self.delivered.store(self.delivered.load(Relaxed).saturating_sub(bytes.into()), Relaxed);
    }

    /// What has moved so far.
    pub fn flow(&self) -> Flow {
        Flow { read: self.read.load(Relaxed), delivered: self.delivered.load(Relaxed) }
    }
}

/// Every live session. Locked at the open and the close of a session, never while bytes move.
#[derive(Debug, Default)]
pub(super) struct Lives {
    // Split, so that two workers seldom meet at one lock.
    shards: [Mutex<HashMap<u64, Arc<Live>>>; 16],
}

impl Lives {
    pub(super) fn insert(&self, live: Arc<Live>) {
        self.shard(live.id).insert(live.id, live);
    }

    pub(super) fn remove(&self, id: u64) {
        let mut shard = self.shard(id);
        shard.remove(&id);
        // A crowd that has left gives its room back.
        if shard.capacity() > 64 && shard.len() < shard.capacity() / 8 {
            shard.shrink_to_fit();
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<Live>> {
        let mut all: Vec<_> = (0..self.shards.len() as u64)
            .flat_map(|shard| self.shard(shard).values().cloned().collect::<Vec<_>>())
            .collect();
        all.sort_by_key(|live| live.id);
        all
    }

    fn shard(&self, id: u64) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Live>>> {
        let shard = &self.shards[id as usize % self.shards.len()];
        // A panic cannot leave a map half-changed here, so a poisoned lock is as good as a clean one.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
