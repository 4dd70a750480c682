//! Bytes that move at a rate, in pieces that the rate allows.
//!
//! The ways are the same, copy and splice; each step asks the kernel for no more than its turn at the bucket allows, so
//! that neither a buffer nor a pipe holds more. Between two turns a direction sleeps, without a pipe, and the kernel's
//! windows slow the sender down.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::time::{Sleep, sleep_until};

use super::broken::{At, Fault};
use super::half::Half;
use super::throttle::{Throttle, Unlimited};
use crate::ledger::FlowMeter;
use crate::limits::{Bandwidth, Bucket};

/// The rates that limit one session.
pub struct Pace<'a> {
    /// Its own rate.
    own: Option<Bandwidth>,
    /// The rate it shares with other sessions.
    shared: Option<&'a Bandwidth>,
    up_waits: AtomicBool,
    down_waits: AtomicBool,
}

impl<'a> Pace<'a> {
    /// Limited by either or both.
    pub fn new(own: Option<Bandwidth>, shared: Option<&'a Bandwidth>) -> Pace<'a> {
        Pace { own, shared, up_waits: AtomicBool::new(false), down_waits: AtomicBool::new(false) }
    }

    /// Whether any rate limits it.
    pub fn is_bound(&self) -> bool {
        self.own.is_some() || self.shared.is_some()
    }

    /// Whether bytes are waiting for their turn now: then the session's silence is not caused by its ends.
    pub fn holds_up(&self) -> bool {
        self.up_waits.load(Relaxed) || self.down_waits.load(Relaxed)
    }
}

impl<'a> Pace<'a> {
    /// The throttles of the two directions, up first, for the way that is not compiled for each kind.
    pub(super) fn throttles(&'a self) -> [Box<dyn Throttle + 'a>; 2] {
        if !self.is_bound() {
            return [Box::new(Unlimited), Box::new(Unlimited)];
        }
        let [up, down] = self.paced();
        [Box::new(up), Box::new(down)]
    }

    /// The throttles of a limited session.
    pub(super) fn paced(&'a self) -> [Paced<'a>; 2] {
        let both = [self.own.as_ref(), self.shared];
        let up = Paced::new(both.map(|it| it?.up.as_ref()), &self.up_waits);
        let down = Paced::new(both.map(|it| it?.down.as_ref()), &self.down_waits);
        [up, down]
    }
}

/// The buckets of one direction, which may have none: then a turn has no end. Its own comes first: a turn at the shared
/// bucket should not have to wait.
pub(super) struct Paced<'a> {
    buckets: [Option<&'a Bucket>; 2],
    /// Bytes of one turn: the smallest of the buckets' turns.
    turn: usize,
    stage: Stage,
    timer: Option<Pin<Box<Sleep>>>,
    /// How much of the flow has been accounted for.
    booked: u64,
    has_held_up: bool,
    is_lifted: bool,
    waits: &'a AtomicBool,
}

/// The progress of a turn.
#[derive(Clone, Copy)]
enum Stage {
    /// Nothing is taken.
    None,
    /// Taken from the buckets up to this one, whose turn comes at this time.
    Waits(usize, Instant),
    /// This many bytes of the turn are left.
    Granted(usize),
}

impl<'a> Paced<'a> {
    fn new(buckets: [Option<&'a Bucket>; 2], waits: &'a AtomicBool) -> Paced<'a> {
        let turn = buckets.iter().flatten().map(|bucket| bucket.turn()).min().unwrap_or(usize::MAX);
        Paced {
            buckets,
            turn,
            stage: Stage::None,
            timer: None,
            booked: 0,
            has_held_up: false,
            is_lifted: false,
            waits,
        }
    }

    /// Takes from the buckets from index `n` on; after the last, the turn is granted.
    fn take_from(&self, n: usize, now: Instant) -> Stage {
        let rest = self.buckets.iter().enumerate().skip(n);
        match rest.flat_map(|(n, bucket)| Some((n, (*bucket)?))).next() {
            Some((n, bucket)) => Stage::Waits(n, bucket.take(self.turn, now)),
            None => Stage::Granted(self.turn),
        }
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let mut now = Instant::now();
        loop {
            match self.stage {
                Stage::Granted(left) => {
                    self.waits.store(false, Relaxed);
                    return Poll::Ready(left);
                }
                Stage::None => self.stage = self.take_from(0, now),
                Stage::Waits(n, at) => {
                    if at > now {
                        self.has_held_up = true;
                        self.waits.store(true, Relaxed);
                        ready!(self.poll_timer(cx, at));
                        now = Instant::now();
                    }
                    self.stage = self.take_from(n + 1, now);
                }
            }
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let at = at.into();
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(cx)
    }

    /// Returns what was taken and not used.
    fn give_back(&mut self) {
        let (taken_from, left) = match std::mem::replace(&mut self.stage, Stage::None) {
            Stage::None => return,
            Stage::Waits(n, _) => (n + 1, self.turn),
            Stage::Granted(left) => (self.buckets.len(), left),
        };
        for bucket in self.buckets.iter().take(taken_from).flatten() {
            bucket.give_back(self.turn, self.turn - left);
        }
        self.waits.store(false, Relaxed);
    }
}

impl Throttle for Paced<'_> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut dyn Half,
        kept: usize,
    ) -> Poll<Result<usize, Fault>> {
        if self.is_lifted {
            return Poll::Ready(Ok(usize::MAX));
        }
        // No turn is taken with nothing to read.
        let turn = match source.poll_readable(cx) {
            Poll::Ready(ready) => {
                ready.map_err(At::Source.fault())?;
                self.poll_turn(cx)
            }
            Poll::Pending => Poll::Pending,
        };
        match turn {
            // Kept bytes are paid for, and are written meanwhile.
            Poll::Pending if kept > 0 => Poll::Ready(Ok(0)),
            turn => turn.map(Ok),
        }
    }

    fn book(&mut self, flow: &FlowMeter) {
        let read = flow.flow().read;
        let bytes = (read - self.booked) as usize;
        self.booked = read;
        match self.stage {
            Stage::Granted(left) if bytes < left => self.stage = Stage::Granted(left - bytes),
            Stage::Granted(left) => {
                self.stage = Stage::None;
                self.owe(bytes - left);
            }
            Stage::None | Stage::Waits(..) => self.owe(bytes),
        }
    }

    fn rest(&mut self) {
        if let Stage::Granted(_) = self.stage {
            self.give_back();
        }
    }

    fn lift(&mut self) {
        self.give_back();
        self.is_lifted = true;
    }

    fn holds_up(&self) -> bool {
        matches!(self.stage, Stage::Waits(..))
    }

    fn has_held_up(&mut self) -> bool {
        std::mem::take(&mut self.has_held_up)
    }
}

impl Paced<'_> {
    /// What moved without a turn is paid for afterwards.
    fn owe(&self, bytes: usize) {
        if bytes > 0 {
            let now = Instant::now();
            self.buckets.iter().flatten().for_each(|bucket| bucket.owe(bytes, now));
        }
    }
}

impl Drop for Paced<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}
