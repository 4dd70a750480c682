//! A target as a user writes it ⇄ a [`Run`] of [`TargetAddress`].
//!
//! Nothing is resolved: whether the name exists is checked at the dial.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::part::{cut, host, ports};
use super::tunnel::{PREFIX, is_service, nested, split};
use super::{Host, Run, TargetAddress, TargetThere, There, UnixName};
use crate::units::{Misread, from_text, quoted};

/// The most bytes of an address that is dialled at the other end: what asks for it has one byte for the length.
const MAX_ADDRESS: usize = 255;

impl FromStr for Run<TargetAddress> {
    type Err = Misread;

    /// Reads `"localhost:3000"`, `"[::1]:3000"`, `"[fe80::1%eth0]:3000"`, and `"3000"` or `":3000"` for 127.0.0.1;
    /// `"9000-9010"` for the port is a range. `"unix:/run/x.sock"` is a Unix socket, and
    /// `"tunnel:vps/db"` or `"tunnel:vps/ADDRESS"` is at the other end of a tunnel. The port is 1 to 65535, and the host is
    /// not an unspecified address.
    fn from_str(text: &str) -> Result<Self, Misread> {
        if let Some(name) = UnixName::read(text) {
            return Ok(Run::from(TargetAddress::Unix(name?)));
        }
        if let Some(there) = target_there(text) {
            return Ok(Run::from(TargetAddress::There(there?)));
        }
        let cut = cut(text)?;
        let (port, count) = ports(cut.port)?;
        let host = cut.host.map_or(Ok(Host::Ip(Ipv4Addr::LOCALHOST.into())), host)?;
        if let Host::Ip(ip) = host
            && ip.to_canonical().is_unspecified()
        {
            let (every, loopback) = match ip {
                IpAddr::V4(_) => ("0.0.0.0", "127.0.0.1"),
                IpAddr::V6(_) => ("[::]", "[::1]"),
            };
            return Err(Misread::new(
                format!("{every} means every address when listening, and cannot be dialled"),
                format!(r#"write "{loopback}:{port}" for this machine"#),
            ));
        }
        if port == 0 {
            return Err(Misread::new(
                "port 0 cannot be dialled",
                "write the port the target listens on, 1 to 65535",
            ));
        }
        Ok(Run::new(TargetAddress::Net(host, port), count))
    }
}

/// Reads `tunnel:NAME/SERVICE` or `tunnel:NAME/ADDRESS`; `None` if the text is of another kind.
fn target_there(text: &str) -> Option<Result<TargetThere, Misread>> {
    let (name, rest) = split(text)?;
    Some(
        name.parse()
            .and_then(|tunnel| Ok(TargetThere { to: there(name, rest.unwrap_or_default())?, tunnel })),
    )
}

fn there(tunnel: &str, rest: &str) -> Result<There, Misread> {
    if rest.is_empty() {
        let what = format!("\"tunnel:{tunnel}\" names no target");
        let instead = format!("write \"tunnel:{tunnel}/NAME\", with the name of a route there");
        return Err(Misread::new(what, instead));
    }
    if is_service(rest) {
        return Ok(There::Service(rest.into()));
    }
    // Refused before it is read: a long text would be read ever deeper.
    if rest.starts_with(PREFIX) {
        return Err(nested());
    }
    let run: Run<TargetAddress> = rest.parse()?;
    if run.first().to_string().len() > MAX_ADDRESS {
        let what = format!("{} is too long for a tunnel", quoted(rest));
        return Err(Misread::new(what, "write a shorter name, or the name of a route there"));
    }
    match (run.first(), run.count()) {
        (address, 1) => Ok(There::Address(Box::new(address.clone()))),
        _ => Err(Misread::new("a range of ports is no target in a tunnel", "write one target for each port")),
    }
}

impl<'de> Deserialize<'de> for Run<TargetAddress> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "an address, as \"127.0.0.1:3000\"", |number| {
            Misread::new(
                "an address is written in quotes",
                format!(r#"write "{number}" or "localhost:{number}""#),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::SocketAddr;

    fn read(text: &str) -> String {
        text.parse::<Run<TargetAddress>>().unwrap().to_string()
    }

    fn message(text: &str) -> String {
        text.parse::<Run<TargetAddress>>().unwrap_err().to_string()
    }

    #[test]
    fn a_target_without_a_host_is_loopback() {
        assert_eq!(read("3000"), "127.0.0.1:3000");
        assert_eq!(read(":3000"), "127.0.0.1:3000");
    }

    #[test]
    fn names_and_literals_stay_what_they_are() {
        for text in
            ["localhost:3000", "[::1]:3000", "db.internal:5432", "my_db-2:1", "192.168.0.1:65535", "a.b.:1"]
        {
            assert_eq!(read(text), text);
        }
    }

    #[test]
    fn an_ipv6_address_without_brackets_is_refused_with_the_brackets_to_add() {
        assert_eq!(
            message("::1:3000"),
            r#""::1:3000" is an IPv6 address without brackets; write "[::1]:3000""#
        );
        assert_eq!(
            message("fe80::"),
            r#""fe80::" is an IPv6 address without brackets; write "[fe80::]:PORT""#
        );
        assert!(message("a:b:c").contains("too many colons"));
        assert_eq!(read("[fe80::1%eth0]:80"), "[fe80::1%eth0]:80");
        assert!(message("[127.0.0.1]:80").starts_with("brackets are for IPv6 alone"));
    }

    #[test]
    fn ports_that_are_none_are_refused() {
        for text in ["h:65536", "h:+80", "h:x", "h:8 0", "h:-1", "h:99999999999999999999"] {
            assert!(text.parse::<Run<TargetAddress>>().is_err(), "{text}");
        }
        assert_eq!(message("localhost"), r#""localhost" has no port; write "localhost:PORT""#);
        assert_eq!(message("[::1]"), r#""[::1]" has no port; write "[::1]:PORT""#);
        assert!(message("h:0").starts_with("port 0 cannot be dialled"));
    }

    #[test]
    fn a_text_that_is_not_an_address_is_reported_as_what_it_is() {
        assert!(
            message("http://localhost:3000/x").ends_with(r#"write host and port alone: "localhost:3000""#)
        );
        assert!(message("53/udp").starts_with(r#""53/udp" has the protocol in it"#));
        assert_eq!(read("h:8000-8010"), "h:8000-8010");
        assert!(message("/run/x.sock").ends_with(r#"write "unix:/run/x.sock""#));
        assert!(message("127.0.0.256:80").contains("is not an IPv4 address"));
        assert!(message("0.0.0.0:80").ends_with(r#"write "127.0.0.1:80" for this machine"#));
        assert_eq!(
            message("\x1b[2J:80"),
            r#""\u{1b}[2J" is not a host name; a name has letters, digits, - and _, with dots between"#
        );
    }

    proptest! {
        #[test]
        fn a_literal_is_read_back(address: SocketAddr) {
            prop_assume!(address.port() != 0 && !address.ip().to_canonical().is_unspecified());
            let target = TargetAddress::from(address);

            prop_assert_eq!(target.to_string().parse::<Run<TargetAddress>>(), Ok(target.into()));
        }

        #[test]
        fn a_name_is_read_back(name in "[a-z_][a-z0-9_-]{0,20}(\\.[a-z][a-z0-9-]{0,5}){0,3}", port in 1_u16..) {
            let target = TargetAddress::Net(Host::Name(name.into()), port);

            prop_assert_eq!(target.to_string().parse::<Run<TargetAddress>>(), Ok(target.into()));
        }

        #[test]
        fn no_text_panics_and_no_message_holds_a_control_character(text in ".*") {
            if let Err(misread) = text.parse::<Run<TargetAddress>>() {
                prop_assert!(!misread.to_string().contains(char::is_control));
            }
        }

        #[test]
        fn nothing_that_looks_like_an_address_panics(text in r"(unix:)?[\[\]:.%*@/0-9a-fu -]{0,24}") {
            let _ = text.parse::<Run<TargetAddress>>();
        }
    }
}
