//! Carries a session one or both of whose connections are secured: records are opened and sealed in the worker's buffers.
//!
//! A close is mirrored as over plain connections: close_notify and FIN become each other, and the other direction stays
//! open. A FIN without close_notify before it is no end (RFC 8446, 6.1: what came may have been cut): it is passed on as a
//! reset, once everything read before it is delivered; but from a client whose target had ended before, it is taken for one.

mod direction;
mod end;
mod pump;

use std::sync::Arc;
use std::time::Duration;

use super::broken::{Broken, reset_by};
use super::{Pace, Relayed, Seals, abort, broken};
use crate::ledger::Meter;
use crate::outcome::{End, Side};
use crate::transport::Stream;
use crate::transport::tls;
use direction::Trouble;

/// Carries plain bytes both ways as [`super::relay`] does, through the seals and at
/// the rates of `pace`. Says also what broke, in words, where the end
/// alone does not.
///
/// Not cancel safe: what was read but not delivered is lost with the future, as is meant when [`abort`] follows.
pub async fn relay_sealed(
    client: &Stream,
    target: &Stream,
    seals: Seals,
    meter: &Meter,
    reset_linger: Duration,
    pace: &Pace<'_>,
) -> (Relayed, Option<Arc<str>>) {
    meter.seals();
    let mut pump = pump::Pump::new(client, target, seals, meter, pace);
    let Err((side, trouble)) = pump.run().await else { return (pump.relayed(End::Done), None) };
    pump.pass_on(side, reset_linger).await;
    let (end, hint) = match trouble {
        Trouble::Socket(error) => (Broken { side, trouble: broken::Trouble::Io(error) }.end(), None),
        Trouble::Cut => (reset_by(side), Some(cut(side))),
        Trouble::Tls(error) => {
            let (words, said) = tls::broken(&error, side);
            let end = if side == Side::Client && !said { End::TlsFailed } else { reset_by(side) };
            (end, Some(words.into()))
        }
    };
    abort(client, target, meter, end);
    (pump.relayed(end), hint)
}

fn cut(side: Side) -> Arc<str> {
    match side {
        Side::Client => "the client closed without close_notify, so what it sent may have been cut",
        Side::Target => "the target closed without close_notify, so what it sent may have been cut",
    }
    .into()
}
