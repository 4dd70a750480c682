//! How long nothing has moved, determined by polling the byte counts.
//!
//! Nothing is recorded where bytes move: that would cost a clock read per chunk. So a timeout is noticed late by up to
//! one polling interval, and never early.

use std::time::{Duration, Instant};

use crate::outcome::Traffic;

/// Polls per timeout.
const POLLS: u32 = 4;

/// The shortest time between two polls.
const LEAST_PAUSE: Duration = Duration::from_millis(1);

/// The idle time of one session.
#[derive(Debug)]
pub struct Silence {
    patience: Duration,
    traffic: Traffic,
    since: Instant,
}

impl Silence {
    /// A session that last moved bytes at `now`.
    pub fn new(patience: Duration, traffic: Traffic, now: Instant) -> Silence {
        Silence { patience, traffic, since: now }
    }

    /// How long to wait until the next poll.
    pub fn pause(&self) -> Duration {
        (self.patience / POLLS).max(LEAST_PAUSE)
    }

    /// Records that the silence is our own doing.
    pub fn is_ours(&mut self, now: Instant) {
        self.since = now;
    }

    /// Reads the counts; returns whether nothing has moved for the whole timeout by now.
    pub fn is_too_long(&mut self, traffic: Traffic, now: Instant) -> bool {
        if traffic != self.traffic {
            (self.traffic, self.since) = (traffic, now);
        }
        now.saturating_duration_since(self.since) >= self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Flow;

    const PATIENCE: Duration = Duration::from_secs(8);

    /// When the timeout ends a session that moves a byte at each of these times.
    fn ends_after(moves: &[u64]) -> Duration {
        let began = Instant::now();
        let mut silence = Silence::new(PATIENCE, Traffic::default(), began);
        let mut now = Duration::ZERO;
        loop {
            now += silence.pause();
            let delivered = moves.iter().filter(|at| Duration::from_millis(**at) <= now).count() as u64;
            let traffic = Traffic { down: Flow { read: 1, delivered }, ..Traffic::default() };
            if silence.is_too_long(traffic, began + now) {
                return now;
            }
        }
    }

    #[test]
    fn silence_ends_a_session_never_early_and_at_most_a_quarter_late() {
        for last in (0..30_000).step_by(777) {
            let moves: Vec<u64> = (0..=last).step_by(777).collect();
            let silent = ends_after(&moves) - Duration::from_millis(last);
            assert!(silent >= PATIENCE && silent <= PATIENCE * 5 / 4, "{silent:?} after {last} ms");
        }
    }
}
