//! The sockets that routes and services need, and binding the new ones: all of them, or none.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::address::{ListenAddress, NetListen, Numbered, Protocol};
use crate::engine::api::{BindFailure, Wanted, Wants};
use crate::engine::service::{Owner, Service, ServiceId};
use crate::plan::{Route, RouteId, Source};
use crate::transport::{self, BindPolicy, Congestion, SocketFile, Upkeep};

/// What identifies a listener across reloads: its protocol and address. Each port 0 in a route is a socket of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Port {
    pub(crate) protocol: Protocol,
    address: ListenAddress,
    /// If the kernel chooses the port: its owner, and the index of the address there.
    chosen: Option<(Owner, usize)>,
    /// Whether it is a UDP port of a service: its listener serves no route, nor that of a route a service.
    is_given: bool,
}

impl Port {
    /// The address to bind.
    pub(crate) fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// The address with the number that the kernel has chosen; `None` for a Unix socket.
    pub(crate) fn numbered(&self, number: u16) -> Option<NetListen> {
        match &self.address {
            ListenAddress::Net(net) => Some(NetListen { port: number, ..net.clone() }),
            ListenAddress::Unix(_) | ListenAddress::There(_) => None,
        }
    }

    /// Whether the kernel chooses its number.
    pub(crate) fn is_chosen(&self) -> bool {
        self.chosen.is_some()
    }
}

/// A service that wants a port, and the index of the address among the service's own.
#[derive(Clone)]
pub(crate) struct ServiceWanted {
    pub(crate) id: ServiceId,
    pub(crate) service: Arc<Service>,
    pub(crate) place: usize,
}

/// What wants a port.
#[derive(Clone)]
pub(crate) enum WantedBy {
    Route(Wanted),
    Service(ServiceWanted),
}

impl WantedBy {
    pub(crate) fn owner(&self) -> Owner {
        match self {
            WantedBy::Route(by) => Owner::Route(by.id.clone()),
            WantedBy::Service(by) => Owner::Service(by.id.clone()),
        }
    }

    /// The index of the address among the owner's.
    pub(crate) fn place(&self) -> usize {
        match self {
            WantedBy::Route(by) => by.place,
            WantedBy::Service(by) => by.place,
        }
    }

    /// The mode and owner of the file of a Unix socket.
    pub(crate) fn socket_file(&self) -> &SocketFile {
        match self {
            WantedBy::Route(by) => &by.route.socket_file,
            WantedBy::Service(by) => &by.service.socket_file,
        }
    }

    /// What happens if the bind fails.
    fn bind(&self) -> BindPolicy {
        match self {
            WantedBy::Route(by) => by.route.bind,
            WantedBy::Service(by) => by.service.bind,
        }
    }

    /// The timers of its connections.
    fn upkeep(&self) -> Upkeep {
        match self {
            WantedBy::Route(by) => by.route.upkeep,
            WantedBy::Service(_) => Upkeep::default(),
        }
    }

    /// The congestion control of its connections.
    fn congestion(&self) -> Congestion {
        match self {
            WantedBy::Route(by) => by.route.dial.from.congestion.clone(),
            WantedBy::Service(by) => by.service.congestion.clone(),
        }
    }

    /// Whether nothing has changed from one declaration to the next: equal routes are one object (see
    /// [`crate::plan::keep_equal`]), and so are equal services.
    pub(crate) fn is_same(&self, next: &WantedBy) -> bool {
        let same = match (self, next) {
            (WantedBy::Route(by), WantedBy::Route(next)) => {
                by.id == next.id && Arc::ptr_eq(&by.route, &next.route)
            }
            (WantedBy::Service(by), WantedBy::Service(next)) => {
                by.id == next.id && Arc::ptr_eq(&by.service, &next.service)
            }
            _ => false,
        };
        same && self.place() == next.place()
    }
}

/// Every port that a source wants, routes first.
pub(crate) fn wanted<'w>(
    source: &'w Source,
    wants: &'w Wants,
) -> impl Iterator<Item = (Port, WantedBy)> + 'w {
    let of_routes = wants.routes.iter().flat_map(|(name, route)| {
        let id = RouteId { source: source.clone(), name: name.clone() };
        of_route(&id, route).collect::<Vec<_>>()
    });
    let of_services = wants.services.iter().flat_map(|(name, service)| {
        let id = ServiceId { source: source.clone(), name: name.clone() };
        of_service(&id, service).collect::<Vec<_>>()
    });
    of_routes.chain(of_services)
}

/// Every port of this machine that one route wants, in the order of its addresses.
pub(crate) fn of_route(id: &RouteId, route: &Arc<Route>) -> impl Iterator<Item = (Port, WantedBy)> {
    let here = |(_, address): &(usize, &ListenAddress)| !matches!(address, ListenAddress::There(_));
    route.listen.iter().enumerate().filter(here).map(|(place, address)| {
        let by = WantedBy::Route(Wanted { id: id.clone(), route: route.clone(), place });
        (port(route.carries.protocol(), address, &by), by)
    })
}

/// Every port that one service wants, in the order of its addresses.
fn of_service(id: &ServiceId, service: &Arc<Service>) -> impl Iterator<Item = (Port, WantedBy)> {
    service.listen.iter().enumerate().flat_map(|(place, address)| {
        let by = WantedBy::Service(ServiceWanted { id: id.clone(), service: service.clone(), place });
        let has_datagrams = service.datagrams.is_some() && matches!(address, ListenAddress::Net(_));
        let protocols = [Some(Protocol::Tcp), has_datagrams.then_some(Protocol::Udp)];
        protocols.into_iter().flatten().map(move |protocol| (port(protocol, address, &by), by.clone()))
    })
}

fn port(protocol: Protocol, address: &ListenAddress, by: &WantedBy) -> Port {
    let chosen = (address.port() == Some(0)).then(|| (by.owner(), by.place()));
    let is_given = protocol == Protocol::Udp && matches!(by, WantedBy::Service(_));
    Port { protocol, address: address.clone(), chosen, is_given }
}

/// A socket that listens and is not accepted from yet.
pub(crate) struct Bound {
    pub(crate) port: Port,
    pub(crate) by: WantedBy,
    pub(crate) bound: transport::Bound,
}

/// A port whose bind failed and whose owner has the policy `retry`.
pub(crate) struct Unbound {
    pub(crate) port: Port,
    pub(crate) by: WantedBy,
    pub(crate) error: io::Error,
}

/// This engine's sockets that are about to be retired, by port.
pub(crate) type Leaving<'s> = HashMap<(Protocol, u16), Vec<(NetListen, &'s OwnedFd)>>;

/// Binds all of `new`, then opens all of them to clients. A new socket that overlaps with one of `leaving`, which are
/// about to be retired, shares the port with it for a moment. A socket that stays blocks the bind like any other.
///
/// No client can connect before every bind has succeeded, so a refusal affects no client.
pub(crate) fn bind_all(
    new: Vec<(Port, WantedBy)>,
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
        // Clearing an option of a live socket does not fail; if it were left on, a second instance could share the
        // port.
        let _ = transport::share_port(holder, false);
    }
    if failures.is_empty() { Ok((open, unbound)) } else { Err(failures) }
}

/// Binds one port and opens it to clients, whatever its policy.
pub(crate) fn bind_one(port: &Port, by: &WantedBy) -> io::Result<Bound> {
    let bound = Bound { port: port.clone(), by: by.clone(), bound: bind_shared(port, by, &[])? };
    open_to_clients(&bound)?;
    Ok(bound)
}

/// A port that could not be opened, for the answer to the declaration.
pub(crate) fn failure(port: &Port, by: &WantedBy, error: io::Error) -> BindFailure {
    BindFailure { owner: by.owner(), protocol: port.protocol, address: port.address.clone(), error }
}

fn open_to_clients(it: &Bound) -> io::Result<()> {
    // A UDP socket needs no listen(2): it receives since it was bound.
    if it.port.protocol == Protocol::Tcp {
        transport::listen(&it.bound.socket)?;
    }
    match it.port.address() {
        ListenAddress::Net(_) => transport::share_port(&it.bound.socket, false),
        ListenAddress::Unix(_) | ListenAddress::There(_) => Ok(()),
    }
}

fn refuse(
    port: Port,
    by: WantedBy,
    error: io::Error,
    unbound: &mut Vec<Unbound>,
    failures: &mut Vec<BindFailure>,
) {
    match by.bind() {
        BindPolicy::Retry => unbound.push(Unbound { port, by, error }),
        BindPolicy::Strict => failures.push(failure(&port, &by, error)),
    }
}

fn bind_shared(port: &Port, by: &WantedBy, overlapping: &[&OwnedFd]) -> io::Result<transport::Bound> {
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
            let bound = transport::bind(address, by.socket_file(), share)?;
            if let ListenAddress::Net(net) = address {
                by.upkeep().set_up(&bound.socket, net.ip)?;
                by.congestion().set_up(&bound.socket, net.ip);
            }
            Ok(bound)
        }
    }
}

/// What wants an address that includes the one of `port`, whose number is `number`: 0.0.0.0 or \[::\].
pub(crate) fn covering<'w>(
    port: &Port,
    number: u16,
    wanted: &'w BTreeMap<Port, WantedBy>,
) -> Option<(&'w Port, &'w WantedBy)> {
    let narrow = port.numbered(number)?;
    let covers = |wide: &Port| match wide.address() {
        ListenAddress::Net(net) => net.port == number && net.covers(narrow.ip.to_canonical()),
        ListenAddress::Unix(_) | ListenAddress::There(_) => false,
    };
    // What a service reads it does not hand to a route.
    let serves = |wide: &Port| wide.protocol == port.protocol && !wide.is_given && wide != port;
    wanted.iter().find(|(wide, _)| serves(wide) && covers(wide))
}

/// Whether a service takes the UDP port of a route over, whose number is `number`: its old socket would take part of what comes
/// to the new one.
pub(crate) fn is_given_away(port: &Port, number: u16, wanted: &BTreeMap<Port, WantedBy>) -> bool {
    let Some(old) = port.numbered(number) else { return false };
    let overlaps = |given: &Port| match given.address() {
        ListenAddress::Net(net) => {
            let covers = |a: &NetListen, b: &NetListen| a.covers(b.ip.to_canonical());
            net.port == number && (covers(net, &old) || covers(&old, net))
        }
        ListenAddress::Unix(_) | ListenAddress::There(_) => false,
    };
    port.protocol == Protocol::Udp && wanted.keys().any(|given| given.is_given && overlaps(given))
}

/// The leaving sockets whose address includes that of `port` or is included in it.
fn overlaps<'s>(port: &Port, leaving: &Leaving<'s>) -> Vec<&'s OwnedFd> {
    let ListenAddress::Net(new) = port.address() else { return Vec::new() };
    let on_port = leaving.get(&(port.protocol, new.port)).into_iter().flatten();
    let covers = |a: &NetListen, b: &NetListen| a.covers(b.ip.to_canonical());
    on_port.filter(|(held, _)| covers(held, new) || covers(new, held)).map(|(_, socket)| *socket).collect()
}
