//! A session whose client is behind the other end of a tunnel, which has opened it on a carrier.
//!
//! The steps are those of every session. *Identify* is done by what the opener sent. The opener is told once whether the
//! target has answered, and at the end, once everything is delivered, that the carrier is free.

use std::pin::pin;

use super::carry::arrive;
use super::custom::{between_ends, settled};
use super::progress::{Finish, Progress};
use super::state::{ClientEnd, Session};
use super::turn_away::turn_away;
use crate::outcome::{End, Phase, Side};
use crate::relay::CarrierHalf;
use crate::transport::Visitor;
use crate::transport::tunnel::carrier::{Carrier, FrameLink, Stay};
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
    let arrived = {
        let end = ClientEnd::Carrier { socket: link.records.stream(), visitor };
        let arriving = pin!(arrive(end, session, progress));
        session.entry.live().unless_ordered(arriving).await
    };
    let (target, seals) = match arrived {
        Ok(Ok(arrived)) => arrived,
        Ok(Err(end)) => return (refused((link, back), end, session), None),
        Err(order) => return (refused((link, back), order.end(), session), None),
    };
    progress.phase = Phase::Relay;
    // It says OPENED along with the first bytes, or at once where there are none.
    session.entry.meter().seals();
    let mut client = CarrierHalf::new(link, Side::Client);
    let finish = between_ends(&mut client, target, seals, session, progress).await;
    settled((client, back), finish, session).await
}

/// Tells the opener that the session is not carried.
fn refused((link, back): (FrameLink, WayBack), end: End, session: &Session) -> Finish {
    let (words, linger) = (session.entry.hinted(), session.runtime.route.reset_linger);
    Finish::from(end).then(async move {
        turn_away(link, end, words.as_deref(), linger).await;
        drop(back);
    })
}
