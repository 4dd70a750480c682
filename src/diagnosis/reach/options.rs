//! The options of a diagnosis.

use std::time::Duration;

use crate::probe::network::resolver::Localhost;
use crate::probe::trace::protocol::Protocol;

/// The options of a diagnosis.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name the user gave, if it was not an address.
    pub name: Option<String>,
    /// What `localhost` resolves to, if already known.
    pub localhost: Option<Localhost>,
    /// The expected protocol; `None` accepts any protocol that is recognised.
    pub expect: Option<Protocol>,
    /// How long one connection may take, from the dial to the answer.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { name: None, localhost: None, expect: None, timeout: Duration::from_secs(2) }
    }
}
