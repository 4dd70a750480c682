//! The sessions at one address, over all routes that dial it, and the clients that wait until one of them ends.
//!
//! Only routes whose targets have a `max_connections` have a line of waiting clients. It is locked when a client of such a
//! route comes and when a session at such a target ends, never while bytes move.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

/// The sessions at one address: a target's, whatever the health rules and the greeting of its route.
#[derive(Default)]
pub(crate) struct Crowd {
    sessions: AtomicUsize,
    /// Whether anybody may wait for a place.
    has_lines: AtomicBool,
    /// The lines in which clients may wait for a place here; at most one per route and list of targets in use.
    lines: Mutex<Vec<Weak<Line>>>,
}

impl Crowd {
    /// The number of sessions.
    pub(crate) fn count(&self) -> usize {
        self.sessions.load(SeqCst)
    }

    /// Counts a session, if there are fewer than `most`; returns whether it did.
    pub(crate) fn enter(&self, most: Option<usize>) -> bool {
        let Some(most) = most else {
            self.sessions.fetch_add(1, SeqCst);
            return true;
        };
        let more = |sessions: usize| (sessions < most).then_some(sessions + 1);
        self.sessions.fetch_update(SeqCst, SeqCst, more).is_ok()
    }

    /// Counts a session off, and calls whoever waits for its place.
    pub(crate) fn leave(&self) {
        self.sessions.fetch_sub(1, SeqCst);
        if self.has_lines.load(SeqCst) {
            self.lines().iter().filter_map(Weak::upgrade).for_each(|line| line.call());
        }
    }

    /// Has every session that ends here call this line.
    pub(crate) fn serve(&self, line: &Arc<Line>) {
        let mut lines = self.lines();
        lines.retain(|line| line.strong_count() > 0);
        lines.push(Arc::downgrade(line));
        self.has_lines.store(true, SeqCst);
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Weak<Line>>> {
        // A panic cannot leave it half-changed, so a poisoned lock is as good as a clean one.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The clients of a route that wait for a place at one of its targets, first come, first served. Only the first is called,
/// and calls the next when it leaves, or finds nothing that others may find.
#[derive(Default)]
pub(crate) struct Line {
    waiting: Mutex<VecDeque<Arc<Notify>>>,
}

/// A client's position in a line; it leaves when this is dropped.
pub(crate) struct Position<'l> {
    line: &'l Line,
    turn: Arc<Notify>,
}

impl Line {
    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting().is_empty()
    }

    /// Adds a client at the end; `None` if `most` wait already.
    pub(crate) fn join(&self, most: usize) -> Option<Position<'_>> {
        let mut waiting = self.waiting();
        if waiting.len() >= most {
            return None;
        }
        let turn = Arc::new(Notify::new());
        waiting.push_back(turn.clone());
        drop(waiting);
        // A place may have become free since the client looked, or be free only for this one.
        self.call();
        Some(Position { line: self, turn })
    }

    /// Has the first look for a place.
    fn call(&self) {
        if let Some(first) = self.waiting().front() {
            first.notify_one();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Arc<Notify>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Position<'_> {
    /// Has the next in the line look for a place.
    pub(crate) fn pass(&self) {
        let waiting = self.line.waiting();
        let mut behind = waiting.iter().skip_while(|turn| !Arc::ptr_eq(turn, &self.turn));
        if let Some(next) = behind.nth(1) {
            next.notify_one();
        }
    }

    /// Whether nobody is before it.
    pub(crate) fn is_first(&self) -> bool {
        self.line.waiting().front().is_some_and(|first| Arc::ptr_eq(first, &self.turn))
    }

    /// Resolves when there may be a place for the client. Cancel safe.
    pub(crate) async fn turn(&self) {
        self.turn.notified().await;
    }
}

impl Drop for Position<'_> {
    fn drop(&mut self) {
        let mut waiting = self.line.waiting();
        waiting.retain(|turn| !Arc::ptr_eq(turn, &self.turn));
        if waiting.is_empty() {
            waiting.shrink_to_fit();
        }
        drop(waiting);
        // More than one place may be free.
        self.line.call();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn is_called(position: &Position<'_>) -> bool {
        pin!(position.turn()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn there_are_never_more_than_the_limit() {
        let crowd = Crowd::default();

        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        if crowd.enter(Some(3)) {
                            assert!(crowd.count() <= 3);
                            crowd.leave();
                        }
                    }
                });
            }
        });

        assert_eq!(crowd.count(), 0);
    }

    #[test]
    fn only_the_first_in_the_line_is_called_and_calls_the_next_when_it_leaves() {
        let (crowd, line) = (Crowd::default(), Arc::<Line>::default());
        crowd.serve(&line);
        crowd.enter(None);
        let (first, second) = (line.join(2).unwrap(), line.join(2).unwrap());
        assert!(line.join(2).is_none());
        assert!(is_called(&first) && !is_called(&first) && !is_called(&second));
        first.pass();
        second.pass();
        assert!(is_called(&second) && !is_called(&first));

        crowd.leave();
        assert!(is_called(&first) && !is_called(&second));
        drop(first);

        assert!(is_called(&second));
        drop(second);
        assert!(line.is_empty());
    }

    #[test]
    fn lines_of_routes_that_are_gone_are_forgotten() {
        let crowd = Crowd::default();

        for _ in 0..1000 {
            crowd.serve(&Arc::default());
        }

        assert_eq!(crowd.lines().len(), 1);
    }
}
