//! How long to wait before the next try, so that an end that comes back is not met by everybody at once.

use std::time::Duration;

/// The longest wait after the first failure.
const FIRST: Duration = Duration::from_millis(200);

/// The longest wait ever.
const MOST: Duration = Duration::from_secs(30);

/// What has been up for so long begins anew.
const STEADY: Duration = Duration::from_secs(60);

/// The shortest and the longest wait that the other end may ask for.
const ASKED: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(300)];

/// The failures in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BackOff {
    failures: u32,
}

impl BackOff {
    /// The wait after one more failure: any time up to a bound, which doubles with each failure ("full jitter": what failed
    /// together is not tried again together). `dice` is any number, each as likely.
    pub(crate) fn failed(&mut self, dice: u64) -> Duration {
        let bound = FIRST.saturating_mul(1 << self.failures.min(16)).min(MOST);
        self.failures = self.failures.saturating_add(1);
        // The upper 32 bits, so that the product fits.
        let part = dice >> 32;
        let nanos = (u128::from(part) * bound.as_nanos()) >> 32;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// It was up for this long before it failed.
    pub(crate) fn was_up(&mut self, up: Duration) {
        if up >= STEADY {
            self.failures = 0;
        }
    }

    /// It works.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// The wait that the other end has asked for, within bounds.
pub(crate) fn asked(retry_ms: u32) -> Duration {
    let [least, most] = ASKED;
    Duration::from_millis(retry_ms.into()).clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_any_time_up_to_a_bound_that_doubles_until_30_s() {
        let mut back_off = BackOff::default();
        let bounds: Vec<_> = (0..12).map(|_| back_off.failed(u64::MAX).as_millis()).collect();

        assert_eq!(bounds, [199, 399, 799, 1599, 3199, 6399, 12799, 25599, 29999, 29999, 29999, 29999]);
        assert_eq!(back_off.failed(0), Duration::ZERO);
        assert_eq!(back_off.failed(u64::MAX / 2 + 1), MOST / 2);
        let mut old = BackOff { failures: u32::MAX };
        assert!(old.failed(u64::MAX) <= MOST);
    }

    #[test]
    fn only_what_was_up_for_a_minute_begins_anew() {
        let mut back_off = BackOff { failures: 5 };

        back_off.was_up(STEADY - Duration::from_millis(1));
        assert_eq!(back_off, BackOff { failures: 5 });
        back_off.was_up(STEADY);
        assert_eq!(back_off, BackOff::default());
    }

    #[test]
    fn the_other_end_cannot_ask_for_a_wait_beyond_bounds() {
        assert_eq!(asked(0), Duration::from_millis(200));
        assert_eq!(asked(500), Duration::from_millis(500));
        assert_eq!(asked(u32::MAX), Duration::from_secs(300));
    }
}
