//! The addresses that a target of UDP routes has by its name.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::target::UdpTarget;
use crate::address::Address;
use crate::engine::names::Name;
use crate::outcome::Cause;
use crate::transport::{self, Whereabouts};

impl UdpTarget {
    /// Its name, if it must be looked up.
    pub(super) fn by_name(&self) -> Option<&Arc<Name>> {
        self.by_name.as_ref().map(|(name, _)| name)
    }

    /// The addresses. A name is looked up if it was not yet, if it was left alone for long, or if an address of it has
    /// refused.
    pub(super) async fn found(&self, until: Instant, was_refused: bool) -> Result<Vec<SocketAddr>, Cause> {
        if let Some((name, port)) = &self.by_name {
            if was_refused {
                // If it fails, the last addresses stay.
                let _ = name.look_up(until).await;
            }
            return name.found(*port, until).await;
        }
        match self.to.written().map(transport::whereabouts) {
            Some(Ok(Whereabouts::At(addresses))) => Ok(addresses.iter().filter_map(Address::net).collect()),
            Some(Err(error)) => Err(Cause::of_dial(&error)),
            // A destination that is not written as an address has no name to look up.
            Some(Ok(Whereabouts::Name(..))) | None => Err(Cause::NoAddress),
        }
    }
}
