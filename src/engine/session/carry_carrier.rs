//! A session whose client is behind the other end of a tunnel, which has opened it on a carrier.
//!
//! The steps are those of every session. *Identify* is done by what the opener sent. The opener is told once whether the
//! target has answered, or before that where its visitor's first bytes are needed to choose one; and at the end, once everything
//! is delivered, that the carrier is free.

use std::pin::pin;

use super::carry::arrive;
use super::custom::{between_ends, settled};
use super::front::Front;
use super::progress::{Finish, Progress};
use super::state::{ClientEnd, Session};
use super::turn_away::turn_away;
use crate::outcome::{End, Phase, Side};
use crate::relay::{Ahead, CarrierHalf};
use crate::transport::Visitor;
use crate::transport::tunnel::carrier::{Carrier, Stay};
use crate::transport::tunnel::engaged::{Engaged, WayBack};

/// Carries a session along its route to its end, as [`super::carry::carry`] does a socket's.
pub(crate) async fn carry_carrier(carrier: Box<Carrier>, visitor: Box<Visitor>, session: Session) {
    // The poller could not add it. An entry that is dropped unclosed is recorded as `internal`.
    let Ok(client) = carrier.engage() else { return };
    let mut progress = Progress::default();
    let (finish, stay) = steps(client, &visitor, &session, &mut progress).await;
    let (rest, slot) = session.close(progress, finish);
    if let Some(rest) = rest {
        rest.await;
    }
    drop((slot, visitor));
    if let Some(stay) = stay {
        stay.await;
    }
}

/// How the session ended, and what is to be run when it is over.
async fn steps(
    client: Engaged,
    visitor: &Visitor,
    session: &Session,
    progress: &mut Progress,
) -> (Finish, Option<Stay>) {
    let Engaged { link, back } = client;
    let mut client = Ahead::new(CarrierHalf::unanswered(link, Side::Client));
    let arrived = {
        // Another handle of it, as its bytes may be read meanwhile.
        let socket = client.half().socket();
        let end = ClientEnd::Carrier { socket: &socket, visitor };
        let arriving = pin!(arrive(end, Front::Ahead(&mut client), session, progress));
        session.entry.live().unless_ordered(arriving).await
    };
    let (target, seals) = match arrived {
        Ok(Ok(arrived)) => arrived,
        Ok(Err(end)) => return (refused((client.into_half(), back), end, session), None),
        Err(order) => return (refused((client.into_half(), back), order.end(), session), None),
    };
    progress.phase = Phase::Relay;
    // It says OPENED along with the first bytes, or at once where there are none.
    session.entry.meter().seals();
    client.half().answer();
    let finish = between_ends(&mut client, target, seals, session, progress).await;
    settled((client.into_half(), back), finish, session).await
}

/// Tells the opener that the session is not carried, unless it has ended it itself.
fn refused((client, back): (CarrierHalf, WayBack), end: End, session: &Session) -> Finish {
    let Some(link) = client.into_refused() else { return end.into() };
    let (words, linger) = (session.entry.hinted(), session.runtime.route.reset_linger);
    Finish::from(end).then(async move {
        turn_away(link, end, words.as_deref(), linger).await;
        drop(back);
    })
}
