//! How much a direction may read: as much as there is, on a plain route.
//!
//! A trait, so that the plain way is compiled without a trace of it: it costs neither room nor a branch.

use std::task::{Context, Poll};

use super::broken::Fault;
use super::half::Half;
use crate::ledger::FlowMeter;

/// What bounds the reads of one direction.
pub(super) trait Throttle: Send {
    /// How many bytes the next step may read; none where `kept`, which was read before, can be handed on meanwhile.
    ///
    /// Pending means that the task will be woken by the source or when it may read.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut dyn Half,
        kept: usize,
    ) -> Poll<Result<usize, Fault>>;

    /// Books what was read since the last call.
    fn book(&mut self, flow: &FlowMeter);

    /// The direction waits for something else, or is done: what it was allowed is not needed now.
    fn rest(&mut self);

    /// Holds nothing up from now on; what is read is booked all the same.
    fn lift(&mut self);

    /// Whether it holds a direction up that could read.
    fn holds_up(&self) -> bool;

    /// Whether it has held the direction up since the last call.
    fn has_held_up(&mut self) -> bool;
}

/// No bound.
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
