//! How much a direction may read: as much as there is, on a plain route.
//!
//! A trait, so that the plain way is compiled without a trace of it: it costs neither room nor a branch.

use std::task::{Context, Poll};

use super::direction::Fault;
use crate::ledger::FlowMeter;
use crate::transport::Stream;

/// What bounds the reads of one direction.
pub(super) trait Allowance {
    /// How many bytes the next step may read; none where `kept`, which was read before, can be handed on meanwhile.
    ///
    /// Pending means that the task will be woken by the source or when it may read.
    fn poll(&mut self, cx: &mut Context<'_>, source: &Stream, kept: usize) -> Poll<Result<usize, Fault>>;

    /// Books what was read since this was told last.
    fn book(&mut self, flow: &FlowMeter);

    /// The direction waits for something else, or is done: what it was allowed is not needed now.
    fn rest(&mut self);

    /// Whether it holds a direction up that could read.
    fn holds_up(&self) -> bool;

    /// Whether it has held the direction up since this was asked last.
    fn has_held_up(&mut self) -> bool;
}

/// No bound.
pub(super) struct Unlimited;

impl Allowance for Unlimited {
    #[inline]
    fn poll(&mut self, _: &mut Context<'_>, _: &Stream, _: usize) -> Poll<Result<usize, Fault>> {
        Poll::Ready(Ok(usize::MAX))
    }

    #[inline]
    fn book(&mut self, _: &FlowMeter) {}

    #[inline]
    fn rest(&mut self) {}

    #[inline]
    fn holds_up(&self) -> bool {
        false
    }

    #[inline]
    fn has_held_up(&mut self) -> bool {
        false
    }
}
