//! The state of a loop: its listeners, its flows, its pending answers. The other files here act on it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use bytes::Bytes;

use super::context::{Shared, UdpRouteRuntime};
use super::control::ControlQueue;
use super::datagram::Piece;
use super::drop_log::Loss;
use super::flow::Flow;
use super::flow_table::{FlowId, FlowTable, GroupId, Rules};
use super::inbox::Brought;
use super::listener::LoopListener;
use super::path::Path;
use super::visitor::Visitor;
use crate::limits::FlowLimits;
use crate::outcome::End;
use crate::plan::RouteId;
use crate::sys::datagrams::{Arrivals, Departures};

/// Datagrams or trains received in one call, and answers sent in one.
pub(super) const BATCH: usize = 64;

/// One loop, run by the thread that owns it.
pub(super) struct EventLoop {
    pub(super) control: Arc<ControlQueue>,
    pub(super) shared: Arc<Shared>,
    pub(super) listeners: HashMap<u32, LoopListener>,
    pub(super) flows: FlowTable<Flow>,
    /// Groups that no listener serves any more and whose last flows still live.
    pub(super) orphans: HashSet<GroupId>,
    pub(super) departures: Departures,
    /// The answers to send, in the first places.
    pub(super) answers: Vec<Answer>,
    /// The number of places that pending answers occupy.
    pub(super) used_places: usize,
    /// What is pending of answers that came by tunnels.
    pub(super) carried: Vec<Bytes>,
    /// The flows whose targets are in tunnels, by the numbers of the tunnels' ends.
    pub(super) there: HashMap<u32, FlowId>,
    /// The clients that came by tunnels, by the same numbers.
    pub(super) visitors: HashMap<u32, Visitor>,
    /// Those that have no flow, and when they end.
    pub(super) lonely: BTreeSet<(Instant, u32)>,
    /// Where the clients of tunnels come in.
    pub(super) gates: HashMap<RouteId, u32>,
    /// What tunnels have brought in this turn.
    pub(super) brought: Brought,
    /// Numbers the batches received from clients; bounds how much of one batch a client may have.
    pub(super) batches: u32,
    pub(super) share: u32,
    /// No flow ends before this.
    pub(super) next_end: Option<Instant>,
    pub(super) next_log: Option<Instant>,
    /// When a listener that failed to receive is tried again.
    pub(super) next_retry: Option<Instant>,
    pub(super) is_draining: bool,
    pub(super) is_stopped: bool,
}

/// An answer that was received and is to be sent.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    pub(super) listener: u32,
    pub(super) place: usize,
    /// How much of what is there: of a train, the rate may have cut the rest.
    pub(super) length: usize,
    pub(super) segment: usize,
    pub(super) flow: FlowId,
}

/// From this place on, an answer is one of those that came by tunnels.
const CARRIED: usize = 1 << 32;

impl Answer {
    /// One that came by a tunnel.
    pub(super) fn carried(place: usize, length: usize, listener: u32, flow: FlowId) -> Answer {
        Answer { listener, place: CARRIED + place, length, segment: 0, flow }
    }

    /// What is to be sent.
    pub(super) fn piece<'a>(&self, arrivals: &'a Arrivals, carried: &'a [Bytes]) -> Piece<'a> {
        let bytes = match self.place.checked_sub(CARRIED) {
            None => &arrivals.bytes(self.place)[..self.length],
            Some(place) => &carried[place],
        };
        Piece { bytes, segment: self.segment }
    }
}

impl EventLoop {
    pub(super) fn new(control: Arc<ControlQueue>, shared: Arc<Shared>) -> EventLoop {
        EventLoop {
            control,
            shared,
            listeners: HashMap::new(),
            flows: FlowTable::default(),
            orphans: HashSet::new(),
            departures: Departures::new(BATCH),
            answers: Vec::with_capacity(BATCH),
            used_places: 0,
            carried: Vec::new(),
            there: HashMap::new(),
            visitors: HashMap::new(),
            lonely: BTreeSet::new(),
            gates: HashMap::new(),
            brought: Brought::default(),
            batches: 0,
            share: u32::MAX,
            next_end: None,
            next_log: None,
            next_retry: None,
            is_draining: false,
            is_stopped: false,
        }
    }

    /// The group of a route: one for all its listeners.
    pub(super) fn group(&mut self, runtime: &Arc<UdpRouteRuntime>) -> GroupId {
        let same = |listener: &&LoopListener| {
            listener.runtime.id == runtime.id && Arc::ptr_eq(&listener.runtime.route, &runtime.route)
        };
        if let Some(listener) = self.listeners.values().find(same) {
            return listener.group;
        }
        let FlowLimits { most, full, idle, age, .. } = *runtime.limits();
        self.flows.add_group(Rules { most, full, idle, age })
    }

    /// Removes the group of a route that no listener serves any more, now or with its last flow.
    pub(super) fn forget_group(&mut self, group: GroupId) {
        let is_served = self.listeners.values().any(|listener| listener.group == group);
        if !is_served && !self.flows.remove_group(group) {
            self.orphans.insert(group);
        }
    }

    /// Removes a flow and writes its record.
    pub(super) fn end(&mut self, id: FlowId, end: End, now: Instant) {
        let (Some(client), Some(group)) = (self.flows.client(id).copied(), self.flows.group(id)) else {
            return;
        };
        let Some(mut flow) = self.flows.remove(id) else { return };
        flow.target.leave();
        if let Path::Tunnel(tunnel) = &flow.path {
            self.there.remove(&tunnel.mark.number);
        }
        let words = if client.is_visitor() { self.settle_visitor(client.visitor, &mut flow) } else { None };
        flow.end(end, now);
        self.shared.slots.add_permits(1);
        if let Some(listener) = self.listeners.get(&client.listener) {
            listener.flows.fetch_sub(1, Relaxed);
        }
        if self.orphans.contains(&group) && self.flows.remove_group(group) {
            self.orphans.remove(&group);
        }
        if client.is_visitor() {
            self.has_ended(client.visitor, end, words, now);
        }
    }

    /// Counts what a listener lost.
    pub(super) fn lose(&mut self, listener: u32, why: Loss, count: u64) {
        if let Some(listener) = self.listeners.get_mut(&listener) {
            listener.lost.add(why, count);
        }
    }
}
