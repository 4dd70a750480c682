//! How fast new sessions come: a token bucket, stored as the time at which it is full again.
//!
//! This is the generic cell rate algorithm (ITU-T I.371): as exact as counting tokens, with nothing to refill. The
//! bucket holds as many tokens as the frequency counts, unless a burst is written, and they return evenly: `"100/s"`
//! admits 100 at once, and then one every 10 ms.

use std::time::{Duration, Instant};

use crate::units::Frequency;

/// How often something may happen, and how often at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The rate in the long run.
    pub frequency: Frequency,
    /// How often at once after a pause, at least 1.
    pub burst: u32,
}

impl From<Frequency> for Allowance {
    /// With a burst of the frequency's count.
    fn from(frequency: Frequency) -> Allowance {
        Allowance { frequency, burst: frequency.count }
    }
}

impl Allowance {
    /// The time one token takes to come back.
    fn interval(self) -> Duration {
        self.frequency.per.span() / self.frequency.count
    }
}

/// The state of one bucket; full at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    full_at: Option<Instant>,
}

impl Pace {
    /// Whether there is a token at `now`.
    pub fn admits(&self, now: Instant, most: Allowance) -> bool {
        self.missing(now) <= most.interval() * (most.burst - 1)
    }

    /// Takes a token, which must be there.
    pub fn take(&mut self, now: Instant, most: Allowance) {
        self.full_at = Some(now + self.missing(now) + most.interval());
    }

    /// Gives tokens back that were taken.
    pub fn give_back(&mut self, tokens: u32, most: Allowance) {
        self.full_at = self.full_at.and_then(|at| at.checked_sub(most.interval() * tokens));
    }

    /// Whether no token is missing, so that nothing has to be remembered.
    pub fn is_full(&self, now: Instant) -> bool {
        self.missing(now).is_zero()
    }

    /// Continues under another allowance: tokens missing under a slower one must not delay a client for longer than the
    /// new one can.
    pub fn adopt(&mut self, now: Instant, most: Allowance) {
        self.full_at = self.full_at.map(|at| at.min(now + most.interval() * most.burst));
    }

    /// The time until every token is back.
    fn missing(&self, now: Instant) -> Duration {
        self.full_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn allowance(text: &str) -> Allowance {
        text.parse::<Frequency>().unwrap().into()
    }

    /// How many of the clients that come at these times are admitted, and when.
    fn admitted(most: Allowance, moments: impl IntoIterator<Item = Instant>) -> Vec<Instant> {
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

        assert_eq!(admitted(allowance("100/s"), [start; 1000]).len(), 100);
        assert_eq!(admitted(allowance("100/s"), every_ms).len(), 199);
        assert_eq!(admitted(allowance("3/h"), [start; 10]).len(), 3);
        assert_eq!(admitted(allowance("1/s"), [start, start, start + Duration::from_secs(1)]).len(), 2);
    }

    #[test]
    fn tokens_missing_under_a_slower_rate_delay_no_client_for_long_under_a_faster_one() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.take(start, allowance("1/h"));

        pace.adopt(start, allowance("10/s"));

        assert!(!pace.admits(start, allowance("10/s")));
        assert!(pace.admits(start + Duration::from_millis(100), allowance("10/s")));
    }

    #[test]
    fn a_token_that_is_given_back_is_there_at_once_and_never_one_too_many() {
        let (start, most) = (Instant::now(), allowance("3/h"));
        let mut pace = Pace::default();
        for _ in 0..3 {
            pace.take(start, most);
        }
        assert!(!pace.admits(start, most));

        pace.give_back(1, most);
        assert!(pace.admits(start, most));
        pace.give_back(1000, most);
        assert!(pace.is_full(start));

        pace.take(start, most);
        let more = (0..10).take_while(|_| pace.admits(start, most).then(|| pace.take(start, most)).is_some());
        assert_eq!(more.count(), 2);
    }

    #[test]
    fn a_burst_that_is_written_is_let_in_at_once_and_no_more() {
        let start = Instant::now();
        let every_ms = |ms: u64| (0..ms).map(move |ms| start + Duration::from_millis(ms));
        for burst in [1, 2, 30, 500] {
            let most = Allowance { burst, ..allowance("100/s") };

            assert_eq!(admitted(most, [start; 1000]).len(), burst as usize);
            // One more every 10 ms, the first after 10.
            assert_eq!(admitted(most, every_ms(101)).len(), (burst as usize + 10).min(101));
        }
    }

    proptest! {
        #[test]
        fn no_window_has_more_than_the_burst_and_what_came_back(
            count in 1_u32..50,
            gaps in proptest::collection::vec(0_u64..200, 1..200),
        ) {
            let most = allowance(&format!("{count}/s"));
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
            let most = allowance(&format!("{count}/m"));
            let mut now = Instant::now();
            let moments: Vec<Instant> = late.iter().map(|late| {
                now += most.interval() + Duration::from_micros(u64::from(*late));
                now
            }).collect();

            prop_assert_eq!(admitted(most, moments.iter().copied()).len(), moments.len());
        }
    }
}
