//! What is known about reaching an address. It judges nothing.

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

/// Everything that is known about one address and the way to it.
#[derive(Clone, Debug)]
pub struct ReachFacts {
    /// The address.
    pub subject: Subject,
    /// The name it was asked by, as `localhost`.
    pub name: Option<String>,
    /// What the service should speak.
    pub expect: Option<Protocol>,
    /// How long the trace was allowed to take.
    pub timeout: Duration,
    /// Whether the address is one of this machine's; then both ends of a connection can be seen.
    pub local: bool,
    /// The connections that were made.
    pub trace: Trace,
    /// The listener that the kernel would choose, before the trace and after it.
    pub before: Lookup,
    /// After the trace.
    pub after: Lookup,
    /// Every TCP socket on the port, after the trace.
    pub rows: Vec<Socket>,
    /// Who holds those that listen, each descriptor that was seen.
    pub held: Vec<Held>,
    /// Who holds the service's end of a traced connection that stayed silent.
    pub served_by: Vec<Held>,
    /// Who might hold the listener, where nobody was seen.
    pub candidates: Vec<Holder>,
    /// How many processes could not be looked into.
    pub closed: usize,
    /// Whether there may be more holders than are listed.
    pub maybe_others: bool,
    /// Signs of life of the holders, before the trace and while its connection was silent.
    pub life: Vec<Life>,
    /// A process limit that a holder has reached.
    pub process_room: Option<ProcessRoom>,
    /// Connections of the port that their other end has closed and the service has not, twice in a row.
    pub left_open: usize,
    /// The source ports towards the address, looked at where none could be had.
    pub source_ports: SourcePorts,
    /// Of an address that is not this namespace's: the namespace of this machine that has it, and its martians after the
    /// trace.
    pub beyond: Option<(Beyond, u64)>,
    /// A way on which forwards lead back to this address: the ports, this one first.
    pub ring: Vec<Hop>,
    /// How many more connections to the port its own user had made by the time a traced one had stayed silent.
    pub multiplied: usize,
    /// Whether who serves a silent connection talks to others too; `None` where that cannot be seen.
    pub talks_elsewhere: Option<bool>,
    /// Where else the service may be; looked for where nobody listens.
    pub absent: Absent,
    /// What a longer look at the listener saw.
    pub watch: Option<Watch>,
    /// Program files that changed since their process started.
    pub outdated: Vec<Outdated>,
    /// What the network counted during the trace.
    pub changes: Changes,
    /// Settings of the network.
    pub settings: Settings,
    /// The packet filter, before the trace.
    pub filter: Firewall,
    /// The same after a trace that failed.
    pub filter_after: Option<Firewall>,
    /// The user and group who try.
    pub user: (u32, u32),
    /// Links, addresses, routes.
    pub routing: Option<Routing>,
    /// The addresses of this machine.
    pub network: Network,
    /// What the kernel does with port numbers.
    pub ports: PortRules,
    /// This process's descriptors, before anything was opened.
    pub descriptors: Descriptors,
    /// What `localhost` means.
    pub localhost: Localhost,
    /// The proxy variables.
    pub proxies: Proxies,
    /// Of a UDP address.
    pub udp: Option<UdpFacts>,
    /// Of a Unix socket.
    pub unix: Option<UnixFacts>,
    /// What could not be read.
    pub not_readable: Vec<NotReadable>,
}

/// What the kernel said about the listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Lookup {
    /// It was not asked, or did not answer.
    #[default]
    Unknown,
    /// Nobody would answer.
    Nobody,
    /// This socket would.
    Found(Socket),
}

impl Lookup {
    /// The socket, where one was found.
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

/// Who has the source ports towards an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourcePorts {
    /// How many there may be.
    pub range: usize,
    /// How many connections have one, by their state.
    pub states: Vec<(TcpState, usize)>,
    /// The processes with the most of them: name, pid, how many.
    pub owners: Vec<(String, u32, usize)>,
}

impl SourcePorts {
    /// How many are in use.
    pub fn used(&self) -> usize {
        self.states.iter().map(|(_, count)| count).sum()
    }

    /// Whether all of them are.
    pub fn is_exhausted(&self) -> bool {
        self.range > 0 && self.used() >= self.range
    }
}

/// One forward of a ring: who listens, on what port, and dials which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Who carries the connection on.
    pub comm: String,
    /// His process.
    pub pid: u32,
    /// The port he listens on.
    pub port: u16,
}

/// Where else a service that is not there may be.
#[derive(Clone, Debug, Default)]
pub struct Absent {
    /// Whether it was looked for.
    pub looked: bool,
    /// UDP sockets on the port.
    pub udp: Vec<Receiver>,
    /// Listeners on the port in other network namespaces.
    pub elsewhere: Elsewhere,
    /// Listening Unix sockets that bear the port in their name.
    pub unix: Vec<Listening>,
    /// Listeners on ports that may have been meant, the best first.
    pub near: Vec<Socket>,
    /// The service that the port is known for.
    pub usual: Option<String>,
    /// Processes killed for memory.
    pub kills: Kills,
    /// Who holds the sockets above.
    pub held: Vec<Held>,
}

/// What a look at the listener over some time saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// How long it was.
    pub lasted: Duration,
    /// How often a listener came.
    pub came: u32,
    /// How often one went.
    pub went: u32,
    /// The sockets that listened, one after another, by inode.
    pub inodes: Vec<u32>,
    /// Their processes, where they could be named.
    pub holders: Vec<Holder>,
    /// Whether one listens at the end.
    pub up: bool,
}

/// A process whose program was replaced under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outdated {
    /// The process.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// The file.
    pub file: String,
    /// Whether the file is gone; otherwise it was changed after the start.
    pub deleted: bool,
}

/// Of a UDP address.
#[derive(Clone, Debug, Default)]
pub struct UdpFacts {
    /// Every UDP socket on the port.
    pub rows: Vec<Receiver>,
    /// The one a datagram reaches.
    pub receiver: Option<Socket>,
    /// What was sent and what came of it.
    pub sending: Sending,
    /// Whether a TCP listener has the port.
    pub tcp: Option<Socket>,
}

/// Of a Unix socket.
#[derive(Clone, Debug, Default)]
pub struct UnixFacts {
    /// Who listens, before the trace; `None` where nobody of this network namespace does.
    pub before: Option<Listening>,
    /// The same after it.
    pub after: Option<Listening>,
    /// Why that could not be said.
    pub unreadable: Option<String>,
    /// The way to the file.
    pub walk: Walk,
}

impl ReachFacts {
    /// The address and port, of a TCP or UDP subject.
    pub fn address(&self) -> Option<std::net::SocketAddr> {
        match self.subject {
            Subject::Tcp(address) | Subject::Udp(address) => Some(address),
            Subject::Unix(_) => None,
        }
    }

    /// Its IP address, IPv4 where it is one in the clothes of IPv6.
    pub fn ip(&self) -> Option<IpAddr> {
        self.address().map(|address| address.ip().to_canonical())
    }

    /// Its port; 0 of a Unix socket.
    pub fn port(&self) -> u16 {
        self.address().map_or(0, |address| address.port())
    }

    /// The connection that tells most: the first.
    pub fn first(&self) -> Option<&Connection> {
        self.trace.connections.first()
    }

    /// The sockets on the port that listen.
    pub fn listening(&self) -> impl Iterator<Item = &Socket> {
        self.rows.iter().filter(|row| row.state == TcpState::Listen)
    }

    /// The listener that answers, or answered.
    pub fn listener(&self) -> Option<&Socket> {
        self.after.socket().or(self.before.socket())
    }

    /// Who holds a socket, the oldest first.
    pub fn holders_of(&self, inode: u32) -> Vec<&Holder> {
        let all = self.held.iter().chain(&self.served_by).chain(&self.absent.held);
        let mut holders: Vec<&Holder> = Vec::new();
        for held in all.filter(|held| held.inode == inode && inode != 0) {
            if !holders.iter().any(|holder| holder.pid == held.holder.pid) {
                holders.push(&held.holder);
            }
        }
        holders.sort_by_key(|holder| (std::cmp::Reverse(holder.age), holder.pid));
        holders
    }

    /// Who holds what listens at the address.
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
        };
        inode.map_or(Vec::new(), |inode| self.holders_of(inode))
    }
}
