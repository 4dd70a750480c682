//! Datagrams in batches, with their control messages: recvmmsg(2), sendmmsg(2), and the trains of udp(7).
//!
//! A train is what UDP_SEGMENT sends and UDP_GRO receives: many datagrams of one length (the last may be shorter) in
//! one buffer and one pass through the network stack. A control message carries the length, so no boundary between
//! datagrams is lost.

mod control;
mod options;
mod recvmmsg;
mod sendmmsg;

pub(crate) use options::{backlog, join_trains, report_local_address};
pub(crate) use recvmmsg::{Arrival, Arrivals};
pub(crate) use sendmmsg::{Departure, Departures, is_of_a_train};

use std::net::IpAddr;

/// The local address that a datagram was sent to, which its answer must use as its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    pub(crate) ip: IpAddr,
    /// The interface, if the address is ambiguous without it (IPv6 link-local); otherwise 0 for any.
    pub(crate) interface: u32,
}

#[cfg(test)]
mod tests;
