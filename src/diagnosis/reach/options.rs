//! What is asked, beside the address.

use std::time::Duration;

use crate::probe::network::resolver::Localhost;
use crate::probe::trace::protocol::Protocol;

/// What is asked, beside the address.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name it was asked by, where it was one.
    pub name: Option<String>,
    /// What `localhost` means, where that was found out already.
    pub localhost: Option<Localhost>,
    /// What the service should speak; `None` is content with anything it can name.
    pub expect: Option<Protocol>,
    /// How long the service may take to answer.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { name: None, localhost: None, expect: None, timeout: Duration::from_secs(2) }
    }
}
