//! What the connections of services hear of a stop: first that they should end, then that they have to.
//!
//! Sessions hear it otherwise: one waits for its bytes alone, and its record says why it ended.

use tokio_util::sync::CancellationToken;

/// The two words, each said once.
#[derive(Default)]
pub(crate) struct Stopping {
    /// Nobody new is taken, and who is there should come to an end. Each listener has a child of it.
    pub(crate) draining: CancellationToken,
    /// Who is left is reset.
    pub(crate) cut: CancellationToken,
}
