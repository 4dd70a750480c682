//! The step *connect*: reaches the target of a session, and waits for one that is down where its route says so.

use std::sync::Arc;
use std::time::Instant;

use tokio::io::Interest;
use tokio::time::timeout_at;

use super::context::Serving;
use super::targets::{Unreached, breathe};
use super::trip::Trip;
use crate::outcome::End;
use crate::transport::Stream;

/// Reaches the target, unless the client goes first.
pub(super) async fn connect(client: &Stream, serving: &Arc<Serving>, trip: &mut Trip) -> Result<Stream, End> {
    tokio::select! {
        // A dial on this machine is over at the first look, and then the client is not watched at all.
        biased;
        reached = reach(serving, trip) => reached,
        // A FIN is no reason to go: the client may have sent its whole request. A reset is.
        _ = client.ready(Interest::ERROR) => Err(End::ClientGone),
    }
}

/// Dials the target; where it is down and the route says so, waits for it.
async fn reach(serving: &Arc<Serving>, trip: &mut Trip) -> Result<Stream, End> {
    let dial = &serving.route.dial;
    let began = Instant::now();
    let deadline = began + dial.wait_for_target;
    loop {
        let failed = match serving.target.reach(dial, &mut trip.attempts).await {
            Ok((target, _)) => {
                trip.connect = Some(began.elapsed());
                return Ok(target);
            }
            Err(failed) => failed,
        };
        if !failed.cause.blames_target() || Instant::now() >= deadline {
            return Err(End::NoTarget(failed.cause));
        }
        wait_for_target(serving, deadline, failed).await?;
        trip.forget_old_attempts();
    }
}

/// Holds the client until its target is back or the wait is over.
async fn wait_for_target(serving: &Serving, deadline: Instant, failed: Unreached) -> Result<(), End> {
    let _waits = serving.target.client_waits();
    let back = async {
        breathe().await;
        serving.target.up().await;
    };
    timeout_at(deadline.into(), back).await.map_err(|_| End::NoTarget(failed.cause))
}
