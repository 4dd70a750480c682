//! The addresses of this machine in this network namespace.
//!
//! They come from /proc/net/fib_trie and /proc/net/if_inet6, which every user may read. Links and routes are in
//! `routing`, firewalls in `probe::firewall`.

pub mod counters;
pub mod resolver;
pub mod routing;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use serde::Serialize;

use crate::address::Interface;

use super::read_text;
use crate::units::shown;

/// The addresses of this network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Single IPv4 addresses, and blocks that are local as a whole, such as 127.0.0.0/8: (first address, prefix
    /// length). `None` if they cannot be read.
    pub ipv4: Option<Vec<(Ipv4Addr, u8)>>,
    /// IPv6 addresses; empty if IPv6 is off; `None` if they cannot be read.
    pub ipv6: Option<Vec<Ipv6Address>>,
}

/// An IPv6 address of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ipv6Address {
    /// The address.
    pub ip: Ipv6Addr,
    /// The interface that has it.
    pub interface: String,
    /// Whether duplicate address detection is still running: IFA_F_TENTATIVE of linux/if_addr.h.
    pub tentative: bool,
    /// Whether another machine turned out to have it: IFA_F_DADFAILED.
    pub duplicate: bool,
}

const IFA_F_DADFAILED: u8 = 0x08;
const IFA_F_TENTATIVE: u8 = 0x40;
const MAX_FILE: u64 = 1 << 20;

impl Network {
    /// Reads the addresses of this network namespace.
    pub fn read() -> Network {
        Network::at("/proc/net")
    }

    /// Reads the addresses of another process's network namespace.
    pub fn beside(pid: u32) -> Network {
        Network::at(&format!("/proc/{pid}/net"))
    }

    fn at(folder: &str) -> Network {
        let ipv6 = match read_text(format!("{folder}/if_inet6"), MAX_FILE) {
            Ok(table) => Some(table.lines().filter_map(ipv6_address).collect()),
            // The file is absent if the kernel has no IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Vec::new()),
            Err(_) => None,
        };
        let trie = read_text(format!("{folder}/fib_trie"), MAX_FILE);
        Network { ipv4: trie.ok().map(|trie| local_blocks(&trie)), ipv6 }
    }

    /// Whether this machine has an address; `None` if its addresses could not be read.
    pub fn has(&self, ip: IpAddr) -> Option<bool> {
        match ip {
            IpAddr::V4(ip) => Some(self.ipv4.as_ref()?.iter().any(|block| within(ip, *block))),
            IpAddr::V6(ip) => Some(self.ipv6.as_ref()?.iter().any(|address| address.ip == ip)),
        }
    }

    /// Every address a user may have meant: all except blocks and link-local addresses.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let ipv4 =
            self.ipv4.iter().flatten().filter(|(_, length)| *length == 32).map(|(ip, _)| IpAddr::V4(*ip));
        let ipv6 = self.ipv6.iter().flatten().map(|address| address.ip);
        ipv4.chain(ipv6.filter(|ip| !ip.is_unicast_link_local()).map(IpAddr::V6)).collect()
    }
}

/// Whether IPv6 is switched off for a link or for all links (disable_ipv6); false if that cannot be read.
pub fn ipv6_is_off(link: &str) -> bool {
    let off = |name: &str| {
        let path = format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", name.replace('/', "."));
        read_text(path, 16).is_ok_and(|text| text.trim() == "1")
    };
    off("all") || off(link)
}

/// A link-local address with the current index of its interface.
///
/// # Errors
/// ENODEV if there is no such interface; the errno of socket(2) if no socket can be opened.
pub fn scoped(ip: Ipv6Addr, zone: &Interface, port: u16) -> io::Result<SocketAddr> {
    // Any socket can carry the request (netdevice(7)).
    let asking = socket_with(AddressFamily::INET6, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let index = match name_to_index(&asking, &zone.0) {
        // A number is the index of the interface (RFC 4007, section 11.2).
        Err(Errno::NODEV) => zone.0.parse().map_err(|_| Errno::NODEV)?,
        answer => answer?,
    };
    Ok(SocketAddrV6::new(ip, port, 0, index).into())
}

fn within(ip: Ipv4Addr, (first, length): (Ipv4Addr, u8)) -> bool {
    let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
    ip.to_bits() & mask == first.to_bits() & mask
}

/// The trie prints a node as `|-- 10.200.0.1` and below it its type: `/32 host LOCAL`. It prints the local table twice
/// (once as main) unless a rule separates the two.
fn local_blocks(trie: &str) -> Vec<(Ipv4Addr, u8)> {
    let mut blocks = Vec::new();
    let mut node = None;
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            node = address.parse().ok();
        } else if let (Some(node), Some(rest)) = (node, line.strip_prefix('/'))
            && let Some((length, kind)) = rest.split_once(' ')
            && kind.ends_with("LOCAL")
            && let Ok(length @ 0..=32) = length.parse()
        {
            blocks.push((node, length));
        }
    }
    blocks.sort_unstable();
    blocks.dedup();
    blocks
}

/// Address, index, prefix length, scope, flags, name: net/ipv6/addrconf.c, if6_seq_show.
fn ipv6_address(line: &str) -> Option<Ipv6Address> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [ip, _, _, _, flags, interface] = fields[..] else { return None };
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some(Ipv6Address {
        ip: Ipv6Addr::from_bits(u128::from_str_radix(ip, 16).ok()?),
        interface: shown(interface, 16),
        tentative: flags & IFA_F_TENTATIVE != 0,
        duplicate: flags & IFA_F_DADFAILED != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIE: &str = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 10.200.0.1\n        \
                        /32 host LOCAL\n     |-- 127.0.0.0\n        /8 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\n     \
                        |-- 10.200.0.255\n        /32 link BROADCAST\n";

    #[test]
    fn a_neighbours_address_is_not_ours_and_all_of_127_is() {
        let network = Network { ipv4: Some(local_blocks(TRIE)), ipv6: Some(Vec::new()) };

        let has = |text: &str| network.has(text.parse().unwrap()).unwrap();

        assert!(has("10.200.0.1") && has("127.0.0.9"));
        assert!(!has("10.200.0.7") && !has("10.200.0.255") && !has("::1"));
        assert_eq!(network.addresses(), ["10.200.0.1", "127.0.0.1"].map(|ip| ip.parse::<IpAddr>().unwrap()));
    }

    #[test]
    fn a_tentative_address_is_told_from_a_ready_one() {
        let line = "fd000062000000000000000000000005 02 40 00 40      vl0";

        let address = ipv6_address(line).unwrap();

        assert_eq!((address.ip.to_string().as_str(), address.interface.as_str()), ("fd00:62::5", "vl0"));
        assert!(address.tentative && !address.duplicate);
    }

    #[test]
    fn what_is_not_readable_is_not_known() {
        assert_eq!(Network::default().has("127.0.0.1".parse().unwrap()), None);
    }
}
