//! From which networks a listener can be reached, considering the packet filter as far as it can be read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::diagnosis::filter::{self, Device, Effect, Packet, Way};
use crate::diagnosis::finding::Warning;
use crate::diagnosis::verdict::Verdict;
use crate::probe::firewall::Firewall;
use crate::probe::network::routing::{Address, Link};

/// The networks from which a listener can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exposure {
    /// The networks of interfaces that are up, such as `10.200.6.0/24`.
    pub networks: Vec<String>,
    /// Networks whose connections a rule certainly stops.
    pub shielded: Vec<String>,
    /// Whether every rule could be read; if not, a rule may shield more.
    pub rules_known: bool,
}

/// The networks from which a listener can be reached. `local` is the address it is bound to, `v6only` whether an IPv6
/// listener takes no IPv4.
pub fn exposure(
    local: SocketAddr,
    v6only: bool,
    links: &[Link],
    addresses: &[Address],
    firewall: &Firewall,
) -> Exposure {
    let mut exposure = Exposure { rules_known: firewall.complete(), ..Exposure::default() };
    for address in addresses {
        let Some(link) = links.iter().find(|link| link.index == address.link) else { continue };
        if link.loopback || !link.up || !covers(local.ip(), v6only, address.ip) {
            continue;
        }
        let network = network(address);
        let open = reachable(SocketAddr::new(address.ip, local.port()), address, link, firewall);
        let list = if open { &mut exposure.networks } else { &mut exposure.shielded };
        if !list.contains(&network) {
            list.push(network);
        }
    }
    exposure
}

impl Exposure {
    /// The warning, if there is something to warn about.
    pub fn warning(&self) -> Option<Warning> {
        let shown = self.networks.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
        let more = match self.networks.len() {
            0 => return None,
            count @ 5.. => format!(" and {} more", count - 4),
            _ => String::new(),
        };
        let unsure =
            if self.rules_known { "" } else { ", unless a firewall rule that could not be read prevents it" };
        let summary = format!("reachable from {shown}{more}{unsure}");
        Some(Warning { verdict: Verdict::Exposed, summary, fix: None })
    }
}

/// Whether a socket bound to `local` answers for `ip`.
fn covers(local: IpAddr, v6only: bool, ip: IpAddr) -> bool {
    match (local.to_canonical(), ip) {
        (local, ip) if local == ip => true,
        (IpAddr::V4(local), IpAddr::V4(_)) => local.is_unspecified(),
        (IpAddr::V6(local), IpAddr::V6(_)) => local.is_unspecified(),
        (IpAddr::V6(local), IpAddr::V4(_)) => local.is_unspecified() && !v6only,
        _ => false,
    }
}

/// Whether no rule certainly stops a neighbour's connection.
fn reachable(to: SocketAddr, address: &Address, link: &Link, firewall: &Firewall) -> bool {
    let device = Device { index: link.index, name: link.name.clone() };
    // Any neighbour: its last bit differs from ours. The port is one that the kernel may give to a client.
    let from = SocketAddr::new(neighbour(address.ip), 40_000);
    let packet = Packet::first(from, to, 0, 0);
    let passage = filter::connection(&firewall.ruleset, &packet, &Way::In(device));
    !passage.hits.iter().any(|hit| hit.certain && matches!(hit.effect, Effect::Drop | Effect::Reject(_)))
}

fn neighbour(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() ^ 1).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() ^ 1).into(),
    }
}

/// `10.200.6.0/24`; a single address without a prefix length.
fn network(address: &Address) -> String {
    let prefix = u32::from(address.prefix);
    match address.ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32u32.saturating_sub(prefix)).unwrap_or(0);
            format!("{}/{prefix}", Ipv4Addr::from_bits(ip.to_bits() & mask))
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128u32.saturating_sub(prefix)).unwrap_or(0);
            format!("{}/{prefix}", Ipv6Addr::from_bits(ip.to_bits() & mask))
        }
    }
}
