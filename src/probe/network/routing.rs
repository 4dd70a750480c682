//! Links, addresses, routes, rules, neighbours and queues of this network namespace.
//!
//! Everything comes over rtnetlink, which every user may read. Names are escaped here. Nothing is sent on the network:
//! the kernel reports the route it would choose for a connection of this user.

use std::io;
use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use crate::sys::rtnetlink;
use crate::units::shown;

pub use crate::sys::rtnetlink::{Address, Filter, Link, Neighbour, Path, PolicyRule, Qdisc, RouteKind};

/// The route of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Route {
    /// There is a route.
    Way(Path),
    /// The kernel refuses with the errno that connect(2) would return: ENETUNREACH without a route (or by an
    /// unreachable rule), EHOSTUNREACH by an unreachable route, EACCES by a prohibit route, EINVAL by a blackhole
    /// route.
    Refused(i32),
    /// The kernel could not be queried, for this reason.
    NotReadable(String),
}

/// Everything below the firewall that a packet to an address passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Routing {
    /// The route it would take.
    pub route: Route,
    /// Every link.
    pub links: Vec<Link>,
    /// Every address.
    pub addresses: Vec<Address>,
    /// The queues of every link.
    pub qdiscs: Vec<Qdisc>,
    /// The filters of the loopback link and of the route's link.
    pub filters: Vec<Filter>,
    /// If the kernel refuses: the forbidding routes and rules that cover the address.
    pub forbidding: Vec<Forbidding>,
    /// The state of the next hop, if the route has one.
    pub neighbour: Option<Neighbour>,
    /// What could not be read and why, as text.
    pub not_readable: Vec<String>,
}

/// A row of a table that forbids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // A route, a rule.
pub enum Forbidding {
    Route(Path),
    Rule(PolicyRule),
}

const IFNAMSIZ: usize = 16;

/// Every link of this namespace, with escaped names.
///
/// # Errors
/// The errno of the request: EMFILE without a free descriptor, EPERM or EPROTONOSUPPORT in a sandbox.
pub fn links() -> io::Result<Vec<Link>> {
    let links = rtnetlink::links()?.rows.into_iter();
    Ok(links.map(|link| Link { name: shown(&link.name, IFNAMSIZ), ..link }).collect())
}

/// Every address of this namespace.
///
/// # Errors
/// As for [`links`].
pub fn addresses() -> io::Result<Vec<Address>> {
    Ok(rtnetlink::addresses()?.rows)
}

/// Every queue of this namespace.
///
/// # Errors
/// As for [`links`].
pub fn qdiscs() -> io::Result<Vec<Qdisc>> {
    let qdiscs = rtnetlink::qdiscs()?.rows.into_iter();
    Ok(qdiscs.map(|qdisc| Qdisc { kind: shown(&qdisc.kind, IFNAMSIZ), ..qdisc }).collect())
}

/// The route that a TCP connection of this user to an address would take; port 0 stands for any port.
pub fn route_to(to: SocketAddr, from: Option<IpAddr>) -> Route {
    let link = if let SocketAddr::V6(v6) = to { v6.scope_id() } else { 0 };
    match rtnetlink::path_to(SocketAddr::new(to.ip().to_canonical(), to.port()), from, link) {
        Ok(path) => Route::Way(path),
        Err(error) => match error.raw_os_error() {
            Some(errno @ (libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES | libc::EINVAL)) => {
                Route::Refused(errno)
            }
            _ => Route::NotReadable(error.to_string()),
        },
    }
}

/// The state of a neighbour on a link.
///
/// # Errors
/// As for [`links`].
pub fn neighbour(ip: IpAddr, link: u32) -> io::Result<Neighbour> {
    rtnetlink::neighbour(ip, link)
}

impl Routing {
    /// Reads everything for one address; takes about one millisecond.
    pub fn read(to: SocketAddr) -> Routing {
        let mut not_readable = Vec::new();
        let route = route_to(to, None);
        let links = noted(links(), "links", &mut not_readable);
        let addresses = noted(addresses(), "addresses", &mut not_readable);
        let qdiscs = noted(qdiscs(), "queues", &mut not_readable);
        let mut routing = Routing {
            route,
            links,
            addresses,
            qdiscs,
            filters: Vec::new(),
            forbidding: Vec::new(),
            neighbour: None,
            not_readable,
        };
        routing.add_filters();
        match &routing.route {
            Route::Refused(_) => routing.add_forbidding(to.ip().to_canonical()),
            Route::Way(path) if path.kind == RouteKind::Unicast => {
                routing.neighbour = neighbour(path.gateway.unwrap_or(to.ip()), path.link).ok();
            }
            _ => {}
        }
        routing
    }

    /// The link with this index.
    pub fn link(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }

    /// The loopback link, which every namespace has.
    pub fn loopback(&self) -> Option<&Link> {
        self.links.iter().find(|link| link.loopback)
    }

    /// The link on which packets to the address leave: the loopback link for every address of this machine.
    pub fn way_out(&self) -> Option<&Link> {
        match &self.route {
            Route::Way(path) if path.kind == RouteKind::Local => self.loopback(),
            Route::Way(path) => self.link(path.link),
            _ => None,
        }
    }

    fn add_filters(&mut self) {
        let mut wanted: Vec<u32> =
            [self.loopback(), self.way_out()].into_iter().flatten().map(|link| link.index).collect();
        wanted.dedup();
        for index in wanted {
            let root = self.qdiscs.iter().find(|qdisc| qdisc.link == index && qdisc.root);
            let root = root.map(|qdisc| qdisc.handle).filter(|handle| *handle != 0);
            match rtnetlink::filters(index, root) {
                Ok(found) => self.filters.extend(found.rows.into_iter().map(escaped)),
                Err(error) => self.not_readable.push(format!("packet filters of tc ({error})")),
            }
        }
    }

    fn add_forbidding(&mut self, ip: IpAddr) {
        let ipv6 = ip.is_ipv6();
        match rtnetlink::routes(ipv6) {
            Ok(table) => {
                let rows =
                    table.rows.into_iter().filter(|path| forbids(path.kind) && covers(path.network, ip));
                self.forbidding.extend(rows.map(Forbidding::Route));
                if table.cut {
                    self.not_readable.push("the whole routing table (it is too long)".to_owned());
                }
            }
            Err(error) => self.not_readable.push(format!("routing tables ({error})")),
        }
        match rtnetlink::policy_rules(ipv6) {
            Ok(rules) => {
                let rows = rules.rows.into_iter().filter(|rule| {
                    rule.forbids.is_some() && (rule.to.is_none() || covers(rule.to, ip) != rule.inverted)
                });
                self.forbidding.extend(rows.map(|rule| Forbidding::Rule(escaped_rule(rule))));
            }
            Err(error) => self.not_readable.push(format!("routing rules ({error})")),
        }
    }
}

fn noted<T>(read: io::Result<Vec<T>>, what: &str, not_readable: &mut Vec<String>) -> Vec<T> {
    read.unwrap_or_else(|error| {
        not_readable.push(format!("{what} ({error})"));
        Vec::new()
    })
}

fn escaped(filter: Filter) -> Filter {
    let actions = filter.actions.iter().map(|action| shown(action, 40)).collect();
    Filter { kind: shown(&filter.kind, IFNAMSIZ), actions, ..filter }
}

fn escaped_rule(rule: PolicyRule) -> PolicyRule {
    let interfaces = rule.interfaces.iter().map(|name| shown(name, IFNAMSIZ)).collect();
    PolicyRule { interfaces, ..rule }
}

fn forbids(kind: RouteKind) -> bool {
    matches!(kind, RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit)
}

/// Whether a network contains an address; `None` contains every address.
pub fn covers(network: Option<(IpAddr, u8)>, ip: IpAddr) -> bool {
    match (network, ip) {
        (None, _) => true,
        (Some((IpAddr::V4(first), length)), IpAddr::V4(ip)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            first.to_bits() & mask == ip.to_bits() & mask
        }
        (Some((IpAddr::V6(first), length)), IpAddr::V6(ip)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            first.to_bits() & mask == ip.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_own_addresses_and_no_others() {
        let network = |text: &str, length| Some((text.parse().unwrap(), length));
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();

        assert!(covers(network("10.200.6.0", 24), ip("10.200.6.255")));
        assert!(!covers(network("10.200.6.0", 24), ip("10.200.7.0")));
        assert!(covers(network("0.0.0.0", 0), ip("203.0.113.9")) && covers(None, ip("::1")));
        assert!(covers(network("fd00::", 8), ip("fd12::1")) && !covers(network("fd00::", 8), ip("10.0.0.1")));
    }

    #[test]
    fn a_loopback_address_leaves_by_the_loopback_link() {
        let routing = Routing::read(([127, 0, 0, 1], 80).into());

        assert!(matches!(&routing.route, Route::Way(path) if path.kind == RouteKind::Local), "{routing:?}");
        assert_eq!(routing.way_out().unwrap().name, "lo");
        assert!(routing.not_readable.is_empty(), "{:?}", routing.not_readable);
    }

    /// No host has an address of TEST-NET-1 (RFC 5737): its route is the default route, or none.
    #[test]
    fn an_address_elsewhere_is_no_local_one() {
        match route_to(([192, 0, 2, 7], 0).into(), None) {
            Route::Way(path) => assert_ne!(path.kind, RouteKind::Local),
            Route::Refused(errno) => assert_eq!(errno, libc::ENETUNREACH),
            Route::NotReadable(why) => panic!("{why}"),
        }
    }
}
