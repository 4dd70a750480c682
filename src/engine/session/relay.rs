//! The step *relay* for routes with TLS, a bandwidth or an idle timeout.
//!
//! Its futures are boxed, so that a plain session has no space for them.

use std::future::pending;
use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::time::{sleep, sleep_until};

use super::state::Session;
use crate::ledger::Meter;
use crate::limits::{Bandwidth, Silence};
use crate::outcome::End;
use crate::relay::{Pace, Relayed, Seals, abort, relay, relay_halves, relay_paced};
use crate::transport::Stream;

/// A relay of any kind that runs.
pub(crate) type Relaying<'s> = Pin<Box<dyn Future<Output = Relayed> + Send + 's>>;

/// Whether the session needs nothing but [`relay`].
pub(crate) fn is_plain(session: &Session, seals: &Option<Box<Seals>>) -> bool {
    seals.is_none() && !session.runtime.limits.bound_bytes()
}

/// Relays with TLS and the limits of the route.
pub(crate) fn carefully<'s>(
    client: &'s Stream,
    target: &'s Stream,
    session: &'s Session,
    seals: Option<Box<Seals>>,
) -> Relaying<'s> {
    let (meter, runtime) = (session.entry.meter(), &session.runtime);
    let linger = &runtime.route.reset_linger;
    Box::pin(async move {
        let own = runtime.limits.bandwidth_per_connection.map(|rule| Bandwidth::new(rule, Instant::now()));
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
        if runtime.limits.idle.is_none() && runtime.limits.age.is_none() {
            return relaying.await;
        }
        tokio::select! {
            // A session that has ended by itself is not reported as ended by a timeout.
            biased;
            relayed = relaying => relayed,
            end = too_long(session, &pace) => {
                abort(client, target, meter, end);
                Relayed::at(meter, end)
            }
        }
    })
}

/// Resolves once the session has been silent for too long or is too old; never on a route without these limits.
pub(super) async fn too_long(session: &Session, pace: &Pace<'_>) -> End {
    let limits = &session.runtime.limits;
    let idle = async {
        match limits.idle {
            Some(patience) => idle(session.entry.meter(), pace, patience).await,
            None => pending().await,
        }
    };
    let expired = async {
        match limits.age {
            // The steps before the relay count; each has a limit of its own.
            Some(age) => sleep_until((session.entry.started() + age).into()).await,
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        () = expired => End::Expired,
        end = idle => end,
    }
}

/// Resolves once nothing has moved in either direction for `patience`. Time in which the bandwidth limit held bytes
/// back does not count.
async fn idle(meter: &Meter, pace: &Pace<'_>, patience: Duration) -> End {
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
