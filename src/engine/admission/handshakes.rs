//! How many handshakes with clients run at one time, over all routes, and which of them compute.
//!
//! A permit is taken once the whole hello is there and held until the handshake is over; further clients wait, first
//! come, first served. Clients that begin handshakes and never finish them cannot block others: while a client waits, a
//! permit held for [`GUARANTEED`] is reclaimed, the oldest first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::task::yield_now;
use tokio::time::sleep;

/// A client keeps its permit for at least this long: more than a lost packet costs it.
const GUARANTEED: Duration = Duration::from_millis(1500);

/// All handshakes of an engine.
pub(crate) struct HandshakeLimiter {
    state: Mutex<State>,
    /// Notified when a client waits: the oldest permit held for long enough is to be given up.
    reclaim: Notify,
    /// One for each worker: a handshake computes for some hundred microseconds, and sessions of the same worker wait.
    computing: Box<[Semaphore]>,
}

struct State {
    max: usize,
    under_way: usize,
    /// The waiting clients, by number and so in order; each is notified when it has its permit.
    waiting: BTreeMap<u64, Arc<Notify>>,
    next: u64,
    /// Permits that are about to be given up to waiting clients.
    promised: usize,
}

/// The permit of one handshake.
pub(crate) struct HandshakePermit<'h> {
    of: &'h HandshakeLimiter,
    is_promised: bool,
}

/// A waiting request. Dropping it withdraws it; a permit granted meanwhile goes to the next one.
struct Waiter<'h> {
    of: &'h HandshakeLimiter,
    number: u64,
}

impl HandshakeLimiter {
    /// For this many workers, with this many permits.
    pub(crate) fn new(workers: usize, max: usize) -> Arc<HandshakeLimiter> {
        let state = State { max, under_way: 0, waiting: BTreeMap::new(), next: 0, promised: 0 };
        let computing = (0..workers.max(1)).map(|_| Semaphore::new(1)).collect();
        Arc::new(HandshakeLimiter { state: Mutex::new(state), reclaim: Notify::new(), computing })
    }

    /// Changes the number of permits. Handshakes in progress continue.
    pub(crate) fn limit(&self, max: usize) {
        let mut state = self.state();
        state.max = max;
        state.fill();
    }

    /// Takes a permit, or waits for one. Cancel safe.
    pub(crate) async fn enter(&self) -> HandshakePermit<'_> {
        if let Some((waiter, granted)) = self.waiter() {
            granted.notified().await;
            std::mem::forget(waiter);
        }
        HandshakePermit { of: self, is_promised: false }
    }

    /// A waiting request; `None` if a permit was free and is taken.
    fn waiter(&self) -> Option<(Waiter<'_>, Arc<Notify>)> {
        let mut state = self.state();
        if state.under_way < state.max {
            state.under_way += 1;
            return None;
        }
        let (number, granted) = (state.next, Arc::new(Notify::new()));
        state.next += 1;
        state.waiting.insert(number, granted.clone());
        self.reclaim.notify_one();
        Some((Waiter { of: self, number }, granted))
    }

    /// Runs a computation without interruption, one handshake of a worker at a time: between two of them the worker's
    /// sessions get their turn.
    pub(crate) async fn compute<T>(&self, worker: usize, work: impl FnOnce() -> T) -> T {
        // This fails only on a closed semaphore, and this one is never closed.
        let _turn = self.computing[worker % self.computing.len()].acquire().await.ok();
        let done = work();
        yield_now().await;
        done
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave it half-changed, so a poisoned lock is as good as a clean one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Grants free permits to waiting clients.
    fn fill(&mut self) {
        while self.under_way < self.max
            && let Some((_, granted)) = self.waiting.pop_first()
        {
            self.under_way += 1;
            granted.notify_one();
        }
    }

    fn leave(&mut self) {
        self.under_way -= 1;
        self.fill();
    }
}

impl HandshakePermit<'_> {
    /// Resolves when this permit has to be given up.
    pub(crate) async fn reclaimed(&mut self) {
        sleep(GUARANTEED).await;
        self.reclaim().await;
    }

    /// Resolves when a client waits that no other permit is promised to; this one is then promised to it.
    async fn reclaim(&mut self) {
        loop {
            {
                let mut state = self.of.state();
                if state.waiting.len() > state.promised {
                    state.promised += 1;
                    self.is_promised = true;
                    return;
                }
            }
            self.of.reclaim.notified().await;
        }
    }
}

impl Drop for HandshakePermit<'_> {
    fn drop(&mut self) {
        let mut state = self.of.state();
        state.promised -= usize::from(self.is_promised);
        state.leave();
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut state = self.of.state();
        if state.waiting.remove(&self.number).is_none() {
            state.leave();
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
    async fn slow_handshakes_give_their_permits_to_waiting_clients_the_oldest_first() {
        let handshakes = HandshakeLimiter::new(1, 2);
        let (mut first, mut second) = (handshakes.enter().await, handshakes.enter().await);
        let (mut first_called, mut second_called) = (Box::pin(first.reclaim()), Box::pin(second.reclaim()));
        assert!(!is_ready(first_called.as_mut()).await, "no client waits");
        assert!(!is_ready(second_called.as_mut()).await, "no client waits");

        let mut third = Box::pin(handshakes.enter());
        assert!(!is_ready(third.as_mut()).await);

        assert!(!is_ready(second_called.as_mut()).await, "one permit was requested");
        assert!(is_ready(first_called.as_mut()).await);
        drop(first_called);
        drop(first);
        assert!(is_ready(third.as_mut()).await);
    }

    #[tokio::test]
    async fn each_waiting_client_gets_a_permit_of_its_own() {
        let handshakes = HandshakeLimiter::new(1, 2);
        let (mut first, mut second) = (handshakes.enter().await, handshakes.enter().await);
        let (mut third, mut fourth) = (Box::pin(handshakes.enter()), Box::pin(handshakes.enter()));
        assert!(!is_ready(third.as_mut()).await && !is_ready(fourth.as_mut()).await);

        assert!(is_ready(Box::pin(first.reclaim()).as_mut()).await);
        drop(first);
        let _third = third.await;
        // That the third has its place must not cost the fourth its own.
        assert!(is_ready(Box::pin(second.reclaim()).as_mut()).await);
        drop(second);
        assert!(is_ready(fourth.as_mut()).await);
    }

    #[tokio::test]
    async fn a_withdrawn_request_takes_no_permit() {
        let handshakes = HandshakeLimiter::new(1, 1);
        let mut only = handshakes.enter().await;
        let mut waits = Box::pin(handshakes.enter());
        assert!(!is_ready(waits.as_mut()).await);
        drop(waits);

        assert!(!is_ready(Box::pin(only.reclaim()).as_mut()).await);
    }

    #[tokio::test]
    async fn a_lower_limit_waits_for_those_under_way() {
        let handshakes = HandshakeLimiter::new(1, 3);
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
