//! Applies observations to a target's state; reports and diagnoses are left to the monitor.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::health::{Event, Stage};
use super::notify::RequestKind;
use super::state::Search;
use super::target::Target;
use crate::outcome::Cause;

/// How often a target that stays down is diagnosed again, and only while clients ask for it.
const JUDGE_AGAIN: Duration = Duration::from_secs(3);

impl Target {
    /// Records an observation. A change to report goes to the diagnosis worker's queue.
    pub(crate) fn note(self: &Arc<Self>, event: Event) {
        // Checked without writing first: this is on every session's path.
        if event == Event::Reached && (self.by_tunnel.is_some() || self.state.health.borrow().is_sure()) {
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

    /// Requests a new diagnosis of a target that stays down: a nearby listener may have appeared.
    fn ask_again(self: &Arc<Self>, cause: Cause, now: Instant) {
        let mut details = self.details();
        let is_fresh = details.judged.is_none_or(|at| now.saturating_duration_since(at) < JUDGE_AGAIN);
        if !is_fresh {
            details.judged = Some(now);
            drop(details);
            self.ask(RequestKind::Again(cause), now);
        }
    }

    /// Applies the passing of time.
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

    /// Queues a request; false if the queue is full.
    pub(crate) fn ask(self: &Arc<Self>, kind: RequestKind, at: Instant) -> bool {
        self.monitor.ask(self, kind, at)
    }

    fn begin_stage(&self, stage: Stage, flaps: bool) {
        let mut details = self.details();
        // A verdict on another stage is no hint for this one; that the target flaps remains true.
        if !flaps {
            (details.verdict, details.judged) = (None, None);
        }
        if stage == Stage::Up && details.holder.is_none() {
            details.search = Search::Wanted;
        }
        (details.queried, details.dialled) = (None, None);
        drop(details);
        self.wake();
    }

    /// Has the health checker query it at once.
    pub(crate) fn query_at_once(&self) {
        self.details().urgent = true;
        self.wake();
    }

    fn wake(&self) {
        self.monitor.wake();
    }
}
