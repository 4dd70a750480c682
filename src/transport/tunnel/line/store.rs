//! The idle carriers of a tunnel, and who waits for one. Pure: nothing here waits, and time is an argument.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::demand::Asks;

/// The most idle carriers that are kept.
pub const MAX_IDLE: usize = 64;

/// The most clients that wait for a carrier.
pub const MAX_WAITING: usize = 100;

/// The carriers `C`, and those who wait, each with what calls it, `W`.
#[derive(Debug)]
pub(super) struct Store<C, W> {
    is_up: bool,
    /// The one that was used last is the last, and the next to be taken: the kernel's windows of it are the widest, and
    /// what is too much grows old at the other end.
    idle: VecDeque<(C, Instant)>,
    waiting: VecDeque<Arc<W>>,
    pub(super) asks: Asks,
}

impl<C, W> Default for Store<C, W> {
    fn default() -> Self {
        Store { is_up: false, idle: VecDeque::new(), waiting: VecDeque::new(), asks: Asks::default() }
    }
}

/// What an ask is answered with at once.
#[derive(Debug)]
pub(super) enum Answer<C, W> {
    /// A carrier.
    Taken(C),
    /// There is none, or others were first: this one waits.
    Waits(Arc<W>),
    /// The tunnel is down.
    Down,
    /// [`MAX_WAITING`] wait already.
    Full,
}

impl<C, W: Default> Store<C, W> {
    pub(super) fn is_up(&self) -> bool {
        self.is_up
    }

    /// How many are idle, and how many wait.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.idle.len(), self.waiting.len())
    }

    /// Takes a carrier, or a place behind those who wait already.
    pub(super) fn ask(&mut self) -> Answer<C, W> {
        if !self.is_up {
            return Answer::Down;
        }
        if self.waiting.is_empty()
            && let Some((carrier, _)) = self.idle.pop_back()
        {
            return Answer::Taken(carrier);
        }
        if self.waiting.len() >= MAX_WAITING {
            return Answer::Full;
        }
        let place = Arc::new(W::default());
        self.waiting.push_back(place.clone());
        Answer::Waits(place)
    }

    /// A carrier for one who waits, if it is the first of them.
    pub(super) fn take_for(&mut self, place: &Arc<W>) -> Option<C> {
        let is_first = self.first().is_some_and(|first| Arc::ptr_eq(first, place));
        is_first.then(|| self.idle.pop_back()).flatten().map(|(carrier, _)| carrier)
    }

    /// Whether this one still waits. It does not if the tunnel has been down meanwhile.
    pub(super) fn has(&self, place: &Arc<W>) -> bool {
        self.waiting.iter().any(|it| Arc::ptr_eq(it, place))
    }

    /// One waits no longer.
    pub(super) fn leave(&mut self, place: &Arc<W>) {
        self.waiting.retain(|it| !Arc::ptr_eq(it, place));
    }

    /// Who is to be called: the first, if there is a carrier.
    pub(super) fn called(&self) -> Option<&Arc<W>> {
        self.first().filter(|_| !self.idle.is_empty())
    }

    fn first(&self) -> Option<&Arc<W>> {
        self.waiting.front()
    }

    /// Keeps a carrier; returns it if the tunnel is down or enough are idle.
    pub(super) fn offer(&mut self, carrier: C, now: Instant) -> Option<C> {
        if !self.is_up || self.idle.len() >= MAX_IDLE {
            return Some(carrier);
        }
        self.idle.push_back((carrier, now));
        None
    }

    /// Takes the carriers that have been idle for longer than this, oldest first.
    pub(super) fn take_older_than(&mut self, age: Duration, now: Instant) -> Vec<C> {
        let is_old = |(_, since): &(C, Instant)| now.saturating_duration_since(*since) > age;
        let young = self.idle.iter().position(|it| !is_old(it)).unwrap_or(self.idle.len());
        self.idle.drain(..young).map(|(carrier, _)| carrier).collect()
    }

    pub(super) fn set_up(&mut self) {
        self.is_up = true;
    }

    /// Gives up the idle carriers and those who wait.
    pub(super) fn set_down(&mut self) -> (VecDeque<(C, Instant)>, VecDeque<Arc<W>>) {
        self.is_up = false;
        (std::mem::take(&mut self.idle), std::mem::take(&mut self.waiting))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::seeded::Random;

    type Numbers = Store<u32, ()>;

    fn up() -> Numbers {
        let mut store = Numbers::default();
        store.set_up();
        store
    }

    fn waits(store: &mut Numbers) -> Arc<()> {
        match store.ask() {
            Answer::Waits(place) => place,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_carrier_that_was_used_last_is_the_next() {
        let (mut store, now) = (up(), Instant::now());
        (1..=3).for_each(|carrier| assert_eq!(store.offer(carrier, now), None));

        assert!(matches!(store.ask(), Answer::Taken(3)));
        assert!(matches!(store.ask(), Answer::Taken(2)));
    }

    #[test]
    fn those_who_wait_are_served_in_the_order_in_which_they_came() {
        let (mut store, now) = (up(), Instant::now());
        let (first, second) = (waits(&mut store), waits(&mut store));

        store.offer(7, now);

        // Not even one who comes now, while there is a carrier, is before them.
        let third = waits(&mut store);
        assert_eq!((store.take_for(&third), store.take_for(&second)), (None, None));
        assert!(Arc::ptr_eq(store.called().unwrap(), &first));
        assert_eq!(store.take_for(&first), Some(7));
        store.leave(&first);
        assert!(store.called().is_none());
        store.leave(&second);
        store.offer(8, now);
        assert_eq!(store.take_for(&third), Some(8));
    }

    #[test]
    fn one_more_than_the_limits_is_refused() {
        let (mut store, now) = (up(), Instant::now());
        let idle = MAX_IDLE as u32;
        (1..=idle).for_each(|carrier| assert_eq!(store.offer(carrier, now), None));
        assert_eq!(store.offer(idle + 1, now), Some(idle + 1));

        (0..MAX_IDLE).for_each(|_| assert!(matches!(store.ask(), Answer::Taken(_))));
        (0..MAX_WAITING).for_each(|_| drop(waits(&mut store)));
        assert!(matches!(store.ask(), Answer::Full));
    }

    #[test]
    fn whoever_comes_and_goes_no_carrier_is_lost_or_given_twice_and_nobody_is_passed_over() {
        for seed in 0..500 {
            let (mut store, mut random, now) = (up(), Random(seed), Instant::now());
            let (mut offered, mut back) = (0_u32, Vec::new());
            // Those who wait, in the order in which they came.
            let mut line: Vec<Arc<()>> = Vec::new();
            for _ in 0..300 {
                match random.below(6) {
                    0 | 1 => {
                        offered += 1;
                        back.extend(store.offer(offered, now));
                    }
                    2 => match store.ask() {
                        Answer::Taken(carrier) if line.is_empty() => back.push(carrier),
                        Answer::Waits(place) => line.push(place),
                        other => panic!("seed {seed}: {other:?} with {} waiting", line.len()),
                    },
                    3 if !line.is_empty() => {
                        let gone = line.remove(random.below(line.len() as u64) as usize);
                        store.leave(&gone);
                    }
                    _ => {
                        let taken = line.iter().position(|place| {
                            let carrier = store.take_for(place);
                            back.extend(carrier);
                            carrier.is_some()
                        });
                        if let Some(nth) = taken {
                            assert_eq!(nth, 0, "seed {seed}");
                            store.leave(&line.remove(nth));
                        }
                    }
                }
                let called = store.called().map(Arc::as_ptr);
                let is_called = !line.is_empty() && store.counts().0 > 0;
                assert_eq!(called, is_called.then(|| Arc::as_ptr(&line[0])), "seed {seed}");
            }
            back.extend(store.set_down().0.into_iter().map(|(carrier, _)| carrier));
            back.sort_unstable();
            assert_eq!(back, (1..=offered).collect::<Vec<_>>(), "seed {seed}");
        }
    }

    #[test]
    fn a_tunnel_that_is_down_has_no_carriers_and_lets_nobody_wait() {
        let (mut store, now) = (Numbers::default(), Instant::now());
        assert!(matches!(store.ask(), Answer::Down));
        assert_eq!(store.offer(1, now), Some(1));

        store.set_up();
        let place = waits(&mut store);
        store.offer(2, now);
        let (idle, waiting) = store.set_down();
        store.set_up();

        assert_eq!((idle.len(), waiting.len()), (1, 1));
        assert!(!store.has(&place));
        assert_eq!(store.take_for(&place), None);
    }

    #[test]
    fn only_carriers_that_were_idle_for_longer_are_taken_for_a_ping() {
        let (mut store, begin) = (up(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        (0..4).for_each(|n| assert_eq!(store.offer(n as u32, at(10 * n)), None));

        assert_eq!(store.take_older_than(Duration::from_secs(30), at(45)), [0, 1]);
        assert!(store.take_older_than(Duration::from_secs(30), at(45)).is_empty());
        assert!(matches!(store.ask(), Answer::Taken(3)));
    }
}
