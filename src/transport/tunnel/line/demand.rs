//! How many carriers are asked for at the busiest moment of the last half minute.
//!
//! Pure: time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far back is looked.
const MEMORY: Duration = Duration::from_secs(30);

/// Asks are counted in steps of this length.
const STEP: Duration = Duration::from_millis(100);

/// Steps that make the second whose busiest is looked for.
const STEPS: u64 = 10;

/// The asks of the last [`MEMORY`]: at most one count for each of its steps, and none for a quiet one.
#[derive(Debug, Default)]
pub(super) struct Asks {
    /// When the first was counted.
    began: Option<Instant>,
    /// Each step with asks, oldest first: its number since then, and how many.
    steps: VecDeque<(u64, usize)>,
}

impl Asks {
    /// Counts one.
    pub(super) fn add(&mut self, now: Instant) {
        let step = self.forget_old(now);
        match self.steps.back_mut() {
            Some((last, count)) if *last >= step => *count += 1,
            _ => self.steps.push_back((step, 1)),
        }
    }

    /// The most within any second of the last [`MEMORY`], to a [`STEP`].
    pub(super) fn peak(&mut self, now: Instant) -> usize {
        self.forget_old(now);
        let (mut first, mut within, mut peak) = (0, 0, 0);
        for (step, count) in &self.steps {
            within += count;
            while let Some((early, gone)) = self.steps.get(first)
                && early + STEPS <= *step
            {
                (within, first) = (within - gone, first + 1);
            }
            peak = peak.max(within);
        }
        peak
    }

    /// Forgets what is too long ago; returns the number of the step now.
    fn forget_old(&mut self, now: Instant) -> u64 {
        let began = *self.began.get_or_insert(now);
        let number = |of: Duration| (of.as_millis() / STEP.as_millis()) as u64;
        let step = number(now.saturating_duration_since(began));
        while self.steps.front().is_some_and(|(old, _)| old + number(MEMORY) <= step) {
            self.steps.pop_front();
        }
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(begin: Instant, ms: u64) -> Instant {
        begin + Duration::from_millis(ms)
    }

    #[test]
    fn the_busiest_second_of_the_last_half_minute_counts() {
        let (mut asks, begin) = (Asks::default(), Instant::now());

        // Twenty in a second that no full second of a clock has, and one now and then.
        (0..20).for_each(|n| asks.add(at(begin, 5500 + 50 * n)));
        (0..10).for_each(|n| asks.add(at(begin, 8000 + 1500 * n)));

        assert_eq!(asks.peak(at(begin, 25_000)), 20);
        assert_eq!(asks.peak(at(begin, 36_000)), 8, "most of it is more than half a minute ago");
        assert_eq!(asks.peak(at(begin, 37_000)), 1);
        assert_eq!(asks.peak(at(begin, 90_000)), 0);
    }

    #[test]
    fn a_day_of_asks_takes_no_more_than_half_a_minute_of_them() {
        let (mut asks, begin) = (Asks::default(), Instant::now());

        (0..1_000_000).for_each(|n| asks.add(at(begin, 86 * n)));

        assert!(asks.steps.len() <= 300, "{}", asks.steps.len());
    }
}
