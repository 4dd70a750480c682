//! The name of a network interface: the zone of a link-local address, the way out of a dial.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use crate::units::{Misread, from_text, quoted};

/// The most bytes of an interface's name: IFNAMSIZ of linux/if.h, less its zero.
const LONGEST: usize = 15;

/// An interface by its name, as `eth0`. Whether it exists is found out at the bind or the dial.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interface(pub Arc<str>);

impl FromStr for Interface {
    type Err = Misread;

    /// Reads `"eth0"`; what the kernel allows as a name (dev_valid_name), and of that what can stand in an address.
    fn from_str(text: &str) -> Result<Self, Misread> {
        let legal = |byte: u8| byte.is_ascii_graphic() && !b"/:%[]\"\\".contains(&byte);
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(legal) || text == "." || text == ".."
        {
            let what = format!("{} is not the name of an interface", quoted(text));
            return Err(Misread::new(what, r#"write one that `ip link` shows, as "eth0""#));
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
