//! What tunnels bring to a loop: clients that come by them, datagrams, and the ends of flows.
//!
//! The thread of the tunnels puts them here, and wakes the loop for the first of them only.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::mark::Mark;
use super::visitor::Newcomer;
use crate::transport::tunnel::flows::FlowEnded;

/// The datagrams that may wait for a loop, and their bytes: as much as a listener's receive buffer holds. Beyond either,
/// the oldest are dropped.
pub(super) const MAX_WAITING: usize = 4096;
pub(super) const MAX_WAITING_BYTES: usize = 4 << 20;

/// The clients that may wait for a loop.
pub(super) const MAX_NEWCOMERS: usize = 1024;

/// Why a client is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    Full,
    /// The loop has ended.
    Closed,
}

/// A loop's queue.
#[derive(Default)]
pub(super) struct Inbox(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    newcomers: Vec<Newcomer>,
    datagrams: VecDeque<(Arc<Mark>, Bytes)>,
    bytes: usize,
    /// How many datagrams have left the queue.
    left: u64,
    /// Each flow that has ended, behind as many datagrams in all. At most one for each flow.
    ended: VecDeque<(u64, u32, FlowEnded)>,
    is_closed: bool,
}

/// What is taken at once.
#[derive(Default)]
pub(super) struct Brought {
    pub(super) newcomers: Vec<Newcomer>,
    pub(super) datagrams: Vec<(u32, Bytes)>,
    /// Flows that have ended, each behind its datagrams.
    pub(super) ended: Vec<(u32, FlowEnded)>,
}

impl Inbox {
    /// Adds a client; returns whether the loop is to be woken.
    ///
    /// # Errors
    /// Why it is not taken, and itself.
    pub(super) fn add(&self, newcomer: Newcomer) -> Result<bool, (NotTaken, Newcomer)> {
        let mut waiting = self.waiting();
        if waiting.is_closed {
            return Err((NotTaken::Closed, newcomer));
        }
        if waiting.newcomers.len() >= MAX_NEWCOMERS {
            return Err((NotTaken::Full, newcomer));
        }
        let was_empty = waiting.is_empty();
        waiting.newcomers.push(newcomer);
        Ok(was_empty)
    }

    /// Adds a datagram; returns whether the loop is to be woken.
    pub(super) fn arrived(&self, mark: &Arc<Mark>, datagram: Bytes) -> bool {
        let mut waiting = self.waiting();
        if waiting.is_closed {
            return false;
        }
        let was_empty = waiting.is_empty();
        waiting.bytes += datagram.len();
        waiting.datagrams.push_back((mark.clone(), datagram));
        while waiting.datagrams.len() > MAX_WAITING || waiting.bytes > MAX_WAITING_BYTES {
            let Some((oldest, _)) = waiting.pop() else { break };
            oldest.overflows();
        }
        was_empty
    }

    /// Adds the end of a flow; returns whether the loop is to be woken.
    pub(super) fn ended(&self, mark: &Mark, why: FlowEnded) -> bool {
        let mut waiting = self.waiting();
        if waiting.is_closed {
            return false;
        }
        let was_empty = waiting.is_empty();
        let behind = waiting.left + waiting.datagrams.len() as u64;
        waiting.ended.push_back((behind, mark.number, why));
        was_empty
    }

    /// Takes all clients, and at most `most` datagrams; returns whether more is left.
    pub(super) fn take(&self, most: usize, brought: &mut Brought) -> bool {
        let mut waiting = self.waiting();
        brought.newcomers.append(&mut waiting.newcomers);
        for _ in 0..most {
            let Some((mark, datagram)) = waiting.pop() else { break };
            brought.datagrams.push((mark.number, datagram));
        }
        while waiting.ended.front().is_some_and(|(behind, ..)| *behind <= waiting.left) {
            brought.ended.extend(waiting.ended.pop_front().map(|(_, number, why)| (number, why)));
        }
        !waiting.is_empty()
    }

    /// Takes nothing more; returns the clients that waited.
    pub(super) fn close(&self) -> Vec<Newcomer> {
        let closed = Waiting { is_closed: true, ..Waiting::default() };
        std::mem::replace(&mut *self.waiting(), closed).newcomers
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // A panic cannot leave it half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.newcomers.is_empty() && self.datagrams.is_empty() && self.ended.is_empty()
    }

    fn pop(&mut self) -> Option<(Arc<Mark>, Bytes)> {
        let (mark, datagram) = self.datagrams.pop_front()?;
        self.bytes -= datagram.len();
        self.left += 1;
        Some((mark, datagram))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::tunnel::frame::Reason;

    const OVER: FlowEnded = FlowEnded::Ended(Reason::Idle);

    fn mark(number: u32) -> Arc<Mark> {
        Arc::new(Mark::new(number))
    }

    fn taken(inbox: &Inbox, most: usize) -> (Vec<(u32, Bytes)>, Vec<u32>, bool) {
        let mut brought = Brought::default();
        let is_more = inbox.take(most, &mut brought);
        let ended = brought.ended.into_iter().map(|(number, _)| number);
        (brought.datagrams, ended.collect(), is_more)
    }

    #[test]
    fn a_loop_is_woken_for_the_first_of_what_waits_alone() {
        let (inbox, mark) = (Inbox::default(), mark(1));

        let woken: Vec<bool> = (0..3).map(|_| inbox.arrived(&mark, Bytes::from_static(b"x"))).collect();
        assert_eq!((woken, inbox.ended(&mark, OVER)), (vec![true, false, false], false));

        assert!(taken(&inbox, 1).2, "more is left, and the loop wakes itself");
        assert!(!inbox.arrived(&mark, Bytes::new()));
        assert!(!taken(&inbox, 9).2);
        assert!(inbox.ended(&mark, OVER));
    }

    #[test]
    fn an_end_comes_behind_the_datagrams_that_came_before_it() {
        let (inbox, first, second) = (Inbox::default(), mark(1), mark(2));
        inbox.arrived(&first, Bytes::from_static(b"a"));
        inbox.ended(&second, OVER);
        inbox.arrived(&first, Bytes::from_static(b"b"));
        inbox.ended(&first, OVER);

        let (datagrams, ended, is_more) = taken(&inbox, 1);
        assert_eq!((datagrams, ended, is_more), (vec![(1, Bytes::from_static(b"a"))], vec![2], true));
        let (datagrams, ended, is_more) = taken(&inbox, 1);
        assert_eq!((datagrams, ended, is_more), (vec![(1, Bytes::from_static(b"b"))], vec![1], false));
    }

    #[test]
    fn of_too_many_the_oldest_are_dropped_and_counted_for_whom_they_were() {
        let (inbox, old, new) = (Inbox::default(), mark(1), mark(2));
        inbox.arrived(&old, Bytes::from_static(b"old"));
        for n in 1..MAX_WAITING {
            inbox.arrived(&new, Bytes::copy_from_slice(&n.to_be_bytes()));
        }
        assert_eq!((old.take_dropped(), new.take_dropped()), ((0, 0), (0, 0)), "so many may wait");

        inbox.arrived(&new, Bytes::from_static(b"one more"));
        inbox.arrived(&new, Bytes::from_static(b"and another"));

        assert_eq!((old.take_dropped(), new.take_dropped()), ((1, 0), (1, 0)));
        let (datagrams, ..) = taken(&inbox, usize::MAX);
        assert_eq!((datagrams.len(), &datagrams[0].1[..]), (MAX_WAITING, &2_usize.to_be_bytes()[..]));
    }

    #[test]
    fn long_datagrams_are_bounded_by_their_bytes() {
        let (inbox, mark) = (Inbox::default(), mark(1));
        let long = Bytes::from(vec![0; 1 << 16]);
        for _ in 0..MAX_WAITING_BYTES >> 16 {
            inbox.arrived(&mark, long.clone());
        }
        assert_eq!(mark.take_dropped().0, 0);

        inbox.arrived(&mark, Bytes::from_static(b"x"));

        assert_eq!(mark.take_dropped().0, 1);
        // An end that stood behind what was dropped is not behind what came later.
        inbox.ended(&mark, OVER);
        for _ in 0..MAX_WAITING {
            inbox.arrived(&mark, Bytes::new());
        }
        assert_eq!(taken(&inbox, 1).1, [1]);
    }

    #[test]
    fn what_comes_for_a_loop_that_has_ended_is_not_kept() {
        let (inbox, mark) = (Inbox::default(), mark(1));
        inbox.arrived(&mark, Bytes::from_static(b"x"));

        assert!(inbox.close().is_empty());

        assert!(!inbox.arrived(&mark, Bytes::from_static(b"x")) && !inbox.ended(&mark, OVER));
        assert_eq!(taken(&inbox, 9), (vec![], vec![], false));
    }
}
