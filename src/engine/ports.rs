//! Which sockets a set of routes needs, and binding those that are new: all of them, or none.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::BindFailure;
use crate::address::Protocol;
use crate::plan::{Route, RouteName, Routes};
use crate::transport::{self, BindPolicy};

/// What identifies a listener over reloads: its protocol and address. With port 0 there are as many sockets as places
/// that say so.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Port {
    pub(super) protocol: Protocol,
    address: SocketAddr,
    /// Where the kernel chooses the port: the route, and which of its addresses.
    chosen: Option<(RouteName, usize)>,
}

impl Port {
    /// The address to bind.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A socket we hold, with its address.
#[derive(Clone, Copy)]
pub(super) struct Holder<'a> {
    pub(super) protocol: Protocol,
    pub(super) address: SocketAddr,
    pub(super) socket: &'a OwnedFd,
}

/// Every port that `routes` want, with its route.
pub(super) fn wanted(routes: &Routes) -> Vec<(Port, Arc<Route>)> {
    let ports = |route: &Arc<Route>| {
        let route = route.clone();
        let listen = route.listen.clone();
        listen.into_iter().enumerate().map(move |(n, address)| {
            let chosen = (address.port() == 0).then(|| (route.name.clone(), n));
            (Port { protocol: route.carries.protocol(), address, chosen }, route.clone())
        })
    };
    routes.values().flat_map(ports).collect()
}

/// A socket that listens and is served by nobody yet.
pub(super) struct Bound {
    pub(super) port: Port,
    pub(super) route: Arc<Route>,
    pub(super) socket: OwnedFd,
}

/// A port that is left for later, as its route's policy says.
pub(super) struct Unbound {
    pub(super) port: Port,
    pub(super) route: Arc<Route>,
    pub(super) error: io::Error,
}

/// Binds all of `new`, then opens all of them to clients. Where a new one overlaps with one of ours that goes, both share
/// the port for the moment; `leaving` are those. One that stays is in the way like any other.
///
/// Nobody can connect before every bind is done, so a refusal has cost no client anything.
pub(super) fn bind_all(
    new: Vec<(Port, Arc<Route>)>,
    leaving: &[Holder<'_>],
) -> Result<(Vec<Bound>, Vec<Unbound>), Vec<BindFailure>> {
    let (mut bound, mut unbound, mut failures) = (Vec::<Bound>::new(), Vec::new(), Vec::new());
    for (port, route) in new {
        let overlapping: Vec<_> = overlaps(&port, leaving).collect();
        match bind_shared(&port, &overlapping) {
            Ok(socket) => bound.push(Bound { port, route, socket }),
            Err(error) => refuse(port, route, error, &mut unbound, &mut failures),
        }
    }
    let mut open = Vec::new();
    for it in bound {
        let listens = match it.port.protocol {
            Protocol::Tcp => transport::listen(&it.socket),
            // A datagram needs nobody's consent: it has been listening since it was bound.
            Protocol::Udp => Ok(()),
        };
        let answer = listens.and_then(|()| transport::share_port(&it.socket, false));
        match answer {
            Ok(()) => open.push(it),
            Err(error) => refuse(it.port, it.route, error, &mut unbound, &mut failures),
        }
    }
    for holder in leaving {
        // Clearing an option of a live socket does not fail; were it left on, only a second instance could share.
        let _ = transport::share_port(holder.socket, false);
    }
    if failures.is_empty() { Ok((open, unbound)) } else { Err(failures) }
}

fn refuse(
    port: Port,
    route: Arc<Route>,
    error: io::Error,
    unbound: &mut Vec<Unbound>,
    failures: &mut Vec<BindFailure>,
) {
    match route.bind {
        BindPolicy::Retry => unbound.push(Unbound { port, route, error }),
        BindPolicy::Strict => {
            let Port { protocol, address, .. } = port;
            failures.push(BindFailure { route: route.name.clone(), protocol, address, error });
        }
    }
}

fn bind_shared(port: &Port, overlapping: &[&OwnedFd]) -> io::Result<OwnedFd> {
    for holder in overlapping {
        transport::share_port(holder, true)?;
    }
    match port.protocol {
        Protocol::Tcp => transport::bind(port.address, !overlapping.is_empty()),
        Protocol::Udp => transport::bind_datagrams(port.address, !overlapping.is_empty()),
    }
}

/// Sockets whose address covers that of `port` or is covered by it. Ours are v6only, so the families never meet.
fn overlaps<'a>(port: &Port, holders: &[Holder<'a>]) -> impl Iterator<Item = &'a OwnedFd> {
    let covers = |a: IpAddr, b: IpAddr| a.is_unspecified() || b.is_unspecified() || a == b;
    let (protocol, address) = (port.protocol, port.address);
    let meets = move |held: &&Holder<'a>| {
        held.protocol == protocol
            && held.address.port() == address.port()
            && held.address.is_ipv4() == address.is_ipv4()
            && covers(held.address.ip(), address.ip())
    };
    holders.iter().filter(meets).map(|held| held.socket)
}
