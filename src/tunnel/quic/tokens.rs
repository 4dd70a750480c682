//! The tokens by which a QUIC connection names its control. Pure: the clock is an argument.

use std::time::{Duration, Instant};

use crate::transport::tunnel::identity::PublicKey;
use crate::transport::tunnel::message::Token;

/// How long a token is good for.
pub(super) const LIFE: Duration = Duration::from_secs(10);

/// The tokens that were given out: the newest of each control, until it is used or its control ends.
#[derive(Debug)]
pub(super) struct Tokens<C> {
    given: Vec<Given<C>>,
    next: u64,
}

/// The number of a control among those that have been here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat(u64);

#[derive(Debug)]
struct Given<C> {
    seat: Seat,
    key: PublicKey,
    token: Token,
    until: Instant,
    to: C,
}

impl<C> Default for Tokens<C> {
    fn default() -> Self {
        Tokens { given: Vec::new(), next: 0 }
    }
}

impl<C> Tokens<C> {
    /// A place for a control.
    pub(super) fn seat(&mut self) -> Seat {
        self.next += 1;
        Seat(self.next)
    }

    /// This token names the control from now on, and no other does. Only whoever has this key may show it.
    pub(super) fn give(&mut self, seat: Seat, key: PublicKey, token: Token, to: C, now: Instant) {
        self.forget(seat);
        self.given.push(Given { seat, key, token, until: now + LIFE, to });
    }

    /// The control that this token names, if it is that of the same key and in time; nobody else gets it after that. A wrong
    /// one, a late one and one of another key are the same to whoever shows it, in the time it takes as well.
    pub(super) fn take(&mut self, token: &Token, key: &PublicKey, now: Instant) -> Option<C> {
        let is_it = |given: &Given<C>| (given.token == *token) & key.is_one_of([&given.key]);
        let found = self.given.iter().enumerate().fold(
            None,
            |found, (n, given)| {
                if is_it(given) { Some(n) } else { found }
            },
        );
        let given = self.given.swap_remove(found?);
        (now < given.until).then_some(given.to)
    }

    /// A control has ended, and its token with it.
    pub(super) fn forget(&mut self, seat: Seat) {
        self.given.retain(|given| given.seat != seat);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> PublicKey {
        PublicKey::of_bytes([byte; 32]).unwrap()
    }

    /// Tokens with the one of `home`, whose key is 3.
    fn given(now: Instant) -> (Tokens<&'static str>, Seat) {
        let mut tokens = Tokens::default();
        let seat = tokens.seat();
        tokens.give(seat, key(3), Token([1; 16]), "home", now);
        (tokens, seat)
    }

    #[test]
    fn a_token_is_good_once() {
        let now = Instant::now();
        let (mut tokens, _) = given(now);

        assert_eq!(tokens.take(&Token([1; 16]), &key(3), now), Some("home"));
        assert_eq!(tokens.take(&Token([1; 16]), &key(3), now), None);
    }

    #[test]
    fn a_wrong_token_and_one_of_another_key_are_refused_and_take_nothing_from_its_owner() {
        let now = Instant::now();
        let (mut tokens, _) = given(now);

        assert_eq!(tokens.take(&Token([2; 16]), &key(3), now), None);
        assert_eq!(tokens.take(&Token([1; 16]), &key(4), now), None);
        assert_eq!(tokens.take(&Token([1; 16]), &key(3), now), Some("home"));
    }

    #[test]
    fn a_token_is_good_for_ten_seconds() {
        let now = Instant::now();
        let late = given(now).0.take(&Token([1; 16]), &key(3), now + LIFE);
        let in_time = given(now).0.take(&Token([1; 16]), &key(3), now + LIFE - Duration::from_millis(1));

        assert_eq!((late, in_time), (None, Some("home")));
    }

    #[test]
    fn a_newer_token_and_the_end_of_the_control_are_the_end_of_a_token() {
        let now = Instant::now();
        let (mut tokens, seat) = given(now);
        tokens.give(seat, key(3), Token([5; 16]), "home", now);
        assert_eq!(tokens.take(&Token([1; 16]), &key(3), now), None);

        tokens.forget(seat);

        assert_eq!(tokens.take(&Token([5; 16]), &key(3), now), None);
        assert!(tokens.given.is_empty());
    }

    #[test]
    fn each_control_has_at_most_one_token() {
        let (now, mut tokens) = (Instant::now(), Tokens::default());
        let seats = [tokens.seat(), tokens.seat()];
        for n in 0..100 {
            tokens.give(seats[n % 2], key(3), Token([n as u8; 16]), n, now);
        }

        assert_eq!(tokens.given.len(), 2);
    }
}
