//! What is known of a session that a tunnel carries.

use std::net::SocketAddr;
use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::address::TunnelName;
use crate::outcome::SessionId;

/// How a client came that connected at the other end of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Through {
    /// The tunnel.
    pub tunnel: TunnelName,
    /// The id that the other end gave the session, and that this end's record has too. It is the other end's word: two ends
    /// may use the same, so records are joined by tunnel and id.
    pub id: SessionId,
}

/// The connection of a tunnel that carried a session to the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelCarrier {
    /// The address of the other machine.
    pub peer: SocketAddr,
    /// How many sessions it had carried before.
    pub carried: u32,
    /// How long the session waited for it.
    pub waited: Duration,
}

impl Serialize for TunnelCarrier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("address", &self.peer)?;
        map.serialize_entry("carried_before", &self.carried)?;
        map.serialize_entry("waited_us", &u64::try_from(self.waited.as_micros()).unwrap_or(u64::MAX))?;
        map.end()
    }
}
