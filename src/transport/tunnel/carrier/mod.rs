//! A connection of a tunnel, after its handshake: frames in, frames out; and how it waits between sessions.

mod broken;
mod link;
mod parked;
mod prepare;
mod records;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

pub use broken::Broken;
pub use link::{FrameLink, MAX_UNSENT, Received};
pub use parked::{Parked, Resting};
pub use prepare::prepare;

/// A connection for sessions, idle, on its way to a session or back.
pub struct Carrier {
    /// The connection.
    pub link: Resting,
    /// The address of the other machine.
    pub peer: SocketAddr,
    /// How many sessions it has carried.
    pub carried: u32,
    /// Where it goes after a clean end.
    pub home: Arc<dyn Home>,
}

/// The time of a carrier between two sessions, on the runtime of both. Dropping it closes the carrier.
pub type Stay = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a carrier goes once its session has ended.
pub trait Home: Send + Sync {
    /// A session has taken a carrier of it.
    fn taken(&self) {}

    /// That session is over; the carrier comes home now, or is lost.
    fn left(&self) {}

    /// It carried a session to a clean end, and may carry another. Returns what is to be run where it is, if it waits there for
    /// its next session.
    fn free(&self, carrier: Carrier) -> Option<Stay>;

    /// It is gone: broken, or cut with its session.
    fn lost(&self);
}

impl std::fmt::Debug for Carrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Carrier { peer, carried, .. } = self;
        f.debug_struct("Carrier").field("peer", peer).field("carried", carried).finish_non_exhaustive()
    }
}
