//! Which clients enter, wait or are rejected when a route is full or clients come too fast.
//!
//! Pure: the clock, the client and the sessions' byte counts are arguments. `engine/admission/queue.rs` supplies them,
//! wakes clients whose turn has come, and ends evicted sessions.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;

use super::clients::{ClientKey, Clients};
use super::gcra::Pace;
use super::lru::{Idle, Number};
use super::{EntryLimits, WhenFull};
use crate::outcome::Limit;

/// The decision about a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has a place.
    In(Number),
    /// It waits for one; these sessions are to be ended for it.
    Wait(Number, Vec<Number>),
    /// It is rejected.
    Out(Limit),
    /// It would be rejected, wait or end another session, but for the dry run: it enters, without a place.
    Over(Number, Limit),
}

/// The sessions of one route, and the clients waiting for a place.
#[derive(Debug, Default)]
pub struct Admission {
    next: Number,
    here: usize,
    waiting: VecDeque<Number>,
    idle: Idle,
    /// Sessions that were ordered to end and have not ended yet.
    ending: HashSet<Number>,
    pace: Pace,
    clients: Clients,
    /// The sessions over a limit in a dry run. They take no place, as if they had been rejected: so those that come
    /// after them are judged as they would be.
    over: HashMap<Number, Option<ClientKey>>,
}

impl Admission {
    /// Decides about a client that comes at `now`; `client` is `None` if it has no address. `moved` returns how many
    /// bytes a session has moved so far.
    ///
    /// The client's own limits are checked first, so that a client that connects too often takes nothing from the
    /// others; and a client rejected by one limit is not counted by another.
    pub fn ask(
        &mut self,
        client: Option<ClientKey>,
        now: Instant,
        limits: &EntryLimits,
        moved: &dyn Fn(Number) -> u64,
    ) -> Answer {
        match self.decide(client.clone(), now, limits, moved) {
            Answer::Out(limit) if limits.dry_run => {
                let number = self.next;
                self.next += 1;
                self.over.insert(number, client);
                Answer::Over(number, limit)
            }
            answer => answer,
        }
    }

    fn decide(
        &mut self,
        client: Option<ClientKey>,
        now: Instant,
        limits: &EntryLimits,
        moved: &dyn Fn(Number) -> u64,
    ) -> Answer {
        if let Some(limit) = client.as_ref().and_then(|client| self.clients.refuses(client, now, limits)) {
            return Answer::Out(limit);
        }
        if limits.rate.is_some_and(|most| !self.pace.admits(now, most)) {
            return Answer::Out(Limit::Rate);
        }
        let number = self.next;
        let answer = if self.has_room(limits) && self.waiting.is_empty() {
            self.here += 1;
            Answer::In(number)
        } else {
            match self.wait(now, limits, moved) {
                Ok(evicted) => {
                    self.waiting.push_back(number);
                    Answer::Wait(number, evicted)
                }
                Err(limit) => return Answer::Out(limit),
            }
        };
        self.next += 1;
        if let Some(most) = limits.rate {
            self.pace.take(now, most);
        }
        if let Some(client) = client {
            self.clients.enter(client, now, limits);
        }
        answer
    }

    /// Counts a session that began before there were limits, whatever they are: it exists.
    pub fn count_in(&mut self, client: Option<ClientKey>) -> Number {
        let number = self.next;
        self.next += 1;
        self.here += 1;
        if let Some(client) = client {
            self.clients.count_in(client);
        }
        number
    }

    /// Whether one more client may wait, and which sessions are ended for it.
    fn wait(
        &mut self,
        now: Instant,
        limits: &EntryLimits,
        moved: &dyn Fn(Number) -> u64,
    ) -> Result<Vec<Number>, Limit> {
        let most = limits.most.unwrap_or(usize::MAX);
        match limits.full {
            // Nobody waits in a dry run, and nobody is ended.
            _ if limits.dry_run => Err(Limit::Connections),
            WhenFull::Refuse => Err(Limit::Connections),
            WhenFull::Queue if self.waiting.len() < limits.queue => Ok(Vec::new()),
            WhenFull::Queue => Err(Limit::Queue),
            WhenFull::EvictIdle => {
                // A reload may have lowered the limit, so that one place takes more than one end.
                let wanted = self.here - self.ending.len() + self.waiting.len() + 1;
                let too_many = wanted.saturating_sub(most);
                if too_many > self.idle.len() {
                    return Err(Limit::NobodyIdle);
                }
                let evicted: Vec<_> =
                    (0..too_many).filter_map(|_| self.idle.take_longest(now, moved)).collect();
                self.ending.extend(&evicted);
                Ok(evicted)
            }
        }
    }

    /// The next waiting client that may enter now; call it until it returns `None`.
    pub fn next(&mut self, limits: &EntryLimits) -> Option<Number> {
        let may_enter = limits.dry_run || self.has_room(limits);
        let number = if may_enter { self.waiting.pop_front() } else { None };
        self.here += usize::from(number.is_some());
        number
    }

    /// A session that has its place begins to move bytes, and may be evicted from here on.
    pub fn moves(&mut self, number: Number, now: Instant) {
        self.idle.begin(number, now);
    }

    /// A client leaves, from its place or from the queue. Returns whether it had a place.
    pub fn leave(&mut self, number: Number, client: Option<ClientKey>, now: Instant) -> bool {
        if self.over.remove(&number).is_some() {
            self.idle.end(number);
            return false;
        }
        if let Some(client) = client {
            self.clients.leave(client, now);
        }
        self.idle.end(number);
        self.ending.remove(&number);
        if let Some(at) = self.waiting.iter().position(|waits| *waits == number) {
            self.waiting.remove(at);
            return false;
        }
        self.here -= 1;
        true
    }

    /// Updates which sessions are idle and forgets clients that need not be remembered; called about once a second.
    pub fn settle(&mut self, now: Instant, moved: &dyn Fn(Number) -> u64) {
        self.idle.update(now, moved);
        self.clients.settle(now);
        if self.waiting.is_empty() {
            self.waiting.shrink_to_fit();
        }
        if self.over.is_empty() {
            self.over.shrink_to_fit();
        }
    }

    /// Continues under other limits: admitted sessions stay, and waiting clients keep waiting.
    pub fn adopt(&mut self, now: Instant, limits: &EntryLimits) {
        match limits.rate {
            Some(most) => self.pace.adopt(now, most),
            None => self.pace = Pace::default(),
        }
        self.clients.adopt(now, limits);
        if !limits.dry_run {
            // They exist, and count from here on.
            for client in std::mem::take(&mut self.over).into_values() {
                self.here += 1;
                if let Some(client) = client {
                    self.clients.count_in(client);
                }
            }
        }
    }

    /// The number of sessions with a place, and of waiting clients.
    #[cfg(test)]
    pub(super) fn count(&self) -> (usize, usize) {
        (self.here, self.waiting.len())
    }

    /// The number of remembered clients.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.clients.count()
    }

    fn has_room(&self, limits: &EntryLimits) -> bool {
        limits.most.is_none_or(|most| self.here < most)
    }
}
