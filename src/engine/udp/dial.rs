//! The way to the target of a new flow: a place among the flows, and a socket or a flow of a tunnel.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::context::UdpRouteRuntime;
use super::door::Door;
use super::drop_log::Loss;
use super::flow_table::{ClientKey, FlowId};
use super::loop_state::EventLoop;
use super::mark::Mark;
use super::path::{Path, TunnelFlow};
use super::sink::Sink;
use super::target::{Goal, UdpTarget};
use crate::address::Protocol;
use crate::ledger::Entry;
use crate::outcome::{Cause, End};
use crate::proxy_protocol::{Ends, Header, Tlvs};
use crate::transport::tunnel::open::Open;
use crate::transport::{self, Visitor};

/// Flows that may be evicted for one new client before it is rejected: others may have taken the freed descriptors and
/// ports.
const MAX_EVICTED: usize = 4;

impl EventLoop {
    /// Opens the way to a target, for a client whose first datagram arrived at `came`.
    pub(super) fn dial(
        &mut self,
        (place, goal): (usize, Goal),
        runtime: &UdpRouteRuntime,
        (client, entry): (&ClientKey, &Entry),
        (came, now): (Instant, Instant),
    ) -> Result<Path, Cause> {
        match goal {
            Goal::At(address) => self.connect(address, runtime, client.listener, now).map(Path::Socket),
            Goal::There => {
                let flow = self.open_there(runtime.pool.at(place), client, entry, came)?;
                Ok(Path::Tunnel(Box::new(flow)))
            }
        }
    }

    /// Opens a flow of the target's tunnel. Nobody waits for the other end's answer: datagrams may follow at once.
    fn open_there(
        &self,
        target: &UdpTarget,
        client: &ClientKey,
        entry: &Entry,
        came: Instant,
    ) -> Result<TunnelFlow, Cause> {
        let tunnel = target.by_tunnel().ok_or(Cause::NoAddress)?;
        let carrier = tunnel.line.flows().ok_or(Cause::TunnelDown)?;
        let mark = Arc::new(Mark::new(self.free_number()));
        let sink = Arc::new(Sink::new(mark.clone(), self.control.clone()));
        let (to, protocol) = (tunnel.there.to.clone(), Protocol::Udp);
        let open = match self.visitors.get(&client.visitor) {
            // One flow has one number, and one beginning, however many tunnels it goes through.
            Some(visitor) => {
                let Visitor { id, came, header } = visitor.described.clone();
                Open { id, to, protocol, came, header }
            }
            None => {
                let now = SystemTime::now();
                let came = now.checked_sub(came.elapsed()).unwrap_or(now);
                Open { id: entry.id(), to, protocol, came, header: self.introduction(client) }
            }
        };
        let number = carrier.open(open, sink)?;
        Ok(TunnelFlow::opened(carrier, number, mark))
    }

    /// What the other end is told of a client that sends to a socket.
    fn introduction(&self, client: &ClientKey) -> Header {
        let own = |to: SocketAddr| SocketAddr::new(client.asked.map_or(to.ip(), |asked| asked.ip), to.port());
        let ends = match self.listeners.get(&client.listener).map(|listener| &listener.door) {
            Some(Door::Socket(_, to)) => Ends::Net { client: client.from, destination: own(*to) },
            Some(Door::Tunnels(_)) | None => Ends::Own,
        };
        Header { ends, tlvs: Tlvs::default() }
    }

    /// A number that no end of a tunnel's flow has in this loop.
    fn free_number(&self) -> u32 {
        loop {
            let number = self.shared.next_mark();
            if !self.is_taken(number) {
                return number;
            }
        }
    }

    /// Takes one of the process's flow permits; if none is free, evicts this loop's flow that was idle longest.
    pub(super) fn take_slot(&mut self, listener: u32, now: Instant) -> bool {
        for _ in 0..MAX_EVICTED {
            if let Ok(permit) = self.shared.slots.try_acquire() {
                permit.forget();
                return true;
            }
            match self.flows.oldest() {
                Some(oldest) => self.evict(oldest, listener, now),
                None => return false,
            }
        }
        false
    }

    /// Opens a socket connected to the target. If no descriptor or source port is left, the flow idle longest is
    /// evicted.
    fn connect(
        &mut self,
        target: SocketAddr,
        runtime: &UdpRouteRuntime,
        listener: u32,
        now: Instant,
    ) -> Result<OwnedFd, Cause> {
        let mut evicted = 0;
        loop {
            let error = match transport::dial_datagrams(target, &runtime.route.dial.from) {
                Ok(socket) => return Ok(socket),
                Err(error) => error,
            };
            let cause = Cause::of_dial(&error);
            let is_used_up = matches!(cause, Cause::NoDescriptor | Cause::NoSourcePort | Cause::NoMemory);
            let Some(oldest) = self.flows.oldest().filter(|_| is_used_up && evicted < MAX_EVICTED) else {
                return Err(cause);
            };
            self.evict(oldest, listener, now);
            evicted += 1;
        }
    }

    pub(super) fn evict(&mut self, id: FlowId, listener: u32, now: Instant) {
        self.end(id, End::Evicted, now);
        self.lose(listener, Loss::Evicted, 1);
    }
}
