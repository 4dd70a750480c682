//! Which session has been idle longest.
//!
//! The time of a chunk is not recorded, as that would cost every chunk. The sessions are polled once a second, and
//! those at the front once more when one of them has to go: a session that has moved bytes since the last poll goes to
//! the back. So idle times are known to a second, and a session that has just moved bytes is spared. Pure: the clock
//! and the byte counts are arguments.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

/// Numbers the clients of a route. A waiting client keeps its number when it enters.
pub type Number = u64;

/// The sessions that may be ended, the one idle longest first.
#[derive(Debug, Default)]
pub(super) struct Idle {
    by_age: BTreeSet<(Instant, Number)>,
    marks: HashMap<Number, Mark>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    /// When it was last seen to have moved bytes, or began.
    since: Instant,
    /// Bytes by then.
    moved: u64,
}

impl Idle {
    /// Adds a session that begins to move bytes.
    pub(super) fn begin(&mut self, number: Number, now: Instant) {
        self.marks.insert(number, Mark { since: now, moved: 0 });
        self.by_age.insert((now, number));
    }

    /// Removes a session; returns whether it was there.
    pub(super) fn end(&mut self, number: Number) -> bool {
        let Some(mark) = self.marks.remove(&number) else { return false };
        self.by_age.remove(&(mark.since, number));
        if self.marks.capacity() > 256 && self.marks.len() < self.marks.capacity() / 8 {
            self.marks.shrink_to(2 * self.marks.len());
        }
        true
    }

    /// The number of sessions.
    pub(super) fn len(&self) -> usize {
        self.marks.len()
    }

    /// Polls every session; `moved` returns how many bytes one has moved so far.
    pub(super) fn update(&mut self, now: Instant, moved: &dyn Fn(Number) -> u64) {
        let numbers: Vec<Number> = self.marks.keys().copied().collect();
        for number in numbers {
            self.poll(number, now, moved);
        }
    }

    /// Removes and returns the session idle longest.
    pub(super) fn take_longest(&mut self, now: Instant, moved: &dyn Fn(Number) -> u64) -> Option<Number> {
        // If all have moved since, the second round finds the one that began first.
        for _ in 0..self.len() {
            let (_, number) = *self.by_age.first()?;
            if !self.poll(number, now, moved) {
                break;
            }
        }
        let (_, number) = *self.by_age.first()?;
        self.end(number);
        Some(number)
    }

    /// Whether a session has moved bytes since its last poll; then it goes to the back.
    fn poll(&mut self, number: Number, now: Instant, moved: &dyn Fn(Number) -> u64) -> bool {
        let Some(mark) = self.marks.get_mut(&number) else { return false };
        let moved = moved(number);
        if moved == mark.moved {
            return false;
        }
        self.by_age.remove(&(mark.since, number));
        *mark = Mark { since: now, moved };
        self.by_age.insert((now, number));
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn second(start: Instant, n: u64) -> Instant {
        start + Duration::from_secs(n)
    }

    #[test]
    fn the_one_idle_longest_goes_first_whenever_it_began() {
        let (mut idle, start) = (Idle::default(), Instant::now());
        for number in 0..3 {
            idle.begin(number, second(start, number));
        }
        // The first moves at 10 and the second at 20; the third has moved nothing since it began.
        idle.update(second(start, 10), &|number| if number == 0 { 5 } else { 0 });
        let moved = |number| [5, 7, 0][number as usize];
        idle.update(second(start, 20), &moved);

        let order: Vec<_> = std::iter::from_fn(|| idle.take_longest(second(start, 30), &moved)).collect();

        assert_eq!(order, [2, 0, 1]);
        assert_eq!((idle.len(), idle.by_age.len()), (0, 0));
    }

    #[test]
    fn a_session_that_moves_bytes_between_two_polls_is_spared() {
        let (mut idle, start) = (Idle::default(), Instant::now());
        idle.begin(1, start);
        idle.begin(2, second(start, 1));

        assert_eq!(idle.take_longest(second(start, 2), &|number| u64::from(number == 1)), Some(2));
        assert_eq!(idle.take_longest(second(start, 2), &|_| 99), Some(1), "no other session is left");
        assert_eq!(idle.take_longest(second(start, 2), &|_| 99), None);
    }
}
