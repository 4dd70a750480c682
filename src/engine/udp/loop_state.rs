//! What a loop knows: its listeners, its flows, what waits to be sent. The files beside this one say what it does.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::context::{Shared, UdpRouteRuntime};
use super::control::ControlQueue;
use super::drop_log::Loss;
use super::flow::Flow;
use super::flow_table::{FlowId, FlowTable, GroupId, Rules};
use super::listener::UdpDoor;
use crate::outcome::End;
use crate::plan::Carries;
use crate::sys::datagrams::Departures;

/// Datagrams or trains taken in one call, and answers sent in one.
pub(super) const BATCH: usize = 64;

/// One loop, run by the thread that owns it.
pub(super) struct EventLoop {
    pub(super) control: Arc<ControlQueue>,
    pub(super) shared: Arc<Shared>,
    pub(super) doors: HashMap<u32, UdpDoor>,
    pub(super) flows: FlowTable<Flow>,
    /// Routes that no door serves any more, whose last flows still live.
    pub(super) orphans: HashSet<GroupId>,
    pub(super) departures: Departures,
    /// Answers in the first places, to be sent.
    pub(super) answers: Vec<Answer>,
    /// Places that the last answers take.
    pub(super) used_places: usize,
    /// Counts the batches taken from clients, and how much of one a client may have.
    pub(super) batches: u32,
    pub(super) share: u32,
    /// No flow is over before this.
    pub(super) next_end: Option<Instant>,
    pub(super) next_tell: Option<Instant>,
    pub(super) is_draining: bool,
    pub(super) is_stopped: bool,
}

/// An answer that has come and waits to be sent.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    pub(super) door: u32,
    pub(super) place: usize,
    pub(super) flow: FlowId,
}

impl EventLoop {
    pub(super) fn new(control: Arc<ControlQueue>, shared: Arc<Shared>) -> EventLoop {
        EventLoop {
            control,
            shared,
            doors: HashMap::new(),
            flows: FlowTable::default(),
            orphans: HashSet::new(),
            departures: Departures::new(BATCH),
            answers: Vec::with_capacity(BATCH),
            used_places: 0,
            batches: 0,
            share: u32::MAX,
            next_end: None,
            next_tell: None,
            is_draining: false,
            is_stopped: false,
        }
    }

    /// The group of a route: one for all its doors.
    pub(super) fn group(&mut self, runtime: &Arc<UdpRouteRuntime>) -> GroupId {
        let same = |door: &&UdpDoor| {
            door.runtime.id == runtime.id && Arc::ptr_eq(&door.runtime.route, &runtime.route)
        };
        if let Some(door) = self.doors.values().find(same) {
            return door.group;
        }
        let Carries::Udp(limits) = &runtime.route.carries else {
            unreachable!("only routes that carry UDP are given to a loop")
        };
        self.flows.add_group(Rules { most: limits.most, full: limits.full, idle: limits.idle })
    }

    /// Forgets the group of a route that no door serves any more, now or with its last flow.
    pub(super) fn forget_group(&mut self, group: GroupId) {
        let is_served = self.doors.values().any(|door| door.group == group);
        if !is_served && !self.flows.remove_group(group) {
            self.orphans.insert(group);
        }
    }

    /// Takes a flow out and writes its record.
    pub(super) fn end(&mut self, id: FlowId, end: End, now: Instant) {
        let (Some(client), Some(group)) = (self.flows.client(id).copied(), self.flows.group(id)) else {
            return;
        };
        let Some(flow) = self.flows.remove(id) else { return };
        flow.target.leave();
        flow.end(end, now);
        self.shared.slots.add_permits(1);
        if let Some(door) = self.doors.get(&client.listener) {
            door.flows.fetch_sub(1, Relaxed);
        }
        if self.orphans.contains(&group) && self.flows.remove_group(group) {
            self.orphans.remove(&group);
        }
    }

    /// Counts what a door lost.
    pub(super) fn lose(&mut self, door: u32, why: Loss, count: u64) {
        if let Some(door) = self.doors.get_mut(&door) {
            door.lost.add(why, count);
        }
    }
}
