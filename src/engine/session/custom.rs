//! The step *relay* if at least one connection is not a socket but a stream that an embedder provides.

use std::pin::pin;
use std::time::Instant;

use super::progress::Finish;
use super::relay::too_long;
use super::state::Session;
use crate::limits::Bandwidth;
use crate::outcome::{End, Side};
use crate::relay::{CustomHalf, Half, Pace, Relayed, Seals, Socket, TlsHalf, relay_halves, reset};
use crate::transport::tls::Sealed;
use crate::transport::{Custom, Stream};

/// Relays between a client's socket and a custom target. The caller decides how the client's connection closes.
pub(super) async fn to_custom(
    client: &Stream,
    target: Box<Custom>,
    seals: Option<Box<Seals>>,
    session: &Session,
) -> Finish {
    let mut client = half(client, seals.and_then(|seals| seals.client), Side::Client, session);
    from_half(&mut *client, target, session).await.into()
}

/// The same for any kind of client connection.
pub(super) async fn from_half(client: &mut dyn Half, target: Box<Custom>, session: &Session) -> Relayed {
    // If it is dropped before its end, it is reset.
    let mut target = CustomHalf::new(*target);
    let relayed = between(client, &mut target, session).await;
    if relayed.end != End::Done {
        target.reset(relayed.end);
    }
    relayed
}

/// A socket as a half of the relay, with its TLS records if it uses TLS.
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

/// Relays with the limits of the route, until the session ends, or an order or a timeout ends it.
pub(super) async fn between(
    mut client: &mut dyn Half,
    mut target: &mut dyn Half,
    session: &Session,
) -> Relayed {
    let (meter, runtime) = (session.entry.meter(), &session.runtime);
    if let Some(permit) = session.slot.permit() {
        permit.moves(session.entry.live());
    }
    let own = runtime.limits.bandwidth_per_connection.map(|rule| Bandwidth::new(rule, Instant::now()));
    let pace = Pace::new(own, runtime.bandwidth.as_deref());
    let ended = {
        let relaying = pin!(relay_halves(client, target, meter, runtime.route.reset_linger, &pace));
        let relaying = session.entry.live().unless_ordered(relaying);
        tokio::select! {
            // A session that has ended by itself is not reported as ended by an order or a timeout.
            biased;
            relayed = relaying => relayed.map_err(|order| order.end()),
            end = too_long(session, &pace) => Err(end),
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
