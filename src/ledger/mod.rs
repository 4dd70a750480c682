//! The ledger of sessions: each is opened once, counted while it lives, and closed with its outcome.
//!
//! Nothing else in the program logs or counts a session. The [`Sink`] decides what happens to a record.

mod dedup;
mod entry;
mod live;
mod notes;
mod order;
mod queue;
mod record;
mod settings;
mod target_names;
mod text;
mod tunnelled;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::outcome::{Client, Outcome};
use dedup::Folds;
pub use entry::Entry;
use live::Lives;
pub use live::{FlowMeter, Live, Meter, Open};
pub use order::{Order, OrderRefused};
pub use queue::{LineQueue, QueueWriter};
pub use record::Record;
pub use settings::{LogFormat, LogLevel, LogSettings};
pub use target_names::TargetNames;
pub use tunnelled::{Through, TunnelCarrier};

/// Receives records. Called once per session, at its end, on the worker that carried it: it must not block.
pub trait Sink: Send + Sync {
    /// Takes one record.
    fn record(&self, record: &Record);

    /// Whether records should carry values from TCP_INFO; that costs two system calls per session.
    fn wants_kernel_facts(&self) -> bool {
        false
    }
}

/// A function is the simplest sink.
impl<F: Fn(&Record) + Send + Sync> Sink for F {
    fn record(&self, record: &Record) {
        self(record);
    }
}

/// Counts of sessions since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Sessions opened since the start.
    pub opened: u64,
    /// Sessions closed since the start.
    pub closed: u64,
}

/// The ledger.
pub struct Ledger {
    sink: Box<dyn Sink>,
    /// What distinguishes the ids of its sessions from those of another process.
    process: [u8; 5],
    lives: Lives,
    folds: Mutex<Folds>,
    opened: AtomicU64,
    closed: AtomicU64,
}

impl Ledger {
    /// An empty ledger that writes to `sink`.
    pub fn new(sink: Box<dyn Sink>) -> Arc<Ledger> {
        Arc::new(Ledger {
            sink,
            process: random(),
            lives: Lives::default(),
            folds: Mutex::default(),
            opened: AtomicU64::new(0),
            closed: AtomicU64::new(0),
        })
    }

    /// Every session that has not ended, oldest first.
    pub fn live(&self) -> Vec<Arc<Live>> {
        self.lives.all()
    }

    /// Orders a session to end.
    ///
    /// # Errors
    /// No session with this number is live, or an earlier order already ends it.
    pub fn order(&self, id: u64, order: Order) -> Result<(), OrderRefused> {
        self.lives.find(id).ok_or(OrderRefused::NoSuchSession(id))?.order(order)
    }

    /// Orders those sessions to end that are wanted and were not ordered before. Returns their number.
    pub(crate) fn order_some(&self, is_wanted: impl Fn(&Live) -> bool, order: Order) -> usize {
        let wanted = self.lives.all().into_iter().filter(|live| is_wanted(live));
        let ordered: Vec<_> = wanted.filter(|live| live.store(order).is_ok()).collect();
        ordered.iter().for_each(|live| live.wake());
        ordered.len()
    }

    /// Orders every session to end. Sessions that end free places for waiting clients, so all are ordered before the
    /// first is woken.
    pub(crate) fn order_all(&self, order: Order) {
        let all = self.lives.all();
        for live in &all {
            // A session that an earlier order ends, ends all the same.
            let _ = live.store(order);
        }
        all.iter().for_each(|live| live.wake());
    }

    /// Counts since the start.
    pub fn totals(&self) -> Totals {
        // `closed` is read first: a session that closes in between may be missing from it, never from `opened`.
        let closed = self.closed.load(Relaxed);
        Totals { opened: self.opened.load(Relaxed), closed }
    }

    /// Whether an outcome should carry [`crate::outcome::Kernel`].
    pub fn wants_kernel_facts(&self) -> bool {
        self.sink.wants_kernel_facts()
    }

    /// Writes the counts of folded refusals whose window has ended at `now`; called about once a second.
    pub fn settle(&self, now: Instant) {
        let due = self.folds().due(now);
        due.iter().for_each(|record| self.sink.record(record));
    }

    /// Writes every count still held back; called at the end.
    pub fn settle_all(&self) {
        let held = self.folds().all();
        held.iter().for_each(|record| self.sink.record(record));
    }

    /// The number of parts that [`Ledger::visit`] accepts.
    pub(crate) const PARTS: usize = live::SHARDS;

    /// Visits every live session of one part, and returns their number. The visitor must be quick: meanwhile no session
    /// of that part can begin or end.
    pub(crate) fn visit(&self, part: usize, visitor: impl FnMut(&Arc<Live>)) -> usize {
        self.lives.visit(part, visitor)
    }

    /// Every live session whose route's name is wanted, with the client behind it.
    pub(crate) fn of_routes(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<(Arc<Live>, Client)> {
        self.lives.of_routes(is_wanted)
    }

    /// Adds the result of a diagnosis to a live session: the hint of its record, if its end has none of its own.
    pub(crate) fn note(&self, id: u64, text: Arc<str>) {
        self.lives.note(id, |notes| notes.hint = Some(text));
    }

    fn close(&self, live: &Live, mut outcome: Outcome) {
        let noted = self.lives.remove(live.id);
        live.forget_waker();
        outcome.hint = outcome.hint.or_else(|| noted.hint.clone());
        self.closed.fetch_add(1, Relaxed);
        let now = live.started + outcome.timing.total;
        let record = Record::new(live, outcome, noted);
        if !record.outcome.end.is_refusal() {
            return self.sink.record(&record);
        }
        let due = self.folds().fold(record, now);
        due.iter().for_each(|record| self.sink.record(record));
    }

    fn folds(&self) -> std::sync::MutexGuard<'_, Folds> {
        self.folds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Five bytes that nobody can foresee. The standard library seeds its hashes from the system's random numbers, and finds them
/// without a call that may fail.
fn random() -> [u8; 5] {
    let [bytes @ .., _, _, _] = RandomState::new().hash_one(0).to_be_bytes();
    bytes
}
