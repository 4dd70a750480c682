//! Datagrams in batches, with what the kernel tells beside them: recvmmsg(2), sendmmsg(2), and udp(7)'s trains.
//!
//! A train is what UDP_SEGMENT sends and UDP_GRO receives: many datagrams of one length (the last may be shorter) as one
//! buffer and one passage through the network stack. The length travels in a control message, so no border is ever lost.

mod control;
mod options;
mod recvmmsg;
mod sendmmsg;

pub(crate) use options::{backlog, join_trains, tell_local_address};
pub(crate) use recvmmsg::{Arrival, Arrivals};
pub(crate) use sendmmsg::{Departure, Departures};

use std::net::IpAddr;

/// The address of this machine that a datagram was sent to, which its answer must leave from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    pub(crate) ip: IpAddr,
    /// The interface, where the address means nothing without it (IPv6 link-local); otherwise 0, any.
    pub(crate) interface: u32,
}

#[cfg(test)]
mod tests;
