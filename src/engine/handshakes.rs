//! How many handshakes with clients are under way at one time, over all routes, and which of them compute.
//!
//! A place is taken with a whole hello and held until the handshake is over; who comes beyond waits, first come, first
//! served. So that a stranger who begins handshakes and never ends them keeps nobody out, one who has had a place for
//! [`ENOUGH`] gives it up as soon as somebody waits, the oldest first.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::yield_now;
use tokio::time::sleep;

/// As long as this a client keeps its place whoever else waits: more than a lost packet costs it.
const ENOUGH: Duration = Duration::from_millis(1500);

/// All handshakes of an engine.
pub(super) struct Handshakes {
    places: Semaphore,
    /// A permit for each place that is wanted and not free: who has had one for long enough takes it, and gives its own up.
    calls: Semaphore,
    room: Mutex<Room>,
    /// One for each worker: a handshake computes for some hundred microseconds, and sessions of the same worker wait.
    computing: Box<[Semaphore]>,
}

struct Room {
    most: usize,
    /// Places that are to go when they are given back.
    excess: usize,
    /// Calls that were answered by one who has not handed its place on yet. Below zero for a moment, where the caller is
    /// quicker than the count.
    answered: isize,
}

/// A place of a handshake.
pub(super) struct Place<'h>(&'h Handshakes);

/// A wish for a place, over when it is dropped. There are as many as calls that stand and calls that were answered.
struct Call<'h> {
    to: &'h Handshakes,
    has_place: bool,
}

impl Handshakes {
    /// For so many workers, with room for so many handshakes.
    pub(super) fn new(workers: usize, most: usize) -> Arc<Handshakes> {
        Arc::new(Handshakes {
            places: Semaphore::new(most),
            calls: Semaphore::new(0),
            room: Mutex::new(Room { most, excess: 0, answered: 0 }),
            computing: (0..workers.max(1)).map(|_| Semaphore::new(1)).collect(),
        })
    }

    /// Changes how many there may be. Those under way stay.
    pub(super) fn limit(&self, most: usize) {
        let mut room = self.room();
        let wanted = most.min(Semaphore::MAX_PERMITS / 2);
        if wanted >= room.most {
            let more = wanted - room.most;
            let kept = room.excess.min(more);
            room.excess -= kept;
            self.places.add_permits(more - kept);
        } else {
            let fewer = room.most - wanted;
            room.excess += fewer - self.places.forget_permits(fewer);
        }
        room.most = wanted;
    }

    /// Takes a place, or waits for one. Cancel safe.
    pub(super) async fn enter(&self) -> Place<'_> {
        let permit = match self.places.try_acquire() {
            Ok(permit) => Some(permit),
            Err(_) => {
                self.calls.add_permits(1);
                let mut call = Call { to: self, has_place: false };
                // It fails only on a closed semaphore, and this one is never closed.
                let permit = self.places.acquire().await.ok();
                call.has_place = true;
                permit
            }
        };
        // Given back by hand, as there may be one too many by then.
        permit.into_iter().for_each(SemaphorePermit::forget);
        Place(self)
    }

    /// Does what is computed in one go, one handshake of a worker at a time: between two of them its sessions have their
    /// turn.
    pub(super) async fn compute<T>(&self, worker: usize, work: impl FnOnce() -> T) -> T {
        let _turn = self.computing[worker % self.computing.len()].acquire().await.ok();
        let done = work();
        yield_now().await;
        done
    }

    fn room(&self) -> std::sync::MutexGuard<'_, Room> {
        // Nothing in it is half-changed by a panic, so a poisoned lock is as good as a clean one.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Resolves when it has to be given up.
    pub(super) async fn lost(&self) {
        sleep(ENOUGH).await;
        self.called().await;
    }

    /// Resolves when somebody waits for a place, and this is the one to go: the first that asked.
    async fn called(&self) {
        let call = self.0.calls.acquire().await;
        call.into_iter().for_each(SemaphorePermit::forget);
        self.0.room().answered += 1;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut room = self.0.room();
        match room.excess {
            0 => self.0.places.add_permits(1),
            _ => room.excess -= 1,
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let mut room = self.to.room();
        let was_answered = self.has_place && room.answered > 0;
        match self.to.calls.try_acquire() {
            // Its own, which a place that came by itself left standing, or which nobody has answered.
            Ok(call) if !was_answered => call.forget(),
            // A call of somebody else, who still waits, goes back.
            _ => room.answered -= 1,
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
        let (first, second) = (handshakes.enter().await, handshakes.enter().await);
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
    async fn each_of_those_who_wait_has_a_slow_one_give_its_place_up() {
        let handshakes = Handshakes::new(1, 2);
        let (first, second) = (handshakes.enter().await, handshakes.enter().await);
        let (mut third, mut fourth) = (Box::pin(handshakes.enter()), Box::pin(handshakes.enter()));
        assert!(!is_ready(third.as_mut()).await && !is_ready(fourth.as_mut()).await);

        assert!(is_ready(Box::pin(first.called()).as_mut()).await);
        drop(first);
        assert!(is_ready(third.as_mut()).await);

        assert!(is_ready(Box::pin(second.called()).as_mut()).await, "the fourth waits still");
    }

    #[tokio::test]
    async fn who_waits_no_more_costs_nobody_a_place() {
        let handshakes = Handshakes::new(1, 1);
        let only = handshakes.enter().await;
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
