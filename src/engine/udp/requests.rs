//! Flows that end by what their client sends: after so many datagrams (`requests`), or after those that were sent because
//! no answer is expected (`answers = 0`).
//!
//! A flow that has had its requests loses its client, not its socket: until it is done or idle, answers go on to the
//! client, beside the flow that the client's next datagram has opened.

use std::time::Instant;

use rustix::net::sockopt::socket_error;

use super::datagram::Piece;
use super::flow_table::{ClientKey, FlowId};
use super::loop_state::EventLoop;
use super::new_flow::NewFlow;
use super::path::Path;
use crate::outcome::{Cause, DropReason, End};
use crate::transport;

impl EventLoop {
    /// Passes on what a client sent; each piece comes with whether the kernel has cut it. A train is divided between the
    /// flows that carry it. What came together shares a flow, as far as that carries it.
    pub(super) fn carry_counted<'a>(
        &mut self,
        client: ClientKey,
        pieces: impl Iterator<Item = (Piece<'a>, bool)>,
        now: Instant,
    ) {
        for (piece, is_cut) in pieces {
            let mut left = Some(piece);
            while let Some(piece) = left.take() {
                let opened =
                    self.flows.find(&client).map_or_else(|| self.open(client, now, now), NewFlow::Flow);
                left = match opened {
                    NewFlow::Flow(id) => self.carry_some(client, id, piece, is_cut, now),
                    NewFlow::Later => {
                        self.hold(client, piece, now);
                        None
                    }
                    NewFlow::Refused(why, end) => {
                        self.turn_down(client, (why, end), piece.count());
                        None
                    }
                };
            }
        }
        self.end_if_requested(client, now);
    }

    /// Passes on as much as the flow carries, and returns the rest.
    fn carry_some<'a>(
        &mut self,
        client: ClientKey,
        id: FlowId,
        piece: Piece<'a>,
        is_cut: bool,
        now: Instant,
    ) -> Option<Piece<'a>> {
        let (batch, share) = (self.batches, self.share);
        let flow = self.flows.get_mut(id)?;
        let (some, rest) = piece.split(flow.account.room().unwrap_or(u64::MAX));
        // A flow without room has lost its client, so there is always some.
        let some = some?;
        if is_cut {
            flow.dropped_up(DropReason::Truncated, some.count(), some.bytes.len());
        } else if flow.taken(batch) >= share {
            flow.dropped_up(DropReason::OverShare, some.count(), some.bytes.len());
        } else if let Some(some) = flow.pass_up(some, now) {
            flow.take(batch);
            self.send_up(client, id, &[some], now);
        }
        if self.flows.get(id).is_none_or(|flow| flow.account.room() == Some(0)) {
            self.end_if_requested(client, now);
        }
        rest
    }

    /// Ends the client's flow if it is done, or takes the client away if it has had its requests.
    fn end_if_requested(&mut self, client: ClientKey, now: Instant) {
        // Sending may have ended the flow and opened another.
        let Some(id) = self.flows.find(&client) else { return };
        let Some(flow) = self.flows.get(id) else { return };
        if !flow.account.is_done() {
            if flow.account.room() == Some(0) {
                self.flows.unbind(id);
            }
            return;
        }
        let Path::Socket(socket) = &flow.path else { return self.end(id, End::Done, now) };
        // On this machine a refusal has come by now; one from elsewhere meets no socket any more.
        match socket_error(socket) {
            Ok(Err(error)) => self.end_refused(id, Cause::of_dial(&transport::of_network(error.into())), now),
            _ => self.end(id, End::Done, now),
        }
    }
}
