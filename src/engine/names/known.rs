//! What is known of one name: its addresses, and how its last look-up ended.
//!
//! Pure: time is an argument.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::address::is_localhost;
use crate::outcome::Cause;
use crate::transport::LOOPBACK;

/// The most addresses of one name that are kept and tried.
const MAX_ADDRESSES: usize = 16;

/// An answer is used for this long before the name may be asked for again, however many clients fail.
const RECENT: Duration = Duration::from_secs(1);

/// The addresses of a name, with port 0, and its last look-up.
#[derive(Debug)]
pub(super) struct Known {
    /// What the resolver says.
    found: Vec<SocketAddr>,
    /// What the name is after that: a name under `localhost` is this machine.
    always: &'static [IpAddr],
    /// When its last look-up ended, and why it failed if it did.
    last: Option<(Instant, Result<(), Cause>)>,
}

impl Known {
    /// A name that was not looked up yet.
    pub(super) fn new(name: &str) -> Known {
        Known { found: Vec::new(), always: if is_localhost(name) { &LOOPBACK } else { &[] }, last: None }
    }

    /// The addresses, in the order to try them.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let always = self.always.iter().map(|ip| SocketAddr::new(*ip, 0));
        let always = always.filter(|address| !self.found.contains(address));
        self.found.iter().copied().chain(always).collect()
    }

    /// Whether it was looked up, with or without an answer.
    pub(super) fn was_looked_up(&self) -> bool {
        self.last.is_some()
    }

    /// How the last look-up ended, if that is so recent that there is none to be begun.
    pub(super) fn recent(&self, now: Instant) -> Option<Result<(), Cause>> {
        let (at, answer) = self.last?;
        (now.saturating_duration_since(at) < RECENT).then_some(answer)
    }

    /// Takes an answer over. One that failed leaves the addresses as they are: the name servers may be what is broken.
    pub(super) fn take(&mut self, answer: Result<Vec<SocketAddr>, Cause>, now: Instant) {
        self.last = Some((now, answer.as_ref().map(drop).map_err(|cause| *cause)));
        if let Ok(found) = answer {
            self.found = self.kept(found);
        }
    }

    /// Of an answer, what was known first, in the order in which it was known: resolvers turn theirs.
    fn kept(&self, found: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let mut kept: Vec<_> = self.found.iter().filter(|it| found.contains(it)).copied().collect();
        for address in found {
            if !kept.contains(&address) {
                kept.push(address);
            }
        }
        kept.truncate(MAX_ADDRESSES);
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Vec<SocketAddr> {
        text.split_whitespace().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect()
    }

    #[test]
    fn the_order_of_several_addresses_is_kept_whatever_the_resolver_turns() {
        let (mut known, now) = (Known::new("db"), Instant::now());
        known.take(Ok(addresses("10.0.0.1 10.0.0.2 10.0.0.3")), now);

        known.take(Ok(addresses("10.0.0.4 10.0.0.3 10.0.0.1")), now);

        assert_eq!(known.addresses(), addresses("10.0.0.1 10.0.0.3 10.0.0.4"));
    }

    #[test]
    fn of_very_many_addresses_those_that_are_known_stay() {
        let all = |from: u8| (0..40).map(|n| SocketAddr::from(([10, 0, 0, (from + n) % 40], 0))).collect();
        let (mut known, now) = (Known::new("db"), Instant::now());
        known.take(Ok(all(0)), now);
        let before = known.addresses();

        known.take(Ok(all(20)), now);

        assert_eq!(before.len(), MAX_ADDRESSES);
        assert_eq!(known.addresses(), before);
    }

    #[test]
    fn a_look_up_that_fails_leaves_the_last_addresses() {
        let (mut known, now) = (Known::new("db"), Instant::now());
        known.take(Ok(addresses("10.0.0.1")), now);

        known.take(Err(Cause::TimedOut), now);

        assert_eq!(known.addresses(), addresses("10.0.0.1"));
        assert_eq!(known.recent(now), Some(Err(Cause::TimedOut)));
        assert_eq!(known.recent(now + RECENT), None);
    }

    #[test]
    fn a_name_under_localhost_is_this_machine_after_what_the_resolver_says() {
        let (mut known, now) = (Known::new("app.localhost"), Instant::now());
        assert_eq!(known.addresses(), addresses("127.0.0.1 ::1"));

        known.take(Ok(addresses("172.17.0.1")), now);
        assert_eq!(known.addresses(), addresses("172.17.0.1 127.0.0.1 ::1"));
    }
}
