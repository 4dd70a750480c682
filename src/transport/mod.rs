//! Where bytes come from and go to: listening sockets, and the dial to a target.
//!
//! No patience and no memory here: which address is tried next, and what a failure means, is decided in `engine`.

mod connection;
mod custom;
mod datagrams;
mod dial;
mod file;
mod incoming;
mod keepalive;
mod listen;
mod peek;
mod reach;
mod resolve;
mod stream;
pub mod tls;
pub(crate) mod try_io;
mod unix;

use std::time::Duration;

use serde::Deserialize;

pub use connection::Connection;
pub use custom::Custom;
pub(crate) use custom::Link;
pub use datagrams::{bind_datagrams, dial_datagrams, receive_buffer};
pub use dial::{Origin, dial};
pub use file::{Account, FileMode, SocketFile};
pub use incoming::{Arrived, Incoming, Unopened, Via};
pub use keepalive::{Upkeep, Watch};
pub use listen::{Bound, accept, bind, listen, local_address, share_port, socket_address};
pub use peek::{Undecided, peek, take_seen};
pub use reach::{Destination, Reach, Reaching};
pub use resolve::resolve;
pub use stream::Stream;
pub use unix::{Look, OwnFile, look};

/// How a route reaches its targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// How long one attempt at one target may take, over all addresses of a name; more than zero.
    pub connect_timeout: Duration,
    /// How long a client is held while its targets are down; zero resets it at once.
    pub wait_for_target: Duration,
    /// Where the dial starts.
    pub from: Origin,
}

/// What a failed bind means for the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BindPolicy {
    /// Nothing runs half: the start (or the reload) is refused.
    #[default]
    Strict,
    /// The route starts without this listener, says so, and keeps trying.
    Retry,
}
