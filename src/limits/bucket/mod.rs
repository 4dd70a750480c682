//! A token bucket that fills at a rate, and from which bytes are taken in turns.
//!
//! A taker learns at once when its turn is, so the bucket has no queue and needs no lock: it is one number, the time at
//! which it will be full again. Turns of equal size give equal shares, however many takers there are and however eager.
//! (ITU-T I.371, the virtual scheduling algorithm.)

mod policer;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

pub use policer::Policer;

use crate::units::{Rate, Size};

/// The depth of a bucket whose burst is not written, as time at its rate: what may move at once after a pause. At slow
/// rates it is at least so many bytes, unless that would be the traffic of a long time.
const BURST: Duration = Duration::from_millis(100);
const LEAST_BURST: u64 = 16 << 10;
const LONGEST_BURST: Duration = Duration::from_secs(20);

/// The size of one turn, as time at the rate: short enough that no session waits long, long enough that turns cost
/// little. At slow rates it is at least so many bytes, with the same exception.
const TURN: Duration = Duration::from_millis(5);
const LEAST_TURN: u64 = 2 << 10;
const LARGEST_TURN: u64 = 1 << 20;
const LONGEST_TURN: Duration = Duration::from_secs(3);

/// The most that is owed for bytes which moved without a turn, as time at the rate: at a rate of a few bits a second,
/// what one session sent before its reset would keep all others waiting for days.
const MAX_DEBT: Duration = Duration::from_secs(60);

/// How much may move in each direction, as its configuration states it; at least one direction has a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BandwidthRule {
    /// Client → target; `None` is unlimited.
    pub up: Option<Rate>,
    /// Target → client; `None` is unlimited.
    pub down: Option<Rate>,
    /// What may move at once after a pause, in each direction that has a rate; at least 1. `None` follows from the rate.
    pub burst: Option<Size>,
}

impl From<Rate> for BandwidthRule {
    /// The same rate in both directions.
    fn from(rate: Rate) -> BandwidthRule {
        BandwidthRule { up: Some(rate), down: Some(rate), burst: None }
    }
}

/// Tokens for bytes, shared by all holders of a reference.
#[derive(Debug)]
pub struct Bucket {
    /// Bytes per second.
    rate: u64,
    /// How long an empty bucket takes to fill, in nanoseconds.
    depth: u64,
    turn: usize,
    born: Instant,
    /// Nanoseconds after its creation at which it will be full again, if no more is taken.
    full_at: AtomicU64,
}

impl Bucket {
    /// A full bucket. Its burst follows from the rate unless one is given.
    pub fn new(rate: Rate, burst: Option<Size>, now: Instant) -> Bucket {
        let rate = rate.bytes();
        let of = |time: Duration| rate.saturating_mul(time.as_millis() as u64) / 1000;
        let burst =
            burst.map_or_else(|| of(BURST).max(LEAST_BURST.min(of(LONGEST_BURST))), |burst| burst.0).max(1);
        let turn = of(TURN).clamp(LEAST_TURN.min(of(LONGEST_TURN)), LARGEST_TURN).clamp(1, burst) as usize;
        Bucket { rate, depth: nanoseconds(burst, rate), turn, born: now, full_at: AtomicU64::new(0) }
    }

    /// Bytes of one turn.
    pub fn turn(&self) -> usize {
        self.turn
    }

    /// The most bytes that may move at once.
    #[cfg(test)]
    fn burst(&self) -> u64 {
        (u128::from(self.depth) * u128::from(self.rate) / 1_000_000_000) as u64
    }

    /// Takes this many bytes and returns when they may move.
    pub fn take(&self, bytes: usize, now: Instant) -> Instant {
        let (cost, passed) = (self.cost(bytes), self.passed(now));
        // Tokens beyond a full bucket are lost.
        let after = |full_at: u64| full_at.max(passed).saturating_add(cost);
        let before = self.full_at.fetch_update(Relaxed, Relaxed, |full_at| Some(after(full_at)));
        let (Ok(before) | Err(before)) = before;
        self.born + Duration::from_nanos(after(before).saturating_sub(self.depth))
    }

    /// Takes this many bytes if they may move at `now`, otherwise nothing. More than a burst moves if nothing is missing:
    /// it would never move otherwise.
    pub fn spend(&self, bytes: usize, now: Instant) -> bool {
        let (cost, passed) = (self.cost(bytes), self.passed(now));
        let after = |full_at: u64| {
            let missing = full_at.saturating_sub(passed);
            let fits = missing == 0 || missing.saturating_add(cost) <= self.depth;
            fits.then(|| full_at.max(passed).saturating_add(cost))
        };
        self.full_at.fetch_update(Relaxed, Relaxed, after).is_ok()
    }

    /// Takes what has moved already without a turn: later bytes wait for it, for at most a minute more.
    pub fn owe(&self, bytes: usize, now: Instant) {
        let (cost, passed) = (self.cost(bytes), self.passed(now));
        let most = passed.saturating_add(self.depth).saturating_add(MAX_DEBT.as_nanos() as u64);
        let after = |full_at: u64| full_at.max(passed).saturating_add(cost).min(most.max(full_at));
        let _ = self.full_at.fetch_update(Relaxed, Relaxed, |full_at| Some(after(full_at)));
    }

    /// Returns what was not `used` of the `taken` bytes; turns already assigned to others stay as they are.
    pub fn give_back(&self, taken: usize, used: usize) {
        let unused = self.cost(taken) - self.cost(used.min(taken));
        self.full_at.fetch_sub(unused, Relaxed);
    }

    /// The time since its creation, in nanoseconds.
    fn passed(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.born).as_nanos()).unwrap_or(u64::MAX)
    }

    /// How long this many bytes take to fill, rounded up: never more than the rate.
    fn cost(&self, bytes: usize) -> u64 {
        nanoseconds(bytes as u64, self.rate)
    }
}

fn nanoseconds(bytes: u64, rate: u64) -> u64 {
    let time = (u128::from(bytes) * 1_000_000_000).div_ceil(u128::from(rate));
    u64::try_from(time).unwrap_or(u64::MAX)
}

/// A bucket for each direction that has a rate, independently.
#[derive(Debug)]
pub struct Bandwidth {
    /// Client → target.
    pub up: Option<Bucket>,
    /// Target → client.
    pub down: Option<Bucket>,
}

impl Bandwidth {
    /// All buckets full.
    pub fn new(rule: BandwidthRule, now: Instant) -> Bandwidth {
        let bucket = |rate: Option<Rate>| rate.map(|rate| Bucket::new(rate, rule.burst, now));
        Bandwidth { up: bucket(rule.up), down: bucket(rule.down) }
    }
}

#[cfg(test)]
mod simulation;
