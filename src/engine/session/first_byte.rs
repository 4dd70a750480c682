//! The part of the step *admit* that waits for the client's first byte, on routes with `client_timeout`.
//!
//! Nothing is read. A waiting client holds its descriptor and some memory, but no connection to a target.

use std::time::Duration;

use tokio::io::Interest;
use tokio::time::timeout_at;

use super::state::Session;
use crate::outcome::End;
use crate::transport::Stream;

/// Waits until the client has sent something, for at most `patience` since it was accepted. A FIN counts, as nothing
/// can follow it. Cancel safe.
pub(crate) async fn first_byte(client: &Stream, session: &Session, patience: Duration) -> Result<(), End> {
    let deadline = session.entry.started() + patience;
    let spoken = timeout_at(deadline.into(), client.ready(Interest::READABLE | Interest::ERROR)).await;
    match spoken {
        Ok(Ok(ready)) if !ready.is_error() => Ok(()),
        Ok(_) => Err(End::ClientGone),
        Err(_) => Err(End::SlowClient),
    }
}
