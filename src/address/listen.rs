//! A listen address as a user writes it ⇄ [`ListenAddress`].
//!
//! Closed by default: an address without a host is loopback, and every other address is written out.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::Host;
use super::part::{Cut, cut, host, port};
use crate::units::{Misread, from_text, quoted};

/// An address to listen on: an IP address of this machine and a port, 0 to let the kernel choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenAddress(pub SocketAddr);

impl FromStr for ListenAddress {
    type Err = Misread;

    /// Reads `"127.0.0.1:8080"`, `"[::1]:8080"`, and `"8080"`, `":8080"` or `"localhost:8080"` for 127.0.0.1. A name is
    /// refused: what it means could change behind a running listener.
    fn from_str(text: &str) -> Result<Self, Misread> {
        let cut = cut(text)?;
        let port = port(cut.port)?;
        Ok(ListenAddress(SocketAddr::new(ip(&cut)?, port)))
    }
}

fn ip(cut: &Cut<'_>) -> Result<IpAddr, Misread> {
    let Some(written) = cut.host else { return Ok(Ipv4Addr::LOCALHOST.into()) };
    if written == "*" {
        let instead = format!(r#"write "0.0.0.0:{}" to listen on every address"#, cut.port);
        return Err(Misread::new(r#""*" is not an address"#, instead));
    }
    match host(written)? {
        Host::Ip(ip) => Ok(ip),
        Host::Name(name) if name.eq_ignore_ascii_case("localhost") => Ok(Ipv4Addr::LOCALHOST.into()),
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
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for ListenAddress {
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
        text.parse::<ListenAddress>().unwrap().to_string()
    }

    fn told(text: &str) -> String {
        text.parse::<ListenAddress>().unwrap_err().to_string()
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
            told("*:8080"),
            r#""*" is not an address; write "0.0.0.0:8080" to listen on every address"#
        );
    }

    #[test]
    fn a_name_and_what_comes_later_are_refused() {
        assert!(
            told("web.internal:80")
                .starts_with(r#""web.internal" is a name, and listening needs an IP address"#)
        );
        assert!(told("8000-8010").starts_with("not supported yet: port ranges"));
        assert!(told("127.0.0.1:8000-8010").starts_with("not supported yet: port ranges"));
        assert!(told("unix:/x").starts_with("not supported yet: unix sockets"));
        assert!(told("127.0.0.1").starts_with(r#""127.0.0.1" has no port"#));
    }

    proptest! {
        #[test]
        fn a_listen_address_is_read_back(ip: IpAddr, port: u16) {
            let listen = ListenAddress(SocketAddr::new(ip, port));

            prop_assert_eq!(listen.to_string().parse::<ListenAddress>(), Ok(listen));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<ListenAddress>();
        }
    }
}
