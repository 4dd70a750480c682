//! Where bytes come from and go to: listening sockets, and connections to targets.
//!
//! This room has no retries and no state: which address is tried next, and what a failure means, is decided in
//! `engine`.

mod arrived;
mod aside;
mod congestion;
mod connection;
mod custom;
mod datagrams;
mod dial;
mod file;
mod folder_locks;
mod hops;
mod incoming;
mod keepalive;
mod listen;
mod peek;
pub mod proxied;
mod reach;
mod resolve;
pub(crate) mod secrecy;
mod source;
mod stream;
mod tcp;
pub mod tls;
pub(crate) mod try_io;
pub mod tunnel;
mod unix;

use std::time::Duration;

use serde::Deserialize;

pub use arrived::Arrived;
pub(crate) use aside::{handshakes, let_kernel_finish, step_aside};
pub use congestion::{Congestion, CongestionChoice, paces};
pub use connection::Connection;
pub use custom::Custom;
pub(crate) use custom::Link;
pub use datagrams::{bind_datagrams, dial_datagrams, receive_buffer};
pub(crate) use dial::dial_marked;
pub use dial::{Origin, dial};
pub use file::{Account, FileMode, SocketFile};
pub use folder_locks::FolderLocks;
pub(crate) use hops::{MAX_HOPS, hops_of};
pub use incoming::{Incoming, Unopened, Via, Visitor};
pub use keepalive::{Upkeep, Watch};
pub use listen::{
    Bound, accept, bind, listen, local_address, local_name, peer_address, share_port, socket_address,
};
pub use peek::{Undecided, peek, take_seen};
pub use reach::{Destination, Reach, Reaching};
pub(crate) use resolve::LOOPBACK;
pub use resolve::{Whereabouts, look_up, whereabouts};
pub(crate) use source::of_network;
pub use stream::Stream;
pub use unix::{Look, OwnFile, look};

/// How a route reaches its targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// How long one attempt to reach one target may take, over all addresses of a name; more than zero.
    pub connect_timeout: Duration,
    /// How often the name of a target is looked up again; `None`: only after a failure.
    pub resolve: Option<Duration>,
    /// How long a client waits while its targets are down; zero resets it at once.
    pub wait_for_target: Duration,
    /// The local addresses and interface to dial from.
    pub from: Origin,
}

/// What the process does if an address cannot be bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BindPolicy {
    /// The start (or the reload) is refused: no configuration runs in part.
    #[default]
    Strict,
    /// The route starts without this listener, logs a warning, and keeps trying.
    Retry,
}
