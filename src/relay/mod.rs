//! How bytes move between two connected sockets, and how a close is passed on.
//!
//! One task carries both directions. Each begins by copying through the worker's buffer and changes to splice(2) when it
//! turns out to be a stream; an idle one holds neither buffer nor pipe. Nothing is timed here but a reset that waits for
//! its bytes to arrive, and the turns of a direction that has a rate; nothing is logged.

mod copy;
mod direction;
mod paced;
mod pump;
mod reset;
mod splice;
mod throttle;
mod tls;

use std::time::{Duration, Instant};

use crate::ledger::Meter;
use crate::outcome::End;
use crate::transport::Stream;
pub use paced::{Pace, relay_paced};
use pump::Pump;
pub use pump::Relayed;
pub use reset::{abort, last_words};
pub use splice::prepare_thread;
use throttle::{Allowance, Unlimited};
pub use tls::{Seals, relay_sealed};

/// Carries bytes both ways until both sides have said FIN or one has said RST, and passes that on.
///
/// FIN becomes FIN and the other direction stays open. RST becomes RST, once everything read before it is acknowledged by
/// the other side or `reset_linger` is over: a reset destroys what the kernel still holds for whoever receives it.
/// On return the sockets only need to be dropped.
///
/// Not cancel safe: what was read but not delivered is lost with the future, as is meant when [`abort`] follows.
pub fn relay<'a>(
    client: &'a Stream,
    target: &'a Stream,
    meter: &'a Meter,
    reset_linger: &'a Duration,
) -> impl Future<Output = Relayed> + Send + 'a {
    run(Pump::new(client, target, meter, Unlimited, Unlimited), reset_linger)
}

/// Runs a pump to its end, and passes on what broke it.
#[allow(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
fn run<'a, A: Allowance + Send + 'a>(
    mut pump: Pump<'a, A>,
    reset_linger: &'a Duration,
) -> impl Future<Output = Relayed> + Send + 'a {
    // A block, not an `async fn`, which would keep its arguments twice in every session; the linger is borrowed for the
    // same reason.
    async move {
        let end = match pump.run().await {
            Ok(()) => End::Done,
            Err(fault) => {
                // Boxed: it is rare, and every session would carry its room.
                Box::pin(reset::pass_on(&mut pump, fault.side, *reset_linger)).await;
                fault.end()
            }
        };
        pump.relayed(end)
    }
}

/// A clock read that only the first byte of a session pays for.
fn now() -> Instant {
    Instant::now()
}
