//! The facts about reaching an address, without any judgement.

use std::net::IpAddr;
use std::time::Duration;

use crate::diagnosis::finding::{NotReadable, Subject};
use crate::outcome::Holder;
use crate::probe::firewall::Firewall;
use crate::probe::network::Network;
use crate::probe::network::counters::Changes;
use crate::probe::network::resolver::Localhost;
use crate::probe::network::routing::Routing;
use crate::probe::process::holders::Held;
use crate::probe::process::memory::Kills;
use crate::probe::process::process_stats::{ProcessRoom, Vitals};
use crate::probe::sockets::namespaces::{Beyond, Elsewhere};
use crate::probe::sockets::ports::PortRules;
use crate::probe::sockets::udp::{Receiver, Sending};
use crate::probe::sockets::unix::{Listening, Walk};
use crate::probe::sockets::{Socket, TcpState};
use crate::probe::system::environment::Proxies;
use crate::probe::system::limits::Descriptors;
use crate::probe::system::sysctl::Settings;
use crate::probe::trace::protocol::Protocol;
use crate::probe::trace::{Connection, Trace};

/// Everything known about one address and the path to it.
#[derive(Clone, Debug)]
pub struct ReachFacts {
    /// The address.
    pub subject: Subject,
    /// The name the user gave instead of the address, such as `localhost`.
    pub name: Option<String>,
    /// The protocol the service is expected to speak.
    pub expect: Option<Protocol>,
    /// How long one connection of the trace may take, from the dial on.
    pub timeout: Duration,
    /// Whether the address is one of this machine's, so that both ends of a connection can be seen.
    pub local: bool,
    /// The connections that were made.
    pub trace: Trace,
    /// The listener that the kernel would choose, before the trace.
    pub before: Lookup,
    /// The same after the trace.
    pub after: Lookup,
    /// Every TCP socket on the port, after the trace.
    pub rows: Vec<Socket>,
    /// The descriptors that hold the listeners, as far as they could be seen.
    pub held: Vec<Held>,
    /// The descriptors that hold the service's end of a traced connection that stayed silent.
    pub served_by: Vec<Held>,
    /// The processes that might hold the listener, if no holder was seen.
    pub candidates: Vec<Holder>,
    /// How many processes could not be inspected.
    pub closed: usize,
    /// Whether there may be more holders than are listed.
    pub maybe_others: bool,
    /// The activity of the holders, before the trace and while its connection was silent.
    pub life: Vec<Life>,
    /// A process limit that a holder has reached.
    pub process_room: Option<ProcessRoom>,
    /// How many connections of the port the other end has closed and the service has not, in two samples in a row.
    pub left_open: usize,
    /// The source ports towards the address, read only if none was available.
    pub source_ports: SourcePorts,
    /// For an address outside this network namespace: the namespace of this machine that has it, and its count of
    /// martian packets after the trace.
    pub beyond: Option<(Beyond, u64)>,
    /// A loop of forwards back to this address: their ports, this one first.
    pub ring: Vec<Hop>,
    /// How many more connections to the port the listener's own user made while a traced one stayed silent.
    pub multiplied: usize,
    /// Whether the process that serves a silent connection has other connections too; `None` if that cannot be seen.
    pub talks_elsewhere: Option<bool>,
    /// Where else the service may be; searched only if nothing listens.
    pub absent: Absent,
    /// The result of watching the listener for a longer time.
    pub watch: Option<Watch>,
    /// Program files that changed since their process started.
    pub outdated: Vec<Outdated>,
    /// How the network counters changed during the trace.
    pub changes: Changes,
    /// Settings of the network.
    pub settings: Settings,
    /// The packet filter, before the trace.
    pub filter: Firewall,
    /// The packet filter after a failed trace.
    pub filter_after: Option<Firewall>,
    /// The user id and group id of this process.
    pub user: (u32, u32),
    /// Links, addresses, routes.
    pub routing: Option<Routing>,
    /// The addresses of this machine.
    pub network: Network,
    /// The kernel's rules for port numbers.
    pub ports: PortRules,
    /// The descriptors of this process, before the diagnosis opened any.
    pub descriptors: Descriptors,
    /// What `localhost` resolves to.
    pub localhost: Localhost,
    /// The proxy variables of the environment.
    pub proxies: Proxies,
    /// Facts about a UDP address.
    pub udp: Option<UdpFacts>,
    /// Facts about a Unix socket.
    pub unix: Option<UnixFacts>,
    /// What could not be read.
    pub not_readable: Vec<NotReadable>,
}

/// The kernel's answer about the listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Lookup {
    /// The kernel was not asked, or did not answer.
    #[default]
    Unknown,
    /// No socket would answer.
    Nobody,
    /// This socket would answer.
    Found(Socket),
}

impl Lookup {
    /// The socket, if one was found.
    pub fn socket(&self) -> Option<&Socket> {
        match self {
            Lookup::Found(socket) => Some(socket),
            _ => None,
        }
    }
}

/// One process at two moments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Before the trace.
    pub before: Vitals,
    /// While its connection was silent, or after the trace.
    pub after: Vitals,
}

/// The use of the source ports towards an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourcePorts {
    /// How many the kernel may use.
    pub range: usize,
    /// How many connections use one, by state.
    pub states: Vec<(TcpState, usize)>,
    /// The processes that use the most: name, pid, count.
    pub owners: Vec<(String, u32, usize)>,
}

impl SourcePorts {
    /// How many are in use.
    pub fn used(&self) -> usize {
        self.states.iter().map(|(_, count)| count).sum()
    }

    /// Whether all are in use.
    pub fn is_exhausted(&self) -> bool {
        self.range > 0 && self.used() >= self.range
    }
}

/// One forward of a loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The name of the forwarding process.
    pub comm: String,
    /// Its pid.
    pub pid: u32,
    /// The port it listens on.
    pub port: u16,
}

/// Where a service that is not at its address may be instead.
#[derive(Clone, Debug, Default)]
pub struct Absent {
    /// Whether the search took place.
    pub looked: bool,
    /// UDP sockets on the port.
    pub udp: Vec<Receiver>,
    /// Listeners on the port in other network namespaces.
    pub elsewhere: Elsewhere,
    /// Listening Unix sockets with the port in their name.
    pub unix: Vec<Listening>,
    /// Listeners on ports that may be the intended ones, the best first.
    pub near: Vec<Socket>,
    /// The service the port is known for.
    pub usual: Option<String>,
    /// Processes that the kernel killed because memory ran out.
    pub kills: Kills,
    /// The descriptors that hold the sockets above.
    pub held: Vec<Held>,
}

/// The result of watching the listener over some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// How long it was watched.
    pub lasted: Duration,
    /// How often a listener appeared.
    pub came: u32,
    /// How often one disappeared.
    pub went: u32,
    /// The inodes of the sockets that listened, one after another.
    pub inodes: Vec<u32>,
    /// Their processes, if they could be identified.
    pub holders: Vec<Holder>,
    /// Whether one listened at the end.
    pub up: bool,
}

/// A process whose program file was replaced while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outdated {
    /// Its pid.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// The program file.
    pub file: String,
    /// Whether the file was deleted; otherwise it was changed after the start.
    pub deleted: bool,
}

/// Facts about a UDP address.
#[derive(Clone, Debug, Default)]
pub struct UdpFacts {
    /// Every UDP socket on the port.
    pub rows: Vec<Receiver>,
    /// The socket that a datagram reaches.
    pub receiver: Option<Socket>,
    /// What was sent, and the result.
    pub sending: Sending,
    /// The TCP listener on the port, if any.
    pub tcp: Option<Socket>,
}

/// Facts about a Unix socket.
#[derive(Clone, Debug, Default)]
pub struct UnixFacts {
    /// The listener before the trace; `None` if no socket of this network namespace listens.
    pub before: Option<Listening>,
    /// The listener after the trace.
    pub after: Option<Listening>,
    /// Why the listener could not be determined.
    pub unreadable: Option<String>,
    /// The folders on the path to the file, and the file.
    pub walk: Walk,
}

impl ReachFacts {
    /// The address and port of a TCP or UDP subject.
    pub fn address(&self) -> Option<std::net::SocketAddr> {
        match self.subject {
            Subject::Tcp(address) | Subject::Udp(address) => Some(address),
            Subject::Unix(_) | Subject::Tunnel { .. } => None,
        }
    }

    /// Its IP address; an IPv4-mapped IPv6 address becomes IPv4.
    pub fn ip(&self) -> Option<IpAddr> {
        self.address().map(|address| address.ip().to_canonical())
    }

    /// Its port; 0 for a Unix socket.
    pub fn port(&self) -> u16 {
        self.address().map_or(0, |address| address.port())
    }

    /// The first connection, which is the most informative.
    pub fn first(&self) -> Option<&Connection> {
        self.trace.connections.first()
    }

    /// The listening sockets on the port.
    pub fn listening(&self) -> impl Iterator<Item = &Socket> {
        self.rows.iter().filter(|row| row.state == TcpState::Listen)
    }

    /// The listener that answers now, or answered before the trace.
    pub fn listener(&self) -> Option<&Socket> {
        self.after.socket().or(self.before.socket())
    }

    /// The processes that hold a socket, the oldest first.
    pub fn holders_of(&self, inode: u32) -> Vec<&Holder> {
        let all = self.held.iter().chain(&self.served_by).chain(&self.absent.held);
        let mut holders: Vec<&Holder> = Vec::new();
        for held in all.filter(|held| held.inode == inode && inode != 0) {
            if !holders.iter().any(|holder| holder.pid == held.holder.pid) {
                holders.push(&held.holder);
            }
        }
        holders.sort_by_key(|holder| holder.seniority());
        holders
    }

    /// The processes that hold the listener at the address.
    pub fn holders(&self) -> Vec<&Holder> {
        let inode = match &self.subject {
            Subject::Tcp(_) => self.listener().map(|socket| socket.inode),
            Subject::Udp(_) => {
                self.udp.as_ref().and_then(|udp| udp.receiver.as_ref()).map(|socket| socket.inode)
            }
            Subject::Unix(_) => self
                .unix
                .as_ref()
                .and_then(|unix| unix.after.as_ref().or(unix.before.as_ref()))
                .map(|one| one.inode),
            Subject::Tunnel { .. } => None,
        };
        inode.map_or(Vec::new(), |inode| self.holders_of(inode))
    }
}
