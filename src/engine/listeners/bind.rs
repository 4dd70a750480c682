//! Which sockets a set of routes needs, and binding those that are new: all of them, or none.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::address::{ListenAddress, NetListen, Numbered, Protocol};
use crate::engine::api::{BindFailure, Wanted};
use crate::plan::{Route, RouteId, Routes, Source};
use crate::transport::{self, BindPolicy};

/// What identifies a listener over reloads: its protocol and address. With port 0 there are as many sockets as places
/// that say so.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Port {
    pub(crate) protocol: Protocol,
    address: ListenAddress,
    /// Where the kernel chooses the port: the route, and which of its addresses.
    chosen: Option<(RouteId, usize)>,
}

impl Port {
    /// The address to bind.
    pub(crate) fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// The same with the number that the kernel has chosen; `None` of a Unix socket.
    pub(crate) fn numbered(&self, number: u16) -> Option<NetListen> {
        match &self.address {
            ListenAddress::Net(net) => Some(NetListen { port: number, ..net.clone() }),
            ListenAddress::Unix(_) => None,
        }
    }

    /// Whether the kernel chooses its number.
    pub(crate) fn is_chosen(&self) -> bool {
        self.chosen.is_some()
    }
}

/// Every port that the routes of a source want.
pub(crate) fn wanted(source: &Source, routes: &Routes) -> impl Iterator<Item = (Port, Wanted)> {
    routes.iter().flat_map(|(name, route)| {
        let id = RouteId { source: source.clone(), name: name.clone() };
        of_route(&id, route).collect::<Vec<_>>()
    })
}

/// Every port that one route wants, in the order of its addresses.
pub(crate) fn of_route(id: &RouteId, route: &Arc<Route>) -> impl Iterator<Item = (Port, Wanted)> {
    route.listen.iter().enumerate().map(|(place, address)| {
        let chosen = (address.port() == Some(0)).then(|| (id.clone(), place));
        (
            Port { protocol: route.carries.protocol(), address: address.clone(), chosen },
            Wanted { id: id.clone(), route: route.clone(), place },
        )
    })
}

/// A socket that listens and is served by nobody yet.
pub(crate) struct Bound {
    pub(crate) port: Port,
    pub(crate) by: Wanted,
    pub(crate) bound: transport::Bound,
}

/// A port that is left for later, as its route's policy says.
pub(crate) struct Unbound {
    pub(crate) port: Port,
    pub(crate) by: Wanted,
    pub(crate) error: io::Error,
}

/// Sockets of ours that go, by port.
pub(crate) type Leaving<'s> = HashMap<(Protocol, u16), Vec<(NetListen, &'s OwnedFd)>>;

/// Binds all of `new`, then opens all of them to clients. Where a new one overlaps with one of ours that goes, both share
/// the port for the moment; `leaving` are those. One that stays is in the way like any other.
///
/// Nobody can connect before every bind is done, so a refusal has cost no client anything.
pub(crate) fn bind_all(
    new: Vec<(Port, Wanted)>,
    leaving: &Leaving<'_>,
) -> Result<(Vec<Bound>, Vec<Unbound>), Vec<BindFailure>> {
    let (mut all, mut unbound, mut failures) = (Vec::<Bound>::new(), Vec::new(), Vec::new());
    let mut sharing: Vec<&OwnedFd> = Vec::new();
    for (port, by) in new {
        let overlapping = overlaps(&port, leaving);
        match bind_shared(&port, &by, &overlapping) {
            Ok(bound) => all.push(Bound { port, by, bound }),
            Err(error) => refuse(port, by, error, &mut unbound, &mut failures),
        }
        sharing.extend(overlapping);
    }
    let mut open = Vec::with_capacity(all.len());
    for it in all {
        match open_to_clients(&it) {
            Ok(()) => open.push(it),
            Err(error) => refuse(it.port, it.by, error, &mut unbound, &mut failures),
        }
    }
    for holder in sharing {
        // Clearing an option of a live socket does not fail; were it left on, only a second instance could share.
        let _ = transport::share_port(holder, false);
    }
    if failures.is_empty() { Ok((open, unbound)) } else { Err(failures) }
}

fn open_to_clients(it: &Bound) -> io::Result<()> {
    // A datagram needs nobody's consent: it has been listening since it was bound.
    if it.port.protocol == Protocol::Tcp {
        transport::listen(&it.bound.socket)?;
    }
    match it.port.address() {
        ListenAddress::Net(_) => transport::share_port(&it.bound.socket, false),
        ListenAddress::Unix(_) => Ok(()),
    }
}

fn refuse(
    port: Port,
    by: Wanted,
    error: io::Error,
    unbound: &mut Vec<Unbound>,
    failures: &mut Vec<BindFailure>,
) {
    match by.route.bind {
        BindPolicy::Retry => unbound.push(Unbound { port, by, error }),
        BindPolicy::Strict => {
            let Port { protocol, address, .. } = port;
            failures.push(BindFailure { route: by.id, protocol, address, error });
        }
    }
}

fn bind_shared(port: &Port, by: &Wanted, overlapping: &[&OwnedFd]) -> io::Result<transport::Bound> {
    for holder in overlapping {
        transport::share_port(holder, true)?;
    }
    let share = !overlapping.is_empty();
    match (port.protocol, port.address()) {
        (Protocol::Udp, ListenAddress::Net(net)) => {
            let socket = transport::bind_datagrams(transport::socket_address(net)?, share)?;
            Ok(transport::Bound { file: None, socket })
        }
        (_, address) => {
            let bound = transport::bind(address, &by.route.socket_file, share)?;
            if let ListenAddress::Net(net) = address {
                by.route.upkeep.set_up(&bound.socket, net.ip)?;
            }
            Ok(bound)
        }
    }
}

/// Sockets whose address covers that of `port` or is covered by it.
fn overlaps<'s>(port: &Port, leaving: &Leaving<'s>) -> Vec<&'s OwnedFd> {
    let ListenAddress::Net(new) = port.address() else { return Vec::new() };
    let on_port = leaving.get(&(port.protocol, new.port)).into_iter().flatten();
    let covers = |a: &NetListen, b: &NetListen| a.covers(b.ip.to_canonical());
    on_port.filter(|(held, _)| covers(held, new) || covers(new, held)).map(|(_, socket)| *socket).collect()
}
