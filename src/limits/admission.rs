//! Who comes in, who waits and who is turned away, when a route has as many sessions as it may or they come too fast.
//!
//! Pure: the clock, the client and what sessions have moved are arguments. `engine/admission/queue.rs` gives it those, wakes who
//! may come in, and ends who is evicted.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use super::clients::{ClientNet, Clients};
use super::gcra::Pace;
use super::lru::{Idle, Number};
use super::{EntryLimits, WhenFull};
use crate::outcome::Limit;

/// What becomes of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has a place.
    In(Number),
    /// It waits for one; these sessions are to be ended for it.
    Wait(Number, Vec<Number>),
    /// It is turned away.
    Out(Limit),
}

/// The sessions of one route, and who waits for a place among them.
#[derive(Debug, Default)]
pub struct Admission {
    next: Number,
    here: usize,
    waiting: VecDeque<Number>,
    idle: Idle,
    /// Sessions that were told to end and have not yet.
    ending: HashSet<Number>,
    pace: Pace,
    clients: Clients,
}

impl Admission {
    /// Decides about a client that comes at `now`; `client` is `None` where it has no address. `moved` says how many bytes a
    /// session has moved by now.
    ///
    /// The limits of the client come first, so that one who comes too often takes nothing from the others; and who is turned
    /// away for one limit is not counted by another.
    pub fn ask(
        &mut self,
        client: Option<ClientNet>,
        now: Instant,
        limits: &EntryLimits,
        moved: &dyn Fn(Number) -> u64,
    ) -> Answer {
        if let Some(limit) = client.and_then(|client| self.clients.refuses(client, now, limits)) {
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

    /// Counts a session that began before there were limits, whatever they say: it is here.
    pub fn count_in(&mut self, client: Option<ClientNet>) -> Number {
        let number = self.next;
        self.next += 1;
        self.here += 1;
        if let Some(client) = client {
            self.clients.count_in(client);
        }
        number
    }

    /// Whether one more may wait, and who is ended for it.
    fn wait(
        &mut self,
        now: Instant,
        limits: &EntryLimits,
        moved: &dyn Fn(Number) -> u64,
    ) -> Result<Vec<Number>, Limit> {
        let most = limits.most.unwrap_or(usize::MAX);
        match limits.full {
            WhenFull::Refuse => Err(Limit::Connections),
            WhenFull::Queue if self.waiting.len() < limits.queue => Ok(Vec::new()),
            WhenFull::Queue => Err(Limit::Queue),
            WhenFull::EvictIdle => {
                // A reload may have made the route smaller, so that one place takes more than one end.
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

    /// Who may come in now, of those that wait, if anybody; asked until there is nobody.
    pub fn next(&mut self, limits: &EntryLimits) -> Option<Number> {
        let number = if self.has_room(limits) { self.waiting.pop_front() } else { None };
        self.here += usize::from(number.is_some());
        number
    }

    /// A session that has its place begins to move bytes, and may be evicted from here on.
    pub fn moves(&mut self, number: Number, now: Instant) {
        self.idle.begin(number, now);
    }

    /// A client goes, from its place or from the queue. Says whether it had a place.
    pub fn leave(&mut self, number: Number, client: Option<ClientNet>, now: Instant) -> bool {
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

    /// Looks at who is idle and forgets whom it need not know any more; about once a second.
    pub fn settle(&mut self, now: Instant, moved: &dyn Fn(Number) -> u64) {
        self.idle.look(now, moved);
        self.clients.settle(now);
        if self.waiting.is_empty() {
            self.waiting.shrink_to_fit();
        }
    }

    /// Goes on under other limits: nobody who is here has to go for it, and who waits goes on waiting.
    pub fn adopt(&mut self, now: Instant, limits: &EntryLimits) {
        match limits.rate {
            Some(most) => self.pace.adopt(now, most),
            None => self.pace = Pace::default(),
        }
        self.clients.adopt(now, limits);
    }

    /// How many have a place, and how many wait.
    #[cfg(test)]
    pub(super) fn count(&self) -> (usize, usize) {
        (self.here, self.waiting.len())
    }

    /// How many clients are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.clients.count()
    }

    fn has_room(&self, limits: &EntryLimits) -> bool {
        limits.most.is_none_or(|most| self.here < most)
    }
}
