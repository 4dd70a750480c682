//! Troubles that come and go: each is told when it begins and when it is over, however often it is met meanwhile.
//!
//! Pure: time is an argument.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A trouble not met for this long is over.
const QUIET: Duration = Duration::from_secs(10);

/// More kinds at one time than this are not told apart; what is beyond is not told at all.
const MOST: usize = 256;

/// The troubles that go on.
#[derive(Debug)]
pub(crate) struct Spells<K> {
    going_on: BTreeMap<K, Spell>,
}

/// One trouble that goes on, or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spell {
    /// When it began.
    pub(crate) began: Instant,
    /// When it was met last.
    pub(crate) met: Instant,
    /// How often it was met.
    pub(crate) count: u64,
}

impl<K> Default for Spells<K> {
    fn default() -> Self {
        Spells { going_on: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Spells<K> {
    /// Notes that `what` was met; true where that begins it.
    pub(crate) fn meet(&mut self, what: &K, now: Instant) -> bool {
        if let Some(spell) = self.going_on.get_mut(what) {
            (spell.met, spell.count) = (now, spell.count + 1);
            return false;
        }
        let begins = self.going_on.len() < MOST;
        if begins {
            self.going_on.insert(what.clone(), Spell { began: now, met: now, count: 1 });
        }
        begins
    }

    /// Takes out what is over.
    pub(crate) fn over(&mut self, now: Instant) -> Vec<(K, Spell)> {
        let is_over = |spell: &Spell| now.saturating_duration_since(spell.met) >= QUIET;
        let over: Vec<_> = self
            .going_on
            .iter()
            .filter(|(_, spell)| is_over(spell))
            .map(|(what, spell)| (what.clone(), *spell))
            .collect();
        self.going_on.retain(|_, spell| !is_over(spell));
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_met_a_thousand_times_begins_once_and_ends_once() {
        let (mut spells, start) = (Spells::default(), Instant::now());

        let begun =
            (0..1000).filter(|ms| spells.meet(&"no port", start + Duration::from_millis(*ms))).count();
        let early = spells.over(start + QUIET);
        let over = spells.over(start + QUIET + Duration::from_secs(1));

        assert_eq!((begun, early.len(), over.len()), (1, 0, 1));
        assert_eq!(over[0].1.count, 1000);
        assert!(spells.meet(&"no port", start + 2 * QUIET));
    }

    #[test]
    fn a_thousand_kinds_are_not_remembered() {
        let (mut spells, now) = (Spells::default(), Instant::now());

        let begun = (0..1000).filter(|kind| spells.meet(kind, now)).count();

        assert_eq!(begun, MOST);
    }
}
