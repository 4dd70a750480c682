//! How bytes move between the two halves of a session, and how a close is passed on.
//!
//! One pump carries any [`Half`]; it is compiled for two sockets, and once for everything else. One task carries both
//! directions. Each begins by copying through the worker's buffer, and between two sockets changes to splice(2) when it
//! turns out to be a stream; an idle one holds neither buffer nor pipe. The only timers here are for a reset that waits
//! until its bytes arrive, and for the turns of a direction with a rate; nothing is logged.

mod ahead;
mod broken;
mod buffer;
mod carried;
mod carrier;
mod custom;
mod direction;
mod half;
mod paced;
mod pump;
mod reset;
mod seals;
mod socket;
mod splice;
mod throttle;
mod tls;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ledger::Meter;
use crate::outcome::{End, Side};
use crate::transport::Stream;
pub use ahead::Ahead;
pub use broken::Trouble;
pub use carrier::{CarrierHalf, end_of, no_target, reason_of};
pub use custom::CustomHalf;
pub use half::{HEADROOM, Half, Input, MAX_KEPT};
pub use paced::Pace;
use pump::Pump;
pub use reset::{abort, last_words, reset};
pub use seals::Seals;
pub use socket::Socket;
pub use splice::prepare_thread;
use throttle::{Throttle, Unlimited};
pub use tls::TlsHalf;

/// The result of a relay.
#[derive(Clone, Copy, Debug)]
pub struct Relayed {
    /// Who ended it, and how.
    pub end: End,
    /// The side that sent FIN first.
    pub closed_by: Option<Side>,
    /// When the target's first byte was read.
    pub first_byte: Option<Instant>,
    /// Whether that side had closed altogether while the other had not ended: its process ended, or closed in mid-session.
    pub abandoned: bool,
}

impl Relayed {
    /// The result of a relay that ended this way, by itself or by an order.
    pub fn at(meter: &Meter, end: End) -> Relayed {
        Relayed {
            end,
            closed_by: meter.closed_by.get().copied(),
            first_byte: meter.first_byte.get().copied(),
            abandoned: false,
        }
    }
}

/// Carries bytes both ways until both sides have sent FIN or one has sent RST, and passes that on.
///
/// FIN becomes FIN and the other direction stays open. RST becomes RST, once everything read before it is acknowledged
/// by the other side or `reset_linger` is over: a reset destroys what the kernel still holds for its receiver. On
/// return the sockets only need to be dropped.
///
/// Not cancel safe: what was read but not delivered is lost with the future, as intended before [`abort`].
pub fn relay<'a>(
    client: &'a Stream,
    target: &'a Stream,
    meter: &'a Meter,
    reset_linger: &'a Duration,
) -> impl Future<Output = Relayed> + Send + 'a {
    let (client, target) = (Socket::new(client), Socket::new(target));
    run(Pump::new(client, target, meter, [Unlimited, Unlimited]), meter, reset_linger)
}

/// The same, each direction at the rates of `pace`. What was sent before a reset goes at once, since a reset that waits
/// for its turn would be late, and later bytes pay for it.
pub fn relay_paced<'a>(
    client: &'a Stream,
    target: &'a Stream,
    meter: &'a Meter,
    reset_linger: &'a Duration,
    pace: &'a Pace<'a>,
) -> impl Future<Output = Relayed> + Send + 'a {
    let (client, target) = (Socket::new(client), Socket::new(target));
    run(Pump::new(client, target, meter, pace.paced()), meter, reset_linger)
}

/// The same between any two halves. Also returns a description of what broke, if the end alone does not give it.
///
/// Not cancel safe: what was read but not delivered is lost with the future. The halves are borrowed, so that a caller that
/// drops it can [`reset`] them.
pub async fn relay_halves(
    client: &mut dyn Half,
    target: &mut dyn Half,
    meter: &Meter,
    reset_linger: Duration,
    pace: &Pace<'_>,
) -> (Relayed, Option<Arc<str>>) {
    let mut pump = Pump::new(client, target, meter, pace.throttles());
    let ended = pump.run().await;
    let (end, description) = pump.conclude(ended, reset_linger).await;
    (Relayed { abandoned: pump.is_abandoned(), ..Relayed::at(meter, end) }, description)
}

/// Runs a pump to its end, and passes on what broke it, or waits for the proof of its end.
#[allow(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
fn run<'a, L: Throttle + 'a>(
    mut pump: Pump<'a, Socket<'a>, Socket<'a>, L>,
    meter: &'a Meter,
    reset_linger: &'a Duration,
) -> impl Future<Output = Relayed> + Send + 'a {
    // A block, not an `async fn`, which would store its arguments twice in every session; the linger is borrowed for
    // the same reason, and a statement ends before each await, so that the future has no room for what broke the
    // session.
    async move {
        let end = {
            let concluding = match pump.run().await.and_then(|()| pump.ask()) {
                Ok(true) => None,
                // Boxed: it is rare, and every session would carry its room.
                ended => Some(Box::pin(pump.conclude(ended.map(drop), *reset_linger))),
            };
            match concluding {
                Some(concluding) => concluding.await.0,
                None => End::Done,
            }
        };
        Relayed { abandoned: pump.is_abandoned(), ..Relayed::at(meter, end) }
    }
}

#[cfg(test)]
mod tests;
