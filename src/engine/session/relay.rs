//! The step *relay* where a route asks for more than that its bytes move: at which rate, and what else may end a session.
//!
//! All of it stands in boxes of its own, so that a plain session has no room for it.

use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::state::Session;
use crate::ledger::Meter;
use crate::limits::{Bandwidth, Silence};
use crate::outcome::End;
use crate::relay::{Pace, Relayed, Seals, abort, relay, relay_halves, relay_paced};
use crate::transport::Stream;

/// Bytes that move, in a way of their own.
pub(crate) type Relaying<'s> = Pin<Box<dyn Future<Output = Relayed> + Send + 's>>;

/// Whether the route wants nothing special: then [`relay`] alone carries its sessions.
pub(crate) fn is_plain(session: &Session, seals: &Option<Box<Seals>>) -> bool {
    seals.is_none() && !session.runtime.limits.bound_bytes()
}

/// Moves the bytes as the route wants it.
pub(crate) fn carefully<'s>(
    client: &'s Stream,
    target: &'s Stream,
    session: &'s Session,
    seals: Option<Box<Seals>>,
) -> Relaying<'s> {
    let (meter, runtime) = (session.entry.meter(), &session.runtime);
    let linger = &runtime.route.reset_linger;
    Box::pin(async move {
        let own = runtime.limits.bandwidth_per_connection.map(|rate| Bandwidth::new(rate, Instant::now()));
        let pace = Pace::new(own, runtime.bandwidth.as_deref());
        let relaying: Relaying<'_> = match seals {
            Some(seals) => Box::pin(async {
                meter.seals();
                let [mut client, mut target] = seals.halves(client, target);
                let (relayed, hint) = relay_halves(&mut *client, &mut *target, meter, *linger, &pace).await;
                if let Some(hint) = hint {
                    session.entry.hint(hint);
                }
                relayed
            }),
            None if pace.is_bound() => Box::pin(relay_paced(client, target, meter, linger, &pace)),
            None => Box::pin(relay(client, target, meter, linger)),
        };
        let Some(patience) = runtime.limits.idle else { return relaying.await };
        tokio::select! {
            // Who has come to the end is not ended by anybody else.
            biased;
            relayed = relaying => relayed,
            end = idle(meter, &pace, patience) => {
                abort(client, target, meter, end);
                Relayed::at(meter, end)
            }
        }
    })
}

/// Resolves when nothing has moved either way for as long as `patience`, though it might have.
pub(super) async fn idle(meter: &Meter, pace: &Pace<'_>, patience: Duration) -> End {
    let mut silence = Silence::new(patience, meter.traffic(), Instant::now());
    loop {
        sleep(silence.pause()).await;
        if pace.holds_up() {
            silence.is_ours(Instant::now());
        } else if silence.is_too_long(meter.traffic(), Instant::now()) {
            return End::Idle;
        }
    }
}
