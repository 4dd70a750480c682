//! One entry of a client list, as a user writes it ⇄ [`Listed`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Deserializer};

use super::members::Member;
use crate::units::{Misread, from_text, quoted};

/// One entry of `allow` or `deny`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listed {
    /// A network in CIDR notation, or one address.
    Network(IpNet),
    /// `localhost`: 127.0.0.0/8 and ::1.
    Localhost,
    /// `file:PATH`: a file with one entry per line.
    File(PathBuf),
    /// `uid:1000`, `gid:www-data`: a client of a Unix socket.
    Member(Member),
}

const EXAMPLE: &str = r#"write a network, as "192.168.0.0/16", or an address"#;

impl Listed {
    /// The networks it stands for; none for a file, which the plan reads, and for a user or group.
    pub fn networks(&self) -> impl Iterator<Item = IpNet> {
        let loopback = [
            IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
            IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
        ];
        let networks = match self {
            Listed::Network(network) => [Some(*network), None],
            Listed::Localhost => loopback.map(Some),
            Listed::File(_) | Listed::Member(_) => [None, None],
        };
        networks.into_iter().flatten()
    }
}

impl FromStr for Listed {
    type Err = Misread;

    /// Reads `"10.0.0.0/8"`, `"10.1.2.3"`, `"::1"`, `"localhost"` or `"file:PATH"`.
    fn from_str(text: &str) -> Result<Self, Misread> {
        if let Some(path) = text.strip_prefix("file:") {
            if path.is_empty() {
                return Err(Misread::new(
                    "no file is named",
                    r#"write its path, as "file:/etc/loopgate/blocked""#,
                ));
            }
            return Ok(Listed::File(path.into()));
        }
        if text == "localhost" {
            return Ok(Listed::Localhost);
        }
        if Member::is_meant(text) {
            return text.parse().map(Listed::Member);
        }
        let network = match text.parse::<IpAddr>() {
            Ok(ip) => IpNet::from(ip),
            Err(_) => text.parse::<IpNet>().map_err(|_| misread(text))?,
        };
        let network = canonical(network);
        if network.addr() != network.network() {
            let what = format!("{} has bits beyond its first {}", quoted(text), network.prefix_len());
            let instead = format!(
                r#"write "{}" for the network, or "{}" for one address"#,
                network.trunc(),
                network.addr()
            );
            return Err(Misread::new(what, instead));
        }
        Ok(Listed::Network(network))
    }
}

/// IPv4 networks written as IPv4-mapped IPv6 networks, `::ffff:10.0.0.0/104`, become the IPv4 network.
fn canonical(network: IpNet) -> IpNet {
    if let IpNet::V6(v6) = network
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && let Some(length) = v6.prefix_len().checked_sub(96)
        && let Ok(v4) = Ipv4Net::new(v4, length)
    {
        return v4.into();
    }
    network
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listed::Network(network) if network.prefix_len() == network.max_prefix_len() => {
                network.addr().fmt(f)
            }
            Listed::Network(network) => network.fmt(f),
            Listed::Localhost => f.write_str("localhost"),
            Listed::File(path) => write!(f, "file:{}", path.display()),
            Listed::Member(member) => member.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a network, as \"192.168.0.0/16\"", |number| {
            Misread::new(format!("{number} is not a network"), r#"write one in quotes, as "192.168.0.0/16""#)
        })
    }
}

/// Works out what was meant by a text that cannot be read as it stands.
fn misread(text: &str) -> Misread {
    let shown = quoted(text);
    let trimmed = text.trim();
    if trimmed != text && trimmed.parse::<Listed>().is_ok() {
        return Misread::new(format!("{shown} has spaces around it"), format!("write {}", quoted(trimmed)));
    }
    if ["all", "any", "*", "0/0", "everyone", "everybody"].contains(&trimmed.to_lowercase().as_str()) {
        let instead = r#"write "0.0.0.0/0" for every IPv4 address and "::/0" for every IPv6 one"#;
        return Misread::new(format!("{shown} is not a network"), instead);
    }
    if let Some(network) = meant(trimmed) {
        return Misread::new(
            format!("{shown} is not how a network is written"),
            format!(r#"write "{network}""#),
        );
    }
    if let Some((address, length)) = trimmed.split_once('/')
        && let Ok(ip) = address.parse::<IpAddr>()
    {
        let most = if ip.is_ipv4() { 32 } else { 128 };
        return Misread::new(
            format!("{} is no length of a prefix", quoted(length)),
            format!("write 0 to {most}"),
        );
    }
    if looks_like_a_name(trimmed) {
        let what = format!("{shown} is a name, and a client is known by its address alone");
        return Misread::new(what, EXAMPLE);
    }
    Misread::new(format!("{shown} is not a network"), EXAMPLE)
}

pub(super) fn looks_like_a_name(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_alphabetic()) && !text.contains([':', '/', ' '])
}

/// `10.0.0.0/255.0.0.0`, `192.168.*`, `192.168.`, `[::1]`, `10.0.0.1:80` and `10/8`, as other programs write them.
pub(super) fn meant(text: &str) -> Option<Listed> {
    let network = |ip: IpAddr, length: u8| Some(Listed::Network(IpNet::new(ip, length).ok()?.trunc()));
    if let Some((address, mask)) = text.split_once('/')
        && let (Ok(address), Ok(mask)) = (address.parse::<Ipv4Addr>(), mask.parse::<Ipv4Addr>())
    {
        let length = mask.to_bits().leading_ones();
        let is_mask = mask.to_bits().checked_shl(length).unwrap_or(0) == 0;
        return is_mask.then(|| network(address.into(), length as u8))?;
    }
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return Some(Listed::Network(address.ip().into()));
    }
    let bare = text.trim_start_matches('[').replacen(']', "", 1);
    if bare != text
        && let Ok(listed @ Listed::Network(_)) = bare.parse::<Listed>()
    {
        return Some(listed);
    }
    let (front, length) =
        text.split_once('/').map_or((text, None), |(front, length)| (front, length.parse::<u8>().ok()));
    let parts: Vec<&str> = front.split('.').filter(|part| !matches!(*part, "*" | "")).collect();
    let is_cut = front != text || front.ends_with(['*', '.']);
    if parts.is_empty() || parts.len() > 3 || !is_cut {
        return None;
    }
    let mut octets = [0; 4];
    for (octet, part) in octets.iter_mut().zip(&parts) {
        *octet = part.parse::<u8>().ok()?;
    }
    network(Ipv4Addr::from(octets).into(), length.unwrap_or(8 * parts.len() as u8))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> String {
        text.parse::<Listed>().unwrap_err().to_string()
    }

    fn read(text: &str) -> String {
        text.parse::<Listed>().unwrap().to_string()
    }

    #[test]
    fn networks_addresses_names_and_files_are_read() {
        for text in
            ["10.0.0.0/8", "10.1.2.3", "::/0", "2001:db8::/32", "::1", "localhost", "file:/etc/x", "file:a b"]
        {
            assert_eq!(read(text), text);
        }
        assert_eq!(read("::ffff:10.0.0.0/104"), "10.0.0.0/8");
        assert_eq!(read("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(read("10.0.0.1/32"), "10.0.0.1");
        let loopback: Vec<String> = Listed::Localhost.networks().map(|network| network.to_string()).collect();
        assert_eq!(loopback, ["127.0.0.0/8", "::1/128"]);
    }

    #[test]
    fn host_bits_are_answered_with_the_network() {
        assert_eq!(
            message("10.0.0.1/8"),
            r#""10.0.0.1/8" has bits beyond its first 8; write "10.0.0.0/8" for the network, or "10.0.0.1" for one address"#
        );
        assert!(message("2001:db8::1/32").contains(r#"write "2001:db8::/32" for the network"#));
    }

    #[test]
    fn another_spelling_is_answered_with_the_one_that_is_read() {
        let proposed = |text: &str| message(text).split_once("; write ").unwrap().1.to_owned();

        assert_eq!(proposed("10.1.0.0/255.255.0.0"), r#""10.1.0.0/16""#);
        assert_eq!(proposed("192.168.1.*"), r#""192.168.1.0/24""#);
        assert_eq!(proposed("192.168.*.*"), r#""192.168.0.0/16""#);
        assert_eq!(proposed("172.16."), r#""172.16.0.0/16""#);
        assert_eq!(proposed("10/8"), r#""10.0.0.0/8""#);
        assert_eq!(proposed("[::1]"), r#""::1""#);
        assert_eq!(proposed("[2001:db8::]/32"), r#""2001:db8::/32""#);
        assert_eq!(proposed("127.0.0.1:80"), r#""127.0.0.1""#);
        assert_eq!(proposed(" ::1 "), r#""::1""#);
        assert_eq!(proposed("10.0.0.0/33"), "0 to 32");
        assert!(proposed("any").contains("0.0.0.0/0"));
        assert!(message("example.com").contains("is a name"));
        assert!(message("file:").contains("no file is named"));
        assert!(message("10.0.0.0/255.0.255.0").contains("is no length of a prefix"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<Listed>();
        }

        #[test]
        fn nothing_that_looks_like_a_network_panics(text in r"\[?[0-9a-f.:*]{0,20}\]?(/[0-9.]{0,12})?") {
            let _ = text.parse::<Listed>();
        }

        #[test]
        fn what_is_proposed_is_read(text in r"[0-9]{1,3}\.[0-9]{1,3}(\.[0-9]{1,3}\.[0-9]{1,3}|\.|\.\*)(/[0-9]{1,2})?") {
            if let Err(misread) = text.parse::<Listed>()
                && let Some((_, proposal)) = misread.instead.split_once("write \"")
            {
                prop_assert!(proposal.split('"').next().unwrap().parse::<Listed>().is_ok(), "{}", misread);
            }
        }

        #[test]
        fn a_network_is_read_back(ip: IpAddr, length in 0_u8..=128) {
            let network = canonical(IpNet::new(ip, length.min(if ip.is_ipv4() { 32 } else { 128 })).unwrap().trunc());
            let listed = Listed::Network(network);

            prop_assert_eq!(listed.to_string().parse::<Listed>(), Ok(listed));
        }
    }
}
