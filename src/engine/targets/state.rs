//! What is known about one target, shared by its sessions, the health checker and the diagnosis worker: its health, who holds it, what was
//! judged of it last.
//!
//! A session touches it once where all is well, with one shared read. All else is left for the others to do.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::health::{Event, Health, Stage};
use super::pool::Member;
use super::registry::Target;
use super::state_log;
use crate::balance::{Check, Fitness, HealthRules};
use crate::diagnosis::Verdict;
use crate::diagnosis::session::Fresh;
use crate::engine::monitor::diagnosis_worker::{DiagnosisQueue, Request, RequestKind};
use crate::outcome::{Cause, Holder};
use crate::probe::process::process_exit;

/// The process ids of former holders that are remembered.
const MAX_PIDS: usize = 6;

/// How long after a holder's death a reset is put down to it.
const AFTERMATH: Duration = Duration::from_secs(1);

/// How often a target that stays down is judged again, and only while clients ask for it.
const JUDGE_AGAIN: Duration = Duration::from_secs(3);

/// How often a session that was cut may ask whether the holder is on its way out: once in so long, per target.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// What is known about a target.
pub(crate) struct TargetState {
    health: watch::Sender<Health>,
    /// Sessions on their way to it, or with it.
    pub(crate) sessions: AtomicUsize,
    /// Clients held until it is back.
    waiting: AtomicUsize,
    /// Sessions that its holder's death has cut and that no line has told yet.
    cut: AtomicU32,
    /// Whether a holder has ended and no other is known yet.
    died: AtomicBool,
    details: Mutex<Details>,
    monitor: MonitorHandle,
}

/// How the others are called.
#[derive(Clone)]
pub(crate) struct MonitorHandle {
    pub(crate) queue: DiagnosisQueue,
    /// Wakes the health checker.
    pub(crate) wake: Arc<Notify>,
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
    pub(crate) fn new(rules: &HealthRules, earlier: Option<&Health>, monitor: MonitorHandle) -> TargetState {
        let health = Health::new(rules, Instant::now());
        let health = earlier.into_iter().fold(health, Health::after);
        TargetState {
            health: watch::Sender::new(health),
            sessions: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            cut: AtomicU32::new(0),
            died: AtomicBool::new(false),
            details: Mutex::default(),
            monitor,
        }
    }
}

impl Member for Target {
    fn fitness(&self, now: Instant) -> Fitness {
        let health = self.state.health.borrow();
        match health.stage() {
            Stage::Unknown | Stage::Up => Fitness::Well { back: health.back(now) },
            Stage::Stalled | Stage::Down(_) => Fitness::Ill,
        }
    }

    fn load(&self) -> usize {
        self.state.sessions.load(Relaxed)
    }

    /// Whether it is time to see with a client whether it is back, where nothing else would tell: once in each
    /// `interval`, and to whoever asks first.
    fn take_trial(&self, now: Instant) -> bool {
        let rules = self.rules();
        if rules.check != Check::None || !matches!(self.stage(), Stage::Down(_)) {
            return false;
        }
        let mut details = self.details();
        let since = *details.dialled.get_or_insert(now);
        let is_due = now.saturating_duration_since(since) >= rules.interval;
        if is_due {
            details.dialled = Some(now);
        }
        is_due
    }
}

impl Target {
    /// What it is.
    pub(crate) fn stage(&self) -> Stage {
        self.state.health.borrow().stage()
    }

    /// A copy of its whole state.
    pub(crate) fn health(&self) -> Health {
        self.state.health.borrow().clone()
    }

    /// Resolves once the target is not down, as far as is known. Cancel safe.
    pub(crate) async fn up(&self) {
        let is_up = |health: &Health| !matches!(health.stage(), Stage::Down(_));
        // The sender is ours, so this cannot fail while we are borrowed.
        let _ = self.state.health.subscribe().wait_for(is_up).await;
    }

    /// Counts a client among those that wait, as long as what is returned lives.
    pub(crate) fn client_waits(&self) -> impl Drop + '_ {
        self.state.waiting.fetch_add(1, Relaxed);
        Waits(&self.state.waiting)
    }

    /// Notes what was seen. What is to be told of it is left in its queue.
    pub(crate) fn note(self: &Arc<Self>, event: Event) {
        // Asked first without changing anything: this is on every session's path.
        if event == Event::Reached && self.state.health.borrow().is_sure() {
            return;
        }
        let now = Instant::now();
        let (mut news, mut stage, mut flaps) = (None, Stage::Unknown, false);
        let changed = self.state.health.send_if_modified(|health| {
            let before = health.stage();
            news = health.on(event, now);
            (stage, flaps) = (health.stage(), health.flaps());
            stage != before
        });
        if changed {
            self.begin_stage(stage, flaps);
        }
        if let Some(news) = news {
            let waiting = self.state.waiting.load(Relaxed);
            self.ask(RequestKind::News { news, waiting }, now);
        } else if let (Event::Failed(_), Stage::Down(cause)) = (event, stage) {
            self.ask_again(cause, now);
        }
    }

    /// Has a target that stays down judged again: something may have come up nearby meanwhile.
    fn ask_again(self: &Arc<Self>, cause: Cause, now: Instant) {
        let mut details = self.details();
        let is_fresh = details.judged.is_none_or(|at| now.saturating_duration_since(at) < JUDGE_AGAIN);
        if !is_fresh {
            details.judged = Some(now);
            drop(details);
            self.ask(RequestKind::Again(cause), now);
        }
    }

    /// Lets time pass.
    pub(crate) fn tick(self: &Arc<Self>, now: Instant) {
        let mut news = None;
        self.state.health.send_if_modified(|health| {
            news = health.tick(now);
            false
        });
        if let Some(news) = news {
            self.ask(RequestKind::News { news, waiting: 0 }, now);
        }
    }

    /// Leaves a question in its queue; false where it was not taken.
    pub(crate) fn ask(self: &Arc<Self>, kind: RequestKind, at: Instant) -> bool {
        self.state.monitor.queue.ask(Request { target: self.clone(), kind, at })
    }

    fn begin_stage(&self, stage: Stage, flaps: bool) {
        let mut details = self.details();
        // What was judged of another stage is no hint for this one; that it flaps stays true.
        if !flaps {
            (details.verdict, details.judged) = (None, None);
        }
        if stage == Stage::Up && details.holder.is_none() {
            details.search = Search::Wanted;
        }
        (details.looked, details.dialled) = (None, None);
        drop(details);
        self.wake();
    }

    /// Has the health checker look at it at once.
    pub(crate) fn look_at_once(&self) {
        self.details().urgent = true;
        self.wake();
    }

    fn wake(&self) {
        self.state.monitor.wake.notify_one();
    }

    /// Notes that whoever held it does so no more, as far as is known. A child of it may.
    pub(crate) fn lose_holder(&self, now: Instant) {
        let mut details = self.details();
        if let Some(held) = details.holder.take() {
            details.ended = Some(Ended { holder: held.holder.clone(), at: now });
            details.search = Search::Wanted;
            self.state.died.store(true, Relaxed);
        }
    }

    /// Notes who holds it.
    pub(crate) fn found_holder(&self, holder: Option<Holder>) {
        let mut details = self.details();
        details.search = Search::Done;
        let Some(holder) = holder else { return };
        self.state.died.store(false, Relaxed);
        if details.pids.back() != Some(&holder.pid) {
            if details.pids.len() == MAX_PIDS {
                details.pids.pop_front();
            }
            details.pids.push_back(holder.pid);
        }
        if details.holder.as_ref().is_none_or(|held| held.holder.pid != holder.pid) {
            details.holder = Some(Held { holder, watch: None });
        }
    }

    /// The last verdict, for the record of a session that ended for this cause.
    pub(crate) fn hint(&self, cause: Cause) -> Option<Arc<str>> {
        let fits = self.stage() == Stage::Down(cause) || self.health().flaps();
        if fits { self.verdict() } else { None }
    }

    /// Whether a holder has ended and no other is known yet. Locks nothing.
    pub(crate) fn has_died(&self) -> bool {
        self.state.died.load(Relaxed)
    }

    /// The hint of a session that was just cut, where the holder's death is why. Counts the session as cut.
    pub(crate) fn cut_by_death(self: &Target, now: Instant) -> Option<Arc<str>> {
        let holder = self.just_ended(now)?;
        self.state.cut.fetch_add(1, Relaxed);
        let verdict = Verdict::TargetDiedMidstream;
        Some(format!("{} ended while the connection was open [{verdict}]", state_log::name(&holder)).into())
    }

    /// The reset comes before the end of the process can be waited for, so the process is asked as well, but not for each
    /// of a thousand sessions.
    fn just_ended(&self, now: Instant) -> Option<Holder> {
        let recently = |at: Instant| now.saturating_duration_since(at) < AFTERMATH;
        let mut details = self.details();
        let pid = details.holder.as_ref().map(|held| held.holder.pid);
        let asked_just_now = details.asked.is_some_and(|at| now.saturating_duration_since(at) < ASK_AGAIN);
        if let Some(pid) = pid.filter(|_| !asked_just_now) {
            details.asked = Some(now);
            if process_exit::is_ending(pid) {
                drop(details);
                self.lose_holder(now);
                self.look_at_once();
                details = self.details();
            }
        }
        details.ended.as_ref().filter(|ended| recently(ended.at)).map(|ended| ended.holder.clone())
    }

    /// The last verdict on its present stage, in words.
    pub(crate) fn verdict(&self) -> Option<Arc<str>> {
        self.details().verdict.as_ref().map(|(_, words)| words.clone())
    }

    /// Notes what was judged at `at`, if the target still is what it was judged to be.
    pub(crate) fn judged(&self, stage: Stage, verdict: Verdict, words: Arc<str>, at: Instant) {
        if self.stage() == stage || verdict == Verdict::TargetFlapping {
            let mut details = self.details();
            (details.verdict, details.judged) = (Some((verdict, words)), Some(at));
        }
    }

    /// How many sessions its holder's death has cut since this was asked last.
    pub(crate) fn take_cut(&self) -> u32 {
        self.state.cut.swap(0, Relaxed)
    }

    pub(crate) fn details(&self) -> MutexGuard<'_, Details> {
        // Nothing in it is half-changed by a panic, so a poisoned lock is as good as a clean one.
        self.state.details.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
