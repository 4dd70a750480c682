//! What is on this machine's side: where other Loopgates connect to, and the targets of the routes that listen in the tunnel.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::runtime::Runtime;

use super::super::dial::way::Way;
use super::super::link::Terms;
use super::second_look::{Place, proven};
use crate::address::{Host, ListenAddress, Protocol, TargetAddress};
use crate::diagnosis::reach::{self, Options};
use crate::diagnosis::tunnel::{Found, Listener, Offer, TargetHere};
use crate::diagnosis::{Severity, could_listen};
use crate::outcome::Client;
use crate::plan::Tunnels;
use crate::transport;

/// The most targets that are tried.
const MAX_TARGETS: usize = 64;

/// What is at each address where other Loopgates connect.
pub(super) fn listeners(tunnels: &Tunnels, runtime: &Runtime) -> Vec<Listener> {
    let of = |address: &ListenAddress| {
        let ListenAddress::Net(net) = address else { return None };
        let known = transport::socket_address(net).unwrap_or(SocketAddr::new(net.ip, net.port));
        Some(Listener { address: address.to_string(), found: found(known, tunnels, runtime) })
    };
    tunnels.listen.iter().filter_map(of).collect()
}

fn found(address: SocketAddr, tunnels: &Tunnels, runtime: &Runtime) -> Found {
    let near = SocketAddr::new(near(address.ip()), address.port());
    let way = Way::Direct(TargetAddress::Net(Host::Ip(near.ip()), near.port()));
    // From a loopback address this machine comes as itself.
    let announces = tunnels.accept_proxy.contains(&Client::Net(near));
    let place = Place { way: &way, peer: near, announces, host: "localhost", runtime };
    if let Some(own) = &tunnels.private_key
        && proven(&place, own) == Some(own.public())
    {
        return Found::Ours;
    }
    let diagnosis = could_listen(address, Protocol::Tcp.into());
    match diagnosis.severity() {
        Severity::Fine | Severity::Warning => Found::Nobody,
        Severity::Unclear | Severity::Error => Found::Other(Box::new(diagnosis)),
    }
}

/// Where a listener on every address is reached from here.
fn near(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

/// The targets of these routes, each tried once.
pub(super) fn targets(terms: &Terms, offers: &[Offer], timeout: Duration) -> Vec<TargetHere> {
    let routes = terms.plan.routes.values().filter(|route| offers.iter().any(|it| it.route == *route.name.0));
    let mut wanted = Vec::<(TargetAddress, Protocol)>::new();
    let mut of = BTreeMap::<String, String>::new();
    for route in routes {
        for target in route.every_target().filter_map(|it| it.written().cloned()) {
            if wanted.len() == MAX_TARGETS || of.contains_key(&target.to_string()) {
                continue;
            }
            of.insert(target.to_string(), route.name.to_string());
            wanted.push((target, route.carries.protocol()));
        }
    }
    let options = Options { timeout, ..Options::default() };
    let found = reach::reach_all(&wanted, &options);
    let here = wanted.iter().zip(found).map(|((target, _), found)| TargetHere {
        route: of.get(&target.to_string()).cloned().unwrap_or_default(),
        found: Box::new(found),
    });
    here.collect()
}
