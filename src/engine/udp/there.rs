//! Datagrams between a loop and the tunnels: to targets at their other ends and back, and from clients there and back.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use super::datagram::Piece;
use super::drop_log::CHECK;
use super::flow_table::{ClientKey, FlowId};
use super::inbox::Brought;
use super::loop_state::{Answer, EventLoop};
use super::path::{EndedThere, Path};
use crate::outcome::{DropReason, End, Side};
use crate::sys::datagrams::{Arrival, Arrivals};
use crate::transport::tunnel::flows::FlowEnded;

/// Datagrams of tunnels that are handled in one turn.
const MAX_BROUGHT: usize = 256;

impl EventLoop {
    /// Takes what tunnels have brought: answers, which are sent with the others of this turn, and then clients that come in
    /// and what these send. A new flow may take the place of an old one, and its number: no answer may wait under that.
    pub(super) fn take_from_tunnels(&mut self, arrivals: &Arrivals, now: Instant) {
        let mut brought = std::mem::take(&mut self.brought);
        if self.control.inbox.take(MAX_BROUGHT, &mut brought) {
            self.control.wake_loop();
        }
        let Brought { newcomers, datagrams, .. } = &mut brought;
        let mut from_visitors = Vec::new();
        for run in datagrams.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((number, _)) = run.first() else { continue };
            match self.there.get(number).copied() {
                Some(id) => self.take_answers_there(id, run, now),
                None => from_visitors.push((*number, run)),
            }
        }
        self.send_answers(arrivals, now);
        newcomers.drain(..).for_each(|newcomer| self.take_in(newcomer, now));
        from_visitors.into_iter().for_each(|(number, run)| self.take_from_visitor(number, run, now));
        datagrams.clear();
        self.brought = brought;
    }

    /// Ends the flows that tunnels have ended. What came before has been passed on.
    pub(super) fn end_what_tunnels_ended(&mut self, now: Instant) {
        let mut ended = std::mem::take(&mut self.brought.ended);
        for (number, why) in ended.drain(..) {
            match self.there.get(&number).copied() {
                Some(id) => self.ended_there(id, why, now),
                None => self.visitor_is_gone(number, why, now),
            }
        }
        self.brought.ended = ended;
    }

    fn ended_there(&mut self, id: FlowId, why: FlowEnded, now: Instant) {
        let Some(flow) = self.flows.get_mut(id) else { return };
        if let Path::Tunnel(tunnel) = &mut flow.path {
            tunnel.is_over();
        }
        let ended = EndedThere::of(why, Side::Target);
        if let Some(cause) = ended.cause() {
            flow.target.note_refused_there(cause);
        }
        if ended.far {
            flow.entry.far();
        }
        ended.words.into_iter().for_each(|words| flow.entry.hint(words));
        self.end(id, ended.end, now);
    }

    /// Sends what a client sent to a target in a tunnel.
    pub(super) fn send_up_there(&mut self, id: FlowId, pieces: &[Piece<'_>]) {
        let Some(flow) = self.flows.get_mut(id) else { return };
        for piece in pieces {
            let Path::Tunnel(tunnel) = &flow.path else { return };
            let (taken, bytes) = tunnel.send_each(piece.bytes, piece.lengths());
            if taken > 0 {
                flow.delivered_up(taken, bytes);
            }
            if taken < piece.count() {
                let left = (piece.count() - taken, piece.bytes.len() - bytes);
                flow.dropped_up(DropReason::TunnelFull, left.0, left.1);
            }
        }
    }

    /// Takes the answers of a target in a tunnel.
    fn take_answers_there(&mut self, id: FlowId, run: &[(u32, Bytes)], now: Instant) {
        let Some(client) = self.flows.client(id).copied() else { return };
        let Some(flow) = self.flows.get_mut(id) else { return };
        flow.first_answer.get_or_insert(now);
        flow.target.note_answer();
        for (_, bytes) in run {
            let Some(flow) = self.flows.get_mut(id) else { return };
            flow.meter().down.read(bytes.len());
            let piece = Piece { bytes, segment: 0 };
            if !flow.account.admits(None, 1, bytes.len()) || flow.pass_down(piece, now).is_none() {
                continue;
            }
            if client.is_visitor() {
                self.answer_visitor(client.visitor, id, piece);
            } else {
                let (listener, length) = (client.listener, bytes.len());
                self.answers.push(Answer::carried(self.carried.len(), length, listener, id));
                self.carried.push(bytes.clone());
            }
        }
        self.flows.touch(id, now);
        self.end_if_answered(id, client, now);
    }

    /// Ends the flow of a client in a tunnel if it has had all its answers; that of another ends once they are sent.
    pub(super) fn end_if_answered(&mut self, id: FlowId, client: ClientKey, now: Instant) {
        if client.is_visitor() && self.flows.get(id).is_some_and(|flow| flow.account.is_done()) {
            self.end(id, End::Done, now);
        }
    }

    /// Sends an answer to a client that came by a tunnel.
    pub(super) fn answer_visitor(&mut self, number: u32, id: FlowId, piece: Piece<'_>) {
        let Some(visitor) = self.visitors.get(&number) else { return };
        let (taken, bytes) = visitor.flow.send_each(piece.bytes, piece.lengths());
        let Some(flow) = self.flows.get_mut(id) else { return };
        if taken > 0 {
            flow.delivered_down(taken, bytes);
        }
        if taken < piece.count() {
            flow.account.dropped_down(DropReason::TunnelFull, piece.count() - taken);
        }
    }

    /// Passes on what a client sent that came by a tunnel.
    fn take_from_visitor(&mut self, number: u32, run: &[(u32, Bytes)], now: Instant) {
        let Some(client) = self.visitors.get(&number).map(|visitor| visitor.key()) else { return };
        self.next_log.get_or_insert(now + CHECK);
        self.batches = self.batches.wrapping_add(1);
        // Tunnels drop what is too much, the oldest first.
        self.share = u32::MAX;
        let from: Option<SocketAddr> = Some(client.from);
        let arrival = |bytes| Arrival { bytes, segment: 0, from, asked: None, cut: false };
        let arrived: Vec<Arrival<'_>> = run.iter().map(|(_, bytes)| arrival(bytes)).collect();
        self.carry_up(client, &arrived, &mut Vec::with_capacity(run.len()), now);
    }
}
