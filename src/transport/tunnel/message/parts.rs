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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Protocol;
    use crate::transport::tunnel::message::{Fate, MAX_LISTEN, RefusedCode, decode, encode};

    fn route(name: &str, listen: &[&str]) -> WantedRoute {
        let listen = listen.iter().map(|&address| address.to_owned()).collect();
        WantedRoute { name: name.to_owned(), protocol: Protocol::Tcp, listen }
    }

    fn refused(name: &str) -> RouteIs {
        let fate = Fate::Refused { code: RefusedCode::Taken };
        RouteIs { name: name.to_owned(), asked: Some("127.0.0.1:8080".to_owned()), fate }
    }

    /// Has the parts come as messages.
    fn gathered(parts: &[Message]) -> Result<Option<Vec<WantedRoute>>, BadSet> {
        let mut set = Gathered::<WantedRoute>::default();
        let mut last = Ok(None);
        for part in parts {
            let bytes = encode(part);
            assert!(bytes.len() <= MAX_LONG, "{}", bytes.len());
            assert_eq!(last, Ok(None), "a set ends with its last part");
            let Ok(Message::Routes(part)) = decode(&bytes) else { panic!() };
            last = set.add(part);
        }
        last
    }

    #[test]
    fn a_set_of_routes_comes_in_parts_and_is_whole_again() {
        for (count, address) in
            [(0, ""), (1, ""), (MAX_ROUTES, ""), (MAX_ROUTES, "unix:/run/loopgate/a-long-name.sock")]
        {
            let listen = vec![address; if address.is_empty() { 0 } else { 3 }];
            let all: Vec<_> = (0..count).map(|n| route(&format!("{n}"), &listen)).collect();

            let parts = routes(&all);

            assert_eq!(gathered(&parts), Ok(Some(all)));
            assert!(parts.len() > 1 || count < MAX_ROUTES || listen.is_empty(), "{}", parts.len());
        }
    }

    #[test]
    fn a_part_is_filled_up_to_its_limit() {
        let all: Vec<_> = (0..MAX_ROUTES).map(|n| route(&format!("{n:064}"), &["127.0.0.1:8080"])).collect();
        let lengths: Vec<usize> = routes(&all).iter().map(|part| encode(part).len()).collect();

        let (last, full) = lengths.split_last().unwrap();

        assert!(full.iter().all(|length| (MAX_LONG - 300..=MAX_LONG).contains(length)), "{full:?}");
        assert!(*last < MAX_LONG);
    }

    #[test]
    fn a_set_has_so_many_routes_and_addresses_and_no_more() {
        let many = |count: usize, listen: usize| {
            let all: Vec<_> =
                (0..count).map(|n| route(&format!("{n}"), &vec!["127.0.0.1:1"; listen])).collect();
            gathered(&routes(&all)).map(|set| set.map(|set| set.len()))
        };

        assert_eq!(many(MAX_ROUTES, 0), Ok(Some(MAX_ROUTES)));
        assert_eq!(many(MAX_ROUTES + 1, 0), Err(BadSet::TooMany));
        assert_eq!(many(MAX_ADDRESSES / MAX_LISTEN, MAX_LISTEN), Ok(Some(64)));
        assert_eq!(many(MAX_ADDRESSES / MAX_LISTEN + 1, MAX_LISTEN), Err(BadSet::TooMany));
    }

    #[test]
    fn a_set_that_contradicts_itself_or_never_ends_is_refused() {
        let twice = [route("a", &[]), route("a", &["1"])];
        assert_eq!(gathered(&routes(&twice)), Err(BadSet::Twice));
        let mut set = Gathered::<WantedRoute>::default();
        assert_eq!(set.add(Routes { routes: vec![], more: true }), Err(BadSet::Empty));
    }

    #[test]
    fn the_next_set_begins_anew() {
        let mut set = Gathered::<WantedRoute>::default();
        for name in ["a", "b"] {
            let part = |name: &str, more| Routes { routes: vec![route(name, &["1"])], more };
            assert_eq!(set.add(part(name, true)), Ok(None));
            let whole = set.add(part("last", false)).unwrap().unwrap();
            assert_eq!(whole.iter().map(|route| &*route.name).collect::<Vec<_>>(), [name, "last"]);
        }
    }

    #[test]
    fn what_became_of_the_routes_comes_in_parts_as_well() {
        let all: Vec<_> = (0..MAX_ROUTES + MAX_ADDRESSES).map(|n| refused(&format!("{n}"))).collect();
        let mut set = Gathered::<RouteIs>::default();
        let mut whole = None;
        let parts = routes_are(&all);
        for part in &parts {
            let Ok(Message::RoutesAre(part)) = decode(&encode(part)) else { panic!() };
            whole = set.add(part).unwrap();
        }

        assert_eq!(whole, Some(all.clone()));
        assert!(parts.len() > 5);
        let one_more = RoutesAre { routes: [&all[..], &all[..1]].concat(), more: false };
        assert_eq!(Gathered::<RouteIs>::default().add(one_more), Err(BadSet::TooMany));
    }
}
