//! Signals a stop to the connections of services: first that they should end, then that they must.
//!
//! Sessions are ended by orders instead: a session waits only for its bytes, and its record has the reason of its end.

use tokio_util::sync::CancellationToken;

/// The two signals, each sent once.
#[derive(Default)]
pub(crate) struct Stopping {
    /// No new connection is accepted, and open ones should end. Each listener has a child of this token.
    pub(crate) draining: CancellationToken,
    /// The remaining connections are reset.
    pub(crate) cut: CancellationToken,
}
