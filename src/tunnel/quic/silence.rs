//! Whether the other end of a QUIC connection has fallen silent. Pure: the clock is an argument.

use std::time::{Duration, Instant};

/// How long the other end may be silent after something was sent: what arrives is acknowledged within milliseconds, and what
/// does not is sent again.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often to look while something may be unanswered.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What is known at the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Silence {
    /// All that was sent was answered.
    #[default]
    AtRest,
    /// Something was sent and something was heard, in which order is not known.
    Unsure,
    /// Something was sent first at this time, and nothing has come since.
    Since(Instant),
}

/// What to do after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing until something is sent.
    Rest,
    /// Look again.
    Look,
    /// Ask the other end, and look again.
    Ask,
    /// It is silent.
    GiveUp,
}

impl Silence {
    /// Takes in whether flows have sent something, and whether anything has arrived, since the last look.
    pub(super) fn look(&mut self, has_sent: bool, has_heard: bool, now: Instant) -> Then {
        let (next, then) = match (&self, has_sent, has_heard) {
            (_, false, true) | (Silence::AtRest, false, false) => (Silence::AtRest, Then::Rest),
            (_, true, true) => (Silence::Unsure, Then::Look),
            (Silence::AtRest, true, false) => (Silence::Since(now), Then::Look),
            // The last that was sent may have been answered already.
            (Silence::Unsure, _, false) => (Silence::Since(now), Then::Ask),
            (Silence::Since(since), _, false) => {
                let is_over = now.saturating_duration_since(*since) >= PATIENCE;
                (Silence::Since(*since), if is_over { Then::GiveUp } else { Then::Look })
            }
        };
        *self = next;
        then
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_seconds_without_a_sign_after_the_first_that_was_sent_are_silence() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut silence = Silence::default();

        assert_eq!(silence.look(true, false, start), Then::Look);
        assert_eq!(silence.look(true, false, at(2999)), Then::Look);
        assert_eq!(silence.look(false, false, at(3000)), Then::GiveUp);
    }

    #[test]
    fn where_nothing_was_sent_nothing_is_missed() {
        let start = Instant::now();
        let mut silence = Silence::default();
        for hour in 0..9 {
            assert_eq!(silence.look(false, false, start + Duration::from_hours(hour)), Then::Rest);
        }
    }

    #[test]
    fn who_is_heard_is_not_silent_however_often_it_was_sent_to() {
        let start = Instant::now();
        let mut silence = Silence::default();
        for n in 0..100 {
            let now = start + LOOK_EVERY * n;
            assert_ne!(silence.look(true, n % 3 == 2, now), Then::GiveUp);
        }
    }

    #[test]
    fn where_it_is_not_known_whether_the_last_was_answered_the_other_end_is_asked_once() {
        let start = Instant::now();
        let at = |looks| start + LOOK_EVERY * looks;
        let mut silence = Silence::default();
        assert_eq!(silence.look(true, true, at(1)), Then::Look);
        assert_eq!(silence.look(false, false, at(2)), Then::Ask);
        assert_eq!(silence.look(false, true, at(3)), Then::Rest, "it has answered");

        silence.look(true, true, at(4));
        assert_eq!(silence.look(false, false, at(5)), Then::Ask);
        assert!((6..17).all(|n| silence.look(false, false, at(n)) == Then::Look));
        assert_eq!(silence.look(false, false, at(17)), Then::GiveUp);
    }
}
