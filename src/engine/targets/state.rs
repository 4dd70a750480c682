//! What is known about one target, shared by its sessions, the health checker and the diagnosis worker: its health, who
//! holds it, what was judged of it last.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};
use std::time::Instant;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::health::Health;
use crate::balance::HealthRules;
use crate::diagnosis::Verdict;
use crate::diagnosis::session::Fresh;
use crate::outcome::Holder;

/// What is known about a target.
pub(crate) struct TargetState {
    pub(super) health: watch::Sender<Health>,
    /// Sessions on their way to it, or with it.
    pub(crate) sessions: AtomicUsize,
    /// Clients held until it is back.
    pub(super) waiting: AtomicUsize,
    /// Sessions that its holder's death has cut and that no line has told yet.
    pub(super) cut: AtomicU32,
    /// Whether a holder has ended and no other is known yet.
    pub(super) died: AtomicBool,
    pub(super) details: Mutex<Details>,
}

/// What only the health checker and the diagnosis worker need, and a session that ended badly.
#[derive(Default)]
pub(crate) struct Details {
    /// Who holds its listener.
    pub(crate) holder: Option<Held>,
    /// Who held it before, and is gone.
    pub(crate) ended: Option<Ended>,
    /// Whether a holder is looked for.
    pub(crate) search: Search,
    /// The last verdict, and in words as records show it; of the present stage alone.
    pub(crate) verdict: Option<(Verdict, Arc<str>)>,
    /// When that was asked for. `None` until it is there for the first time.
    pub(crate) judged: Option<Instant>,
    /// The process ids that held it, the last at the end.
    pub(crate) pids: VecDeque<u32>,
    /// When the kernel was asked last.
    pub(crate) looked: Option<Instant>,
    /// When it was dialled last for the health checker's sake.
    pub(crate) dialled: Option<Instant>,
    /// Whether such a dial is under way.
    pub(crate) dialling: bool,
    /// What was wrong with the last answer to a check.
    pub(crate) answer: Option<String>,
    /// Whether a look is wanted at once.
    pub(crate) urgent: bool,
    /// When a session asked last whether the holder is on its way out.
    pub(crate) asked: Option<Instant>,
    /// When a new connection was tried last to judge an old one, and what it met.
    pub(crate) fresh: Option<(Instant, Fresh)>,
    /// How many connections its clients had closed and it had not, at the last looks.
    pub(crate) left_open: Vec<usize>,
    /// When that is looked at again, and how many sessions there had been by the last time.
    pub(crate) leaks_due: Option<Instant>,
    /// See `leaks_due`.
    pub(crate) leaks_opened: u64,
    /// Whether the kernel would not say.
    pub(crate) blind: bool,
}

/// A living holder.
pub(crate) struct Held {
    pub(crate) holder: Holder,
    /// The task that waits for its end, where there is one.
    pub(crate) watch: Option<AbortHandle>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

/// A holder that holds no more.
#[derive(Clone)]
pub(crate) struct Ended {
    pub(crate) holder: Holder,
    pub(crate) at: Instant,
}

/// The search for a holder. One that found nobody is not repeated before something changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Search {
    #[default]
    Wanted,
    Asked,
    Done,
}

impl TargetState {
    /// Of a target that nobody has looked at by these rules; `earlier` is what it is by others, where there were any.
    pub(crate) fn new(rules: &HealthRules, earlier: Option<&Health>) -> TargetState {
        let health = Health::new(rules, Instant::now());
        let health = earlier.into_iter().fold(health, Health::after);
        TargetState {
            health: watch::Sender::new(health),
            sessions: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            cut: AtomicU32::new(0),
            died: AtomicBool::new(false),
            details: Mutex::default(),
        }
    }
}
