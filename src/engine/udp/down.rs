//! From targets to their clients.

use std::time::Instant;

use super::datagram::{Piece, SendFailure};
use super::flow_table::{ClientKey, FlowId};
use super::loop_state::{Answer, EventLoop};
use super::path::Path;
use crate::outcome::{Cause, End};
use crate::sys::datagrams::{Arrivals, Departure, is_of_a_train};
use crate::transport;

/// Answers taken from one flow in a turn, at least, before the others get their turn.
const IN_A_ROW: usize = 16;

/// Answers taken from each of so many flows in a turn: a flow that is alone may fill all places.
pub(super) fn share_of_answers(places: usize, flows: usize) -> usize {
    (places / flows.max(1)).max(IN_A_ROW)
}

impl EventLoop {
    /// Receives a flow's answers. They are sent together with those of other flows, in one call; a refusal ends the
    /// flow.
    pub(super) fn take_from_target(
        &mut self,
        id: FlowId,
        share: usize,
        arrivals: &mut Arrivals,
        now: Instant,
    ) {
        if self.used_places + share > arrivals.places() {
            self.send_answers(arrivals, now);
        }
        // The flow may have ended meanwhile, or another may have its number: then there is nothing to receive.
        let Some(flow) = self.flows.get_mut(id) else { return };
        let Path::Socket(socket) = &flow.path else { return };
        match arrivals.receive(socket, self.used_places, share) {
            Ok(count) => self.take_answers(id, count, arrivals, now),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => {
                // What arrived before the refusal is delivered before the flow ends.
                self.send_answers(arrivals, now);
                self.end_refused(id, Cause::of_dial(&transport::of_network(error)), now);
            }
        }
    }

    fn take_answers(&mut self, id: FlowId, count: usize, arrivals: &Arrivals, now: Instant) {
        let Some(client) = self.flows.client(id).copied() else { return };
        if client.is_visitor() {
            return self.take_answers_for_visitor(id, client, count, arrivals, now);
        }
        let listener = client.listener;
        let Some(flow) = self.flows.get_mut(id) else { return };
        flow.first_answer.get_or_insert(now);
        flow.target.note_answer();
        for place in self.used_places..self.used_places + count {
            if let Some(Piece { bytes, segment }) = flow.take_answer(&arrivals.get(place), now) {
                self.answers.push(Answer { listener, place, length: bytes.len(), segment, flow: id });
            }
        }
        self.used_places += count;
        self.flows.touch(id, now);
    }

    /// The same for a client that came by a tunnel, which gets them at once: they use no place.
    fn take_answers_for_visitor(
        &mut self,
        id: FlowId,
        client: ClientKey,
        count: usize,
        arrivals: &Arrivals,
        now: Instant,
    ) {
        let Some(flow) = self.flows.get_mut(id) else { return };
        flow.first_answer.get_or_insert(now);
        flow.target.note_answer();
        for place in self.used_places..self.used_places + count {
            let Some(flow) = self.flows.get_mut(id) else { return };
            if let Some(piece) = flow.take_answer(&arrivals.get(place), now) {
                self.answer_visitor(client.visitor, id, piece);
            }
        }
        self.flows.touch(id, now);
        self.end_if_answered(id, client, now);
    }

    /// Sends the pending answers, each from the address its client sent to.
    pub(super) fn send_answers(&mut self, arrivals: &Arrivals, now: Instant) {
        let mut answers = std::mem::take(&mut self.answers);
        self.used_places = 0;
        // A stable sort keeps the order within a flow.
        answers.sort_by_key(|answer| answer.listener);
        for of_listener in answers.chunk_by(|a, b| a.listener == b.listener) {
            self.send_through(of_listener, arrivals);
        }
        for answer in &answers {
            if self.flows.get(answer.flow).is_some_and(|flow| flow.account.is_done()) {
                self.end(answer.flow, End::Done, now);
            }
        }
        answers.clear();
        self.answers = answers;
        self.carried.clear();
    }

    fn send_through(&mut self, mut answers: &[Answer], arrivals: &Arrivals) {
        let listener = answers.first().and_then(|answer| self.listeners.get(&answer.listener));
        let Some(socket) = listener.and_then(|listener| listener.door.socket()).cloned() else { return };
        while !answers.is_empty() {
            let departure = |n: usize| {
                let piece = answers[n].piece(arrivals, &self.carried);
                let client = self.flows.client(answers[n].flow);
                let (to, from) = (client.map(|client| client.from), client.and_then(|client| client.asked));
                let joins = self.flows.get(answers[n].flow).is_some_and(|flow| flow.joins);
                Departure { bytes: piece.bytes, segment: piece.segment, to, from, joins }
            };
            match self.departures.send(&socket, answers.len(), departure) {
                Ok(sent) => {
                    for answer in &answers[..sent] {
                        let piece = answer.piece(arrivals, &self.carried);
                        if let Some(flow) = self.flows.get_mut(answer.flow) {
                            flow.delivered_down(piece.count(), piece.bytes.len());
                        }
                    }
                    answers = &answers[sent..];
                }
                Err(error) if is_of_a_train(&error) && self.stops_joining(answers[0].flow) => {}
                Err(error) => {
                    self.answer_hindered(&socket, answers[0], &error, arrivals);
                    answers = &answers[1..];
                }
            }
        }
    }

    /// Takes back that this flow's answers may be joined; false if they were not.
    fn stops_joining(&mut self, id: FlowId) -> bool {
        self.flows.get_mut(id).is_some_and(|flow| std::mem::take(&mut flow.joins))
    }

    fn answer_hindered(
        &mut self,
        socket: &std::os::fd::OwnedFd,
        answer: Answer,
        error: &std::io::Error,
        arrivals: &Arrivals,
    ) {
        let piece = answer.piece(arrivals, &self.carried);
        let Some(client) = self.flows.client(answer.flow).copied() else { return };
        let Some(flow) = self.flows.get_mut(answer.flow) else { return };
        let SendFailure::Train = SendFailure::of(error, piece.segment) else {
            let why = SendFailure::of(error, piece.segment).drop_reason();
            return flow.account.dropped_down(why, piece.count());
        };
        for bytes in piece.bytes.chunks(piece.segment) {
            let single =
                |_| Departure { bytes, segment: 0, to: Some(client.from), from: client.asked, joins: false };
            match self.departures.send(socket, 1, single) {
                Ok(_) => flow.delivered_down(1, bytes.len()),
                Err(error) => {
                    flow.account.dropped_down(SendFailure::of(&error, 0).drop_reason(), 1);
                }
            }
        }
    }
}
