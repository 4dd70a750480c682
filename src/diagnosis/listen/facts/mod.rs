//! The facts about a failed bind, and the functions that gather them.
//!
//! The only judgement here is which sockets overlap the wanted address. Facts that several failures share are read
//! once: a start with a thousand routes searches the processes one time.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::overlap::{Overlap, overlap};
use crate::diagnosis::errno::os_message;
use crate::outcome::Holder;
use crate::probe::network::routing::{self, Link};
use crate::probe::network::{self, Network};
use crate::probe::process::holders::{self, Held};
use crate::probe::process::{self, is_proc_mounted, program};
use crate::probe::sockets::ports::{self, PortRules, Sharing, Transport, try_bind};
use crate::probe::sockets::{self, Socket, Sockets, TcpState};
use crate::probe::system::limits::{self, Descriptors};
use crate::probe::system::rights::Rights;
use crate::probe::system::systemd;

/// A socket that overlaps the wanted address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blocker {
    /// The socket.
    pub(super) socket: Socket,
    /// How it covers the wanted address.
    pub(super) overlap: Overlap,
    /// Whether the other end of its connection is a listener of this machine; if so, this end dialled.
    pub(super) remote_listens: bool,
    /// The name of the interface it is bound to (SO_BINDTODEVICE).
    pub(super) device: Option<String>,
}

/// Everything known about one failed bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BindFacts {
    /// The wanted address.
    pub(super) address: SocketAddr,
    /// TCP or UDP.
    pub(super) transport: Transport,
    /// The errno of the failed call; 0 if the error was not an errno.
    pub(super) errno: i32,
    /// The system's message for that errno.
    pub(super) os_message: String,
    /// The sockets that overlap it, the best explanation first.
    pub(super) blockers: Vec<Blocker>,
    /// The descriptors that hold them, as far as they could be seen.
    pub(super) held: Vec<Held>,
    /// The processes that might hold them, if no holder was seen.
    pub(super) candidates: Vec<Holder>,
    /// The pids of holders whose program cannot accept connections at all.
    pub(super) idle: Vec<u32>,
    /// Whether the first blocker shares its port by SO_REUSEPORT; `None` if that could not be determined.
    pub(super) shares: Option<bool>,
    /// The systemd socket unit that listens on the port, if systemd holds it.
    pub(super) socket_unit: Option<String>,
    /// The name of the first blocker's user.
    pub(super) owner: Option<String>,
    /// How many processes could not be inspected.
    pub(super) closed: usize,
    /// Whether /proc hides the processes of other users (hidepid).
    pub(super) hidepid: bool,
    /// Whether there may be more sockets or holders than are listed.
    pub(super) maybe_others: bool,
    /// What could not be read, and why.
    pub(super) not_readable: Vec<String>,
    /// A port that is free now.
    pub(super) next_free: Option<u16>,
    /// The command that starts this program with that port; empty if there is none.
    pub(super) instead: Vec<String>,
    /// Other addresses of this machine on which the same port is free now.
    pub(super) free_beside: Vec<IpAddr>,
    /// The kernel's rules for port numbers.
    pub(super) ports: PortRules,
    /// The rights of this process.
    pub(super) rights: Rights,
    /// The descriptors of this process.
    pub(super) descriptors: Descriptors,
    /// The addresses of this machine.
    pub(super) network: Network,
    /// The links of this machine; empty if they could not be read.
    pub(super) links: Vec<Link>,
    /// The index of the link that has the wanted address.
    pub(super) link: Option<u32>,
    /// Whether IPv6 is switched off for the link that should have the address (disable_ipv6).
    pub(super) ipv6_off: bool,
}

/// An address on which listening failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed<'a> {
    /// The address.
    pub(super) address: SocketAddr,
    /// TCP or UDP.
    pub(super) transport: Transport,
    /// The error of bind(2) or listen(2).
    pub(super) error: &'a io::Error,
}

/// At most this many blockers are kept; a report shows three.
const MAX_BLOCKERS: usize = 64;

/// Gathers the facts of several failed binds.
pub(super) fn gather(failures: &[Failed<'_>]) -> Vec<BindFacts> {
    // Count before this function opens descriptors itself.
    let blank = BindFacts::of_machine();
    let mut tables: BTreeMap<(u16, Transport), Sockets> = BTreeMap::new();
    let mut all: Vec<BindFacts> = Vec::with_capacity(failures.len());
    for Failed { address, transport, error } in failures {
        let mut facts = BindFacts {
            address: *address,
            transport: *transport,
            errno: error.raw_os_error().unwrap_or(0),
            os_message: os_message(error),
            ..blank.clone()
        };
        if facts.errno == libc::EADDRINUSE && address.port() != 0 {
            let key = (address.port(), *transport);
            let table = tables.entry(key).or_insert_with(|| on_port(address.port(), *transport));
            facts.take_blockers(table);
        }
        facts.find_link();
        all.push(facts);
    }
    add_holders(&mut all);
    add_free_ports(&mut all);
    all
}

/// Gathers the facts of one failed bind.
pub(super) fn gather_one(failed: Failed<'_>) -> BindFacts {
    let [facts] = gather(&[failed]).try_into().unwrap_or_else(|_| unreachable!("one in, one out"));
    facts
}

/// The sockets of one transport on a port.
pub(super) fn on_port(port: u16, transport: Transport) -> Sockets {
    match transport {
        Transport::Tcp => sockets::on_port(port),
        Transport::Udp => sockets::udp_on_port(port),
    }
}

/// What is not readable where processes cannot be seen.
pub(crate) const PROC: &str = "/proc (not mounted)";

impl BindFacts {
    /// The facts that are the same for every address of this machine.
    pub(super) fn of_machine() -> BindFacts {
        let descriptors = limits::descriptors();
        BindFacts {
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            transport: Transport::Tcp,
            errno: 0,
            os_message: String::new(),
            blockers: Vec::new(),
            held: Vec::new(),
            candidates: Vec::new(),
            idle: Vec::new(),
            shares: None,
            socket_unit: None,
            owner: None,
            closed: 0,
            hidepid: false,
            maybe_others: false,
            not_readable: if is_proc_mounted() { Vec::new() } else { vec![PROC.to_owned()] },
            next_free: None,
            instead: Vec::new(),
            free_beside: Vec::new(),
            ports: PortRules::read(),
            rights: Rights::read(),
            descriptors,
            network: Network::read(),
            links: routing::links().unwrap_or_default(),
            link: None,
            ipv6_off: false,
        }
    }

    /// Finds the link the wanted address belongs to, and whether IPv6 is off there.
    pub(super) fn find_link(&mut self) {
        let ip = self.address.ip();
        let own = routing::addresses().unwrap_or_default().into_iter().find(|own| own.ip == ip);
        let loopback = self.links.iter().find(|link| link.loopback).map(|link| link.index);
        self.link = own.map(|own| own.link).or(loopback.filter(|_| ip.is_loopback()));
        let name = self.link.and_then(|index| self.links.iter().find(|link| link.index == index));
        self.ipv6_off = ip.is_ipv6() && network::ipv6_is_off(name.map_or("all", |link| &link.name));
    }

    /// The link the wanted address belongs to.
    pub(super) fn own_link(&self) -> Option<&Link> {
        self.links.iter().find(|link| Some(link.index) == self.link)
    }

    /// Keeps the sockets of `table` that overlap the wanted address.
    pub(super) fn take_blockers(&mut self, table: &Sockets) {
        let overlapping =
            table.rows.iter().filter_map(|socket| Some((overlap(self.address, socket)?, socket)));
        let mut blockers: Vec<(Overlap, &Socket)> = overlapping.collect();
        blockers.sort_by_key(|(overlap, socket)| (rank(socket), *overlap));
        self.maybe_others = table.truncated || blockers.len() > MAX_BLOCKERS;
        self.not_readable.retain(|what| what == PROC);
        self.not_readable.extend(table.not_readable.iter().cloned());
        self.blockers = blockers
            .into_iter()
            .take(MAX_BLOCKERS)
            .map(|(overlap, socket)| Blocker {
                remote_listens: remote_listens(socket),
                device: device(&self.links, socket.interface),
                socket: socket.clone(),
                overlap,
            })
            .collect();
    }
}

/// A listener blocks the bind for certain, a bound socket very likely, a connection only without SO_REUSEADDR.
fn rank(socket: &Socket) -> u8 {
    match socket.state {
        TcpState::Listen => 0,
        // A socket that is only bound shows as either, depending on the kernel version.
        TcpState::Close | TcpState::BoundInactive => 1,
        _ if socket.inode != 0 => 2,
        _ => 3,
    }
}

/// The name of the interface a socket is bound to. A link-local address also carries an index, without being bound.
fn device(links: &[Link], index: u32) -> Option<String> {
    links.iter().find(|link| link.index == index).map(|link| link.name.clone())
}

/// Asks only about an end on this machine: a wildcard listener would match any other address as well.
fn remote_listens(socket: &Socket) -> bool {
    let (local, remote) = (socket.local.ip().to_canonical(), socket.remote.ip().to_canonical());
    let here = remote.is_loopback() || remote == local;
    socket.inode != 0
        && socket.remote.port() != 0
        && here
        && sockets::listening(socket.remote).unwrap_or(false)
}

/// Finds the holders for all failures with one search.
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
        facts.hidepid = search.hidepid;
        facts.maybe_others |= search.cut_short;
        // A process that was inspected and does not have the socket is no candidate.
        let unseen = search.closed > 0 || search.cut_short;
        if facts.held.is_empty() && first.socket.inode != 0 && unseen {
            let key = (first.socket.uid, first.socket.cgroup);
            facts.candidates =
                candidates.entry(key).or_insert_with(|| holders::candidates(&first.socket)).clone();
        }
        facts.add_habits();
    }
}

/// At most this many holders of one socket have their program inspected; a larger group is a server's.
const MAX_IDLE: usize = 4;

impl BindFacts {
    /// Reads what the first blocker's holders are: programs that cannot serve, systemd on behalf of a unit, a socket
    /// that shares its port.
    fn add_habits(&mut self) {
        let Some(first) = self.blockers.first() else { return };
        let inode = first.socket.inode;
        let held: Vec<&Held> = self.held.iter().filter(|held| held.inode == inode).collect();
        let Some(one) = held.first() else { return };
        if first.socket.state == TcpState::Listen && held.len() <= MAX_IDLE {
            let idle =
                held.iter().map(|held| held.holder.pid).filter(|pid| program::can_serve(*pid) == Some(false));
            self.idle = idle.collect();
        }
        if first.socket.uid != self.rights.uid {
            self.shares = holders::shares_port(one);
        }
        let systemd = held.iter().any(|held| held.holder.pid == 1 && held.holder.comm == "systemd");
        self.socket_unit = systemd.then(|| systemd::listening_on(self.address.port())).flatten();
    }
}

/// Finds a different free port for each failure.
fn add_free_ports(all: &mut [BindFacts]) {
    let mut offered: Vec<u16> = all.iter().map(|facts| facts.address.port()).collect();
    for facts in all {
        let port_is_the_trouble = matches!(facts.errno, libc::EADDRINUSE | libc::EACCES);
        if port_is_the_trouble && facts.address.port() != 0 {
            let wanted = [(facts.address, facts.transport)];
            facts.next_free = ports::next_free(facts.address.port(), &wanted, &offered, &facts.ports);
            offered.extend(facts.next_free);
            facts.try_beside();
        }
    }
}

/// At most this many addresses beside the wanted one are tried.
const MAX_BESIDE: usize = 8;

impl BindFacts {
    /// If the port is taken, tries it on the loopback addresses and on the addresses of this machine.
    fn try_beside(&mut self) {
        if self.errno != libc::EADDRINUSE {
            return;
        }
        let loopback = [[127, 0, 0, 1].into(), [127, 0, 0, 2].into(), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let mut beside: Vec<IpAddr> = loopback.into_iter().chain(self.network.addresses()).collect();
        let mut seen = BTreeSet::from([self.address.ip()]);
        beside.retain(|ip| seen.insert(*ip));
        let free = |ip: &IpAddr| {
            try_bind(SocketAddr::new(*ip, self.address.port()), self.transport, Sharing::No).is_ok()
        };
        self.free_beside = beside.into_iter().take(MAX_BESIDE).filter(free).collect();
    }
}

#[cfg(test)]
pub(crate) mod samples;
