//! What is known about a failed bind, and the gathering of it.
//!
//! It judges nothing but which sockets lie on the wanted address. What several failures share is asked once: a start
//! with a thousand routes searches the processes one time.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use serde::Serialize;

use super::overlap::{Overlap, overlap};
use crate::outcome::Holder;
use crate::probe::holders::{self, Held};
use crate::probe::limits::{self, Descriptors};
use crate::probe::network::Network;
use crate::probe::ports::{self, PortRules};
use crate::probe::process;
use crate::probe::rights::Rights;
use crate::probe::sockets::{self, Socket, Sockets, TcpState};

/// A socket that overlaps the wanted address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Blocker {
    /// The socket.
    pub socket: Socket,
    /// How it covers the wanted address.
    pub overlap: Overlap,
    /// Whether the other end of its connection is a listener of this machine: then this end dialled.
    pub remote_listens: bool,
}

/// Everything that is known about one failed bind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BindFacts {
    /// The wanted address.
    pub address: SocketAddr,
    /// What the kernel answered; 0 where it was no errno.
    pub errno: i32,
    /// The same in the system's words.
    pub os_message: String,
    /// The sockets that overlap it, the best explanation first.
    pub blockers: Vec<Blocker>,
    /// Who holds them, each descriptor that was seen.
    pub held: Vec<Held>,
    /// Who might hold them, where nobody was seen.
    pub candidates: Vec<Holder>,
    /// The name of the first blocker's user.
    pub owner: Option<String>,
    /// How many processes could not be looked into.
    pub closed: usize,
    /// Whether there may be more sockets or holders than are listed.
    pub maybe_others: bool,
    /// What could not be read and why.
    pub not_readable: Vec<String>,
    /// A port that is free now.
    pub next_free: Option<u16>,
    /// What the kernel does with port numbers.
    pub ports: PortRules,
    /// What this process may do.
    pub rights: Rights,
    /// Its descriptors.
    pub descriptors: Descriptors,
    /// The addresses of this machine.
    pub network: Network,
}

/// A report shows three; more than this would only fill memory.
const MAX_BLOCKERS: usize = 64;

/// Gathers the facts of several failed binds.
pub(crate) fn gather(failures: &[(SocketAddr, &io::Error)]) -> Vec<BindFacts> {
    // Counted before this function opens anything itself.
    let descriptors = limits::descriptors();
    let ports = PortRules::read();
    let rights = Rights::read();
    let network = Network::read();
    let mut tables: BTreeMap<u16, Sockets> = BTreeMap::new();
    let mut all: Vec<BindFacts> = Vec::with_capacity(failures.len());
    for (address, error) in failures {
        let mut facts = BindFacts {
            address: *address,
            errno: error.raw_os_error().unwrap_or(0),
            os_message: os_message(error),
            blockers: Vec::new(),
            held: Vec::new(),
            candidates: Vec::new(),
            owner: None,
            closed: 0,
            maybe_others: false,
            not_readable: Vec::new(),
            next_free: None,
            ports: ports.clone(),
            rights: rights.clone(),
            descriptors,
            network: network.clone(),
        };
        if facts.errno == libc::EADDRINUSE && address.port() != 0 {
            let table = tables.entry(address.port()).or_insert_with(|| sockets::on_port(address.port()));
            facts.take_blockers(table);
        }
        all.push(facts);
    }
    add_holders(&mut all);
    add_free_ports(&mut all);
    all
}

impl BindFacts {
    fn take_blockers(&mut self, table: &Sockets) {
        let overlapping =
            table.rows.iter().filter_map(|socket| Some((overlap(self.address, socket)?, socket)));
        let mut blockers: Vec<(Overlap, &Socket)> = overlapping.collect();
        blockers.sort_by_key(|(overlap, socket)| (rank(socket), *overlap));
        self.maybe_others = table.truncated || blockers.len() > MAX_BLOCKERS;
        self.not_readable.clone_from(&table.not_readable);
        self.blockers = blockers
            .into_iter()
            .take(MAX_BLOCKERS)
            .map(|(overlap, socket)| Blocker {
                remote_listens: remote_listens(socket),
                socket: socket.clone(),
                overlap,
            })
            .collect();
    }
}

/// Listeners stand in the way for certain, a bound socket nearly, a connection only without SO_REUSEADDR.
fn rank(socket: &Socket) -> u8 {
    match socket.state {
        TcpState::Listen => 0,
        // A socket that is bound and no more is shown as either, by the kernel's version.
        TcpState::Close | TcpState::BoundInactive => 1,
        _ if socket.inode != 0 => 2,
        _ => 3,
    }
}

/// Only asked about an end on this machine: a wildcard listener would answer for any other address as well.
fn remote_listens(socket: &Socket) -> bool {
    let (local, remote) = (socket.local.ip().to_canonical(), socket.remote.ip().to_canonical());
    let here = remote.is_loopback() || remote == local;
    socket.inode != 0
        && socket.remote.port() != 0
        && here
        && sockets::listening(socket.remote).unwrap_or(false)
}

/// One search for all of them.
fn add_holders(all: &mut [BindFacts]) {
    let wanted: Vec<Socket> =
        all.iter().flat_map(|facts| &facts.blockers).map(|b| b.socket.clone()).collect();
    let search = holders::of(&wanted);
    let mut candidates: BTreeMap<(u32, Option<u64>), Vec<Holder>> = BTreeMap::new();
    for facts in all {
        let inodes: Vec<u32> = facts.blockers.iter().map(|blocker| blocker.socket.inode).collect();
        facts.held = search.found.iter().filter(|held| inodes.contains(&held.inode)).cloned().collect();
        let Some(first) = facts.blockers.first() else { continue };
        facts.owner = process::user_name(first.socket.uid);
        facts.closed = search.closed;
        facts.maybe_others |= search.cut_short;
        if facts.held.is_empty() && first.socket.inode != 0 {
            let key = (first.socket.uid, first.socket.cgroup);
            facts.candidates =
                candidates.entry(key).or_insert_with(|| holders::candidates(&first.socket)).clone();
        }
    }
}

/// Each failure is offered a port of its own.
fn add_free_ports(all: &mut [BindFacts]) {
    let mut offered: Vec<u16> = all.iter().map(|facts| facts.address.port()).collect();
    for facts in all {
        let port_is_the_trouble = matches!(facts.errno, libc::EADDRINUSE | libc::EACCES);
        if port_is_the_trouble && facts.address.port() != 0 {
            facts.next_free =
                ports::next_free(facts.address.port(), &[facts.address], &offered, &facts.ports);
            offered.extend(facts.next_free);
        }
    }
}

/// "Address already in use", without the "(os error 98)" that std adds.
fn os_message(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(message, _)| message.to_owned())
}

#[cfg(test)]
pub(crate) mod samples;
