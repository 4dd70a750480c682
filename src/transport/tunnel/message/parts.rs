//! A set of routes that is longer than a message: cut into parts, and put together again.

use std::collections::HashSet;
use std::fmt;

use serde::Serialize;

use super::kinds::{MAX_LONG, Message, RouteIs, Routes, RoutesAre, WantedRoute};

/// The most routes that a tunnel may have.
pub const MAX_ROUTES: usize = 1024;

/// The most addresses at which they may listen, all together.
pub const MAX_ADDRESSES: usize = 4096;

/// What stands around the entries of a part, in bytes, and more.
const AROUND: usize = 100;

/// The messages that say this set, each with as many entries as it has room for; one for an empty set. A set that is longer
/// than the other end takes is said whole, and refused there.
pub fn routes(all: &[WantedRoute]) -> Vec<Message> {
    parts(all, |routes, more| Message::Routes(Routes { routes, more }))
}

/// The same for what became of them.
pub fn routes_are(all: &[RouteIs]) -> Vec<Message> {
    parts(all, |routes, more| Message::RoutesAre(RoutesAre { routes, more }))
}

fn parts<T: Serialize + Clone>(all: &[T], message: fn(Vec<T>, bool) -> Message) -> Vec<Message> {
    let (mut parts, mut part, mut length) = (Vec::new(), Vec::new(), AROUND);
    for entry in all {
        // With the comma.
        let own = serde_json::to_vec(entry).map_or(0, |bytes| bytes.len() + 1);
        if length + own > MAX_LONG && !part.is_empty() {
            parts.push(message(std::mem::take(&mut part), true));
            length = AROUND;
        }
        part.push(entry.clone());
        length += own;
    }
    parts.push(message(part, false));
    parts
}

/// The parts of a set that have come so far.
#[derive(Debug)]
pub struct Gathered<T> {
    entries: Vec<T>,
    addresses: usize,
}

/// A set that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSet {
    /// More than [`MAX_ROUTES`], or more than [`MAX_ADDRESSES`].
    TooMany,
    /// Two routes of one name.
    Twice,
    /// An empty part that announces more: they would never end.
    Empty,
}

impl<T> Default for Gathered<T> {
    fn default() -> Self {
        Gathered { entries: Vec::new(), addresses: 0 }
    }
}

impl Gathered<WantedRoute> {
    /// Adds a part. The whole set, if it is the last; the next begins another.
    ///
    /// # Errors
    /// What is wrong with the set. The other end has broken the rules, and the connection is to be closed.
    pub fn add(&mut self, part: Routes) -> Result<Option<Vec<WantedRoute>>, BadSet> {
        self.addresses += part.routes.iter().map(|route| route.listen.len()).sum::<usize>();
        let whole = self.join(part.routes, part.more, MAX_ROUTES)?;
        let mut names = HashSet::new();
        let is_twice = whole.iter().flatten().any(|route| !names.insert(&route.name));
        if is_twice { Err(BadSet::Twice) } else { Ok(whole) }
    }
}

impl Gathered<RouteIs> {
    /// Adds a part. The whole answer, if it is the last; the next begins another.
    ///
    /// # Errors
    /// As of the routes; but each of their addresses has an entry here.
    pub fn add(&mut self, part: RoutesAre) -> Result<Option<Vec<RouteIs>>, BadSet> {
        self.join(part.routes, part.more, MAX_ROUTES + MAX_ADDRESSES)
    }
}

impl<T> Gathered<T> {
    fn join(&mut self, part: Vec<T>, more: bool, most: usize) -> Result<Option<Vec<T>>, BadSet> {
        if part.is_empty() && more {
            return Err(BadSet::Empty);
        }
        if self.entries.len() + part.len() > most || self.addresses > MAX_ADDRESSES {
            return Err(BadSet::TooMany);
        }
        self.entries.extend(part);
        Ok((!more).then(|| std::mem::take(self).entries))
    }
}

impl fmt::Display for BadSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadSet::TooMany => {
                write!(f, "more than {MAX_ROUTES} routes, or more than {MAX_ADDRESSES} addresses")
            }
            BadSet::Twice => f.write_str("two routes of one name"),
            BadSet::Empty => f.write_str("an empty part of a set of routes, and more to follow"),
        }
    }
}

impl std::error::Error for BadSet {}
