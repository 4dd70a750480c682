//! The queue of one connection, between whoever sends, on any thread, and the task that has the connection.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::queue::Queue;
use crate::transport::tunnel::flows::FlowNumber;
use crate::transport::tunnel::frame::Frame;

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    inner: Mutex<Inner>,
    /// Cancelled once the connection is to be closed.
    pub(super) closing: CancellationToken,
}

#[derive(Debug, Default)]
struct Inner {
    queue: Queue,
    /// How many datagrams were dropped of each flow.
    dropped: BTreeMap<FlowNumber, u64>,
    /// The task, as it has looked last.
    waker: Option<Waker>,
    /// Whether it has nothing to send.
    is_idle: bool,
}

impl Outbox {
    /// The connection stands.
    pub(super) fn stand(&self) {
        self.lock().queue.stand();
    }

    /// Queues a frame without a body.
    pub(super) fn tell(&self, frame: Frame) {
        let mut inner = self.lock();
        if inner.queue.tell(frame).is_err() {
            self.closing.cancel();
        }
        inner.wake();
    }

    /// Queues a datagram.
    pub(super) fn send(&self, flow: FlowNumber, datagram: Bytes) {
        let mut inner = self.lock();
        let dropped = inner.queue.put(flow, datagram);
        let is_first = inner.dropped.is_empty() && !dropped.is_empty();
        for flow in dropped {
            *inner.dropped.entry(flow).or_default() += 1;
        }
        inner.is_idle |= is_first;
        inner.wake();
    }

    /// Takes back that a flow begins, if that was not sent yet.
    pub(super) fn unsay(&self, flow: FlowNumber) {
        self.lock().queue.unsay(flow);
    }

    /// Forgets the datagrams of a flow; returns how many wait, and were dropped and not told.
    pub(super) fn forget(&self, flow: FlowNumber) -> u64 {
        let mut inner = self.lock();
        let waiting = inner.queue.forget(flow) as u64;
        waiting + inner.dropped.remove(&flow).unwrap_or_default()
    }

    /// Takes out every datagram that waits.
    pub(super) fn take_datagrams(&self) -> Vec<(FlowNumber, Bytes)> {
        self.lock().queue.take_datagrams()
    }

    /// Takes what was dropped since the last time: each flow with its count.
    pub(super) fn take_dropped(&self) -> BTreeMap<FlowNumber, u64> {
        std::mem::take(&mut self.lock().dropped)
    }

    /// Whether anything was dropped since it was taken. The task is woken once the first is.
    pub(super) fn has_dropped(&self, cx: &Context<'_>) -> bool {
        let mut inner = self.lock();
        inner.waker = Some(cx.waker().clone());
        !inner.dropped.is_empty()
    }

    /// Appends at most so many bytes to `plain`, as frames; the task is woken once there is something if there is nothing.
    pub(super) fn fill(&self, cx: &Context<'_>, most: usize, plain: &mut Vec<u8>) {
        let mut inner = self.lock();
        inner.queue.take(most, plain);
        inner.is_idle = plain.is_empty();
        inner.waker = Some(cx.waker().clone());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic cannot leave it half-changed, so a poisoned lock is as good as a clean one.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn wake(&mut self) {
        if std::mem::take(&mut self.is_idle)
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }
}
