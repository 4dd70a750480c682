//! How fast new sessions come: a token bucket, stored as the time at which it is full again.
//!
//! This is the generic cell rate algorithm (ITU-T I.371): as exact as counting tokens, with nothing to refill. The
//! bucket holds as many tokens as the frequency counts, and they return evenly: `"100/s"` admits 100 at once, and then
//! one every 10 ms.

use std::time::{Duration, Instant};

use crate::units::Frequency;

/// The state of one bucket; full at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    full_at: Option<Instant>,
}

impl Pace {
    /// Whether there is a token at `now`.
    pub fn admits(&self, now: Instant, most: Frequency) -> bool {
        self.missing(now) <= most.per.span() - interval(most)
    }

    /// Takes a token, which must be there.
    pub fn take(&mut self, now: Instant, most: Frequency) {
        self.full_at = Some(now + self.missing(now) + interval(most));
    }

    /// Whether no token is missing, so that nothing has to be remembered.
    pub fn is_full(&self, now: Instant) -> bool {
        self.missing(now).is_zero()
    }

    /// Continues under another frequency: tokens missing under a slower one must not delay a client for longer than the
    /// new one can.
    pub fn adopt(&mut self, now: Instant, most: Frequency) {
        self.full_at = self.full_at.map(|at| at.min(now + most.per.span()));
    }

    /// The time until every token is back.
    fn missing(&self, now: Instant) -> Duration {
        self.full_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }
}

/// The time one token takes to come back.
fn interval(most: Frequency) -> Duration {
    most.per.span() / most.count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frequency(text: &str) -> Frequency {
        text.parse().unwrap()
    }

    /// How many of the clients that come at these times are admitted, and when.
    fn admitted(most: Frequency, moments: impl IntoIterator<Item = Instant>) -> Vec<Instant> {
        let mut pace = Pace::default();
        let mut comes_in = |now: &Instant| {
            let admits = pace.admits(*now, most);
            if admits {
                pace.take(*now, most);
            }
            admits
        };
        moments.into_iter().filter(|now| comes_in(now)).collect()
    }

    #[test]
    fn a_burst_as_large_as_the_count_is_let_in_and_then_one_at_a_time() {
        let start = Instant::now();
        let every_ms = (0..1000).map(|ms| start + Duration::from_millis(ms));

        assert_eq!(admitted(frequency("100/s"), [start; 1000]).len(), 100);
        assert_eq!(admitted(frequency("100/s"), every_ms).len(), 199);
        assert_eq!(admitted(frequency("3/h"), [start; 10]).len(), 3);
        assert_eq!(admitted(frequency("1/s"), [start, start, start + Duration::from_secs(1)]).len(), 2);
    }

    #[test]
    fn tokens_missing_under_a_slower_rate_delay_no_client_for_long_under_a_faster_one() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.take(start, frequency("1/h"));

        pace.adopt(start, frequency("10/s"));

        assert!(!pace.admits(start, frequency("10/s")));
        assert!(pace.admits(start + Duration::from_millis(100), frequency("10/s")));
    }

    proptest! {
        #[test]
        fn no_window_has_more_than_the_burst_and_what_came_back(
            count in 1_u32..50,
            gaps in proptest::collection::vec(0_u64..200, 1..200),
        ) {
            let most = frequency(&format!("{count}/s"));
            let mut now = Instant::now();
            let moments = gaps.into_iter().map(|gap| {
                now += Duration::from_millis(gap);
                now
            });

            let admitted = admitted(most, moments);

            for (first, from) in admitted.iter().enumerate() {
                for (last, to) in admitted.iter().enumerate().skip(first) {
                    let came_back = (*to - *from).as_secs_f64() * f64::from(count);
                    prop_assert!((last - first) as f64 <= f64::from(count) + came_back, "{first} to {last}");
                }
            }
        }

        #[test]
        fn a_client_within_the_rate_is_never_rejected(count in 1_u32..1000, late in proptest::collection::vec(0_u32..100, 1..100)) {
            let most = frequency(&format!("{count}/m"));
            let mut now = Instant::now();
            let moments: Vec<Instant> = late.iter().map(|late| {
                now += interval(most) + Duration::from_micros(u64::from(*late));
                now
            }).collect();

            prop_assert_eq!(admitted(most, moments.iter().copied()).len(), moments.len());
        }
    }
}
