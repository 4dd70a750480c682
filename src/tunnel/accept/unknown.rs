//! What is logged about keys that this machine does not know: each at most once, and not too many.
//!
//! Pure: the clock is an argument.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::transport::tunnel::identity::PublicKey;

/// The shortest time between two lines.
const PAUSE: Duration = Duration::from_secs(60);

/// How long a key that was logged is not logged again.
const AGAIN: Duration = Duration::from_hours(1);

/// The most keys that are remembered; beyond it, the one logged first is forgotten.
const MAX_KEYS: usize = 64;

/// The keys that were logged.
#[derive(Default)]
pub(super) struct UnknownKeys {
    logged: VecDeque<(PublicKey, Instant)>,
}

impl UnknownKeys {
    /// The line about this key, unless it was logged in the last hour, or another in the last minute.
    pub(super) fn line(&mut self, key: &PublicKey, from: IpAddr, now: Instant) -> Option<String> {
        let age = |at: &Instant| now.saturating_duration_since(*at);
        let is_told = self.logged.iter().any(|(logged, at)| logged == key && age(at) < AGAIN);
        let is_early = self.logged.back().is_some_and(|(_, at)| age(at) < PAUSE);
        if is_told || is_early {
            return None;
        }
        self.logged.retain(|(logged, _)| logged != key);
        if self.logged.len() == MAX_KEYS {
            self.logged.pop_front();
        }
        self.logged.push_back((*key, now));
        Some(format!(
            "{from} came with a key that no tunnel here has. If it may come in, add:\n  [tunnels.NAME]\n  public_key = \
             \"{key}\""
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> PublicKey {
        PublicKey::of_bytes([n; 32]).unwrap()
    }

    fn home() -> IpAddr {
        [203, 0, 113, 9].into()
    }

    #[test]
    fn a_key_is_told_once_with_the_line_to_add() {
        let (mut keys, now) = (UnknownKeys::default(), Instant::now());

        let line = keys.line(&key(9), home(), now).unwrap();

        assert!(line.starts_with("203.0.113.9 came with a key"), "{line}");
        assert!(line.ends_with(&format!("\n  [tunnels.NAME]\n  public_key = \"{}\"", key(9))), "{line}");
        assert_eq!(keys.line(&key(9), home(), now + PAUSE * 2), None);
        assert!(keys.line(&key(9), home(), now + AGAIN).is_some());
    }

    #[test]
    fn whoever_makes_new_keys_gets_one_line_a_minute() {
        let (mut keys, now) = (UnknownKeys::default(), Instant::now());
        let mut lines = 0;
        for second in 0..600 {
            let key = PublicKey::of_bytes([(second % 200) as u8 + 2; 32]).unwrap();
            let at = now + Duration::from_secs(second);
            lines += usize::from(keys.line(&key, home(), at).is_some());
        }

        assert_eq!(lines, 10);
        assert!(keys.logged.len() <= MAX_KEYS);
    }

    #[test]
    fn no_more_keys_are_remembered_than_have_room() {
        let (mut keys, mut now) = (UnknownKeys::default(), Instant::now());
        for n in 0..=MAX_KEYS as u8 {
            assert!(keys.line(&key(n + 2), home(), now).is_some());
            now += PAUSE;
        }

        assert_eq!(keys.logged.len(), MAX_KEYS);
    }
}
