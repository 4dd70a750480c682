//! `NO_PROXY`: the addresses that are dialled without the proxy of the environment.
//!
//! There is no standard. What curl(1) and the programs in Go agree on is read so: entries between commas or blanks; a name
//! stands for itself and for every name under it, with or without a dot before it; an address stands for itself, a network
//! for its addresses; a port behind a colon narrows an entry; `*` alone is everything. Nothing is looked up.

use std::convert::Infallible;
use std::net::IpAddr;
use std::str::FromStr;

use crate::address::{Host, TargetAddress};

/// The most entries that are read; further ones are ignored.
const MAX_ENTRIES: usize = 1024;

/// The entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NoProxy(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    All,
    /// A name in lower case, without the dots at its ends.
    Name(String, Option<u16>),
    /// The first bits of an address.
    Network(IpAddr, u8, Option<u16>),
}

impl FromStr for NoProxy {
    type Err = Infallible;

    /// What cannot be read exempts nothing.
    fn from_str(text: &str) -> Result<NoProxy, Infallible> {
        let entries = text.split(|c: char| c == ',' || c.is_whitespace()).filter_map(Entry::read);
        Ok(NoProxy(entries.take(MAX_ENTRIES).collect()))
    }
}

impl NoProxy {
    /// Whether this address is exempt.
    pub(super) fn has(&self, to: &TargetAddress) -> bool {
        let Some((host, port)) = to.net() else { return false };
        self.0.iter().any(|entry| match (entry, host) {
            (Entry::All, _) => true,
            (Entry::Name(name, at), Host::Name(host)) => is_at(*at, port) && is_under(host, name),
            (Entry::Network(network, bits, at), host) => {
                is_at(*at, port) && host.ip().is_some_and(|ip| begins_so(ip, *network, *bits))
            }
            (Entry::Name(..), _) => false,
        })
    }
}

impl Entry {
    fn read(text: &str) -> Option<Entry> {
        if text == "*" {
            return Some(Entry::All);
        }
        let bare = |text: &str| text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        if let Some((network, bits)) = text.split_once('/') {
            let (network, bits) = (bare(network)?, bits.parse::<u8>().ok()?);
            return (bits <= width(network)).then_some(Entry::Network(network, bits, None));
        }
        if let Some(ip) = bare(text) {
            return Some(Entry::Network(ip, width(ip), None));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (text, None),
        };
        if let Some(ip) = bare(host) {
            return Some(Entry::Network(ip, width(ip), port));
        }
        let name = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        let name = name.trim_matches('.').to_ascii_lowercase();
        (!name.is_empty()).then_some(Entry::Name(name, port))
    }
}

fn is_at(wanted: Option<u16>, port: u16) -> bool {
    wanted.is_none_or(|wanted| wanted == port)
}

/// Whether a host has this name, or one under it.
fn is_under(host: &str, name: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn begins_so(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    let ip = ip.to_canonical();
    let number = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
        IpAddr::V6(ip) => ip.to_bits(),
    };
    let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
    ip.is_ipv4() == network.is_ipv4() && number(ip) & mask == number(network) & mask
}

fn width(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Run;

    fn has(entries: &str, to: &str) -> bool {
        let to = to.parse::<Run<TargetAddress>>().unwrap();
        entries.parse::<NoProxy>().unwrap().has(to.first())
    }

    #[test]
    fn a_name_stands_for_itself_and_those_under_it() {
        for entry in ["Example.COM", ".example.com", "*.example.com", "example.com.", "x,example.com y"] {
            assert!(has(entry, "example.com:1") && has(entry, "vps.EXAMPLE.com:1"), "{entry}");
            assert!(!has(entry, "badexample.com:1") && !has(entry, "com:1"), "{entry}");
        }
    }

    #[test]
    fn addresses_and_networks_are_compared_bit_by_bit() {
        assert!(has("192.0.2.7", "192.0.2.7:1") && !has("192.0.2.7", "192.0.2.70:1"));
        assert!(has("10.0.0.0/8", "10.9.9.9:1") && !has("10.0.0.0/8", "11.0.0.1:1"));
        assert!(has("0.0.0.0/0", "11.0.0.1:1") && !has("0.0.0.0/0", "[2001:db8::1]:1"));
        for entry in ["2001:db8::1", "[2001:db8::1]", "2001:db8::/32", "[2001:db8::1]:1", "::/0"] {
            assert!(has(entry, "[2001:db8::1]:1"), "{entry}");
        }
        assert!(!has("10.0.0.0/33", "10.0.0.1:1") && !has("10.0.0.0/x", "10.0.0.1:1"));
    }

    #[test]
    fn a_port_narrows_an_entry() {
        assert!(has("vps:4433", "vps:4433") && !has("vps:4433", "vps:443"));
        assert!(has("192.0.2.7:1", "192.0.2.7:1") && !has("192.0.2.7:1", "192.0.2.7:2"));
    }

    #[test]
    fn a_star_is_everything_and_what_cannot_be_read_is_nothing() {
        assert!(has("*", "vps:1") && has("x *", "[::1]:1"));
        for entry in ["", ",,", ".", "vps:", "vps:x", ":1", "*vps"] {
            assert!(!has(entry, "vps:1"), "{entry}");
        }
    }
}
