//! The part of the step *admit* that waits for the client's first byte, on routes with `client_timeout`.
//!
//! Nothing is taken. A waiting client holds its descriptor and some memory, but no connection to a target.

use std::time::Duration;

use tokio::time::timeout_at;

use super::front::Front;
use super::state::Session;
use crate::outcome::End;

/// Waits until the client has sent something, for at most `patience` since it was accepted. A FIN counts, as nothing
/// can follow it. Cancel safe.
pub(super) async fn first_byte(
    client: &mut Front<'_>,
    session: &Session,
    patience: Duration,
) -> Result<(), End> {
    let deadline = session.entry.started() + patience;
    match timeout_at(deadline.into(), client.has_spoken()).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(client.gone(session)),
        Err(_) => Err(End::SlowClient),
    }
}
