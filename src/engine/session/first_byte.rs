//! The part of the step *admit* that a silent client does not pass: where the route says so, it must speak first.
//!
//! Nothing is read. A client that waits holds its descriptor and some memory, and no place at a target.

use std::time::Duration;

use tokio::io::Interest;
use tokio::time::timeout_at;

use super::state::Session;
use crate::outcome::End;
use crate::transport::Stream;

/// Waits until the client has sent something, for `patience` since it was accepted. A FIN is something: there is nothing
/// left to wait for. Cancel safe.
pub(crate) async fn first_byte(client: &Stream, session: &Session, patience: Duration) -> Result<(), End> {
    let deadline = session.entry.started() + patience;
    let spoken = timeout_at(deadline.into(), client.ready(Interest::READABLE | Interest::ERROR)).await;
    match spoken {
        Ok(Ok(ready)) if !ready.is_error() => Ok(()),
        Ok(_) => Err(End::ClientGone),
        Err(_) => Err(End::SlowClient),
    }
}
