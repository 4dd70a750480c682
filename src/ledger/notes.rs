//! What is noted about a few sessions while they live.

use std::sync::Arc;

use crate::outcome::{Agreed, Client};

/// What is noted about a session besides its counts, for its record.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    /// Why it ended as it did, as text.
    pub(super) hint: Option<Arc<str>>,
    /// The server name that the client requests.
    pub(super) name: Option<Arc<str>>,
    /// The client behind the one that connected.
    pub(super) behind: Option<Client>,
    /// What was negotiated with the client, if that connection uses TLS.
    pub(super) client_tls: Option<Box<Agreed>>,
    /// What was negotiated with the target.
    pub(super) target_tls: Option<Box<Agreed>>,
}
