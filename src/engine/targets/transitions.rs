//! What was seen of a target, and what it becomes by that: whatever is to be told or judged is left to the monitor.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::health::{Event, Stage};
use super::notify::RequestKind;
use super::state::Search;
use super::target::Target;
use crate::outcome::Cause;

/// How often a target that stays down is judged again, and only while clients ask for it.
const JUDGE_AGAIN: Duration = Duration::from_secs(3);

impl Target {
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
        self.monitor.ask(self, kind, at)
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
        self.monitor.wake();
    }
}
