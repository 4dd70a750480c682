//! How long nothing has moved, told by looks at the counts of bytes.
//!
//! Nothing is noted where bytes move: that would cost every chunk a clock. So an end is seen late by as much as lies
//! between two looks, and never early.

use std::time::{Duration, Instant};

use crate::outcome::Traffic;

/// Looks in one span of patience.
const LOOKS: u32 = 4;

/// The shortest time between two looks.
const LEAST_PAUSE: Duration = Duration::from_millis(1);

/// The silence of one session.
#[derive(Debug)]
pub struct Silence {
    patience: Duration,
    traffic: Traffic,
    since: Instant,
}

impl Silence {
    /// A session that moved last at `now`.
    pub fn new(patience: Duration, traffic: Traffic, now: Instant) -> Silence {
        Silence { patience, traffic, since: now }
    }

    /// How long to wait until the next look.
    pub fn pause(&self) -> Duration {
        (self.patience / LOOKS).max(LEAST_PAUSE)
    }

    /// Notes that it is us who keep it silent.
    pub fn is_ours(&mut self, now: Instant) {
        self.since = now;
    }

    /// Looks at the counts; whether nothing has moved for as long as there was patience, by now.
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

    /// When the silence is too long, in a session that moves a byte at each of these moments.
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
