//! The targets of a listener's clients at run time, and the choice among them.
//!
//! Where there is one, nothing is chosen and nothing locked. Where there are several, a client's choice is a glance at
//! each and one short lock, never held while anybody waits.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::balance::{Candidate, Facts, Fitness, Key, Part, Pick, Role, candidates};
use crate::ledger::TargetNames;
use crate::plan::{Among, Route};
use crate::transport::Destination;

/// A target that may be one of several.
pub(crate) trait Member {
    /// How it is.
    fn fitness(&self, now: Instant) -> Fitness;

    /// Sessions it has now.
    fn load(&self) -> usize;

    /// Whether a client is to be sent to it to see whether it is back; true to one who asks.
    fn take_trial(&self, now: Instant) -> bool;
}

/// The targets of a route at one place of its ranges.
pub(crate) struct Pool<T> {
    members: Box<[(Arc<T>, Part)]>,
    /// `None` where there is nothing to choose.
    choice: Option<Mutex<Choice>>,
    slow_start: Duration,
    /// Where they begin among all targets of the route.
    first: usize,
    /// The names of all those.
    names: Arc<TargetNames>,
}

struct Choice {
    rule: Box<dyn Pick>,
    /// Another with each choice.
    seed: u64,
    /// Room for what is known of each, kept from one choice to the next.
    facts: Vec<Facts>,
    candidates: Vec<Candidate>,
}

/// Which of a pool's targets have failed a client.
#[derive(Default)]
pub(crate) struct Tried(Vec<usize>);

impl Tried {
    pub(crate) fn add(&mut self, place: usize) {
        self.0.push(place);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn has(&self, place: usize) -> bool {
        self.0.contains(&place)
    }
}

impl<T: Member> Pool<T> {
    /// The targets for clients of the route's n-th listener; `get` gives the state of each.
    pub(crate) fn new(route: &Route, place: usize, get: impl Fn(&Destination) -> Arc<T>) -> Pool<T> {
        let all = 0..route.targets.len();
        Pool::among(route, all, names(route, place), place, get)
    }

    /// The same of some of the targets; `names` are those of all.
    pub(crate) fn among(
        route: &Route,
        among: Among,
        names: Arc<TargetNames>,
        place: usize,
        get: impl Fn(&Destination) -> Arc<T>,
    ) -> Pool<T> {
        let written = || route.targets_at(place).skip(among.start).take(among.len());
        let members: Box<[_]> = written().map(|(address, part)| (get(&address), part)).collect();
        let choice = (members.len() > 1).then(|| {
            let keys: Vec<Key> =
                written().map(|(address, _)| Key::of(address.to_string().as_bytes())).collect();
            Mutex::new(Choice {
                rule: route.balance.rule(&keys),
                seed: RandomState::new().hash_one(place),
                facts: Vec::new(),
                candidates: Vec::new(),
            })
        });
        Pool { members, choice, slow_start: route.health.slow_start, first: among.start, names }
    }

    /// The target, where there is but one.
    pub(crate) fn only(&self) -> Option<&Arc<T>> {
        match &*self.members {
            [(only, _)] => Some(only),
            _ => None,
        }
    }

    /// The target at this place.
    pub(crate) fn at(&self, place: usize) -> &Arc<T> {
        &self.members[place].0
    }

    /// Which of all targets of the route is the one at this place.
    pub(crate) fn number(&self, place: usize) -> usize {
        self.first + place
    }

    /// Those that clients may be carried to.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Arc<T>> {
        self.members.iter().filter(|(_, part)| part.role != Role::Drained).map(|(target, _)| target)
    }

    /// Chooses for a client, never one of `tried`; `None` where no other is left.
    pub(crate) fn pick(&self, client: Key, tried: &Tried, now: Instant) -> Option<usize> {
        let Some(choice) = &self.choice else { return (!tried.has(0)).then_some(0) };
        // Nothing in it is half-changed by a panic, so a poisoned lock is as good as a clean one.
        let mut choice = choice.lock().unwrap_or_else(PoisonError::into_inner);
        let Choice { rule, seed, facts, candidates: seen } = &mut *choice;
        facts.clear();
        facts.extend(self.members.iter().enumerate().map(|(place, (target, part))| Facts {
            part: *part,
            fitness: target.fitness(now),
            is_tried: tried.has(place),
            load: target.load(),
        }));
        candidates(facts, self.slow_start, seen);
        *seed = seed.wrapping_add(1);
        rule.pick(seen, client, *seed)
    }

    /// One that a client is to be sent to, to see whether it is back.
    pub(crate) fn trial(&self, now: Instant) -> Option<usize> {
        let is_due = |(target, part): &(Arc<T>, Part)| part.role != Role::Drained && target.take_trial(now);
        self.members.iter().position(is_due)
    }

    /// The names of all targets of the route.
    pub(crate) fn names(&self) -> &Arc<TargetNames> {
        &self.names
    }
}

/// The names of a route's targets at one place of its ranges.
pub(crate) fn names(route: &Route, place: usize) -> Arc<TargetNames> {
    let names = route.targets_at(place).map(|(address, _)| address.to_string().into());
    TargetNames::new(names.collect::<Vec<Arc<str>>>()).into()
}
