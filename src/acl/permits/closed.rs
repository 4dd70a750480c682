//! Addresses that are behind no firewall for whoever may dial from here: this machine, its link, the services that
//! describe a virtual machine to itself; and the IPv4 address that an IPv6 address stands for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What a wide entry does not open.
const CLOSED: [IpNet; 13] = [
    v4(127, 0, 0, 0, 8),
    v4(0, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    // The metadata of a virtual machine, with its credentials: of most clouds, of Alibaba's, and of Amazon's by IPv6.
    v4(169, 254, 169, 254, 32),
    v4(100, 100, 100, 200, 32),
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128),
    v4(224, 0, 0, 0, 4),
    v4(255, 255, 255, 255, 32),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
    // IPv4 behind a translator of the local network (RFC 8215), which alone knows where the IPv4 address stands in it.
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48),
];

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length))
}

const fn v6(s: [u16; 8], length: u8) -> IpNet {
    let ip = Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]);
    IpNet::V6(Ipv6Net::new_assert(ip, length))
}

/// The networks around this address, in its shortest form, that only an entry wholly inside them opens.
pub(super) fn around(ip: IpAddr) -> impl Iterator<Item = IpNet> {
    CLOSED.into_iter().filter(move |closed| closed.contains(&ip))
}

/// The address that is reached in the end: the IPv4 address in one that is mapped (`::ffff:0:0/96`, RFC 4291), compatible
/// (`::/96`, the same), translated by NAT64 (`64:ff9b::/96`, RFC 6052) or carried by 6to4 (`2002::/16`, RFC 3056).
pub(crate) fn reached(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let bits = v6.to_bits();
    let low = Ipv4Addr::from_bits(bits as u32);
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => low.into(),
        // Not `::` and `::1`, which are addresses of their own.
        [0, 0, 0, 0, 0, 0, ..] if bits > 1 => low.into(),
        [0x2002, ..] => Ipv4Addr::from_bits((bits >> 80) as u32).into(),
        _ => ip,
    }
}

/// Whether every address of the network stands for one of IPv4, so that no address is ever judged by it.
pub(super) fn is_translated(network: IpNet) -> bool {
    let inside = |outer: IpNet| outer.contains(&network);
    inside(v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96))
        || inside(v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96))
        || inside(v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_judged_by_the_one_it_leads_to() {
        for (written, wanted) in [
            ("10.0.0.5", "10.0.0.5"),
            ("::ffff:127.0.0.1", "127.0.0.1"),
            ("64:ff9b::a9fe:a9fe", "169.254.169.254"),
            ("64:ff9b::10.0.0.5", "10.0.0.5"),
            ("2002:7f00:1::1", "127.0.0.1"),
            ("2002:a9fe:a9fe:ffff::", "169.254.169.254"),
            ("::127.0.0.1", "127.0.0.1"),
            ("::", "::"),
            ("::1", "::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("64:ff9b:1::1", "64:ff9b:1::1"),
        ] {
            let ip: IpAddr = written.parse().unwrap();
            assert_eq!(reached(ip), wanted.parse::<IpAddr>().unwrap(), "{written}");
        }
    }
}
