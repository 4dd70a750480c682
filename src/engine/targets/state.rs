//! What is known about one target, shared by its sessions, the health checker and the diagnosis worker: its health, its
//! holder, its latest verdict.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};
use std::time::Instant;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::health::Health;
use super::leads::Leads;
use crate::balance::HealthRules;
use crate::diagnosis::Verdict;
use crate::diagnosis::session::Fresh;
use crate::outcome::Holder;

/// What is known about a target.
pub(crate) struct TargetState {
    pub(super) health: watch::Sender<Health>,
    /// Clients waiting until it is back.
    pub(super) waiting: AtomicUsize,
    /// Sessions cut by the holder's death and not yet reported in a log line.
    pub(super) cut: AtomicU32,
    /// Whether a holder has ended and no other is known yet.
    pub(super) died: AtomicBool,
    /// Whether it may lead to a Loopgate.
    pub(super) leads: Leads,
    pub(super) details: Mutex<Details>,
}

/// What only the health checker, the diagnosis worker and failed sessions need.
#[derive(Default)]
pub(crate) struct Details {
    /// The process that holds its listener.
    pub(crate) holder: Option<Held>,
    /// The process that held it before and has ended.
    pub(crate) ended: Option<Ended>,
    /// Whether a search for a holder is wanted.
    pub(crate) search: Search,
    /// The latest verdict and its text as records show it; for the present stage only.
    pub(crate) verdict: Option<(Verdict, Arc<str>)>,
    /// When that verdict was requested. `None` until there is a first one.
    pub(crate) judged: Option<Instant>,
    /// The process ids that have held it, the latest last.
    pub(crate) pids: VecDeque<u32>,
    /// When the kernel was last queried.
    pub(crate) queried: Option<Instant>,
    /// When the health checker last dialled it.
    pub(crate) dialled: Option<Instant>,
    /// Whether such a dial is in progress.
    pub(crate) dialling: bool,
    /// What was wrong with the latest answer to a check.
    pub(crate) answer: Option<String>,
    /// Whether a query is wanted at once.
    pub(crate) urgent: bool,
    /// When a session last checked whether the holder is exiting.
    pub(crate) exit_checked: Option<Instant>,
    /// When a new connection was last tried to judge an old one, and its result.
    pub(crate) fresh: Option<(Instant, Fresh)>,
    /// How many connections its clients had closed and it had not, at the latest counts.
    pub(crate) left_open: Vec<usize>,
    /// When the next such count is due.
    pub(crate) leaks_due: Option<Instant>,
    /// How many sessions had been opened by the last count.
    pub(crate) leaks_opened: u64,
    /// Whether the kernel cannot be queried.
    pub(crate) blind: bool,
}

/// A living holder.
pub(crate) struct Held {
    pub(crate) holder: Holder,
    /// The task that waits for its end, if there is one.
    pub(crate) watch: Option<AbortHandle>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

/// A holder that no longer holds the listener.
#[derive(Clone)]
pub(crate) struct Ended {
    pub(crate) holder: Holder,
    pub(crate) at: Instant,
}

/// The search for a holder. A search that found none is not repeated before something changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Search {
    #[default]
    Wanted,
    Asked,
    Done,
}

impl TargetState {
    /// The state of a target not yet observed under these rules; `earlier` is its health under other rules, if there
    /// were any.
    pub(crate) fn new(rules: &HealthRules, earlier: Option<&Health>) -> TargetState {
        let health = Health::new(rules, Instant::now());
        let health = earlier.into_iter().fold(health, Health::after);
        TargetState {
            health: watch::Sender::new(health),
            waiting: AtomicUsize::new(0),
            cut: AtomicU32::new(0),
            died: AtomicBool::new(false),
            leads: Leads::default(),
            details: Mutex::default(),
        }
    }
}
