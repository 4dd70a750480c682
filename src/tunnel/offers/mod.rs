//! What this end offers to the other end of a tunnel: the routes of its own plan that listen in that tunnel, and no other.

pub(crate) mod fates;
pub(crate) mod states;

use std::collections::BTreeMap;

use crate::address::{ListenAddress, Protocol, TunnelName};
use crate::plan::{Plan, Route, RouteId};
use crate::transport::tunnel::message::WantedRoute;

/// The routes that are offered to one tunnel, by their names.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Offers {
    routes: BTreeMap<String, Offer>,
}

/// A route that is offered.
#[derive(Debug, PartialEq)]
pub(crate) struct Offer {
    /// The route.
    pub(crate) id: RouteId,
    /// Its targets, as they are printed.
    pub(crate) targets: String,
    /// What it carries.
    pub(crate) protocol: Protocol,
    /// Where it wants to listen there; nothing for its name alone.
    listen: Vec<String>,
}

impl Offer {
    /// What stands behind its addresses where a protocol is to be told.
    pub(super) fn behind(&self) -> &'static str {
        match self.protocol {
            Protocol::Tcp => "",
            Protocol::Udp => "/udp",
        }
    }
}

impl Offers {
    /// The routes of a plan that listen in this tunnel.
    pub(crate) fn of(plan: &Plan, tunnel: &TunnelName) -> Offers {
        let offered = |route: &Route| {
            let listen = in_tunnel(route, tunnel)?;
            let id = RouteId { source: plan.source.clone(), name: route.name.clone() };
            let targets: Vec<String> =
                route.targets.iter().map(|target| target.address.to_string()).collect();
            let protocol = route.carries.protocol();
            Some((route.name.to_string(), Offer { id, targets: targets.join(", "), protocol, listen }))
        };
        Offers { routes: plan.routes.values().filter_map(|route| offered(route)).collect() }
    }

    /// The route that the other end may have by this name and protocol. An unknown one and one that is not offered to it
    /// get the same answer.
    pub(crate) fn route(&self, name: &str, protocol: Protocol) -> Option<&RouteId> {
        self.routes.get(name).filter(|offer| offer.protocol == protocol).map(|offer| &offer.id)
    }

    /// The offer of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Offer> {
        self.routes.get(name)
    }

    /// Each with its name.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Offer)> {
        self.routes.iter().map(|(name, offer)| (name.as_str(), offer))
    }

    /// The whole set, as the other end is told.
    pub(crate) fn wanted(&self) -> Vec<WantedRoute> {
        let wanted = |(name, offer): (&String, &Offer)| WantedRoute {
            name: name.clone(),
            protocol: offer.protocol,
            listen: offer.listen.clone(),
        };
        self.routes.iter().map(wanted).collect()
    }

    /// Every address that is asked for there, as a permission has it: `/udp` behind one for datagrams.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = String> {
        let of = |offer: &'_ Offer| {
            let behind = offer.behind();
            offer.listen.iter().map(move |address| format!("{address}{behind}")).collect::<Vec<_>>()
        };
        self.routes.values().flat_map(of)
    }
}

/// The addresses there at which a route listens in this tunnel; `None` if it does not listen in it.
fn in_tunnel(route: &Route, tunnel: &TunnelName) -> Option<Vec<String>> {
    let mut listens = false;
    let mut addresses = Vec::new();
    for address in &route.listen {
        let ListenAddress::There(there) = address else { continue };
        if there.tunnel == *tunnel {
            listens = true;
            addresses.extend(there.at.as_ref().map(ToString::to_string));
        }
    }
    listens.then_some(addresses)
}
