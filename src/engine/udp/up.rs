//! From clients to their targets.

use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::datagram::{Piece, SendFailure};
use super::drop_log::{CHECK, Loss};
use super::flow_table::{ClientKey, FlowId};
use super::loop_state::{BATCH, EventLoop};
use super::new_flow::NewFlow;
use super::path::Path;
use crate::outcome::{Cause, DropReason, End};
use crate::sys::datagrams::{Arrival, Arrivals, Departure, backlog, is_of_a_train};

/// Batches received from one listener before the others get their turn.
const MAX_BATCHES: usize = 4;

/// Batches a retiring listener may still receive, so that a flood cannot keep it open.
const LAST_BATCHES: usize = 1024;

/// Datagrams or trains of one client that are passed on per batch while other clients wait.
const SHARE: u32 = 8;

impl EventLoop {
    /// Receives what clients sent to a listener and passes it on.
    pub(super) fn take_from_clients(&mut self, number: u32, arrivals: &mut Arrivals, now: Instant) {
        for _ in 0..MAX_BATCHES {
            if self.batch(number, arrivals, now) < BATCH {
                break;
            }
        }
    }

    /// Receives what is still queued on a retiring listener: the kernel has already accepted those datagrams for us.
    pub(super) fn take_the_rest(&mut self, number: u32, arrivals: &mut Arrivals, now: Instant) {
        for _ in 0..LAST_BATCHES {
            if self.batch(number, arrivals, now) == 0 {
                break;
            }
        }
    }

    fn batch(&mut self, number: u32, arrivals: &mut Arrivals, now: Instant) -> usize {
        let Some(listener) = self.listeners.get_mut(&number) else { return 0 };
        let Some(socket) = listener.door.socket() else { return 0 };
        let count = match arrivals.receive(socket, 0, BATCH) {
            Ok(0) => return 0,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return 0,
            Err(error) => {
                self.pause(number, &error, now);
                return 0;
            }
        };
        if listener.is_failing {
            listener.is_failing = false;
            tracing::info!("receiving on {}/udp again", listener.door);
        }
        self.next_log.get_or_insert(now + CHECK);
        self.share = if count == BATCH && self.is_crowded(number) { SHARE } else { u32::MAX };
        self.batches = self.batches.wrapping_add(1);

        let arrived: Vec<Arrival<'_>> = (0..count).map(|place| arrivals.get(place)).collect();
        let mut pieces = Vec::with_capacity(count);
        // Consecutive datagrams of one client go in one call.
        for run in arrived.chunk_by(|a, b| a.from == b.from && a.asked == b.asked) {
            if let Some(from) = run[0].from {
                let client = ClientKey::new(number, from, run[0].asked);
                self.carry_up(client, run, &mut pieces, now);
            }
        }
        count
    }

    /// Whether more arrives than is passed on, so that a busy client would crowd others out of the queue. A single
    /// client crowds out no other.
    fn is_crowded(&self, number: u32) -> bool {
        let Some(listener) = self.listeners.get(&number) else { return false };
        let Some(socket) = listener.door.socket() else { return false };
        listener.flows.load(Relaxed) > 1 && backlog(socket).is_ok_and(|it| it.used > it.most / 4)
    }

    /// Passes on what a client sent, by way of `pieces`, which is empty before and after.
    pub(super) fn carry_up<'a>(
        &mut self,
        client: ClientKey,
        run: &[Arrival<'a>],
        pieces: &mut Vec<Piece<'a>>,
        now: Instant,
    ) {
        let piece = |arrival: &Arrival<'a>| Piece { bytes: arrival.bytes, segment: arrival.segment };
        let id = match self.flows.find(&client) {
            Some(id) => id,
            None => match self.open(client, now, now) {
                NewFlow::Flow(id) => id,
                NewFlow::Refused(why, end) => {
                    return self.turn_down(client, (why, end), run.iter().map(Arrival::count).sum());
                }
                NewFlow::Later => {
                    for arrival in run {
                        self.hold(client, piece(arrival), now);
                    }
                    return;
                }
            },
        };
        let Some(flow) = self.flows.get_mut(id) else { return };
        if flow.account.ends_by_requests() {
            let pieces = run.iter().map(|arrival| (piece(arrival), arrival.cut));
            return self.carry_counted(client, pieces, now);
        }
        for arrival in run {
            let piece = piece(arrival);
            if arrival.cut {
                flow.dropped_up(DropReason::Truncated, piece.count(), piece.bytes.len());
            } else if flow.taken(self.batches) >= self.share {
                flow.dropped_up(DropReason::OverShare, piece.count(), piece.bytes.len());
            } else if let Some(piece) = flow.pass_up(piece, now) {
                flow.take(self.batches);
                pieces.push(piece);
            }
        }
        self.send_up(client, id, pieces, now);
        pieces.clear();
    }

    /// Passes a client's datagrams on. If the target refused an earlier one, that flow ends and the rest gets a new
    /// flow: the kernel reports the refusal once, to whichever call comes next, and it is no evidence about what is
    /// sent now.
    pub(super) fn send_up(
        &mut self,
        client: ClientKey,
        mut id: FlowId,
        mut pieces: &[Piece<'_>],
        now: Instant,
    ) {
        let mut may_reopen = true;
        self.flows.touch(id, now);
        while !pieces.is_empty() {
            let Some(flow) = self.flows.get_mut(id) else { return };
            let Path::Socket(socket) = &flow.path else { return self.send_up_there(id, pieces) };
            let joins = flow.joins;
            let departure = |n: usize| {
                let Piece { bytes, segment } = pieces[n];
                Departure { bytes, segment, to: None, from: None, joins }
            };
            match self.departures.send(socket, pieces.len(), departure) {
                Ok(sent) => {
                    for piece in &pieces[..sent] {
                        flow.delivered_up(piece.count(), piece.bytes.len());
                    }
                    pieces = &pieces[sent..];
                }
                Err(error) if joins && is_of_a_train(&error) => flow.joins = false,
                Err(error) => match SendFailure::of(&error, pieces[0].segment) {
                    SendFailure::Train => {
                        self.send_up_singly(id, pieces[0]);
                        pieces = &pieces[1..];
                    }
                    SendFailure::Datagram(why) => {
                        flow.dropped_up(why, pieces[0].count(), pieces[0].bytes.len());
                        pieces = &pieces[1..];
                    }
                    SendFailure::Target(cause) => {
                        self.end_refused(id, cause, now);
                        match self.reopen(client, may_reopen && cause == Cause::Refused, now) {
                            Some(fresh) => (id, may_reopen) = (fresh, false),
                            None => {
                                let count = pieces.iter().map(Piece::count).sum();
                                return self.lose(client.listener, Loss::NoTarget, count);
                            }
                        }
                    }
                },
            }
        }
    }

    /// A client in a tunnel was told the refusal instead, and its next datagram comes by another flow.
    fn reopen(&mut self, client: ClientKey, is_worth_it: bool, now: Instant) -> Option<FlowId> {
        match (is_worth_it && !client.is_visitor()).then(|| self.open(client, now, now))? {
            NewFlow::Flow(id) => Some(id),
            NewFlow::Later | NewFlow::Refused(..) => None,
        }
    }

    /// Sends singly a train that the path to the target does not carry as one: a network card without segmentation
    /// offload, or a segment longer than the path MTU.
    fn send_up_singly(&mut self, id: FlowId, train: Piece<'_>) {
        let Some(flow) = self.flows.get_mut(id) else { return };
        for bytes in train.bytes.chunks(train.segment) {
            let Path::Socket(socket) = &flow.path else { return };
            let single = |_| Departure { bytes, segment: 0, to: None, from: None, joins: false };
            match self.departures.send(socket, 1, single) {
                Ok(_) => flow.delivered_up(1, bytes.len()),
                Err(error) => flow.dropped_up(SendFailure::of(&error, 0).drop_reason(), 1, bytes.len()),
            }
        }
    }

    /// Ends a flow that its target, or the path to it, refused, and records what that shows about the target.
    pub(super) fn end_refused(&mut self, id: FlowId, cause: Cause, now: Instant) {
        if let Some(flow) = self.flows.get(id)
            && let Some(address) = flow.account.target()
        {
            flow.target.note_refused(address, cause, &self.shared.beside);
        }
        self.end(id, End::NoTarget(cause), now);
    }
}
