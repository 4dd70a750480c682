//! The step *relay* where a route asks for more than that its bytes move: what else may end a session.
//!
//! All of it stands in boxes of its own, so that a plain session has no room for it.

use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::session::Session;
use crate::ledger::Meter;
use crate::limits::{SessionLimits, Silence};
use crate::outcome::End;
use crate::relay::{Relayed, abort, relay};
use crate::transport::Stream;

/// Bytes that move, in a way of their own.
pub(super) type Relaying<'s> = Pin<Box<dyn Future<Output = Relayed> + Send + 's>>;

/// What ends a session besides its two sides and the stop.
type Ender<'s> = Pin<Box<dyn Future<Output = End> + Send + 's>>;

/// Whether the route wants nothing special: then [`relay`] alone carries its sessions.
pub(super) fn is_plain(session: &Session) -> bool {
    session.serving.limits == SessionLimits::default()
}

/// Moves the bytes as the route wants it.
pub(super) fn carefully<'s>(client: &'s Stream, target: &'s Stream, session: &'s Session) -> Relaying<'s> {
    let ender = ender(session);
    let (meter, linger) = (session.entry.meter(), &session.serving.route.reset_linger);
    let relaying: Relaying<'s> = Box::pin(relay(client, target, meter, linger));
    let Some(ender) = ender else { return relaying };
    Box::pin(async move {
        tokio::select! {
            // Who has come to the end is not ended by anybody else.
            biased;
            relayed = relaying => relayed,
            end = ender => {
                abort(client, target, meter);
                Relayed { end, closed_by: None, first_byte: None }
            }
        }
    })
}

/// What may end this session; `None` on a route that bounds nothing.
fn ender(session: &Session) -> Option<Ender<'_>> {
    let limits = &session.serving.limits;
    let patience = limits.idle?;
    Some(Box::pin(idle(session.entry.meter(), patience)))
}

/// Resolves when nothing has moved either way for as long as `patience`.
async fn idle(meter: &Meter, patience: Duration) -> End {
    let mut silence = Silence::new(patience, meter.traffic(), Instant::now());
    loop {
        sleep(silence.pause()).await;
        if silence.is_too_long(meter.traffic(), Instant::now()) {
            return End::Idle;
        }
    }
}
