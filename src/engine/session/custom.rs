//! The step *relay* if at least one connection is not a socket: a stream that an embedder provides, or a carrier of a
//! tunnel.

use std::future::poll_fn;
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::progress::{Finish, Progress};
use super::relay::too_long;
use super::state::{Carried, Session, TargetEnd, Unfinished};
use crate::limits::Bandwidth;
use crate::outcome::{End, Phase, Side};
use crate::relay::{
    CarrierHalf, CustomHalf, Half, Pace, Relayed, Seals, Socket, TlsHalf, relay_halves, reset,
};
use crate::transport::tls::Sealed;
use crate::transport::tunnel::carrier::Stay;
use crate::transport::tunnel::engaged::WayBack;
use crate::transport::{Custom, Stream};

/// How long the other end of a tunnel may take to hear that Loopgate stops.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Relays between a client's socket and a target of any kind. The caller decides how the client's connection closes.
pub(super) async fn from_socket(
    client: &Stream,
    target: TargetEnd,
    seals: Option<Box<Seals>>,
    session: &Session,
    progress: &mut Progress,
) -> Finish {
    between_ends(&mut Socket::new(client), target, seals, session, progress).await
}

/// The same between any kind of client connection and a target, each with its TLS.
pub(super) async fn between_ends(
    client: &mut dyn Half,
    target: TargetEnd,
    seals: Option<Box<Seals>>,
    session: &Session,
    progress: &mut Progress,
) -> Finish {
    let Seals { client: ours, target: theirs } = seals.map(|seals| *seals).unwrap_or_default();
    let mut client = secured(client, ours, Side::Client, session);
    match target {
        TargetEnd::Socket(target) => {
            let unfinished = Unfinished(&target);
            let mut socket = Socket::new(&target);
            let mut half = secured(&mut socket, theirs, Side::Target, session);
            let relayed = between(&mut *client, &mut *half, session).await;
            drop(half);
            // The relay has decided how the target's connection closes.
            unfinished.disarm();
            relayed.into()
        }
        TargetEnd::Custom(target) => to_custom(&mut *client, target, theirs, session).await.into(),
        TargetEnd::Carrier(target) => to_carrier(&mut *client, *target, theirs, session, progress).await,
    }
}

/// A connection as a half of the relay, with its TLS records if it uses TLS.
fn secured<'s>(
    half: &'s mut dyn Half,
    records: Option<Box<Sealed>>,
    side: Side,
    session: &Session,
) -> Box<dyn Half + 's> {
    match records {
        Some(records) => {
            session.entry.meter().seals();
            Box::new(TlsHalf::new(half, records, side))
        }
        None => Box::new(half),
    }
}

async fn to_custom(
    client: &mut dyn Half,
    target: Box<Custom>,
    records: Option<Box<Sealed>>,
    session: &Session,
) -> Relayed {
    // If it is dropped before its end, it is reset.
    let mut target = CustomHalf::new(*target);
    let relayed = {
        let mut half = secured(&mut target, records, Side::Target, session);
        between(client, &mut *half, session).await
    };
    if relayed.end != End::Done {
        target.reset(relayed.end);
    }
    relayed
}

/// The same with a target at the other end of a tunnel. Afterwards the carrier is free, if the other end says so.
async fn to_carrier(
    client: &mut dyn Half,
    target: Carried,
    records: Option<Box<Sealed>>,
    session: &Session,
    progress: &mut Progress,
) -> Finish {
    let Carried { half: mut target, back } = target;
    session.entry.meter().seals();
    let relayed = {
        let mut half = secured(&mut target, records, Side::Target, session);
        between(client, &mut *half, session).await
    };
    if relayed.end == End::Done && !relayed.abandoned {
        end_client(client, session).await;
    }
    // A carrier that this end has opened a session on waits for nothing.
    let (finish, _) = settled((target.into_half(), back), relayed.into(), session).await;
    if let End::NoTarget(cause) = finish.end {
        // Nobody waited for the answer of the other end, which has dialled in vain.
        progress.phase = Phase::Connect;
        session.entry.far();
        if let Some(guard) = &progress.guard {
            guard.target().answered_there(Err(cause));
        }
    }
    finish
}

/// Sends a client its end where that was left to the close: the client does not wait for what the two ends of the tunnel
/// have to say to each other.
async fn end_client(client: &mut dyn Half, session: &Session) {
    if !session.entry.meter().down.has_sent_end() {
        let ending = poll_fn(|cx| client.poll_end(cx, false));
        // One that takes nothing more, or is gone, has its end with the close.
        let _ = timeout(session.runtime.route.reset_linger, ending).await;
    }
}

/// The end of a session, once the other end of the carrier has agreed to it; then the carrier is free, and has something to be
/// run after the session if it waits for its next one here. Of a session that was cut nobody waits until the other end has the
/// reason: that follows it.
pub(super) async fn settled(
    (mut half, back): (CarrierHalf, WayBack),
    mut finish: Finish,
    session: &Session,
) -> (Finish, Option<Stay>) {
    let linger = session.runtime.route.reset_linger;
    if finish.end == End::Done {
        let settled = session.entry.live().unless_ordered(Box::pin(half.settle(linger)).as_mut()).await;
        match settled {
            Ok(Ok(())) => {
                let stay = half.into_link().and_then(|link| back.free(link));
                return (finish, stay);
            }
            Ok(Err(end)) => finish.end = end,
            Err(order) => {
                finish.end = order.end();
                half.reset(finish.end);
            }
        }
    }
    // A stop waits for this.
    let linger = if finish.end == End::Drained { linger.min(LAST_WORDS) } else { linger };
    let finish = finish.then(async move {
        // It says how the session ended, which is known.
        let _ = half.settle(linger).await;
        drop((half, back));
    });
    (finish, None)
}

/// Relays with the limits of the route, until the session ends, or an order or a timeout ends it.
async fn between(mut client: &mut dyn Half, mut target: &mut dyn Half, session: &Session) -> Relayed {
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
