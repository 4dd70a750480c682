//! Which connections must begin with a header: an entry as a user writes it, and the set of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::acl::{Listed, Sets};
use crate::outcome::Client;
use crate::units::{Misread, from_text, quoted};

/// One entry of `accept_proxy`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// Clients at these addresses.
    Listed(Listed),
    /// `unix`: every client of the route's Unix sockets; the mode of those controls who may connect.
    Unix,
}

impl FromStr for Sender {
    type Err = Misread;

    /// Reads what a list of clients accepts, and `"unix"`.
    fn from_str(text: &str) -> Result<Self, Misread> {
        if text == "unix" {
            return Ok(Sender::Unix);
        }
        if text.starts_with("unix:") {
            return Err(Misread::new(
                "clients of a Unix socket have no address",
                r#"write "unix" for all clients of the route's Unix sockets"#,
            ));
        }
        match text.parse()? {
            Listed::Member(_) => Err(Misread::new(
                format!("{} is a user or a group, and proxies are not told apart by theirs", quoted(text)),
                r#"write "unix", and list users and groups under deny or allow"#,
            )),
            listed => Ok(Sender::Listed(listed)),
        }
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sender::Listed(listed) => listed.fmt(f),
            Sender::Unix => f.write_str("unix"),
        }
    }
}

impl<'de> Deserialize<'de> for Sender {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a network, as \"192.168.0.0/16\"", |other| {
            let instead = r#"list the proxies whose header is to be believed, as ["127.0.0.1/32"]"#;
            Misread::new(format!("{other} does not name the proxies"), instead)
        })
    }
}

/// The clients whose connections a route accepts, each with a header; if empty, the route accepts all clients and
/// expects no header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Senders {
    /// Those at these addresses.
    pub networks: Sets,
    /// Those of Unix sockets.
    pub unix: bool,
}

impl Senders {
    /// Whether there are none, so that no header is expected.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether this client is one of them.
    pub fn contains(&self, client: &Client) -> bool {
        match client {
            Client::Net(address) => {
                let ip = address.ip().to_canonical();
                self.networks.iter().any(|set| set.contains(ip))
            }
            Client::Unix { .. } => self.unix,
            Client::Unknown => false,
        }
    }
}
