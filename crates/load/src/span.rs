//! How long a load lasts, and what it came to.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// A minute: no answer is waited for so long.
const LONGEST_NS: u64 = 60_000_000_000;

/// How long a load runs before it is measured, and how long it is measured.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Span {
    /// Load before the measured time.
    pub warm_up: Duration,
    /// The measured time.
    pub measured: Duration,
}

/// What a load generator reports.
#[derive(Default, Serialize, Deserialize)]
pub struct Tally {
    /// Work done from the first connection to the last, warm-up included: what the forwarder's CPU was spent on.
    pub all: u64,
    /// Work done in the measured time.
    pub measured: u64,
    /// That time.
    pub seconds: f64,
    /// The latency of half of the answers, in microseconds.
    pub p50_us: Option<f64>,
    /// That of 99 per cent of them.
    pub p99_us: Option<f64>,
    /// That of 999 in a thousand.
    pub p999_us: Option<f64>,
    /// What did not work, by cause.
    pub failed: BTreeMap<String, u64>,
}

/// Counts while the load runs.
pub struct Count {
    begin: Instant,
    end: Instant,
    latest: Instant,
    tally: Tally,
    latency: Histogram<u64>,
}

impl Count {
    /// Begins now.
    #[allow(clippy::missing_panics_doc, reason = "the bounds are constant")]
    pub fn start(span: Span) -> Count {
        let begin = Instant::now() + span.warm_up;
        let latency =
            Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("the bounds are within the library's");
        Count { begin, end: begin + span.measured, latest: begin, tally: Tally::default(), latency }
    }

    /// Whether the time is over at `now`.
    pub fn over(&self, now: Instant) -> bool {
        now >= self.end
    }

    /// Whether it is over for so long that no answer is waited for.
    pub fn long_over(&self, now: Instant) -> bool {
        self.over(now) && now - self.end >= crate::PATIENCE
    }

    /// Counts `work` done at `now`. What comes after the end still used the forwarder's CPU, but is not measured.
    pub fn done(&mut self, work: u64, now: Instant) {
        self.tally.all += work;
        if now >= self.begin && now <= self.end {
            self.tally.measured += work;
            self.latest = now;
        }
    }

    /// Counts `count` answers that came at `now` to requests sent at `sent`.
    pub fn answered(&mut self, count: u64, sent: Instant, now: Instant) {
        self.done(count, now);
        if now >= self.begin && now <= self.end {
            let nanoseconds = u64::try_from((now - sent).as_nanos()).unwrap_or(u64::MAX);
            self.latency.saturating_record_n(nanoseconds, count);
        }
    }

    /// Counts `count` failures of one cause.
    pub fn failed(&mut self, cause: impl ToString, count: u64) {
        *self.tally.failed.entry(cause.to_string()).or_default() += count;
    }

    /// The tally, for a load that ran until its end.
    pub fn tally(mut self) -> Tally {
        self.latest = self.end;
        self.tally_until_latest()
    }

    /// The tally, for a load that may have run out of work before its end.
    pub fn tally_until_latest(mut self) -> Tally {
        self.tally.seconds = (self.latest - self.begin).as_secs_f64();
        if !self.latency.is_empty() {
            let quantile = |q| Some(self.latency.value_at_quantile(q) as f64 / 1_000.0);
            (self.tally.p50_us, self.tally.p99_us) = (quantile(0.5), quantile(0.99));
            self.tally.p999_us = quantile(0.999);
        }
        self.tally
    }
}
