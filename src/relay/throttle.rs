//! How much a direction may read; on a plain route, everything there is.
//!
//! A trait, so that the plain way is compiled without it: it costs neither memory nor a branch.

use std::task::{Context, Poll};

use super::broken::Fault;
use super::half::Half;
use crate::ledger::FlowMeter;

/// Limits the reads of one direction.
pub(super) trait Throttle: Send {
    /// How many bytes the next step may read; zero if `kept`, which was read before, can be written meanwhile.
    ///
    /// Pending means that the source will wake the task, or a timer once it may read.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut dyn Half,
        kept: usize,
    ) -> Poll<Result<usize, Fault>>;

    /// Accounts for what was read since the last call.
    fn book(&mut self, flow: &FlowMeter);

    /// The direction waits for something else, or is done: an unused allowance is returned.
    fn rest(&mut self);

    /// Delays nothing from now on; what is read is still accounted for.
    fn lift(&mut self);

    /// Whether it delays a direction that could read.
    fn holds_up(&self) -> bool;

    /// Whether it has delayed the direction since the last call.
    fn has_held_up(&mut self) -> bool;
}

/// No limit.
pub(super) struct Unlimited;

impl Throttle for Unlimited {
    #[inline]
    fn poll(&mut self, _: &mut Context<'_>, _: &mut dyn Half, _: usize) -> Poll<Result<usize, Fault>> {
        Poll::Ready(Ok(usize::MAX))
    }

    #[inline]
    fn book(&mut self, _: &FlowMeter) {}

    #[inline]
    fn rest(&mut self) {}

    #[inline]
    fn lift(&mut self) {}

    #[inline]
    fn holds_up(&self) -> bool {
        false
    }

    #[inline]
    fn has_held_up(&mut self) -> bool {
        false
    }
}

impl<T: Throttle + ?Sized> Throttle for Box<T> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut dyn Half,
        kept: usize,
    ) -> Poll<Result<usize, Fault>> {
        (**self).poll(cx, source, kept)
    }

    fn book(&mut self, flow: &FlowMeter) {
        (**self).book(flow);
    }

    fn rest(&mut self) {
        (**self).rest();
    }

    fn lift(&mut self) {
        (**self).lift();
    }

    fn holds_up(&self) -> bool {
        (**self).holds_up()
    }

    fn has_held_up(&mut self) -> bool {
        (**self).has_held_up()
    }
}
