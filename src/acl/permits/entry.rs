//! One entry of `may_listen` or `may_dial`, as a user writes it ⇄ [`May`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

use super::closed::is_translated;
use crate::acl::Listed;
use crate::address::{Host, ListenAddress, Numbered, Protocol, Run, TargetAddress, UnixName, is_localhost};
use crate::units::{Misread, from_text, quoted};

/// One entry: `ADDRESS-or-CIDR[:PORTS][/udp]`, `NAME:PORT` or a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct May {
    pub(super) what: What,
    pub(super) protocol: Protocol,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Every address of the network.
    Net(IpNet, Ports),
    /// 127.0.0.1 and ::1.
    Localhost(Ports),
    /// This very name, in small letters and without a dot at its end.
    Name(Box<str>, u16),
    /// This very socket.
    Unix(UnixName),
}

/// Ports, in order; `None` is every port.
pub(super) type Ports = Option<RangeInclusive<u16>>;

impl What {
    /// The networks it stands for, and their ports.
    pub(super) fn networks(&self) -> (Vec<IpNet>, &Ports) {
        const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        match self {
            What::Net(network, ports) => (vec![*network], ports),
            What::Localhost(ports) => (LOOPBACK.map(IpNet::from).to_vec(), ports),
            What::Name(..) | What::Unix(_) => (Vec::new(), &None),
        }
    }
}

/// A name as it is compared: DNS knows no difference of case, and a dot at the end only says that the name is whole.
pub(super) fn plain(name: &str) -> Box<str> {
    name.trim_end_matches('.').to_ascii_lowercase().into()
}

impl FromStr for May {
    type Err = Misread;

    /// Reads `"10.0.0.0/8:5432"`, `"[fd00::/8]:8000-8010"`, `"0.0.0.0:27015/udp"`, `"8080"` for 127.0.0.1:8080,
    /// `"db.internal:5432"` and `"unix:/run/x.sock"`. Without ports every port is meant.
    fn from_str(text: &str) -> Result<Self, Misread> {
        if text.starts_with("unix:") {
            return match text.parse::<Run<TargetAddress>>()?.first() {
                TargetAddress::Unix(name) => {
                    Ok(May { what: What::Unix(name.clone()), protocol: Protocol::Tcp })
                }
                _ => Err(misread(text)),
            };
        }
        if text.starts_with("tunnel:") {
            let what = format!("{} is at the other end of a tunnel", quoted(text));
            return Err(Misread::new(what, "write an address of this machine or its network"));
        }
        if let Some(bare) = text.strip_suffix("/tcp") {
            let what = format!("{} has the protocol in it", quoted(text));
            return Err(Misread::new(what, format!("tcp is the default: {}", quoted(bare))));
        }
        let (bare, protocol) = match text.strip_suffix("/udp") {
            Some(bare) => (bare, Protocol::Udp),
            None => (text, Protocol::Tcp),
        };
        Ok(May { what: what(bare)?, protocol })
    }
}

fn what(text: &str) -> Result<What, Misread> {
    let (host, written) = split(text)?;
    let ports = written.map(ports).transpose()?;
    let Some(host) = host else { return Ok(What::Net(IpAddr::from(Ipv4Addr::LOCALHOST).into(), ports)) };
    if host.contains(':') || host.starts_with(|c: char| c.is_ascii_digit()) {
        return network(host).map(|network| What::Net(network, ports));
    }
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(What::Localhost(ports));
    }
    name(text, host, ports)
}

/// The host and the ports, neither of which must be there; an IPv6 address or network comes out of its brackets.
fn split(text: &str) -> Result<(Option<&str>, Option<&str>), Misread> {
    if text.is_empty() || text.contains(char::is_whitespace) || text.contains(',') || text.contains("://") {
        return Err(misread(text));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (inner, behind) = rest.split_once(']').ok_or_else(|| misread(text))?;
        return match behind.strip_prefix(':') {
            Some(ports) => Ok((Some(inner), Some(ports))),
            None if behind.is_empty() => Ok((Some(inner), None)),
            None => match behind.strip_prefix('/') {
                Some(length) => Err(in_brackets(text, &format!("{inner}/{length}"))),
                None => Err(misread(text)),
            },
        };
    }
    let is_ports = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    match text.split_once(':') {
        None if is_ports(text) => Ok((None, Some(text))),
        None => Ok((Some(text), None)),
        Some(("", ports)) if !ports.contains(':') => Ok((None, Some(ports))),
        Some((_, ports)) if ports.contains(':') => Err(in_brackets(text, text)),
        Some((host, ports)) => Ok((Some(host), Some(ports))),
    }
}

/// IPv6 outside brackets, or a length behind them.
fn in_brackets(text: &str, inner: &str) -> Misread {
    let what = format!("{} is IPv6, and brackets are missing or misplaced", quoted(text));
    let (network, port) = match inner.rsplit_once(':') {
        _ if inner.parse::<IpNet>().is_ok() || inner.parse::<Ipv6Addr>().is_ok() => (inner, "PORT"),
        Some((network, port)) if network.contains('/') => (network, port),
        _ => return Misread::new(what, r#"write it as "[fd00::/8]:5432""#),
    };
    Misread::new(what, format!("write {}", quoted(&format!("[{network}]:{port}"))))
}

/// Read as an address to listen on, whose messages fit.
fn ports(text: &str) -> Result<RangeInclusive<u16>, Misread> {
    let run: Run<ListenAddress> = format!("127.0.0.1:{text}").parse().map_err(|error: Misread| {
        let is_of_ports = error.what.contains("port") && !error.what.contains("127.0.0.1");
        if is_of_ports || error.what.starts_with("the range") { error } else { not_ports(text) }
    })?;
    let first = run.first().port().unwrap_or(0);
    if first == 0 {
        return Err(Misread::new(
            "port 0 permits no port",
            "leave the port out to permit every port, or write a range, as \"8000-8010\"",
        ));
    }
    // A run ends with the ports.
    Ok(first..=first + (run.count() - 1) as u16)
}

fn not_ports(text: &str) -> Misread {
    let what = format!("{} is not a port or a range of ports", quoted(text));
    Misread::new(what, "write \"8080\" or \"8000-8010\", or leave it out to permit every port")
}

fn network(text: &str) -> Result<IpNet, Misread> {
    let shortest = match text.parse::<Listed>()? {
        Listed::Network(network) => network,
        _ => return Err(misread(text)),
    };
    if is_translated(shortest) {
        let what = format!("{} stands for addresses of IPv4", quoted(text));
        return Err(Misread::new(
            what,
            "write those, as \"10.0.0.0/8\": an address is judged by where it leads",
        ));
    }
    Ok(shortest)
}

fn name(text: &str, host: &str, ports: Ports) -> Result<What, Misread> {
    if ["*", "all", "any"].contains(&host.to_ascii_lowercase().as_str()) {
        let what = format!("{} is not an address", quoted(host));
        let ports = text.strip_prefix(host).unwrap_or_default();
        let instead =
            format!("write \"0.0.0.0/0{ports}\" for every IPv4 address, \"[::/0]{ports}\" for IPv6");
        return Err(Misread::new(what, instead));
    }
    let one = ports.as_ref().filter(|ports| ports.start() == ports.end()).map(|ports| *ports.start());
    let Some(port) = one else {
        let what = format!("{} is a name, which needs one port, and is for may_dial alone", quoted(host));
        let one = quoted(&format!("{host}:5432"));
        return Err(Misread::new(
            what,
            format!("write {one} in may_dial, an address as \"0.0.0.0:8080\" in may_listen"),
        ));
    };
    match format!("{host}:{port}").parse::<Run<TargetAddress>>()?.first() {
        TargetAddress::Net(Host::Name(name), port) => Ok(What::Name(plain(name), *port)),
        _ => Err(misread(text)),
    }
}

fn misread(text: &str) -> Misread {
    let what = format!("{} is not an address that can be permitted", quoted(text));
    let trimmed = text.trim();
    let instead = match trimmed != text && trimmed.parse::<May>().is_ok() {
        true => format!("write {}", quoted(trimmed)),
        false => {
            "write an address or a network, and ports: \"127.0.0.1:8080\", \"10.0.0.0/8:5432\"".to_owned()
        }
    };
    Misread::new(what, instead)
}

impl May {
    /// What it permits.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether it is a name that is looked up.
    pub fn is_name(&self) -> bool {
        matches!(self.what, What::Name(..))
    }

    /// The name whose look-up it permits, with its port.
    pub(super) fn permits_look_up(&self, name: &str, port: u16) -> bool {
        match &self.what {
            What::Name(own, of) => *of == port && **own == *plain(name),
            What::Localhost(ports) => is_localhost(name) && has(ports, port),
            What::Net(..) | What::Unix(_) => false,
        }
    }
}

/// Whether a port is among these.
pub(super) fn has(ports: &Ports, port: u16) -> bool {
    ports.as_ref().is_none_or(|ports| ports.contains(&port))
}

impl fmt::Display for May {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write_ports = |f: &mut fmt::Formatter<'_>, ports: &Ports| match ports {
            Some(ports) if ports.start() == ports.end() => write!(f, ":{}", ports.start()),
            Some(ports) => write!(f, ":{}-{}", ports.start(), ports.end()),
            None => Ok(()),
        };
        match &self.what {
            What::Net(network, ports) => {
                match (network, network.prefix_len() == network.max_prefix_len()) {
                    (IpNet::V4(it), true) => write!(f, "{}", it.addr())?,
                    (IpNet::V4(it), false) => write!(f, "{it}")?,
                    (IpNet::V6(it), true) => write!(f, "[{}]", it.addr())?,
                    (IpNet::V6(it), false) => write!(f, "[{it}]")?,
                }
                write_ports(f, ports)?;
            }
            What::Localhost(ports) => {
                f.write_str("localhost")?;
                write_ports(f, ports)?;
            }
            What::Name(name, port) => write!(f, "{name}:{port}")?,
            What::Unix(name) => name.fmt(f)?,
        }
        if self.protocol == Protocol::Udp { f.write_str("/udp") } else { Ok(()) }
    }
}

impl<'de> Deserialize<'de> for May {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "an address, as \"127.0.0.1:8080\"", |number| {
            Misread::new(
                "an address is written in quotes",
                format!(r#"write "{number}" or "127.0.0.1:{number}""#),
            )
        })
    }
}
