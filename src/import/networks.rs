//! Client lists in the notation of other programs → networks.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::acl::Listed;

/// The most networks that one pattern may become.
const MAX_NETWORKS: usize = 1024;

/// Parses an address or a network, such as `10.0.0.0/8` or `10.0.0.0/255.0.0.0`.
pub(super) fn network(text: &str) -> Option<IpNet> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(ip.into());
    }
    if let Ok(net) = text.parse::<IpNet>() {
        return Some(net.trunc());
    }
    let (address, mask) = text.split_once(['/', ':'])?;
    let net = Ipv4Net::with_netmask(address.parse().ok()?, mask.parse().ok()?).ok()?;
    Some(net.trunc().into())
}

/// Networks as our configuration spells them.
pub(super) fn written(networks: &[IpNet]) -> Vec<String> {
    networks.iter().map(|network| Listed::Network(*network).to_string()).collect()
}

/// Every address.
pub(super) fn every_address() -> [IpNet; 2] {
    [IpNet::V4(Ipv4Net::default()), IpNet::V6(ipnet::Ipv6Net::default())]
}

/// The intersection of two lists.
pub(super) fn both(a: &[IpNet], b: &[IpNet]) -> Vec<IpNet> {
    let narrower = |x: &IpNet, y: &IpNet| {
        if x.contains(y) {
            Some(*y)
        } else if y.contains(x) {
            Some(*x)
        } else {
            None
        }
    };
    let mut found: Vec<IpNet> = a.iter().flat_map(|x| b.iter().filter_map(move |y| narrower(x, y))).collect();
    found.dedup();
    found
}

/// The networks that rinetd's pattern matches: `*` stands for any characters and `?` for any one, in the address as
/// text. `None` if they are not a small number of networks.
pub(super) fn pattern(text: &str) -> Option<Vec<IpNet>> {
    if text.chars().all(|c| c == '*') && !text.is_empty() {
        return Some(every_address().to_vec());
    }
    if let Some(net) = network(text.trim_matches(['[', ']'])) {
        return Some(vec![net]);
    }
    if text.contains(':') { ipv6_prefix(text) } else { ipv4_pattern(text) }
}

/// A pattern such as `fe80:*`: whole groups, then anything.
fn ipv6_prefix(text: &str) -> Option<Vec<IpNet>> {
    let groups: Vec<&str> = text.strip_suffix(":*")?.split(':').collect();
    let bits = u8::try_from(groups.len()).ok().filter(|count| (1..8).contains(count))? * 16;
    let plain = |group: &&str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !groups.iter().all(plain) {
        return None;
    }
    let network = format!("{}::/{bits}", groups.join(":"));
    Some(vec![network.parse::<IpNet>().ok()?.trunc()])
}

fn ipv4_pattern(text: &str) -> Option<Vec<IpNet>> {
    let parts: Vec<&str> = text.split('.').collect();
    // In a pattern with fewer dots than an address has, the star at the end matches all remaining octets.
    let open = parts.len() < 4;
    if parts.len() > 4 || open && !parts.last()?.ends_with('*') {
        return None;
    }
    let octets = parts.iter().map(|part| matching(part));
    let mut sets: Vec<Vec<u8>> = octets.collect();
    sets.resize(4, (0..=255).collect());
    let fixed = sets.iter().rposition(|set| set.len() < 256).map_or(0, |last| last + 1);
    let count = sets[..fixed].iter().map(Vec::len).try_fold(1_usize, usize::checked_mul)?;
    if count == 0 || count > MAX_NETWORKS {
        return None;
    }
    let mut starts = vec![[0_u8; 4]];
    for (at, set) in sets[..fixed].iter().enumerate() {
        let with = |start: &[u8; 4], octet: u8| {
            let mut address = *start;
            address[at] = octet;
            address
        };
        starts = starts.iter().flat_map(|start| set.iter().map(|octet| with(start, *octet))).collect();
    }
    let length = u8::try_from(fixed * 8).ok()?;
    let nets: Vec<Ipv4Net> =
        starts.into_iter().filter_map(|start| Ipv4Net::new(Ipv4Addr::from(start), length).ok()).collect();
    Some(Ipv4Net::aggregate(&nets).into_iter().map(IpNet::V4).collect())
}

/// The values of one octet that the pattern matches.
fn matching(pattern: &str) -> Vec<u8> {
    // A longer pattern cannot tell more about three digits, and matching it costs the cube of its length.
    if pattern.len() > 16 {
        return Vec::new();
    }
    (0..=255_u8).filter(|octet| matches(pattern.as_bytes(), octet.to_string().as_bytes())).collect()
}

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|skip| matches(rest, &text[skip..])),
        [b'?', rest @ ..] => !text.is_empty() && matches(rest, &text[1..]),
        [byte, rest @ ..] => text.first() == Some(byte) && matches(rest, &text[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks_of(text: &str) -> String {
        pattern(text).map_or("none".into(), |networks| written(&networks).join(" "))
    }

    #[test]
    fn patterns_are_networks_where_they_can_be() {
        assert_eq!(networks_of("192.168.2.*"), "192.168.2.0/24");
        assert_eq!(networks_of("10.*"), "10.0.0.0/8");
        assert_eq!(networks_of("192.168.2.1?"), "192.168.2.10/31 192.168.2.12/30 192.168.2.16/30");
        assert_eq!(networks_of("10.0.0.1"), "10.0.0.1");
        assert_eq!(networks_of("*"), "0.0.0.0/0 ::/0");
        assert_eq!(networks_of("fe80:*"), "fe80::/16");
        assert_eq!(networks_of("172.1?.*"), "172.10.0.0/15 172.12.0.0/14 172.16.0.0/14");
        for text in ["", "10", "2001:618:*:e43f", "*.*.*.1", "1.2.3.4.5", "300.*"] {
            assert_eq!(networks_of(text), "none", "{text}");
        }
    }

    #[test]
    fn what_is_in_both_lists_is_the_narrower_of_each_pair() {
        let of = |texts: &[&str]| texts.iter().filter_map(|text| network(text)).collect::<Vec<_>>();

        let both = both(
            &of(&["10.0.0.0/8", "192.168.0.0/255.255.0.0"]),
            &of(&["10.1.0.0/16", "192.168.0.0/16", "::1"]),
        );

        assert_eq!(written(&both), ["10.1.0.0/16", "192.168.0.0/16"]);
    }
}
