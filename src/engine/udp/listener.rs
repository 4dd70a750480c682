//! A listener as its loop uses it.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use super::context::UdpRouteRuntime;
use super::door::Door;
use super::drop_log::{Lost, TurnedAway};
use super::flow_table::{ClientKey, GroupId};

/// Datagrams of new clients that may wait for the lookup of their target's name, and their bytes.
const MAX_HELD: usize = 64;
const MAX_HELD_BYTES: usize = 256 << 10;

pub(super) struct LoopListener {
    pub(super) door: Door,
    pub(super) runtime: Arc<UdpRouteRuntime>,
    pub(super) group: GroupId,
    /// How many flows answer through it.
    pub(super) flows: Arc<AtomicUsize>,
    /// Whether new clients are accepted.
    pub(super) is_open: bool,
    /// The first datagrams of clients that wait for the lookup of their target's name.
    pub(super) held: Vec<Held>,
    /// What was lost before it had a flow.
    pub(super) lost: Lost,
    pub(super) turned_away: TurnedAway,
    /// When to receive again after an error, and whether that error was logged.
    pub(super) paused: Option<Instant>,
    pub(super) is_failing: bool,
}

pub(super) struct Held {
    pub(super) client: ClientKey,
    pub(super) bytes: Box<[u8]>,
    pub(super) segment: usize,
    pub(super) came: Instant,
}

impl LoopListener {
    pub(super) fn new(
        door: Door,
        runtime: Arc<UdpRouteRuntime>,
        group: GroupId,
        flows: Arc<AtomicUsize>,
    ) -> LoopListener {
        let lost = Lost::since(door.socket());
        LoopListener {
            door,
            runtime,
            group,
            flows,
            is_open: true,
            held: Vec::new(),
            lost,
            turned_away: TurnedAway::default(),
            paused: None,
            is_failing: false,
        }
    }

    /// Keeps a datagram until the name is resolved; false if too many wait already.
    pub(super) fn hold(&mut self, client: ClientKey, bytes: &[u8], segment: usize, now: Instant) -> bool {
        let held: usize = self.held.iter().map(|held| held.bytes.len()).sum();
        if self.held.len() >= MAX_HELD || held + bytes.len() > MAX_HELD_BYTES {
            return false;
        }
        self.held.push(Held { client, bytes: bytes.into(), segment, came: now });
        true
    }
}
