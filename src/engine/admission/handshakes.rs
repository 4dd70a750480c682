//! How many handshakes with clients are under way at one time, over all routes, and which of them compute.
//!
//! A place is taken with a whole hello and held until the handshake is over; who comes beyond waits, first come, first
//! served. So that a stranger who begins handshakes and never ends them keeps nobody out, one who has had a place for
//! [`ENOUGH`] gives it up as soon as somebody waits, the oldest first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::task::yield_now;
use tokio::time::sleep;

/// As long as this a client keeps its place whoever else waits: more than a lost packet costs it.
const ENOUGH: Duration = Duration::from_millis(1500);

/// All handshakes of an engine.
pub(crate) struct Handshakes {
    room: Mutex<Room>,
    /// Rung for one who has had a place for long enough, the oldest first, when another waits.
    called: Notify,
    /// One for each worker: a handshake computes for some hundred microseconds, and sessions of the same worker wait.
    computing: Box<[Semaphore]>,
}

struct Room {
    most: usize,
    under_way: usize,
    /// Who waits, by number and so in order; rung when its place is there.
    waiting: BTreeMap<u64, Arc<Notify>>,
    next: u64,
    /// Places that are about to be given up to those who wait.
    promised: usize,
}

/// A place of a handshake.
pub(crate) struct Place<'h> {
    of: &'h Handshakes,
    is_promised: bool,
}

/// A wish for a place. Dropped, it is withdrawn, and a place that was given to it meanwhile goes on to the next.
struct Wish<'h> {
    of: &'h Handshakes,
    number: u64,
}

impl Handshakes {
    /// For so many workers, with room for so many handshakes.
    pub(crate) fn new(workers: usize, most: usize) -> Arc<Handshakes> {
        let room = Room { most, under_way: 0, waiting: BTreeMap::new(), next: 0, promised: 0 };
        let computing = (0..workers.max(1)).map(|_| Semaphore::new(1)).collect();
        Arc::new(Handshakes { room: Mutex::new(room), called: Notify::new(), computing })
    }

    /// Changes how many there may be. Those under way stay.
    pub(crate) fn limit(&self, most: usize) {
        let mut room = self.room();
        room.most = most;
        room.fill();
    }

    /// Takes a place, or waits for one. Cancel safe.
    pub(crate) async fn enter(&self) -> Place<'_> {
        if let Some((wish, bell)) = self.wish() {
            bell.notified().await;
            std::mem::forget(wish);
        }
        Place { of: self, is_promised: false }
    }

    /// A wish for a place; `None` where one was free and is taken.
    fn wish(&self) -> Option<(Wish<'_>, Arc<Notify>)> {
        let mut room = self.room();
        if room.under_way < room.most {
            room.under_way += 1;
            return None;
        }
        let (number, bell) = (room.next, Arc::new(Notify::new()));
        room.next += 1;
        room.waiting.insert(number, bell.clone());
        self.called.notify_one();
        Some((Wish { of: self, number }, bell))
    }

    /// Does what is computed in one go, one handshake of a worker at a time: between two of them its sessions have their
    /// turn.
    pub(crate) async fn compute<T>(&self, worker: usize, work: impl FnOnce() -> T) -> T {
        // It fails only on a closed semaphore, and this one is never closed.
        let _turn = self.computing[worker % self.computing.len()].acquire().await.ok();
        let done = work();
        yield_now().await;
        done
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        // Nothing in it is half-changed by a panic, so a poisoned lock is as good as a clean one.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// Gives free places to those who wait.
    fn fill(&mut self) {
        while self.under_way < self.most
            && let Some((_, bell)) = self.waiting.pop_first()
        {
            self.under_way += 1;
            bell.notify_one();
        }
    }

    fn leave(&mut self) {
        self.under_way -= 1;
        self.fill();
    }
}

impl Place<'_> {
    /// Resolves when it has to be given up.
    pub(crate) async fn lost(&mut self) {
        sleep(ENOUGH).await;
        self.called().await;
    }

    /// Resolves when somebody waits to whom no other place is promised, and this one is.
    async fn called(&mut self) {
        loop {
            {
                let mut room = self.of.room();
                if room.waiting.len() > room.promised {
                    room.promised += 1;
                    self.is_promised = true;
                    return;
                }
            }
            self.of.called.notified().await;
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut room = self.of.room();
        room.promised -= usize::from(self.is_promised);
        room.leave();
    }
}

impl Drop for Wish<'_> {
    fn drop(&mut self) {
        let mut room = self.of.room();
        if room.waiting.remove(&self.number).is_none() {
            room.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Poll;

    async fn is_ready(future: std::pin::Pin<&mut impl Future>) -> bool {
        let mut future = future;
        std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await
    }

    #[tokio::test]
    async fn whoever_is_slow_gives_its_place_to_who_waits_the_oldest_first() {
        let handshakes = Handshakes::new(1, 2);
        let (mut first, mut second) = (handshakes.enter().await, handshakes.enter().await);
        let (mut first_called, mut second_called) = (Box::pin(first.called()), Box::pin(second.called()));
        assert!(!is_ready(first_called.as_mut()).await, "nobody waits");
        assert!(!is_ready(second_called.as_mut()).await, "nobody waits");

        let mut third = Box::pin(handshakes.enter());
        assert!(!is_ready(third.as_mut()).await);

        assert!(!is_ready(second_called.as_mut()).await, "one place was asked for");
        assert!(is_ready(first_called.as_mut()).await);
        drop(first_called);
        drop(first);
        assert!(is_ready(third.as_mut()).await);
    }

    #[tokio::test]
    async fn each_who_waits_is_given_a_place_of_its_own() {
        let handshakes = Handshakes::new(1, 2);
        let (mut first, mut second) = (handshakes.enter().await, handshakes.enter().await);
        let (mut third, mut fourth) = (Box::pin(handshakes.enter()), Box::pin(handshakes.enter()));
        assert!(!is_ready(third.as_mut()).await && !is_ready(fourth.as_mut()).await);

        assert!(is_ready(Box::pin(first.called()).as_mut()).await);
        drop(first);
        let _third = third.await;
        // That the third has its place must not cost the fourth its own.
        assert!(is_ready(Box::pin(second.called()).as_mut()).await);
        drop(second);
        assert!(is_ready(fourth.as_mut()).await);
    }

    #[tokio::test]
    async fn who_waits_no_more_costs_nobody_a_place() {
        let handshakes = Handshakes::new(1, 1);
        let mut only = handshakes.enter().await;
        let mut waits = Box::pin(handshakes.enter());
        assert!(!is_ready(waits.as_mut()).await);
        drop(waits);

        assert!(!is_ready(Box::pin(only.called()).as_mut()).await);
    }

    #[tokio::test]
    async fn a_lower_limit_waits_for_those_under_way() {
        let handshakes = Handshakes::new(1, 3);
        let places = [handshakes.enter().await, handshakes.enter().await, handshakes.enter().await];
        handshakes.limit(1);

        let mut next = Box::pin(handshakes.enter());
        let [first, second, third] = places;
        drop((first, second));
        assert!(!is_ready(next.as_mut()).await);
        drop(third);
        assert!(is_ready(next.as_mut()).await);

        handshakes.limit(2);
        assert!(is_ready(Box::pin(handshakes.enter()).as_mut()).await);
    }
}
