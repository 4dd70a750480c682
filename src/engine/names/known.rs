//! What is known of one name: its addresses, how its last look-up ended, and when the next one is due.
//!
//! Pure: time is an argument.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::address::is_localhost;
use crate::outcome::Cause;
use crate::transport::LOOPBACK;

/// The most addresses of one name that are kept and tried.
const MAX_ADDRESSES: usize = 16;

/// An answer is used for this long before the name may be asked for again, however many clients fail. That a name has no
/// address is no such answer: it may have one the next moment, and those who ask meanwhile share one look-up.
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
    /// Whether a client asked for the addresses since then.
    is_used: bool,
    /// Whether none did until the next look-up was due, or ever: there was none, and the next client waits for one.
    is_idle: bool,
    /// Whether the look-up that was due is under way.
    is_asked: bool,
    /// How often the addresses have changed.
    moves: u64,
}

/// What to report about a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Its addresses have changed.
    Moved { from: Vec<SocketAddr>, to: Vec<SocketAddr> },
    /// It can no longer be looked up, and keeps its addresses.
    Lost(Cause),
    /// It can be looked up again.
    Back,
}

/// What is due for a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A look-up, now.
    Now,
    /// A look-up, then.
    At(Instant),
    /// Nothing, until it is used or a look-up ends.
    Nothing,
}

impl Known {
    /// A name that was not looked up yet.
    pub(super) fn new(name: &str) -> Known {
        Known {
            found: Vec::new(),
            always: if is_localhost(name) { &LOOPBACK } else { &[] },
            last: None,
            is_used: false,
            is_idle: true,
            is_asked: false,
            moves: 0,
        }
    }

    /// The addresses, in the order to try them.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let always = self.always.iter().map(|ip| SocketAddr::new(*ip, 0));
        let always = always.filter(|address| !self.found.contains(address));
        self.found.iter().copied().chain(always).collect()
    }

    /// Notes that a client asks for the addresses; whether they are worth a wait for a look-up before they are used.
    pub(super) fn note_use(&mut self) -> bool {
        self.is_used = true;
        self.is_idle
    }

    /// A client has waited long enough: the addresses are used as they are, by the next ones too.
    pub(super) fn make_do(&mut self) {
        self.is_idle = false;
    }

    /// How often the addresses have changed.
    pub(super) fn moves(&self) -> u64 {
        self.moves
    }

    /// What is due if it is to be looked up again after `every`. A look-up that is due now counts as asked for.
    pub(super) fn due(&mut self, every: Duration, now: Instant) -> Due {
        let Some((last, _)) = self.last.filter(|_| !self.is_idle && !self.is_asked) else {
            return Due::Nothing;
        };
        let at = last + every;
        if at > now {
            return Due::At(at);
        }
        (self.is_asked, self.is_idle) = (self.is_used, !self.is_used);
        if self.is_used { Due::Now } else { Due::Nothing }
    }

    /// Whether it was ever looked up; then a look-up counts as asked for.
    pub(super) fn ask_again(&mut self) -> bool {
        self.is_asked |= self.last.is_some();
        self.is_asked
    }

    /// How the last look-up ended, if that is so recent that there is none to be begun.
    pub(super) fn recent(&self, now: Instant) -> Option<Result<(), Cause>> {
        let (at, answer) = self.last?;
        let holds = answer != Err(Cause::NoAddress) && now.saturating_duration_since(at) < RECENT;
        holds.then_some(answer)
    }

    /// Takes an answer over. One that failed leaves the addresses as they are: the name servers may be what is broken.
    pub(super) fn take(&mut self, answer: Result<Vec<SocketAddr>, Cause>, now: Instant) -> Option<News> {
        let ended = answer.as_ref().map(drop).map_err(|cause| *cause);
        let before = self.last.replace((now, ended));
        (self.is_used, self.is_idle, self.is_asked) = (false, false, false);
        let failed_before = before.is_some_and(|(_, answer)| answer.is_err());
        let found = match answer {
            Ok(found) => self.kept(found),
            Err(cause) => {
                let is_new = !failed_before && !self.found.is_empty();
                return is_new.then_some(News::Lost(cause));
            }
        };
        let from = std::mem::replace(&mut self.found, found);
        let is_same = from.len() == self.found.len() && from.iter().all(|it| self.found.contains(it));
        if !from.is_empty() && !is_same {
            self.moves += 1;
            return Some(News::Moved { from, to: self.found.clone() });
        }
        (failed_before && !from.is_empty()).then_some(News::Back)
    }

    /// A look-up could not be begun, for a reason of this machine: the next is due as if it had failed.
    pub(super) fn postpone(&mut self, cause: Cause, now: Instant) {
        self.is_asked = false;
        self.last = Some((now, self.last.map_or(Err(cause), |(_, answer)| answer)));
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
    fn a_name_that_has_no_address_yet_is_asked_for_again_by_the_next_client() {
        let (mut known, now) = (Known::new("late"), Instant::now());

        known.take(Err(Cause::NoAddress), now);

        assert_eq!(known.recent(now), None);
    }

    const EVERY: Duration = Duration::from_secs(30);

    #[test]
    fn a_name_in_use_is_looked_up_again_by_its_rule() {
        let (mut known, now) = (Known::new("db"), Instant::now());
        assert_eq!(known.due(EVERY, now), Due::Nothing);
        assert!(known.note_use());

        assert_eq!(known.take(Ok(addresses("10.0.0.2")), now), None);
        assert!(!known.note_use());

        assert_eq!(known.due(EVERY, now), Due::At(now + EVERY));
        assert_eq!(known.due(EVERY, now + EVERY), Due::Now);
        assert_eq!(known.due(EVERY, now + 2 * EVERY), Due::Nothing, "it is under way");
        let (from, to) = (addresses("10.0.0.2"), addresses("10.0.0.3"));
        assert_eq!(known.take(Ok(to.clone()), now + EVERY), Some(News::Moved { from, to: to.clone() }));
        assert_eq!((known.addresses(), known.moves()), (to, 1));
    }

    #[test]
    fn a_name_that_nobody_uses_is_left_alone_and_looked_up_for_the_next_client() {
        let (mut known, now) = (Known::new("db"), Instant::now());
        known.take(Ok(addresses("10.0.0.2")), now);

        assert_eq!(known.due(EVERY, now + EVERY), Due::Nothing);

        assert!(known.note_use(), "its addresses are old");
        known.make_do();
        assert!(!known.note_use(), "one client has waited for an answer in vain");
    }

    #[test]
    fn a_hang_up_asks_for_every_name_that_was_ever_looked_up() {
        let (mut known, now) = (Known::new("db"), Instant::now());
        assert!(!known.ask_again());

        known.take(Ok(addresses("10.0.0.2")), now);
        known.due(EVERY, now + EVERY);

        assert!(known.ask_again());
    }

    #[test]
    fn addresses_in_another_order_are_the_same_and_a_failure_is_told_once() {
        let (mut known, now) = (Known::new("db"), Instant::now());
        known.take(Ok(addresses("10.0.0.1 10.0.0.2")), now);

        assert_eq!(known.take(Ok(addresses("10.0.0.2 10.0.0.1")), now), None);
        assert_eq!(known.take(Err(Cause::TimedOut), now), Some(News::Lost(Cause::TimedOut)));
        assert_eq!(known.take(Err(Cause::NoAddress), now), None);
        assert_eq!(known.take(Ok(addresses("10.0.0.1 10.0.0.2")), now), Some(News::Back));
    }

    #[test]
    fn a_name_under_localhost_is_this_machine_after_what_the_resolver_says() {
        let (mut known, now) = (Known::new("app.localhost"), Instant::now());
        assert_eq!(known.addresses(), addresses("127.0.0.1 ::1"));

        known.take(Ok(addresses("172.17.0.1")), now);
        assert_eq!(known.addresses(), addresses("172.17.0.1 127.0.0.1 ::1"));
    }
}
