//! A session whose client's connection is not a socket but a stream that an embedder provides.
//!
//! The steps are those of every session; only the first bytes, the relay and the reset differ.

use std::pin::pin;

use super::carry::arrive;
use super::custom::between_ends;
use super::front::Front;
use super::progress::{Finish, Progress};
use super::state::{ClientEnd, Session};
use crate::outcome::{End, Phase};
use crate::relay::{Ahead, CustomHalf, Half};
use crate::transport::Custom;

/// Carries an embedder's stream along its route to its end, as [`super::carry::carry`] does a socket.
pub(crate) async fn carry_custom(client: Box<Custom>, session: Session) {
    let mut progress = Progress::default();
    // If it is dropped at any point before its end, it is reset.
    let mut client = Ahead::new(CustomHalf::new(*client));
    let finish = steps(&mut client, &session, &mut progress).await;
    if finish.end != End::Done {
        client.reset(finish.end);
    }
    drop(client);
    let (rest, slot) = session.close(progress, finish);
    if let Some(rest) = rest {
        rest.await;
    }
    drop(slot);
}

async fn steps(client: &mut Ahead<CustomHalf>, session: &Session, progress: &mut Progress) -> Finish {
    let (target, seals) = {
        let arriving = pin!(arrive(ClientEnd::Custom, Front::Ahead(client), session, progress));
        match session.entry.live().unless_ordered(arriving).await {
            Ok(Ok(arrived)) => arrived,
            Ok(Err(end)) => return end.into(),
            Err(order) => return order.end().into(),
        }
    };
    progress.phase = Phase::Relay;
    between_ends(client, target, seals, session, progress).await
}
