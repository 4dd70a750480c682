//! The live sessions: one entry each, with byte counts that can be read while it lives.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU16, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Instant;

use super::notes::Notes;
use super::target_names::TargetNames;
use super::tunnelled::Through;
use crate::address::TunnelName;
use crate::outcome::{Client, Flow, SessionId, Side, Sides, Traffic, Way};

/// A session that has not ended yet.
#[derive(Debug)]
pub struct Live {
    /// Counts up from 1 over the life of the process.
    pub id: u64,
    /// The route it began with.
    pub route: Arc<str>,
    /// What the route dials.
    pub(super) targets: Arc<TargetNames>,
    /// The target it goes to: an index among them.
    pub(super) aim: AtomicU16,
    /// The order that ends it, once there is one; see `order`.
    pub(super) word: AtomicU8,
    /// What distinguishes its number from that of another process.
    pub(super) process: [u8; 5],
    /// How its client came, if by a tunnel.
    pub(super) through: Option<Box<Through>>,
    /// Who connected; the record may name the client behind this one.
    pub client: Client,
    /// When it was accepted.
    pub started: Instant,
    /// Its live byte counts.
    pub meter: Meter,
    /// Woken by an order.
    pub(super) waker: Mutex<Option<Waker>>,
}

impl Live {
    /// The target as written; all targets of the route until one is chosen.
    pub fn target(&self) -> &Arc<str> {
        self.targets.at(self.aim.load(Relaxed).into())
    }

    /// The id in its record: of the opener, if it came by a tunnel.
    pub fn session_id(&self) -> SessionId {
        match &self.through {
            Some(through) => through.id,
            None => SessionId::new(self.process, self.id),
        }
    }

    /// The tunnel by which its client came.
    pub(crate) fn came_by(&self) -> Option<&TunnelName> {
        self.through.as_ref().map(|through| &through.tunnel)
    }

    /// The tunnel by which its client came, else the one that its target is in.
    pub fn tunnel(&self) -> Option<&TunnelName> {
        self.came_by().or_else(|| self.targets.tunnel_at(self.aim.load(Relaxed).into()))
    }

    /// Whether it came by this tunnel, or goes to it.
    pub fn uses(&self, tunnel: &TunnelName) -> bool {
        self.came_by() == Some(tunnel)
            || self.targets.tunnel_at(self.aim.load(Relaxed).into()) == Some(tunnel)
    }
}

/// The value of a session's `aim` until a target is chosen.
pub(super) const NO_AIM: u16 = u16::MAX;

/// The byte counts of one session. Only its own task writes them; any thread may read them.
#[derive(Debug, Default)]
pub struct Meter {
    /// Client → target.
    pub up: FlowMeter,
    /// Target → client.
    pub down: FlowMeter,
    /// When the target's first byte was read. Kept here because the code that ends a session from outside needs it too.
    pub first_byte: OnceLock<Instant>,
    /// The side that sent FIN first.
    pub closed_by: OnceLock<Side>,
}

impl Meter {
    /// What has moved so far.
    pub fn traffic(&self) -> Traffic {
        Traffic { up: self.up.flow(), down: self.down.flow() }
    }

    /// Publishes the sockets that the bytes go to, for as long as the returned guard lives; the sockets must live
    /// longer.
    pub fn open(&self, client: impl AsFd, target: impl AsFd) -> Open<'_> {
        self.up.sink.store(target.as_fd().as_raw_fd(), SeqCst);
        self.down.sink.store(client.as_fd().as_raw_fd(), SeqCst);
        Open(self)
    }

    /// Records that one of the connections uses TLS: bytes are decrypted and encrypted on the way.
    pub fn seals(&self) {
        self.up.mark_way(SEALS);
    }

    /// How bytes have moved so far.
    pub fn way(&self) -> Way {
        let (up, down) = (self.up.way.load(Relaxed), self.down.way.load(Relaxed));
        match self.traffic() {
            _ if (up | down) & SPLICES != 0 => Way::Splice,
            Traffic { up: Flow { read: 0, .. }, down: Flow { read: 0, .. } } => Way::None,
            _ if up & SEALS != 0 => Way::Tls,
            _ => Way::Copy,
        }
    }

    /// The sides that have closed without close_notify.
    pub fn cut(&self) -> Option<Sides> {
        let is_cut = |flow: &FlowMeter| flow.way.load(Relaxed) & CUT != 0;
        Sides::of(is_cut(&self.up), is_cut(&self.down))
    }
}

/// The bits of a [`FlowMeter`]'s way; without the first two, bytes are copied.
const SPLICES: u8 = 1;
const SEALS: u8 = 2;
/// Its source has closed without close_notify.
const CUT: u8 = 4;

/// The flags of a [`FlowMeter`].
const SETTLED: u8 = 1;
const ENDED: u8 = 2;

/// The byte counts of one direction.
///
/// There is one writer, so a load and a store replace the costlier locked add. The stall detector's fields fit into the
/// padding: an idle session is no larger for them.
#[derive(Debug)]
pub struct FlowMeter {
    read: AtomicU64,
    delivered: AtomicU64,
    /// How its bytes move, as far as the counts do not show it: [`SPLICES`], [`SEALS`], and [`CUT`].
    way: AtomicU8,
    /// Whether the end was passed on ([`ENDED`]), and for the stall detector whether this side needs no more attention
    /// ([`SETTLED`]).
    flags: AtomicU8,
    /// For the stall detector: the bytes read at its last pass, folded.
    mark: AtomicU16,
    /// The descriptor of the socket the bytes go to while it is open; negative otherwise.
    sink: AtomicI32,
}

impl Default for FlowMeter {
    fn default() -> Self {
        FlowMeter {
            read: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            way: AtomicU8::new(0),
            flags: AtomicU8::new(0),
            mark: AtomicU16::new(0),
            sink: AtomicI32::new(-1),
        }
    }
}

/// Marks both sockets of a session as open. Dropped before they are closed, it withdraws them.
#[must_use]
pub struct Open<'a>(&'a Meter);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.up.sink.store(-1, SeqCst);
        self.0.down.sink.store(-1, SeqCst);
    }
}

impl FlowMeter {
    /// Counts bytes taken from the source.
    pub fn read(&self, bytes: usize) {
        self.read.store(self.read.load(Relaxed) + bytes as u64, Relaxed);
    }

    /// Records that bytes move inside the kernel from here on.
    pub fn splices(&self) {
        self.mark_way(SPLICES);
    }

    /// Records that its source has closed without close_notify.
    pub fn cut(&self) {
        self.mark_way(CUT);
    }

    fn mark_way(&self, bit: u8) {
        self.way.store(self.way.load(Relaxed) | bit, Relaxed);
    }

    /// Counts bytes the destination accepted.
    pub fn delivered(&self, bytes: usize) {
        self.delivered.store(self.delivered.load(Relaxed) + bytes as u64, Relaxed);
    }

    /// Subtracts bytes that a reset destroyed in the destination's send queue.
    pub fn destroyed(&self, bytes: u32) {
        self.delivered.store(self.delivered.load(Relaxed).saturating_sub(bytes.into()), Relaxed);
    }

    /// Records that the destination was sent the end: its send queue may hold that too.
    pub fn sends_end(&self) {
        self.flags.fetch_or(ENDED, Relaxed);
    }

    /// Whether [`FlowMeter::sends_end`] was called.
    pub fn has_sent_end(&self) -> bool {
        self.flags.load(Relaxed) & ENDED != 0
    }

    /// The descriptor of the socket the bytes go to, while it is open. If a second call after its use returns the same
    /// descriptor, the socket was open all the time: it is withdrawn before the socket is closed.
    pub(crate) fn sink(&self) -> Option<RawFd> {
        Some(self.sink.load(SeqCst)).filter(|descriptor| *descriptor >= 0)
    }

    /// Whether anything was read since the last call. Only one stall detector may call this.
    pub(crate) fn has_moved(&self) -> bool {
        let read = self.read.load(Relaxed);
        let folded = (read ^ (read >> 16) ^ (read >> 32) ^ (read >> 48)) as u16;
        let has_moved = self.mark.load(Relaxed) != folded;
        // Not a swap, whose lock would keep the processor from fetching the next session meanwhile.
        if has_moved {
            self.mark.store(folded, Relaxed);
        }
        has_moved
    }

    /// Records for the stall detector that this side needs no more attention.
    pub(crate) fn settle(&self) {
        if !self.is_settled() {
            self.flags.fetch_or(SETTLED, Relaxed);
        }
    }

    /// Whether [`FlowMeter::settle`] was called.
    pub(crate) fn is_settled(&self) -> bool {
        self.flags.load(Relaxed) & SETTLED != 0
    }

    /// What has moved so far.
    pub fn flow(&self) -> Flow {
        Flow { read: self.read.load(Relaxed), delivered: self.delivered.load(Relaxed) }
    }
}

/// Every live session. Locked at the open and the close of a session, never while bytes move.
#[derive(Debug, Default)]
pub(super) struct Lives {
    // Sharded, so that two workers rarely contend for one lock.
    shards: [Mutex<Shard>; SHARDS],
}

/// The number of shards.
pub(super) const SHARDS: usize = 16;

#[derive(Debug, Default)]
struct Shard {
    lives: HashMap<u64, Arc<Live>>,
    /// Notes about a few of them.
    notes: HashMap<u64, Notes>,
}

impl Lives {
    pub(super) fn insert(&self, live: Arc<Live>) {
        self.shard(live.id).lives.insert(live.id, live);
    }

    /// Removes a session; returns its notes.
    pub(super) fn remove(&self, id: u64) -> Notes {
        let mut shard = self.shard(id);
        shard.lives.remove(&id);
        // Frees capacity after most sessions have ended.
        if shard.lives.capacity() > 64 && shard.lives.len() < shard.lives.capacity() / 8 {
            shard.lives.shrink_to_fit();
        }
        if shard.notes.is_empty() { Notes::default() } else { shard.notes.remove(&id).unwrap_or_default() }
    }

    /// A session, if it is still live.
    pub(super) fn find(&self, id: u64) -> Option<Arc<Live>> {
        self.shard(id).lives.get(&id).cloned()
    }

    /// Adds a note about a session, if it is still live.
    pub(super) fn note(&self, id: u64, change: impl FnOnce(&mut Notes)) {
        let mut shard = self.shard(id);
        if shard.lives.contains_key(&id) {
            change(shard.notes.entry(id).or_default());
        }
    }

    /// Reads a note about a session.
    pub(super) fn noted<T>(&self, id: u64, what: impl FnOnce(&Notes) -> Option<T>) -> Option<T> {
        self.shard(id).notes.get(&id).and_then(what)
    }

    /// Visits every session of one part, which is locked meanwhile. Returns their number.
    pub(super) fn visit(&self, part: usize, mut visitor: impl FnMut(&Arc<Live>)) -> usize {
        let shard = self.shard(part as u64);
        shard.lives.values().for_each(&mut visitor);
        shard.lives.len()
    }

    /// Every session whose route's name is wanted, with the client behind it.
    pub(super) fn of_routes(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<(Arc<Live>, Client)> {
        let mut found = Vec::new();
        for part in 0..SHARDS as u64 {
            let shard = self.shard(part);
            for live in shard.lives.values().filter(|live| is_wanted(&live.route)) {
                let behind = shard.notes.get(&live.id).and_then(|notes| notes.behind);
                found.push((live.clone(), behind.unwrap_or(live.client)));
            }
        }
        found
    }

    pub(super) fn all(&self) -> Vec<Arc<Live>> {
        let mut all: Vec<_> = (0..SHARDS as u64)
            .flat_map(|part| self.shard(part).lives.values().cloned().collect::<Vec<_>>())
            .collect();
        all.sort_by_key(|live| live.id);
        all
    }

    fn shard(&self, id: u64) -> std::sync::MutexGuard<'_, Shard> {
        let shard = &self.shards[id as usize % SHARDS];
        // A panic cannot leave a map half-changed here, so a poisoned lock is as good as a clean one.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tunnels_need_costs_another_session_a_pointer() {
        assert_eq!(size_of::<Live>(), 200);
    }

    #[test]
    fn what_the_stall_detector_needs_costs_an_idle_session_nothing() {
        assert_eq!(size_of::<FlowMeter>(), 24);
    }

    #[test]
    fn a_flow_has_moved_once_after_each_read() {
        let flow = FlowMeter::default();
        assert!(!flow.has_moved());

        for bytes in [1, 65_536, 1 << 20] {
            flow.read(bytes);
            assert!(flow.has_moved() && !flow.has_moved(), "{bytes}");
        }
    }

    #[test]
    fn a_socket_is_known_only_while_it_is_open() {
        let (meter, file) = (Meter::default(), std::fs::File::open("/dev/null").unwrap());

        let open = meter.open(&file, &file);
        let while_open = (meter.up.sink(), meter.down.sink());
        drop(open);

        assert_eq!(while_open, (Some(file.as_raw_fd()), Some(file.as_raw_fd())));
        assert_eq!((meter.up.sink(), meter.down.sink()), (None, None));
    }
}
