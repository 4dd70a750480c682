//! Which look-ups may run now. A resolver that hangs must hurt only the names that it is asked for: not those of another
//! route, and not those that another name server answers.
//!
//! Pure: time is an argument.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Look-ups at one time, over all routes and of one route.
const MAX_LOOKUPS: usize = 16;
const MAX_LOOKUPS_OF_ROUTE: usize = 2;

/// A look-up without an answer for this long hangs: it gives its place to one that waits, and its clients go on waiting.
pub(super) const HANGS_AFTER: Duration = Duration::from_millis(500);

/// Look-ups that hang, over all routes and of one route; more keep their places. No call ends a look-up, so this bounds
/// the threads.
const MAX_HANGING: usize = 48;
const MAX_HANGING_OF_ROUTE: usize = 6;

/// With as many hanging, a name whose last look-up hung as well is not tried.
const MANY_HANGING: usize = MAX_HANGING / 2;

/// One look-up among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// A look-up that is wanted: the name, and the route on whose share it counts.
#[derive(Debug)]
struct Wanted {
    name: Arc<str>,
    route: Arc<str>,
    hung_before: bool,
    ticket: Ticket,
    /// How many asked for it before it began.
    askers: usize,
}

/// The look-ups that run, and those that wait for a place. Each name is in it once at most.
#[derive(Debug, Default)]
pub(super) struct Places {
    running: Vec<(Wanted, Instant)>,
    waiting: VecDeque<Wanted>,
    /// The names of both.
    names: HashMap<Arc<str>, Ticket>,
    last: u64,
}

/// How many of them run, and how many of these hang.
#[derive(Clone, Copy, Default)]
struct Taken {
    fresh: usize,
    hanging: usize,
}

impl Taken {
    fn add(&mut self, hangs: bool) {
        if hangs { self.hanging += 1 } else { self.fresh += 1 }
    }

    fn is_full(self, most: usize, most_hanging: usize) -> bool {
        self.fresh + self.hanging.saturating_sub(most_hanging) >= most
    }
}

impl Places {
    /// Puts a name into the queue, unless its look-up runs or waits already.
    pub(super) fn ask(&mut self, name: &Arc<str>, route: &Arc<str>, hung_before: bool) -> Ticket {
        if let Some(ticket) = self.names.get(name).copied() {
            self.waiting.iter_mut().filter(|it| it.ticket == ticket).for_each(|it| it.askers += 1);
            return ticket;
        }
        self.last += 1;
        let ticket = Ticket(self.last);
        self.names.insert(name.clone(), ticket);
        let (name, route) = (name.clone(), route.clone());
        self.waiting.push_back(Wanted { name, route, hung_before, ticket, askers: 1 });
        ticket
    }

    /// One that asked waits no more. A look-up that nobody waits for leaves the queue; one that runs goes on.
    pub(super) fn withdraw(&mut self, ticket: Ticket) {
        let Some(place) = self.waiting.iter().position(|it| it.ticket == ticket) else { return };
        self.waiting[place].askers -= 1;
        if self.waiting[place].askers == 0
            && let Some(it) = self.waiting.remove(place)
        {
            self.names.remove(&it.name);
        }
    }

    /// Records that a look-up has ended; returns how long it took.
    pub(super) fn ended(&mut self, name: &str, now: Instant) -> Option<Duration> {
        let place = self.running.iter().position(|(it, _)| *it.name == *name)?;
        let (_, since) = self.running.swap_remove(place);
        self.names.remove(name);
        Some(now.saturating_duration_since(since))
    }

    /// Moves the look-ups that may run from the queue to those that run, and returns their names in order.
    pub(super) fn start(&mut self, now: Instant) -> Vec<Arc<str>> {
        let mut started = Vec::new();
        if self.waiting.is_empty() {
            return started;
        }
        let mut all = Taken::default();
        let mut of_route: HashMap<Arc<str>, Taken> = HashMap::new();
        for (it, since) in &self.running {
            let hangs = hangs(*since, now);
            all.add(hangs);
            of_route.entry(it.route.clone()).or_default().add(hangs);
        }
        let mut passed = VecDeque::new();
        while let Some(it) = self.waiting.pop_front() {
            if all.is_full(MAX_LOOKUPS, MAX_HANGING) {
                passed.push_back(it);
                break;
            }
            let its = of_route.entry(it.route.clone()).or_default();
            let is_suspect = it.hung_before && all.hanging >= MANY_HANGING;
            if is_suspect || its.is_full(MAX_LOOKUPS_OF_ROUTE, MAX_HANGING_OF_ROUTE) {
                passed.push_back(it);
                continue;
            }
            its.add(false);
            all.add(false);
            started.push(it.name.clone());
            self.running.push((it, now));
        }
        passed.append(&mut self.waiting);
        self.waiting = passed;
        started
    }

    /// When a look-up that runs begins to hang, so that one that waits may start; `None` if none waits.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        if self.waiting.is_empty() {
            return None;
        }
        self.running.iter().map(|(_, since)| *since + HANGS_AFTER).filter(|at| *at > now).min()
    }
}

fn hangs(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) >= HANGS_AFTER
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(places: &mut Places, route: &str, names: std::ops::Range<usize>, hung_before: bool) {
        for n in names {
            places.ask(&format!("{n}.{route}").into(), &route.into(), hung_before);
        }
    }

    #[test]
    fn a_name_is_looked_up_once_however_many_ask() {
        let (mut places, now) = (Places::default(), Instant::now());

        for _ in 0..100 {
            ask(&mut places, "web", 0..1, false);
        }
        assert_eq!(places.start(now).len(), 1);
        ask(&mut places, "web", 0..1, false);

        assert_eq!(places.start(now).len(), 0);
        assert_eq!(places.ended("0.web", now + HANGS_AFTER), Some(HANGS_AFTER));
        ask(&mut places, "web", 0..1, false);
        assert_eq!(places.start(now).len(), 1);
    }

    #[test]
    fn a_route_with_a_thousand_names_leaves_places_to_the_others() {
        let (mut places, now) = (Places::default(), Instant::now());

        ask(&mut places, "many", 0..1000, false);
        ask(&mut places, "one", 0..1, false);

        let names: Vec<String> = places.start(now).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["0.many", "1.many", "0.one"]);
    }

    #[test]
    fn at_most_sixteen_run_at_once_in_the_order_in_which_they_were_asked() {
        let (mut places, now) = (Places::default(), Instant::now());

        for route in 0..20 {
            ask(&mut places, &route.to_string(), 0..1, false);
        }

        assert_eq!(places.start(now).len(), MAX_LOOKUPS);
        places.ended("0.5", now);
        assert_eq!(*places.start(now), [Arc::from("0.16")]);
    }

    #[test]
    fn names_that_hang_give_their_places_to_names_that_wait() {
        let (mut places, now) = (Places::default(), Instant::now());
        for route in 0..MAX_LOOKUPS {
            ask(&mut places, &route.to_string(), 0..1, false);
        }
        places.start(now);

        ask(&mut places, "good", 0..1, false);

        assert!(places.start(now).is_empty());
        assert_eq!(places.next(now), Some(now + HANGS_AFTER));
        assert_eq!(*places.start(now + HANGS_AFTER), [Arc::from("0.good")]);
        assert_eq!(places.next(now + HANGS_AFTER), None);
    }

    #[test]
    fn however_many_names_hang_their_threads_are_bounded() {
        let (mut places, mut now) = (Places::default(), Instant::now());
        for route in 0..100 {
            ask(&mut places, &route.to_string(), 0..100, false);
        }

        for _ in 0..1000 {
            places.start(now);
            now += HANGS_AFTER;
        }

        assert_eq!(places.running.len(), MAX_HANGING + MAX_LOOKUPS);
        let of_route = places.running.iter().filter(|(it, _)| *it.route == *"0").count();
        assert!(of_route <= MAX_HANGING_OF_ROUTE + MAX_LOOKUPS_OF_ROUTE, "{of_route}");
    }

    #[test]
    fn names_that_hung_before_leave_threads_for_names_that_did_not() {
        let (mut places, mut now) = (Places::default(), Instant::now());
        for route in 0..100 {
            ask(&mut places, &route.to_string(), 0..1, true);
        }
        for _ in 0..100 {
            places.start(now);
            now += HANGS_AFTER;
        }
        assert!(places.running.len() < MANY_HANGING + MAX_LOOKUPS, "{}", places.running.len());

        ask(&mut places, "good", 0..1, false);

        assert_eq!(*places.start(now), [Arc::from("0.good")]);
    }

    #[test]
    fn a_name_that_nobody_waits_for_any_more_is_not_looked_up() {
        let (mut places, now) = (Places::default(), Instant::now());
        let ask = |places: &mut Places, name: &str| places.ask(&name.into(), &"web".into(), false);
        let (one, again, other) = (ask(&mut places, "a"), ask(&mut places, "a"), ask(&mut places, "b"));
        assert!(one == again && one != other);

        places.withdraw(one);
        places.withdraw(other);
        assert_eq!(*places.start(now), [Arc::from("a")]);

        places.withdraw(again);
        places.ended("a", now);
        let newer = ask(&mut places, "a");
        places.withdraw(again);
        assert!(newer != again && places.start(now).len() == 1);
    }
}
