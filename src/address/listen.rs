//! A listen address as a user writes it ⇄ a [`Run`] of [`ListenAddress`].
//!
//! Closed by default: an address without a host is loopback, and any other address must be written out.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::part::{Cut, cut, host, ports};
use super::tunnel::{PREFIX, nested, split};
use super::{Host, Interface, Numbered, Run, TunnelName, UnixName};
use crate::units::{Misread, from_text, quoted};

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListenAddress {
    /// An IP address of this machine and a port.
    Net(NetListen),
    /// A Unix socket.
    Unix(UnixName),
    /// At the other end of a tunnel.
    There(ListenThere),
}

/// An IP address of this machine and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetListen {
    /// The address, or the unspecified address for every address of its family.
    pub ip: IpAddr,
    /// The interface of a link-local address.
    pub zone: Option<Interface>,
    /// The port; 0 lets the kernel choose.
    pub port: u16,
    /// The families `[::]` accepts; not part of the address as written.
    pub families: Families,
}

/// Where a route listens at the other end of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenThere {
    /// The tunnel.
    pub tunnel: TunnelName,
    /// The address to listen on there, whose port may be 0 or a range: one free port of them is taken. `None` offers the
    /// route there by its name alone.
    pub at: Option<Box<Run<ListenAddress>>>,
}

/// Which families a listener accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Families {
    /// Only that of its address.
    #[default]
    Own,
    /// On `[::]`, IPv4 as well (ipv6(7), IPV6_V6ONLY off).
    Both,
}

impl NetListen {
    /// The listener of an address, for its own family only.
    pub fn new(address: SocketAddr) -> NetListen {
        NetListen { ip: address.ip(), zone: None, port: address.port(), families: Families::Own }
    }

    /// Whether it accepts clients of `ip`, an address in its shortest form.
    pub fn covers(&self, ip: IpAddr) -> bool {
        let same_family = self.ip.is_ipv4() == ip.is_ipv4();
        self.ip.to_canonical() == ip
            || self.ip.is_unspecified() && (same_family || self.families == Families::Both)
    }
}

impl ListenAddress {
    /// The same address, with these families for `[::]`.
    #[must_use]
    pub fn taking(self, families: Families) -> ListenAddress {
        match self {
            ListenAddress::Net(net) if net.ip.is_ipv6() && net.ip.is_unspecified() => {
                ListenAddress::Net(NetListen { families, ..net })
            }
            other => other,
        }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        ListenAddress::Net(NetListen::new(address))
    }
}

impl Numbered for ListenAddress {
    fn nth(&self, n: u16) -> Self {
        match self {
            ListenAddress::Net(net) => ListenAddress::Net(NetListen { port: net.port + n, ..net.clone() }),
            ListenAddress::Unix(_) | ListenAddress::There(_) => self.clone(),
        }
    }

    fn port(&self) -> Option<u16> {
        match self {
            ListenAddress::Net(net) => Some(net.port),
            ListenAddress::Unix(_) | ListenAddress::There(_) => None,
        }
    }
}

impl FromStr for Run<ListenAddress> {
    type Err = Misread;

    /// Reads `"127.0.0.1:8080"`, `"[::1]:8080"`, `"[fe80::1%eth0]:8080"`, and `"8080"`, `":8080"` or `"localhost:8080"`
    /// for 127.0.0.1; `"8000-8010"` for the port is a range. `"unix:/run/x.sock"` is a Unix socket, and
    /// `"tunnel:vps"` or `"tunnel:vps/ADDRESS"` is at the other end of a tunnel. A name is refused: its address could change
    /// while the listener runs.
    fn from_str(text: &str) -> Result<Self, Misread> {
        if let Some(name) = UnixName::read(text) {
            return Ok(Run::from(ListenAddress::Unix(name?)));
        }
        if let Some(there) = listen_there(text) {
            return Ok(Run::from(ListenAddress::There(there?)));
        }
        let cut = cut(text)?;
        let (port, count) = ports(cut.port)?;
        let (ip, zone) = ip(&cut)?;
        let first = NetListen { ip, zone, port, families: Families::Own };
        Ok(Run::new(ListenAddress::Net(first), count))
    }
}

/// Reads `tunnel:NAME` or `tunnel:NAME/ADDRESS`; `None` if the text is of another kind.
fn listen_there(text: &str) -> Option<Result<ListenThere, Misread>> {
    let (name, rest) = split(text)?;
    Some(name.parse().and_then(|tunnel| {
        // Refused before it is read: a long text would be read ever deeper.
        if rest.is_some_and(|rest| rest.starts_with(PREFIX)) {
            return Err(nested());
        }
        let at: Option<Run<ListenAddress>> = rest.map(str::parse).transpose()?;
        Ok(ListenThere { tunnel, at: at.map(Box::new) })
    }))
}

fn ip(cut: &Cut<'_>) -> Result<(IpAddr, Option<Interface>), Misread> {
    let loopback = || (Ipv4Addr::LOCALHOST.into(), None);
    let Some(written) = cut.host else { return Ok(loopback()) };
    if written == "*" {
        let instead = format!(r#"write "0.0.0.0:{}" to listen on every address"#, cut.port);
        return Err(Misread::new(r#""*" is not an address"#, instead));
    }
    match host(written)? {
        Host::Ip(ip) => Ok((ip, None)),
        Host::Zoned(ip, zone) => Ok((ip.into(), Some(zone))),
        Host::Name(name) if name.eq_ignore_ascii_case("localhost") => Ok(loopback()),
        Host::Name(name) => Err(Misread::new(
            format!("{} is a name, and listening needs an IP address", quoted(&name)),
            format!(
                r#"write "127.0.0.1:{port}" for this machine alone, "0.0.0.0:{port}" for every address"#,
                port = cut.port
            ),
        )),
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Net(net) => net.fmt(f),
            ListenAddress::Unix(name) => name.fmt(f),
            ListenAddress::There(there) => there.fmt(f),
        }
    }
}

impl fmt::Display for ListenThere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.tunnel)?;
        self.at.as_ref().map_or(Ok(()), |at| write!(f, "/{at}"))
    }
}

impl fmt::Display for NetListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.ip, &self.zone) {
            (ip, Some(zone)) => write!(f, "[{ip}%{zone}]:{}", self.port),
            (ip, None) => SocketAddr::new(ip, self.port).fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Run<ListenAddress> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "an address, as \"127.0.0.1:8080\"", |number| {
            Misread::new(
                "an address is written in quotes",
                format!(r#"write "{number}" or "127.0.0.1:{number}""#),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> String {
        text.parse::<Run<ListenAddress>>().unwrap().to_string()
    }

    fn message(text: &str) -> String {
        text.parse::<Run<ListenAddress>>().unwrap_err().to_string()
    }

    #[test]
    fn an_address_without_a_host_is_loopback() {
        assert_eq!(read("8080"), "127.0.0.1:8080");
        assert_eq!(read(":8080"), "127.0.0.1:8080");
        assert_eq!(read("LocalHost:8080"), "127.0.0.1:8080");
        assert_eq!(read("0"), "127.0.0.1:0");
    }

    #[test]
    fn every_address_is_written_out() {
        assert_eq!(read("0.0.0.0:8080"), "0.0.0.0:8080");
        assert_eq!(read("[::]:8080"), "[::]:8080");
        assert_eq!(
            message("*:8080"),
            r#""*" is not an address; write "0.0.0.0:8080" to listen on every address"#
        );
    }

    #[test]
    fn a_name_is_refused() {
        assert!(
            message("web.internal:80")
                .starts_with(r#""web.internal" is a name, and listening needs an IP address"#)
        );
        assert!(message("127.0.0.1").starts_with(r#""127.0.0.1" has no port"#));
    }

    #[test]
    fn a_range_is_as_many_addresses_as_it_has_ports() {
        let run: Run<ListenAddress> = "[::1]:8000-8002".parse().unwrap();

        let each: Vec<String> = run.each().map(|address| address.to_string()).collect();
        assert_eq!(each, ["[::1]:8000", "[::1]:8001", "[::1]:8002"]);
        assert_eq!(read("8000-8010"), "127.0.0.1:8000-8010");
        assert_eq!(read("1-65535"), "127.0.0.1:1-65535");
        assert_eq!(read("80-80"), "127.0.0.1:80");
        assert!(message("8010-8000").ends_with(r#"write "8000-8010""#));
        assert!(message("0-10").contains("begins at port 0"));
        assert!(message("8000-99999").starts_with(r#""99999" is not a port"#));
        assert!(message("8000-8005-8010").contains("has no port"), "{}", message("8000-8005-8010"));
    }

    #[test]
    fn a_zone_stands_with_a_link_local_address() {
        assert_eq!(read("[fe80::1%eth0]:80"), "[fe80::1%eth0]:80");
        assert_eq!(read("[fe80::1%2]:80-81"), "[fe80::1%2]:80-81");
        assert!(message("[::1%lo]:80").starts_with("[::1] takes no zone"));
        assert!(message("[fe80::1%a/b]:80").contains("is not the name of an interface"));
    }

    #[test]
    fn a_unix_socket_is_a_path_or_a_name() {
        assert_eq!(read("unix:/run/x.sock"), "unix:/run/x.sock");
        assert_eq!(read("unix:@gate"), "unix:@gate");
    }

    proptest! {
        #[test]
        fn a_listen_address_is_read_back(ip: IpAddr, port: u16, count in 1_u16..) {
            let count = if port == 0 { 1 } else { count };
            let listen = Run::new(ListenAddress::from(SocketAddr::new(ip, port)), count);

            prop_assert_eq!(listen.each().count(), listen.count());
            prop_assert_eq!(listen.to_string().parse::<Run<ListenAddress>>(), Ok(listen));
        }

        #[test]
        fn nothing_that_looks_like_an_address_panics(text in r"(unix:)?[\[\]:.%*@/0-9a-fu -]{0,24}") {
            let _ = text.parse::<Run<ListenAddress>>();
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<Run<ListenAddress>>();
        }
    }
}
