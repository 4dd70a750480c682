//! The name of a network interface: the zone of a link-local address, or the interface to dial from.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use crate::units::{Misread, from_text, quoted};

/// The longest interface name in bytes: IFNAMSIZ of linux/if.h, minus the terminating zero.
const LONGEST: usize = 15;

/// An interface by its name, as `eth0`. Whether it exists is checked at the bind or the dial.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interface(pub Arc<str>);

impl FromStr for Interface {
    type Err = Misread;

    /// Reads `"eth0"`: the names the kernel allows (dev_valid_name), restricted to those that can be part of an
    /// address.
    fn from_str(text: &str) -> Result<Self, Misread> {
        let legal = |byte: u8| byte.is_ascii_graphic() && !b"/:%[]\"\\".contains(&byte);
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(legal) || text == "." || text == ".."
        {
            let what = format!("{} is not the name of an interface", quoted(text));
            return Err(Misread::new(what, r#"write a name that `ip link` shows, as "eth0""#));
        }
        Ok(Interface(text.into()))
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Interface {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "the name of an interface, as \"eth0\"", |number| {
            Misread::new(
                format!("{number} is not the name of an interface"),
                r#"write one in quotes, as "eth0""#,
            )
        })
    }
}
