//! A local address to dial from, as a user writes it ⇄ [`SourceAddress`].
//!
//! It has no port: the kernel chooses one for each dial.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::units::{Misread, from_text, quoted};

/// One IP address of this machine to dial from, never the unspecified address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceAddress(pub IpAddr);

impl FromStr for SourceAddress {
    type Err = Misread;

    /// Reads `"127.0.0.2"` or `"::1"`, in brackets or not.
    fn from_str(text: &str) -> Result<Self, Misread> {
        let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let ip = match inner {
            Some(inner) => inner.parse::<Ipv6Addr>().map(IpAddr::V6),
            None => text.parse::<IpAddr>(),
        };
        match ip {
            Ok(ip) if ip.is_unspecified() => Err(Misread::new(
                format!("{ip} means any address, and a source is one of this machine's"),
                r#"write "off" to let the kernel choose"#,
            )),
            Ok(ip) => Ok(SourceAddress(ip)),
            Err(_) => Err(Misread::new(
                format!("{} is not an IP address", quoted(text)),
                r#"write an address of this machine without a port, as "127.0.0.2""#,
            )),
        }
    }
}

impl fmt::Display for SourceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for SourceAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "an IP address, as \"127.0.0.2\"", |number| {
            Misread::new(format!("{number} is not an IP address"), r#"write one in quotes, as "127.0.0.2""#)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_source_has_no_port_and_is_one_address() {
        assert_eq!("[::1]".parse(), Ok(SourceAddress(Ipv6Addr::LOCALHOST.into())));
        assert!("127.0.0.1:80".parse::<SourceAddress>().is_err());
        assert!("0.0.0.0".parse::<SourceAddress>().is_err());
        assert!("lo".parse::<SourceAddress>().is_err());
    }

    proptest! {
        #[test]
        fn a_source_is_read_back(ip: IpAddr) {
            prop_assume!(!ip.is_unspecified());
            let source = SourceAddress(ip);

            prop_assert_eq!(source.to_string().parse::<SourceAddress>(), Ok(source));
        }
    }
}
