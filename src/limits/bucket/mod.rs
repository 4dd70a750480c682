//! A token bucket that fills at a rate, and from which bytes are taken in turns.
//!
//! A taker learns at once when its turn is, so the bucket has no queue and needs no lock: it is one number, the time at
//! which it will be full again. Turns of equal size give equal shares, however many takers there are and however eager.
//! (ITU-T I.371, the virtual scheduling algorithm.)

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::units::Rate;

/// The depth of the bucket, as time at its rate: what may move at once after a pause.
const BURST: Duration = Duration::from_millis(100);
const LEAST_BURST: u64 = 16 << 10;

/// The size of one turn, as time at the rate: short enough that no session waits long, long enough that turns cost
/// little.
const TURN: Duration = Duration::from_millis(5);
const LEAST_TURN: u64 = 2 << 10;
const LARGEST_TURN: u64 = 1 << 20;

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
    /// A full bucket.
    pub fn new(rate: Rate, now: Instant) -> Bucket {
        let rate = rate.bytes();
        let of = |time: Duration| rate.saturating_mul(time.as_millis() as u64) / 1000;
        let turn = of(TURN).clamp(LEAST_TURN, LARGEST_TURN) as usize;
        let depth = nanoseconds(of(BURST).max(LEAST_BURST), rate);
        Bucket { rate, depth, turn, born: now, full_at: AtomicU64::new(0) }
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
        let cost = self.cost(bytes);
        let passed = u64::try_from(now.saturating_duration_since(self.born).as_nanos()).unwrap_or(u64::MAX);
        // Tokens beyond a full bucket are lost.
        let after = |full_at: u64| full_at.max(passed).saturating_add(cost);
        let before = self.full_at.fetch_update(Relaxed, Relaxed, |full_at| Some(after(full_at)));
        let (Ok(before) | Err(before)) = before;
        self.born + Duration::from_nanos(after(before).saturating_sub(self.depth))
    }

    /// Returns what was not `used` of the `taken` bytes; turns already assigned to others stay as they are.
    pub fn give_back(&self, taken: usize, used: usize) {
        let unused = self.cost(taken) - self.cost(used.min(taken));
        self.full_at.fetch_sub(unused, Relaxed);
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

/// A rate for each direction, independently.
#[derive(Debug)]
pub struct Bandwidth {
    /// Client → target.
    pub up: Bucket,
    /// Target → client.
    pub down: Bucket,
}

impl Bandwidth {
    /// Both buckets full.
    pub fn new(rate: Rate, now: Instant) -> Bandwidth {
        Bandwidth { up: Bucket::new(rate, now), down: Bucket::new(rate, now) }
    }
}

#[cfg(test)]
mod simulation;
