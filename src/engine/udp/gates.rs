//! Where the clients of tunnels come in, and how they leave.
//!
//! What a socket is to the clients that send to it, a gate is to these: the place of one route, in the loop that the route
//! belongs to. It is made for the first of them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::context::UdpRouteRuntime;
use super::door::Door;
use super::flow::Flow;
use super::flow_table::FlowId;
use super::listener::LoopListener;
use super::loop_state::EventLoop;
use super::path::EndedThere;
use super::visitor::{Newcomer, Visitor};
use crate::outcome::{Cause, DropReason, End, Limit, Side};
use crate::transport::tunnel::flows::FlowEnded;

impl EventLoop {
    /// Takes in a client of a tunnel. Whether it may have a flow is decided with its first datagram.
    pub(super) fn take_in(&mut self, newcomer: Newcomer, now: Instant) {
        let Newcomer { runtime, mut visitor } = newcomer;
        let number = visitor.flow.mark.number;
        if self.is_draining {
            return visitor.flow.end(End::Drained, None);
        }
        if self.visitors.len() >= self.shared.most || self.is_taken(number) {
            return visitor.flow.end(End::Limited(Limit::Connections), None);
        }
        let Some(gate) = self.gate(&runtime) else {
            return visitor.flow.end(End::NoTarget(Cause::TunnelRefused), None);
        };
        visitor.gate = gate;
        self.visitors.insert(number, *visitor);
        self.count_visitors(gate, 1);
        self.is_lonely(number, now);
    }

    /// Whether a client or a target in a tunnel has this number.
    pub(super) fn is_taken(&self, number: u32) -> bool {
        number == 0 || self.visitors.contains_key(&number) || self.there.contains_key(&number)
    }

    /// The gate of a route; `None` if the route is no longer wanted.
    fn gate(&mut self, runtime: &Arc<UdpRouteRuntime>) -> Option<u32> {
        let known = self.gates.get(&runtime.id).copied();
        let of = known.and_then(|number| self.listeners.get(&number)).map(|it| it.runtime.clone());
        if known.is_some() && of.is_some_and(|it| Arc::ptr_eq(&it, runtime) || !it.is_withdrawn()) {
            return known;
        }
        if runtime.is_withdrawn() {
            return None;
        }
        let group = self.group(runtime);
        if let Some((number, gate)) =
            known.and_then(|number| Some((number, self.listeners.get_mut(&number)?)))
        {
            let before = std::mem::replace(&mut gate.group, group);
            (gate.runtime, gate.is_open) = (runtime.clone(), true);
            self.forget_group(before);
            return Some(number);
        }
        let number = self.shared.next_listener.fetch_add(1, Relaxed);
        let gate = LoopListener::new(Door::Tunnels(0), runtime.clone(), group, Arc::default());
        self.listeners.insert(number, gate);
        self.gates.insert(runtime.id.clone(), number);
        Some(number)
    }

    /// Closes the gates of routes that are no longer wanted as they are: clients that are in keep their flows, and new ones
    /// come in by the gate of the route as it is then.
    pub(super) fn close_withdrawn(&mut self) {
        let numbers: Vec<u32> = self.gates.values().copied().collect();
        for number in numbers {
            let Some(gate) = self.listeners.get_mut(&number) else { continue };
            if gate.runtime.is_withdrawn() {
                gate.is_open = false;
                self.end_lonely(|visitor| visitor.gate == number, End::Done);
                self.remove_unused(number);
            }
        }
    }

    /// Closes every gate, and ends the clients that have no flow.
    pub(super) fn close_gates(&mut self) {
        let numbers: Vec<u32> = self.gates.values().copied().collect();
        for number in numbers {
            self.listeners.get_mut(&number).into_iter().for_each(|gate| gate.is_open = false);
        }
        self.end_lonely(|_| true, End::Drained);
    }

    /// Ends those of these clients that have no flow.
    fn end_lonely(&mut self, which: impl Fn(&Visitor) -> bool, end: End) {
        let lonely = self.visitors.iter().filter(|(_, visitor)| visitor.flows == 0 && which(visitor));
        let lonely: Vec<u32> = lonely.map(|(number, _)| *number).collect();
        lonely.into_iter().for_each(|number| self.end_visitor(number, end, None));
    }

    /// Removes a closed gate by which nobody is in any more.
    fn remove_unused(&mut self, number: u32) {
        let Some(gate) = self.listeners.get(&number) else { return };
        let is_unused = matches!(gate.door, Door::Tunnels(0)) && gate.flows.load(Relaxed) == 0;
        if gate.is_open || !is_unused {
            return;
        }
        if let Some(gate) = self.listeners.remove(&number) {
            gate.lost.log(&gate.runtime.name, &gate.door);
            self.gates.remove(&gate.runtime.id);
            self.forget_group(gate.group);
        }
    }

    fn count_visitors(&mut self, gate: u32, more: isize) {
        if let Some(LoopListener { door: Door::Tunnels(count), .. }) = self.listeners.get_mut(&gate) {
            *count = count.saturating_add_signed(more);
        }
    }

    /// A client has no flow: it ends when it has been so for as long as a flow may be idle.
    fn is_lonely(&mut self, number: u32, now: Instant) {
        let Some(visitor) = self.visitors.get_mut(&number) else { return };
        let Some(gate) = self.listeners.get(&visitor.gate) else { return };
        let until = now + gate.runtime.limits().idle;
        visitor.lonely_until = Some(until);
        self.lonely.insert((until, number));
        self.next_end = Some(self.next_end.map_or(until, |next| next.min(until)));
    }

    /// Ends the clients that have had no flow for long.
    pub(super) fn end_lonely_ones(&mut self, now: Instant) {
        while let Some((_, number)) = self.lonely.first().copied().filter(|(until, _)| *until <= now) {
            self.lonely.pop_first();
            self.end_visitor(number, End::Idle, None);
        }
    }

    /// A flow of a client begins.
    pub(super) fn has_begun(&mut self, number: u32) {
        let Some(visitor) = self.visitors.get_mut(&number) else { return };
        visitor.flows += 1;
        if let Some(until) = visitor.lonely_until.take() {
            self.lonely.remove(&(until, number));
        }
    }

    /// A flow of a client is about to end: notes in it what its tunnel has lost, and how its datagrams travelled. Returns
    /// what the other end may be told of the reason.
    pub(super) fn settle_visitor(&self, number: u32, flow: &mut Flow) -> Option<Arc<str>> {
        let visitor = self.visitors.get(&number)?;
        let (overflown, dropped) = visitor.flow.mark.take_dropped();
        flow.account.asks(overflown, 0);
        flow.account.dropped_up(DropReason::TunnelFull, overflown);
        flow.account.lost_down(dropped);
        flow.way = Some(visitor.flow.way());
        flow.entry.hinted()
    }

    /// A flow of a client has ended. The other end is told if it was the last; a client whose questions are all answered may
    /// have others.
    pub(super) fn has_ended(&mut self, number: u32, end: End, words: Option<Arc<str>>, now: Instant) {
        let Some(visitor) = self.visitors.get_mut(&number) else { return };
        visitor.flows = visitor.flows.saturating_sub(1);
        if visitor.flows > 0 {
            return;
        }
        let gate = visitor.gate;
        match self.listeners.get(&gate) {
            Some(gate) if end == End::Done && gate.is_open => self.is_lonely(number, now),
            _ => self.end_visitor(number, end, words.as_deref()),
        }
    }

    /// A client gets no flow: it is told, unless it has another.
    pub(super) fn is_refused(&mut self, number: u32, end: End) {
        if self.visitors.get(&number).is_some_and(|visitor| visitor.flows == 0) {
            self.end_visitor(number, end, None);
        }
    }

    /// Removes a client that has no flow any more, and tells the other end.
    fn end_visitor(&mut self, number: u32, end: End, words: Option<&str>) {
        let Some(mut visitor) = self.visitors.remove(&number) else { return };
        visitor.flow.end(end, words);
        if let Some(until) = visitor.lonely_until {
            self.lonely.remove(&(until, number));
        }
        self.count_visitors(visitor.gate, -1);
        self.remove_unused(visitor.gate);
    }

    /// The other end, or the tunnel, has ended the flow of a client.
    pub(super) fn visitor_is_gone(&mut self, number: u32, why: FlowEnded, now: Instant) {
        let Some(visitor) = self.visitors.get_mut(&number) else { return };
        visitor.flow.is_over();
        let (key, ended) = (visitor.key(), EndedThere::of(why, Side::Client));
        let mut flows: Vec<FlowId> = self.flows.find(&key).into_iter().collect();
        if flows.len() < visitor.flows {
            let of_it = |id: &FlowId| self.flows.client(*id).is_some_and(|client| client.visitor == number);
            flows = self.flows.ids().into_iter().filter(of_it).collect();
        }
        for id in flows {
            if let (Some(flow), Some(words)) = (self.flows.get(id), &ended.words) {
                flow.entry.hint(words.clone());
            }
            self.end(id, ended.end, now);
        }
        self.end_visitor(number, ended.end, None);
    }

    /// Ends every client, as the loop ends.
    pub(super) fn end_visitors(&mut self, end: End) {
        for (_, mut visitor) in self.visitors.drain() {
            visitor.flow.end(end, None);
        }
        self.lonely.clear();
        for Newcomer { mut visitor, .. } in self.control.inbox.close() {
            visitor.flow.end(end, None);
        }
    }
}
