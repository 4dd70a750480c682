//! An address as written; with a port range it is a run of addresses.

use std::fmt;

/// One address, or several that differ only in their port: `127.0.0.1:8080`, `127.0.0.1:8000-8010`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Run<T> {
    first: T,
    /// The number of addresses, at least 1; more than 1 only if the first has a port.
    count: u16,
}

/// An address that may begin a run.
pub trait Numbered {
    /// The same address with a port `n` higher; itself if it has no port.
    #[must_use]
    fn nth(&self, n: u16) -> Self;

    /// Its port, if it has one.
    fn port(&self) -> Option<u16>;
}

impl<T: Numbered> Run<T> {
    /// `count` addresses from `first` on; fewer if the ports end before.
    pub fn new(first: T, count: u16) -> Run<T> {
        let after = first.port().map_or(0, |port| u16::MAX - port);
        Run { first, count: count.clamp(1, after.saturating_add(1)) }
    }

    /// The number of addresses, at least 1.
    pub fn count(&self) -> usize {
        self.count.into()
    }

    /// The first address.
    pub fn first(&self) -> &T {
        &self.first
    }

    /// The address at this index, counted from 0 and wrapping around, so that a single address pairs with any run.
    pub fn at(&self, place: usize) -> T {
        // The remainder is smaller than a u16.
        self.first.nth((place % self.count()) as u16)
    }

    /// The same run of something else.
    pub fn map<U: Numbered>(&self, first: impl FnOnce(&T) -> U) -> Run<U> {
        Run::new(first(&self.first), self.count)
    }

    /// Every address, in order.
    pub fn each(&self) -> impl Iterator<Item = T> {
        (0..self.count).map(|n| self.first.nth(n))
    }
}

impl<T: Numbered> From<T> for Run<T> {
    fn from(only: T) -> Self {
        Run { first: only, count: 1 }
    }
}

impl<T: Numbered + fmt::Display> fmt::Display for Run<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every form with a port ends with it.
        self.first.fmt(f)?;
        match self.first.port() {
            Some(port) if self.count > 1 => write!(f, "-{}", port + (self.count - 1)),
            _ => Ok(()),
        }
    }
}
