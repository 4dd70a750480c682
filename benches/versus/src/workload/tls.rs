//! TLS that ends at the forwarder: handshakes, and bytes to be enciphered for the client.

use super::traffic::{few_enough, load, measured, per_gigabyte, per_unit, span};
use super::{Measured, Scene};
use crate::contestant::Contestant;
use crate::forwarders::{Front, Load};
use crate::role::Role;
use crate::turn::Turn;
use loopgate_load::{Answer, Fallible, measure};

pub(super) fn handshakes(contestant: &Contestant, scene: &Scene) -> Fallible<Measured> {
    let turn = Turn::with_answer(contestant, Load::Messages(Front::EndsTls), Answer::Echo, scene.scratch)?;
    let role =
        Role::Handshakes { to: turn.address, at_once: 16, at_most: few_enough(scene), span: span(scene) };
    let time_wait = measure::time_wait();
    let (tally, spent) = load(&turn, &role, scene)?;
    let mut figures = per_unit(&tally, spent);
    figures.insert("time_wait", time_wait);
    Ok(measured(figures, tally))
}

pub(super) fn bulk(contestant: &Contestant, streams: usize, scene: &Scene) -> Fallible<Measured> {
    let turn = Turn::with_answer(contestant, Load::Streams(Front::EndsTls), Answer::Bytes, scene.scratch)?;
    let role = Role::TlsStreams { to: turn.address, streams, span: span(scene) };
    let (tally, spent) = load(&turn, &role, scene)?;
    Ok(measured(per_gigabyte(&tally, spent), tally))
}
