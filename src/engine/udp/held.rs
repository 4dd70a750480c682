//! Datagrams that wait for the look-up of their target's name.

use std::time::Instant;

use super::context::UdpRouteRuntime;
use super::control::Command;
use super::datagram::Piece;
use super::drop_log::Loss;
use super::flow_table::ClientKey;
use super::listener::LoopListener;
use super::loop_state::EventLoop;
use super::new_flow::NewFlow;

impl EventLoop {
    /// Keeps a datagram until its target's name is resolved.
    pub(super) fn hold(&mut self, client: ClientKey, piece: Piece<'_>, now: Instant) {
        let Some(listener) = self.listeners.get_mut(&client.listener) else { return };
        if !listener.hold(client, piece.bytes, piece.segment, now) {
            self.lose(client.listener, Loss::NotHeld, piece.count());
        }
    }

    pub(super) fn look_up(&self, runtime: &UdpRouteRuntime, place: usize) {
        let control = self.control.clone();
        let patience = runtime.route.dial.connect_timeout;
        runtime
            .pool
            .at(place)
            .look_up(patience, &self.shared.beside, move || control.send(Command::Resolved));
    }

    /// Passes on what was held for a name that is now resolved; datagrams whose name has no address end as
    /// `no_address`.
    pub(super) fn release_held(&mut self, now: Instant) {
        let waits = |listener: &LoopListener| !listener.held.is_empty();
        let ready: Vec<u32> = self
            .listeners
            .iter()
            .filter(|(_, listener)| waits(listener))
            .map(|(number, _)| *number)
            .collect();
        for number in ready {
            let Some(listener) = self.listeners.get_mut(&number) else { continue };
            for held in std::mem::take(&mut listener.held) {
                let piece = Piece { bytes: &held.bytes, segment: held.segment };
                let known = self.flows.find(&held.client);
                let opened = known.map_or_else(|| self.open(held.client, held.came, now), NewFlow::Flow);
                match opened {
                    NewFlow::Flow(id)
                        if self.flows.get(id).is_some_and(|flow| flow.account.ends_by_requests()) =>
                    {
                        self.carry_counted(held.client, std::iter::once((piece, false)), now);
                    }
                    NewFlow::Flow(id) => {
                        let piece = self.flows.get_mut(id).and_then(|flow| flow.pass_up(piece, now));
                        piece.into_iter().for_each(|piece| self.send_up(held.client, id, &[piece], now));
                    }
                    NewFlow::Later => self.hold(held.client, piece, held.came),
                    NewFlow::Refused(why, end) => self.turn_down(held.client, (why, end), piece.count()),
                }
            }
        }
    }
}
