//! Port numbers: which of them the kernel assigns to outgoing connections, which are reserved, which are free; and a
//! trial bind.
//!
//! "Free" means that a bind succeeds at this moment. The trial socket is closed at once and never listens: a listening
//! socket could swallow a client's connection.

use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use rustix::net::{self, SocketFlags, SocketType, sockopt};
use serde::Serialize;

use crate::address::Protocol;

use crate::probe::read_text;

/// The transport of a listener: TCP and UDP have separate port numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // tcp(7), udp(7)
pub enum Transport {
    Tcp,
    Udp,
}

impl From<Protocol> for Transport {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp => Transport::Tcp,
            Protocol::Udp => Transport::Udp,
        }
    }
}

/// The kernel's settings for port numbers (ip(7), ip_sysctl).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PortRules {
    /// The first and last port of the range assigned to outgoing connections: ip_local_port_range.
    pub outgoing: (u16, u16),
    /// Ports never assigned to outgoing connections: ip_local_reserved_ports.
    pub reserved: Vec<(u16, u16)>,
    /// The first port that can be bound without privilege: ip_unprivileged_port_start.
    pub first_unprivileged: u16,
}

impl Default for PortRules {
    /// The kernel's own defaults.
    fn default() -> Self {
        PortRules { outgoing: (32768, 60999), reserved: Vec::new(), first_unprivileged: 1024 }
    }
}

impl PortRules {
    /// Reads the settings of this network namespace; one that cannot be read has the kernel's default.
    pub fn read() -> PortRules {
        let default = PortRules::default();
        PortRules {
            outgoing: setting("ip_local_port_range").and_then(|text| pair(&text)).unwrap_or(default.outgoing),
            reserved: setting("ip_local_reserved_ports").map(|text| ranges(&text)).unwrap_or_default(),
            first_unprivileged: setting("ip_unprivileged_port_start")
                .and_then(|text| text.trim().parse().ok())
                .unwrap_or(default.first_unprivileged),
        }
    }

    /// Whether the kernel may assign this port to an outgoing connection.
    pub fn may_be_drawn(&self, port: u16) -> bool {
        (self.outgoing.0..=self.outgoing.1).contains(&port) && !self.is_reserved(port)
    }

    /// Whether the administrator has reserved this port.
    pub fn is_reserved(&self, port: u16) -> bool {
        self.reserved.iter().any(|(first, last)| (*first..=*last).contains(&port))
    }
}

/// How many ports are tried in each direction.
const REACH: u16 = 64;

/// A port near `wanted`, not among `avoid`, to which each of these addresses (their own port is ignored) could be bound
/// right now. Ports of the outgoing range come last: such a port may be taken at the next start.
pub fn next_free(
    wanted: u16,
    addresses: &[(SocketAddr, Transport)],
    avoid: &[u16],
    rules: &PortRules,
) -> Option<u16> {
    let on = |mut address: SocketAddr, port| {
        address.set_port(port);
        address
    };
    candidates(wanted, rules).filter(|port| !avoid.contains(port) && !rules.is_reserved(*port)).find(|port| {
        addresses
            .iter()
            .all(|(address, transport)| try_bind(on(*address, *port), *transport, Sharing::No).is_ok())
    })
}

/// Ports above the wanted one; if these are in the outgoing range, ports below the range (below 32768 on most
/// machines).
fn candidates(wanted: u16, rules: &PortRules) -> impl Iterator<Item = u16> {
    let lowest = rules.first_unprivileged.max(1);
    // 80 → 8080, 443 → 8443: the customary substitutes for a privileged port.
    let start =
        if wanted < lowest { wanted.saturating_add(8000).max(lowest) } else { wanted.saturating_add(1) };
    let above: RangeInclusive<u16> = start..=start.saturating_add(REACH);
    let outgoing = rules.outgoing.0..=rules.outgoing.1;
    let outside = {
        let outgoing = outgoing.clone();
        above.clone().filter(move |port| !outgoing.contains(port))
    };
    let bottom = *outgoing.start();
    let below = (bottom.saturating_sub(REACH)..bottom).rev().filter(move |port| *port >= lowest);
    outside
        .chain(below)
        .chain(above.filter(move |port| outgoing.contains(port)))
        .filter(move |port| *port != wanted)
}

/// Whether a trial bind shares its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Not shared, as for this program's listeners.
    No,
    /// Shared: SO_REUSEPORT is set.
    Yes,
}

/// Tries socket(2) and bind(2) with the options of this program's listeners, and closes the socket at once. It never
/// listens.
///
/// # Errors
/// The errno of the call that failed.
pub fn try_bind(address: SocketAddr, transport: Transport, sharing: Sharing) -> io::Result<()> {
    let family = if address.is_ipv4() { net::AddressFamily::INET } else { net::AddressFamily::INET6 };
    let kind = match transport {
        Transport::Tcp => SocketType::STREAM,
        Transport::Udp => SocketType::DGRAM,
    };
    let socket = net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    // With SO_REUSEADDR two UDP sockets could share a port, and one of them would receive nothing.
    if transport == Transport::Tcp {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    sockopt::set_socket_reuseport(&socket, sharing == Sharing::Yes)?;
    Ok(net::bind(&socket, &address)?)
}

fn setting(name: &str) -> Option<String> {
    // The same settings apply to IPv6.
    read_text(format!("/proc/sys/net/ipv4/{name}"), 64 * 1024).ok()
}

fn pair(text: &str) -> Option<(u16, u16)> {
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// `8080,9000-9010`
fn ranges(text: &str) -> Vec<(u16, u16)> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
    };
    text.split(',').filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn first(wanted: u16, rules: &PortRules) -> u16 {
        candidates(wanted, rules).next().unwrap()
    }

    #[test]
    fn the_next_port_is_near_unprivileged_and_outside_the_outgoing_range() {
        let rules = PortRules::default();

        assert_eq!(first(8080, &rules), 8081);
        assert_eq!(first(62893, &rules), 62894);
        assert_eq!(first(80, &rules), 8080);
        assert_eq!(first(443, &rules), 8443);
        assert_eq!(first(40000, &rules), 32767);
        assert_eq!(first(60990, &rules), 61000);
        assert_eq!(first(u16::MAX, &rules), 32767);
        assert_eq!(candidates(40000, &rules).last(), Some(40065));
    }

    #[test]
    fn a_free_port_is_free_on_every_wanted_address_and_never_the_one_to_avoid() {
        let taken = TcpListener::bind("127.0.0.2:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let addresses = ["127.0.0.1:0", "127.0.0.2:0"].map(|it| (it.parse().unwrap(), Transport::Tcp));
        let rules = PortRules { outgoing: (1, 1), ..PortRules::default() };

        let free = next_free(port - 1, &addresses, &[], &rules).unwrap();
        let other = next_free(port - 1, &addresses, &[free], &rules).unwrap();

        assert_ne!(free, port, "taken on the second address");
        assert_ne!(free, other);
    }

    #[test]
    fn a_reserved_port_is_passed_over() {
        let rules = PortRules { reserved: ranges("8081-8083,9000\n"), ..PortRules::default() };

        assert_eq!(rules.reserved, [(8081, 8083), (9000, 9000)]);
        assert!(
            next_free(8080, &[("127.0.0.1:0".parse().unwrap(), Transport::Tcp)], &[], &rules).unwrap()
                >= 8084
        );
        assert!(!PortRules { reserved: vec![(40000, 40000)], ..rules }.may_be_drawn(40000));
    }

    #[test]
    fn the_rules_of_this_machine_can_be_read() {
        let rules = PortRules::read();

        assert!(rules.outgoing.0 <= rules.outgoing.1);
    }
}
