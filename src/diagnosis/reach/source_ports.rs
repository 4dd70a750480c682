//! Which processes use the source ports towards an address, read only if none was available.

use std::net::SocketAddr;

use super::facts::SourcePorts;
use crate::probe::process::holders;
use crate::probe::sockets;
use crate::probe::sockets::Socket;
use crate::probe::sockets::ports::PortRules;

/// Counts the source ports in use towards an address, and finds their users.
pub(super) fn source_ports(address: SocketAddr, rules: &PortRules) -> SourcePorts {
    let (first, last) = rules.outgoing;
    let mut found = SourcePorts {
        range: (first..=last).filter(|port| rules.may_be_drawn(*port)).count(),
        ..SourcePorts::default()
    };
    let (rows, _) = sockets::towards_port(address.port()).unwrap_or_default();
    let towards = |row: &Socket| row.remote.ip().to_canonical() == address.ip().to_canonical();
    // A port with a listener cannot be a source port either.
    let (listeners, _) = sockets::listeners().unwrap_or_default();
    let taken = |row: &Socket| rules.may_be_drawn(row.local.port());
    let ours: Vec<Socket> =
        rows.into_iter().filter(towards).chain(listeners.into_iter().filter(taken)).collect();
    for row in &ours {
        match found.states.iter_mut().find(|(state, _)| *state == row.state) {
            Some((_, count)) => *count += 1,
            None => found.states.push((row.state, 1)),
        }
    }
    for held in holders::of(&ours).found {
        match found.owners.iter_mut().find(|(_, pid, _)| *pid == held.holder.pid) {
            Some((_, _, count)) => *count += 1,
            None => found.owners.push((held.holder.comm.clone(), held.holder.pid, 1)),
        }
    }
    found.owners.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
    found
}
