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
    /// Whom it was for.
    pub to: SocketAddr,
    /// Our end; an unspecified address and port 0 are not known.
    pub from: SocketAddr,
    /// How it failed: ETIMEDOUT where it was given up; `None` where it succeeded.
    pub errno: Option<i32>,
    /// The user who tried.
    pub uid: u32,
    /// His group.
    pub gid: u32,
    /// What the kernel's look-up says about a listener.
    pub listener: Listener,
}

/// What the kernel's look-up says about a listener at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// It could not be asked, as on another machine.
    Unknown,
    /// Nobody would answer.
    Nobody,
    /// Somebody would, and it was the same socket before and after the attempt.
    Stable {
        /// The connections that wait to be accepted.
        waiting: u32,
        /// How many may.
        limit: u32,
    },
    /// It came, went or changed meanwhile.
    Changing,
}

/// Where the source port of a failed attempt is not known, one of those that could have been drawn.
const STAND_IN: u16 = 40_000;

/// What is known about the network around an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Links, addresses, routes.
    pub routing: &'a Routing,
    /// The kernel's settings.
    pub settings: &'a Settings,
    /// What was counted during the attempt.
    pub changes: &'a Changes,
    /// The packet filter before the attempt.
    pub before: &'a Firewall,
    /// The same after it; equal to the one before where it was read once.
    pub after: &'a Firewall,
}

impl Attempt {
    /// Whether both ends are on this machine: then no packet of it leaves, and a time-out is never "the network".
    pub fn is_local(&self, routing: &Routing) -> bool {
        let local = matches!(&routing.route, Route::Way(path) if path.kind == RouteKind::Local);
        local || self.to.ip().to_canonical().is_loopback()
    }

    /// The packet that asks.
    pub(super) fn first_packet(&self) -> Packet {
        let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let (to, mut from) = (canonical(self.to), canonical(self.from));
        // A local connection without another wish comes from the address it goes to.
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

/// The kernel gives 127.0.0.1 to whoever dials 127.0.0.9 as well: the address with the local route, fib_prefsrc.
fn loopback_of(to: IpAddr) -> IpAddr {
    match to {
        IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    }
}

/// What could not be read of the filter, for whom it would have told more.
pub(super) fn unread(attempt: &Attempt, firewall: &Firewall) -> Vec<NotReadable> {
    let of = |what: &String| {
        let (what, why) = what.split_once(" (").unwrap_or((what, ""));
        // "Operation not permitted", without the "(os error 1)" that std adds.
        let why = why.split(" (os error").next().unwrap_or_default();
        // Root reads them with the program they are written by; anybody else has to become root first.
        let how = match what.strip_suffix("-legacy rules") {
            Some(program) => format!("sudo {program}-legacy -vnL"),
            None => format!("sudo loopgate explain {}", attempt.to),
        };
        NotReadable { what: what.to_owned(), why: why.trim_end_matches(')').to_owned(), how }
    };
    firewall.not_readable.iter().map(of).collect()
}
