//! The step *relay* where one connection at least is no socket but a stream of an embedder's own.

use std::pin::pin;
use std::time::Instant;

use super::progress::Finish;
use super::relay::idle;
use super::state::Session;
use crate::limits::Bandwidth;
use crate::outcome::{End, Side};
use crate::relay::{CustomHalf, Half, Pace, Relayed, Seals, Socket, TlsHalf, relay_halves, reset};
use crate::transport::tls::Sealed;
use crate::transport::{Custom, Stream};

/// Moves the bytes of a client whose connection is a socket to a target whose is none. The close of the client's is the
/// caller's to decide.
pub(super) async fn to_custom(
    client: &Stream,
    target: Box<Custom>,
    seals: Option<Box<Seals>>,
    session: &Session,
) -> Finish {
    let mut client = half(client, seals.and_then(|seals| seals.client), Side::Client, session);
    from_half(&mut *client, target, session).await.into()
}

/// The same from any half.
pub(super) async fn from_half(client: &mut dyn Half, target: Box<Custom>, session: &Session) -> Relayed {
    // Dropped before its end was said, it is reset.
    let mut target = CustomHalf::new(*target);
    let relayed = between(client, &mut target, session).await;
    if relayed.end != End::Done {
        target.reset(relayed.end);
    }
    relayed
}

/// A socket as a half, with the records on it where there are some.
pub(super) fn half<'s>(
    socket: &'s Stream,
    records: Option<Box<Sealed>>,
    side: Side,
    session: &Session,
) -> Box<dyn Half + 's> {
    match records {
        Some(records) => {
            session.entry.meter().seals();
            Box::new(TlsHalf::new(socket, records, side))
        }
        None => Box::new(Socket::new(socket)),
    }
}

/// Moves the bytes as the route wants it, until the session ends, or something else ends it.
pub(super) async fn between(
    mut client: &mut dyn Half,
    mut target: &mut dyn Half,
    session: &Session,
) -> Relayed {
    let (meter, runtime) = (session.entry.meter(), &session.runtime);
    if let Some(permit) = session.slot.permit() {
        permit.moves(session.entry.live());
    }
    let own = runtime.limits.bandwidth_per_connection.map(|rate| Bandwidth::new(rate, Instant::now()));
    let pace = Pace::new(own, runtime.bandwidth.as_deref());
    let ended = {
        let relaying = pin!(relay_halves(client, target, meter, runtime.route.reset_linger, &pace));
        let relaying = session.entry.live().unless_ordered(relaying);
        let too_long = async {
            match runtime.limits.idle {
                Some(patience) => idle(meter, &pace, patience).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // Who has come to the end is not ended by anybody else.
            biased;
            relayed = relaying => relayed.map_err(|order| order.end()),
            end = too_long => Err(end),
        }
    };
    match ended {
        Ok((relayed, hint)) => {
            hint.into_iter().for_each(|hint| session.entry.hint(hint));
            relayed
        }
        Err(end) => {
            reset(&mut client, &mut target, meter, end);
            Relayed::at(meter, end)
        }
    }
}
