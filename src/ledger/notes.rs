//! What is noted about a few sessions while they live.

use std::sync::Arc;

use super::tunnelled::TunnelCarrier;
use crate::outcome::{Agreed, Client, Limit};

/// What is noted about a session besides its counts, for its record.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    /// Why it ended as it did, as text.
    pub(super) hint: Option<Arc<str>>,
    /// The server name that the client requests.
    pub(super) name: Option<Arc<str>>,
    /// The client behind the one that connected.
    pub(super) behind: Option<Client>,
    /// The limit that would have kept the client out, on a route with `limits_dry_run`.
    pub(super) dry_run: Option<Limit>,
    /// What was negotiated with the client, if that connection uses TLS.
    pub(super) client_tls: Option<Box<Agreed>>,
    /// The connection of a tunnel that carries it to its target.
    pub(super) carrier: Option<Box<TunnelCarrier>>,
    /// Whether the other end of a tunnel has said why it ended.
    pub(super) far: bool,
    /// What was negotiated with the target.
    pub(super) target_tls: Option<Box<Agreed>>,
}
