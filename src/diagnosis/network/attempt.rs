//! An attempt to reach an address, and what is known about the network around it.

use std::net::{IpAddr, SocketAddr};

use crate::diagnosis::filter::{Device, Packet, Way};
use crate::diagnosis::finding::NotReadable;
use crate::probe::firewall::Firewall;
use crate::probe::network::counters::Changes;
use crate::probe::network::routing::{Link, Route, RouteKind, Routing};
use crate::probe::system::sysctl::Settings;

/// An attempt to reach an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The address that was dialled.
    pub to: SocketAddr,
    /// Our end; an unspecified address or port 0 means unknown.
    pub from: SocketAddr,
    /// How it failed: ETIMEDOUT if our time limit ended it; `None` if it succeeded.
    pub errno: Option<i32>,
    /// The user id of the attempt.
    pub uid: u32,
    /// The group id of the attempt.
    pub gid: u32,
    /// The kernel's answer about a listener at the address.
    pub listener: Listener,
}

/// The kernel's answer about a listener at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// It could not be determined, for example on another machine.
    Unknown,
    /// No socket would answer.
    Nobody,
    /// A socket would answer, the same before and after the attempt.
    Stable {
        /// The connections waiting to be accepted.
        waiting: u32,
        /// How many may wait.
        limit: u32,
    },
    /// The listener appeared, disappeared or changed during the attempt.
    Changing,
}

/// The source port assumed if that of a failed attempt is unknown: one that the kernel could have chosen.
const STAND_IN: u16 = 40_000;

/// What is known about the network around an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Links, addresses, routes.
    pub routing: &'a Routing,
    /// The kernel's settings.
    pub settings: &'a Settings,
    /// How the kernel's counters changed during the attempt.
    pub changes: &'a Changes,
    /// The packet filter before the attempt.
    pub before: &'a Firewall,
    /// The packet filter after it; equal to the one before if it was read only once.
    pub after: &'a Firewall,
}

impl Attempt {
    /// Whether both ends are on this machine. If so, no packet leaves it, and a time-out is never "the network".
    pub fn is_local(&self, routing: &Routing) -> bool {
        let local = matches!(&routing.route, Route::Way(path) if path.kind == RouteKind::Local);
        local || self.to.ip().to_canonical().is_loopback()
    }

    /// The first packet of the connection.
    pub(super) fn first_packet(&self) -> Packet {
        let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let (to, mut from) = (canonical(self.to), canonical(self.from));
        // Unless bound otherwise, a local connection comes from the address it goes to.
        if from.ip().is_unspecified() && to.ip().is_loopback() {
            from.set_ip(loopback_of(to.ip()));
        }
        if from.port() == 0 {
            from.set_port(STAND_IN);
        }
        Packet::first(from, to, self.uid, self.gid)
    }

    pub(super) fn way(&self, routing: &Routing) -> Option<Way> {
        let device = |link: &Link| Device { index: link.index, name: link.name.clone() };
        if self.is_local(routing) {
            return routing.loopback().map(|link| Way::Loopback(device(link)));
        }
        routing.way_out().map(|link| Way::Out(device(link)))
    }
}

/// A socket that dials 127.0.0.9 also gets the source address 127.0.0.1: the preferred source of the local route
/// (fib_prefsrc).
fn loopback_of(to: IpAddr) -> IpAddr {
    match to {
        IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    }
}

/// The parts of the filter that could not be read, each with the command that reads it.
pub(super) fn unread(attempt: &Attempt, firewall: &Firewall) -> Vec<NotReadable> {
    let of = |what: &String| {
        let (what, why) = what.split_once(" (").unwrap_or((what, ""));
        // "Operation not permitted", without the "(os error 1)" that std adds.
        let why = why.split(" (os error").next().unwrap_or_default();
        // The legacy rules need the program that writes them, the others loopgate as root.
        let how = match what.strip_suffix("-legacy rules") {
            Some(program) => format!("sudo {program}-legacy -vnL"),
            None => format!("sudo loopgate explain {}", attempt.to),
        };
        NotReadable { what: what.to_owned(), why: why.trim_end_matches(')').to_owned(), how }
    };
    firewall.not_readable.iter().map(of).collect()
}
