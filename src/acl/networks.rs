//! A set of addresses with lookups of a few comparisons, however large it is.
//!
//! Sorted ranges and a binary search. A trie finds the longest matching prefix; here only membership is needed.

use std::net::IpAddr;

use ipnet::IpNet;

/// A set of IPv4 and IPv6 addresses. Ranges that overlap or touch are merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

/// Sorted and disjoint, both ends inclusive.
type Ranges<T> = Box<[(T, T)]>;

impl Networks {
    /// Whether the address is in the set. An IPv4-mapped IPv6 address (`::ffff:0:0/96`) must be converted to IPv4
    /// first.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => contains(&self.v4, ip.to_bits()),
            IpAddr::V6(ip) => contains(&self.v6, ip.to_bits()),
        }
    }

    /// The number of ranges.
    pub fn count(&self) -> usize {
        self.v4.len() + self.v6.len()
    }
}

impl FromIterator<IpNet> for Networks {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Networks {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(it) => v4.push((it.network().to_bits(), it.broadcast().to_bits())),
                IpNet::V6(it) => v6.push((it.network().to_bits(), it.broadcast().to_bits())),
            }
        }
        Networks { v4: merged(v4, |end| end.checked_add(1)), v6: merged(v6, |end| end.checked_add(1)) }
    }
}

fn contains<T: Copy + Ord>(ranges: &[(T, T)], ip: T) -> bool {
    let after = ranges.partition_point(|(start, _)| *start <= ip);
    after.checked_sub(1).is_some_and(|at| ip <= ranges[at].1)
}

/// The same addresses in the fewest ranges. `next` returns the address after one; `None` after the last address.
fn merged<T: Copy + Ord>(mut ranges: Vec<(T, T)>, next: fn(T) -> Option<T>) -> Ranges<T> {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::new();
    for (start, end) in ranges {
        match merged.last_mut() {
            Some((_, last)) if next(*last).is_none_or(|next| start <= next) => *last = end.max(*last),
            _ => merged.push((start, end)),
        }
    }
    merged.into()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use ipnet::{Ipv4Net, Ipv6Net};
    use proptest::prelude::*;

    use super::*;

    fn set(networks: &[&str]) -> Networks {
        networks.iter().map(|network| network.parse::<IpNet>().unwrap()).collect()
    }

    #[test]
    fn neighbours_and_what_lies_within_become_one_range() {
        assert_eq!(set(&["10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16", "10.0.0.0/9"]), set(&["10.0.0.0/8"]));
        assert_eq!(set(&["0.0.0.0/0", "255.255.255.255/32"]).count(), 1);
        assert_eq!(set(&["::/0", "ffff::/16"]).count(), 1);
        assert_eq!(set(&["10.0.0.0/32", "10.0.0.2/32"]).count(), 2);
    }

    #[test]
    fn a_set_of_one_family_contains_no_address_of_the_other() {
        assert!(!set(&["::/0"]).contains(Ipv4Addr::LOCALHOST.into()));
        assert!(!set(&["0.0.0.0/0"]).contains(Ipv6Addr::LOCALHOST.into()));
        assert!(!Networks::default().contains(Ipv4Addr::UNSPECIFIED.into()));
    }

    // Few differing bits, so that networks and addresses coincide often.
    fn v4() -> impl Strategy<Value = Ipv4Addr> {
        (0_u32..64).prop_map(|bits| Ipv4Addr::from_bits(bits.reverse_bits() | (bits & 3)))
    }

    fn v6() -> impl Strategy<Value = Ipv6Addr> {
        (0_u128..64).prop_map(|bits| Ipv6Addr::from_bits(bits.reverse_bits() | (bits & 3)))
    }

    proptest! {
        #[test]
        fn a_set_has_what_one_of_its_networks_has(
            networks_v4 in proptest::collection::vec((v4(), 0_u8..=32), 0..20),
            networks_v6 in proptest::collection::vec((v6(), 0_u8..=128), 0..20),
            ips_v4 in proptest::collection::vec(v4(), 1..20),
            ips_v6 in proptest::collection::vec(v6(), 1..20),
        ) {
            let networks_v4 = networks_v4.into_iter().map(|(ip, length)| Ipv4Net::new(ip, length).unwrap().into());
            let networks_v6 = networks_v6.into_iter().map(|(ip, length)| Ipv6Net::new(ip, length).unwrap().into());
            let networks: Vec<IpNet> = networks_v4.chain(networks_v6).collect();
            let set: Networks = networks.iter().copied().collect();

            for ip in ips_v4.into_iter().map(IpAddr::from).chain(ips_v6.into_iter().map(IpAddr::from)) {
                prop_assert_eq!(set.contains(ip), networks.iter().any(|network| network.contains(&ip)), "{}", ip);
            }
        }
    }
}
