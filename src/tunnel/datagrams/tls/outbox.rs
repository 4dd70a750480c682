//! The queue of one connection, between whoever sends, on any thread, and the task that has the connection.

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
    /// The flows whose datagrams were dropped, once for each of them.
    dropped: Vec<FlowNumber>,
    /// The task, if it has nothing to send.
    waker: Option<Waker>,
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
        inner.dropped.extend(dropped);
        inner.wake();
    }

    /// Forgets what waits of a flow.
    pub(super) fn forget(&self, flow: FlowNumber) {
        let mut inner = self.lock();
        inner.queue.forget(flow);
        inner.dropped.retain(|of| *of != flow);
    }

    /// Takes out every datagram that waits.
    pub(super) fn take_datagrams(&self) -> Vec<(FlowNumber, Bytes)> {
        self.lock().queue.take_datagrams()
    }

    /// Takes what was dropped since the last time: each flow with its count.
    pub(super) fn take_dropped(&self) -> Vec<(FlowNumber, u64)> {
        let mut flows = std::mem::take(&mut self.lock().dropped);
        flows.sort_unstable();
        flows.chunk_by(|one, other| one == other).map(|same| (same[0], same.len() as u64)).collect()
    }

    /// Appends at most so many bytes to `plain`, as frames; the task is woken once there is something if there is nothing.
    pub(super) fn fill(&self, cx: &Context<'_>, most: usize, plain: &mut Vec<u8>) {
        let mut inner = self.lock();
        inner.queue.take(most, plain);
        if plain.is_empty() {
            inner.waker = Some(cx.waker().clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic cannot leave it half-changed, so a poisoned lock is as good as a clean one.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
