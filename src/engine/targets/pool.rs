//! The targets for a listener's clients at run time, and the choice among them.
//!
//! With a single target there is no choice and no lock. With several, a choice reads the state of each and takes one
//! short lock, which is never held across an await.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::balance::{Candidate, Facts, Fitness, Key, Part, Pick, Role, Room, candidates};
use crate::ledger::TargetNames;
use crate::plan::{Among, Route};
use crate::transport::Destination;

/// A target that may be one of several.
pub(crate) trait Member {
    /// Whether it is fit for clients.
    fn fitness(&self, now: Instant) -> Fitness;

    /// The number of its current sessions.
    fn load(&self) -> usize;

    /// Whether to send it a client as a trial, to see whether it is back. A call that returns true takes the trial.
    fn take_trial(&self, now: Instant) -> bool;
}

/// The targets of a route at one position of its ranges.
pub(crate) struct Pool<T> {
    members: Box<[(Arc<T>, Part)]>,
    /// `None` with a single target.
    choice: Option<Mutex<Choice>>,
    slow_start: Duration,
    /// Index of the first of these among all targets of the route.
    first: usize,
    /// The names of all targets of the route.
    names: Arc<TargetNames>,
}

struct Choice {
    rule: Box<dyn Pick>,
    /// Changes with each choice.
    seed: u64,
    /// A buffer for the facts about each target, reused by every choice.
    facts: Vec<Facts>,
    candidates: Vec<Candidate>,
}

/// The choice for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Picked {
    /// The target at this index.
    At(usize),
    /// None, as long as no session at one of them ends.
    Full,
    /// None: each has failed this client.
    Nobody,
}

/// Which targets of a pool have failed a client.
#[derive(Default)]
pub(crate) struct Tried {
    places: Vec<usize>,
    /// The one that it was sent to as a trial.
    trial: Option<usize>,
}

impl Tried {
    pub(crate) fn add(&mut self, place: usize) {
        self.places.push(place);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Records that the client is sent to this one as a trial.
    pub(crate) fn is_trial(&mut self, place: usize) {
        self.trial = Some(place);
    }

    /// How many there are, without the trial, which is for the target's sake and not the client's.
    pub(crate) fn count(&self) -> usize {
        self.places.iter().filter(|place| Some(**place) != self.trial).count()
    }

    fn has(&self, place: usize) -> bool {
        self.places.contains(&place)
    }
}

impl<T: Member> Pool<T> {
    /// The targets for clients of the route's n-th listener; `get` gives the state of each.
    pub(crate) fn new(route: &Route, place: usize, get: impl Fn(&Destination) -> Arc<T>) -> Pool<T> {
        let all = 0..route.targets.len();
        Pool::among(route, all, names(route, place), place, get)
    }

    /// As [`Pool::new`], with some of the targets; `names` are those of all.
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

    /// The target, if there is only one.
    pub(crate) fn only(&self) -> Option<&Arc<T>> {
        match &*self.members {
            [(only, _)] => Some(only),
            _ => None,
        }
    }

    /// The target at this index.
    pub(crate) fn at(&self, place: usize) -> &Arc<T> {
        &self.members[place].0
    }

    /// The index of the target at `place` among all targets of the route.
    pub(crate) fn number(&self, place: usize) -> usize {
        self.first + place
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<T>> {
        self.members.iter().map(|(target, _)| target)
    }

    /// The targets that clients may be sent to.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Arc<T>> {
        self.members.iter().filter(|(_, part)| part.role != Role::Drained).map(|(target, _)| target)
    }

    /// The limit of sessions at the target at this index.
    pub(crate) fn most(&self, place: usize) -> Option<usize> {
        self.members[place].1.most
    }

    /// The targets with a limit of sessions.
    pub(crate) fn limited(&self) -> impl Iterator<Item = &Arc<T>> {
        self.members.iter().filter(|(_, part)| part.most.is_some()).map(|(target, _)| target)
    }

    /// Chooses a target for a client, never one of `tried` and never a full one. `client` is asked only where
    /// there is a choice.
    pub(crate) fn pick(&self, client: impl FnOnce() -> Key, tried: &Tried, now: Instant) -> Picked {
        let Some(choice) = &self.choice else {
            return match self.members.first() {
                Some(_) if tried.has(0) => Picked::Nobody,
                Some(only) if is_full(only) => Picked::Full,
                Some(_) => Picked::At(0),
                None => Picked::Nobody,
            };
        };
        // A panic cannot leave it half-changed, so a poisoned lock is as good as a clean one.
        let mut choice = choice.lock().unwrap_or_else(PoisonError::into_inner);
        let Choice { rule, seed, facts, candidates: seen } = &mut *choice;
        facts.clear();
        facts.extend(self.members.iter().enumerate().map(|(place, (target, part))| Facts {
            part: *part,
            fitness: target.fitness(now),
            is_tried: tried.has(place),
            load: target.load(),
        }));
        let room = candidates(facts, self.slow_start, seen);
        *seed = seed.wrapping_add(1);
        match (rule.pick(seen, client(), *seed), room) {
            (Some(place), _) => Picked::At(place),
            (None, Room::Full) => Picked::Full,
            (None, _) => Picked::Nobody,
        }
    }

    /// The index of a target that is due for a trial client.
    pub(crate) fn trial(&self, now: Instant) -> Option<usize> {
        let is_due = |it: &(Arc<T>, Part)| it.1.role != Role::Drained && !is_full(it) && it.0.take_trial(now);
        self.members.iter().position(is_due)
    }

    /// The names of all targets of the route.
    pub(crate) fn names(&self) -> &Arc<TargetNames> {
        &self.names
    }
}

fn is_full<T: Member>((target, part): &(Arc<T>, Part)) -> bool {
    part.most.is_some_and(|most| target.load() >= most)
}

/// The names of a route's targets at one position of its ranges.
pub(crate) fn names(route: &Route, place: usize) -> Arc<TargetNames> {
    let names = route.targets_at(place).map(|(address, _)| address.to_string().into());
    let tunnels = route.targets_at(place).map(|(to, _)| to.there().map(|there| there.tunnel.clone()));
    TargetNames::new(names.collect::<Vec<Arc<str>>>()).in_tunnels(tunnels).into()
}
