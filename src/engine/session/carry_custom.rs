//! A session whose client's connection is not a socket but a stream that an embedder provides.
//!
//! The steps are those of every session; only the relay and the reset differ.

use std::pin::pin;

use super::carry::arrive;
use super::custom::between_ends;
use super::progress::{Finish, Progress};
use super::state::{ClientEnd, Session};
use crate::engine::runtime::context::RouteRuntime;
use crate::outcome::{End, Phase};
use crate::relay::{CustomHalf, Half};
use crate::transport::Custom;

/// The first key of the route that needs a socket; `None` if it has none.
pub(crate) fn needs_socket(runtime: &RouteRuntime) -> Option<&'static str> {
    let route = &runtime.route;
    let keys = [
        ("accept_proxy", !route.proxy.accept.is_empty()),
        ("tls", route.tls.is_some()),
        ("names", runtime.by_hello.is_some()),
        ("client_timeout", runtime.limits.first_byte.is_some()),
    ];
    keys.into_iter().find(|(_, is_asked)| *is_asked).map(|(key, _)| key)
}

/// Carries an embedder's stream along its route to its end, as [`super::carry::carry`] does a socket.
pub(crate) async fn carry_custom(client: Box<Custom>, session: Session) {
    let mut progress = Progress::default();
    // If it is dropped at any point before its end, it is reset.
    let mut client = CustomHalf::new(*client);
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

async fn steps(client: &mut CustomHalf, session: &Session, progress: &mut Progress) -> Finish {
    let (target, seals) = {
        let arriving = pin!(arrive(ClientEnd::Custom, session, progress));
        match session.entry.live().unless_ordered(arriving).await {
            Ok(Ok(arrived)) => arrived,
            Ok(Err(end)) => return end.into(),
            Err(order) => return order.end().into(),
        }
    };
    progress.phase = Phase::Relay;
    between_ends(client, target, seals, session, progress).await
}
