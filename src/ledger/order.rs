//! The order that ends a session from outside: given once, and received by that session only.
//!
//! The caller stores a word in the session's entry and wakes its task; the task reads the word whenever it is polled,
//! and ends accordingly. Only the session itself touches its sockets.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::live::Live;
use crate::outcome::End;

/// An order to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The engine stops and waits no longer.
    Drain,
    /// This session is to end, by request.
    Kill,
    /// A new client needs its place.
    Evict,
    /// What allowed it was withdrawn.
    Revoke,
}

impl Order {
    /// How a session ends by this order.
    pub fn end(self) -> End {
        match self {
            Order::Drain => End::Drained,
            Order::Kill => End::Killed,
            Order::Evict => End::Evicted,
            Order::Revoke => End::Revoked,
        }
    }
}

/// Why an order had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderRefused {
    /// No session with this number is live.
    NoSuchSession(u64),
    /// An earlier order already ends it.
    EndsAlready(Order),
}

impl fmt::Display for OrderRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrderRefused::NoSuchSession(id) => write!(f, "no session {id} is open"),
            OrderRefused::EndsAlready(order) => write!(f, "it ends already: {}", order.end().code()),
        }
    }
}

impl std::error::Error for OrderRefused {}

/// The values of the word: no waker is registered, one is, and then the orders.
pub(super) const NO_WAKER: u8 = 0;
const HAS_WAKER: u8 = 1;
const ORDERS: [(u8, Order); 4] = [(2, Order::Drain), (3, Order::Kill), (4, Order::Evict), (5, Order::Revoke)];

fn order_of(word: u8) -> Option<Order> {
    ORDERS.iter().find(|(of, _)| *of == word).map(|(_, order)| *order)
}

impl Live {
    /// Orders the session to end. The first order counts.
    ///
    /// # Errors
    /// [`OrderRefused::EndsAlready`] if it was ordered before.
    pub(crate) fn order(&self, order: Order) -> Result<(), OrderRefused> {
        self.store(order)?;
        self.wake();
        Ok(())
    }

    /// Stores an order without waking the session, which sees it at its next poll.
    pub(super) fn store(&self, order: Order) -> Result<(), OrderRefused> {
        let word = ORDERS.iter().find(|(_, of)| *of == order).map_or(NO_WAKER, |(word, _)| *word);
        let first = |before: u8| order_of(before).is_none().then_some(word);
        let stored = self.word.fetch_update(Relaxed, Relaxed, first);
        stored.map(drop).map_err(|before| OrderRefused::EndsAlready(order_of(before).unwrap_or(order)))
    }

    /// Wakes the session's task to read the word.
    pub(super) fn wake(&self) {
        let waker = self.waker().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The order it was given, if any. One load.
    pub(crate) fn ordered(&self) -> Option<Order> {
        order_of(self.word.load(Relaxed))
    }

    /// Registers `waker` for orders from now on; returns an order given before.
    ///
    /// The lock orders the two: an order either finds the waker, or was stored before and is returned here.
    pub(crate) fn listen(&self, waker: &Waker) -> Option<Order> {
        *self.waker() = Some(waker.clone());
        let listens = self.word.compare_exchange(NO_WAKER, HAS_WAKER, Relaxed, Relaxed);
        listens.err().and_then(order_of)
    }

    /// Removes the waker: wakers keep a finished task alive.
    pub(super) fn forget_waker(&self) {
        *self.waker() = None;
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work`, or abandons it when an order ends the session. Finished work counts, whatever was ordered. Only one
    /// task may await this and everything else of the session that does so: one waker serves them all.
    pub(crate) fn unless_ordered<'s, T>(
        &'s self,
        mut work: Pin<&'s mut (impl Future<Output = T> + ?Sized)>,
    ) -> impl Future<Output = Result<T, Order>> {
        poll_fn(move |task| {
            if let Poll::Ready(done) = work.as_mut().poll(task) {
                return Poll::Ready(Ok(done));
            }
            let order = match self.word.load(Relaxed) {
                HAS_WAKER => None,
                NO_WAKER => self.listen(task.waker()),
                word => order_of(word),
            };
            order.map_or(Poll::Pending, |order| Poll::Ready(Err(order)))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::{Context, Wake};
    use std::time::Instant;

    use super::*;
    use crate::address::TunnelName;
    use crate::ledger::{Entry, Ledger, Record, TargetNames, Through};
    use crate::outcome::{Client, SessionId};

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn session(ledger: &Arc<Ledger>) -> Entry {
        let client = Client::Net(([127, 0, 0, 1], 1).into());
        ledger.open("web".into(), TargetNames::new(vec!["t:1".into()]).into(), client, Instant::now())
    }

    fn ledger() -> Arc<Ledger> {
        Ledger::new(Box::new(|_: &Record| {}))
    }

    /// Polls an idle session once.
    fn poll_idle(live: &Live, woken: &Arc<Woken>) -> Poll<Result<(), Order>> {
        let waker = Waker::from(woken.clone());
        let nothing = pin!(pending::<()>());
        let waits = pin!(live.unless_ordered(nothing));
        waits.poll(&mut Context::from_waker(&waker))
    }

    #[test]
    fn an_order_wakes_its_session_once_and_no_other() {
        let ledger = ledger();
        let entries: Vec<Entry> = (0..1000).map(|_| session(&ledger)).collect();
        let woken: Vec<Arc<Woken>> = entries.iter().map(|_| Arc::default()).collect();
        for (entry, woken) in entries.iter().zip(&woken) {
            assert!(poll_idle(entry.live(), woken).is_pending());
        }

        ledger.order(entries[500].live().id, Order::Kill).unwrap();

        for (n, (entry, woken)) in entries.iter().zip(&woken).enumerate() {
            let is_it = n == 500;
            assert_eq!(woken.0.load(Relaxed), usize::from(is_it), "{n}");
            let polled = poll_idle(entry.live(), woken);
            assert_eq!(polled, if is_it { Poll::Ready(Err(Order::Kill)) } else { Poll::Pending });
        }
    }

    #[test]
    fn an_order_that_comes_before_the_first_poll_is_seen() {
        let ledger = ledger();
        let entry = session(&ledger);

        ledger.order(entry.live().id, Order::Kill).unwrap();

        // An order between the check of the word and the registration of the waker is seen too.
        assert_eq!(entry.live().listen(Waker::noop()), Some(Order::Kill));
        assert_eq!(poll_idle(entry.live(), &Arc::default()), Poll::Ready(Err(Order::Kill)));
    }

    #[test]
    fn of_two_orders_the_first_counts() {
        let ledger = ledger();
        let entry = session(&ledger);
        let id = entry.live().id;

        ledger.order(id, Order::Evict).unwrap();

        assert_eq!(ledger.order(id, Order::Kill), Err(OrderRefused::EndsAlready(Order::Evict)));
        ledger.order_all(Order::Drain);
        assert_eq!(poll_idle(entry.live(), &Arc::default()), Poll::Ready(Err(Order::Evict)));
    }

    #[test]
    fn only_the_sessions_of_a_revoked_tunnel_end_whether_they_came_by_it_or_go_to_it() {
        let ledger = ledger();
        let [home, office] = ["home", "office"].map(|name| name.parse::<TunnelName>().unwrap());
        let open = |through: Option<&TunnelName>, to: Option<&TunnelName>| {
            let targets = TargetNames::new(vec!["t:1".into()]).in_tunnels([to.cloned()].into_iter()).into();
            let through = through.map(|tunnel| Through { tunnel: tunnel.clone(), id: SessionId([1; 10]) });
            let client = Client::Net(([127, 0, 0, 1], 1).into());
            let through = through.map(Box::new);
            let entry = ledger.open_through("web".into(), targets, client, Instant::now(), through);
            entry.aim(0);
            entry
        };
        let entries = [
            open(Some(&home), None),
            open(None, Some(&home)),
            open(Some(&office), Some(&home)),
            open(Some(&office), None),
            open(None, None),
        ];

        let ordered = ledger.order_some(|live| live.uses(&home), Order::Revoke);

        assert_eq!((ordered, ledger.order_some(|live| live.uses(&home), Order::Revoke)), (3, 0));
        let revoked = entries.each_ref().map(|entry| entry.live().ordered().map(Order::end));
        let end = Some(End::Revoked);
        assert_eq!(revoked, [end, end, end, None, None]);
    }

    #[test]
    fn a_session_that_is_not_there_cannot_be_ordered() {
        let ledger = ledger();
        let entry = session(&ledger);
        let id = entry.live().id;
        drop(entry);

        assert_eq!(ledger.order(id, Order::Kill), Err(OrderRefused::NoSuchSession(id)));
    }

    #[test]
    fn work_that_is_done_is_done_whatever_was_ordered() {
        let ledger = ledger();
        let entry = session(&ledger);
        ledger.order(entry.live().id, Order::Kill).unwrap();

        let done = pin!(ready(1));
        let done = pin!(entry.live().unless_ordered(done));

        assert_eq!(done.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(1)));
    }

    #[test]
    fn a_session_that_has_ended_keeps_no_task() {
        let ledger = ledger();
        let entry = session(&ledger);
        let (live, woken) = (entry.live().clone(), Arc::default());
        assert!(poll_idle(&live, &woken).is_pending());

        drop(entry);

        assert_eq!(Arc::strong_count(&woken), 1);
    }
}
