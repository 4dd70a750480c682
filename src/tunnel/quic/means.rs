//! What the flows of a tunnel see of a QUIC connection: what they send waits here until it is sent.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::queue::Queue;
use crate::transport::tunnel::datagram::MAX_DATAGRAM;
use crate::transport::tunnel::flows::{FlowEnded, FlowNumber};
use crate::transport::tunnel::open::Open;
use crate::transport::tunnel::quic::datagram;
use crate::transport::tunnel::quic::news::News;
use crate::tunnel::datagrams::means::Means;

/// The bytes of news that may wait: more than every flow of a tunnel begins and ends with. Where the other end takes none of
/// them, the connection is given up.
const MAX_NEWS: usize = 1 << 20;

/// A connection, from the side of the flows.
pub(crate) struct QuicMeans {
    waiting: Mutex<Waiting>,
    /// Told when the first datagram waits.
    pub(super) datagrams: Notify,
    /// Told when news wait.
    pub(super) news: Notify,
    /// Told when something was sent, the first since the last look.
    pub(super) unanswered: Notify,
    has_sent: AtomicBool,
    /// Questions that are not answered.
    questions: AtomicU32,
    /// Cancelled once the connection is over, or the other end takes no news.
    pub(super) over: CancellationToken,
}

#[derive(Default)]
struct Waiting {
    datagrams: Queue,
    news: Vec<u8>,
}

impl QuicMeans {
    pub(super) fn new() -> QuicMeans {
        QuicMeans {
            waiting: Mutex::default(),
            datagrams: Notify::new(),
            news: Notify::new(),
            unanswered: Notify::new(),
            has_sent: AtomicBool::new(false),
            questions: AtomicU32::new(0),
            over: CancellationToken::new(),
        }
    }

    /// Says something to the other end, without a look whether it answers.
    pub(super) fn say(&self, news: &News) {
        let bytes = news.encode();
        let mut waiting = self.waiting();
        if waiting.news.len() + bytes.len() > MAX_NEWS {
            self.over.cancel();
            return;
        }
        waiting.news.extend(bytes);
        drop(waiting);
        self.news.notify_one();
    }

    /// Asks whether the other end answers.
    pub(super) fn ask(&self) {
        self.questions.fetch_add(1, Relaxed);
        self.say(&News::Ping);
    }

    /// An answer has come; whether there was a question.
    pub(super) fn answered(&self) -> bool {
        self.questions.fetch_update(Relaxed, Relaxed, |questions| questions.checked_sub(1)).is_ok()
    }

    /// The oldest datagram that waits, and what was dropped of which flow since the last call.
    pub(super) fn next(&self) -> (Option<(FlowNumber, Bytes)>, BTreeMap<FlowNumber, u64>) {
        let mut waiting = self.waiting();
        (waiting.datagrams.pop(), waiting.datagrams.take_dropped())
    }

    /// A datagram that waited was dropped.
    pub(super) fn is_dropped(&self, flow: FlowNumber) {
        self.waiting().datagrams.count(flow);
        self.datagrams.notify_one();
    }

    /// All news that wait.
    pub(super) fn take_news(&self) -> Vec<u8> {
        std::mem::take(&mut self.waiting().news)
    }

    /// Whether something was sent that wants an answer since the last call.
    pub(super) fn has_sent(&self) -> bool {
        self.has_sent.swap(false, Relaxed)
    }

    /// Something was sent that wants an answer.
    pub(super) fn is_sent(&self) {
        if !self.has_sent.swap(true, Relaxed) {
            self.unanswered.notify_one();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Means for QuicMeans {
    fn begin(&self, flow: FlowNumber, open: &Open) {
        self.say(&News::Flow(flow, Box::new(open.clone())));
        self.is_sent();
    }

    fn send(&self, flow: FlowNumber, payload: Bytes) -> bool {
        if payload.len() > MAX_DATAGRAM || self.over.is_cancelled() {
            return false;
        }
        let datagram = datagram::encode(flow, &payload);
        let is_first = self.waiting().datagrams.push(flow, datagram);
        if is_first {
            self.datagrams.notify_one();
        }
        self.is_sent();
        true
    }

    fn end(&self, flow: FlowNumber, why: &FlowEnded) {
        self.say(&News::End(flow, why.clone()));
        self.is_sent();
    }
}
