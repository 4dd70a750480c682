//! Observes what is visible only while a connection is open and unanswered.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

use super::facts::{Hop, ReachFacts};
use super::life;
use super::loops;
use super::pastime;
use super::start::MAX_EXAMINED;
use crate::probe::process::holders::{self, Search};
use crate::probe::process::other_connections;
use crate::probe::process::process_stats::Vitals;
use crate::probe::trace::Connection;

/// How long a process on a loaded machine gets to run at all, and how often it is sampled meanwhile.
const TURN: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_millis(200);

/// How much longer than the limit to wait for an answer, as a multiple of the limit and at most: only an answer that
/// still arrives proves that the service is slow.
const LATE: u32 = 2;
const LATEST: Duration = Duration::from_secs(6);

/// What was observed while a connection was open and unanswered.
#[derive(Default)]
pub(super) struct Silence {
    pub(super) search: Search,
    pub(super) lives: Vec<Vitals>,
    pub(super) ring: Vec<Hop>,
    pub(super) multiplied: usize,
    pub(super) talks_elsewhere: Option<bool>,
}

impl Silence {
    /// Observes the system, and returns how much longer it is worth waiting for an answer.
    pub(super) fn look(&mut self, facts: &ReachFacts, connection: &Connection) -> Duration {
        if !self.lives.is_empty() {
            return Duration::ZERO;
        }
        let inode = connection.server.map_or(0, |side| side.inode);
        if inode != 0 {
            self.search = holders::of_inodes(&BTreeSet::from([inode]));
        }
        if let Some(address) = facts.address() {
            self.ring = loops::find(address.port());
            self.multiplied = loops::multiplied(facts.listener(), &facts.rows);
        }
        let serving: BTreeSet<u32> = self.search.found.iter().map(|held| held.holder.pid).collect();
        let examined = facts.examined().into_iter().chain(serving.iter().copied());
        let pids: BTreeSet<u32> = examined.take(2 * MAX_EXAMINED).collect();
        self.lives = lives(&pids);
        let mut patience = TURN;
        while !patience.is_zero() && self.lives.iter().any(|life| awaits_its_turn(facts, life)) {
            sleep(PAUSE);
            patience = patience.saturating_sub(PAUSE);
            self.lives = lives(&pids);
        }
        let talks = serving.into_iter().map(|pid| other_connections::elsewhere(pid, facts.port(), inode));
        // A process whose connections cannot be seen may have others.
        self.talks_elsewhere = talks.reduce(|a, b| Some(a? || b?)).flatten();
        if self.may_answer_yet(connection) { LATEST.min(facts.timeout * LATE) } else { Duration::ZERO }
    }

    /// Whether the service read the request, and no cause is known that prevents the answer.
    fn may_answer_yet(&self, connection: &Connection) -> bool {
        let read = connection.server.is_some_and(|side| side.inode != 0 && side.unread == 0);
        let stands = self.lives.iter().any(|life| matches!(life.state, 'T' | 't') || life.frozen);
        let circles = !self.ring.is_empty() || self.multiplied >= loops::LEAST_CONNECTIONS;
        let reads_on = pastime::reads(&self.search.found, self.lives.iter());
        connection.sent.is_some() && read && !stands && !circles && !reads_on
    }
}

impl ReachFacts {
    /// Adds these observations to the facts.
    pub(super) fn take_silence(&mut self, silent: Silence) {
        let Silence { search, lives, ring, multiplied, talks_elsewhere } = silent;
        self.served_by = search.found;
        self.lived_on(lives);
        (self.ring, self.multiplied, self.talks_elsewhere) = (ring, multiplied, talks_elsewhere);
    }
}

fn lives(pids: &BTreeSet<u32>) -> Vec<Vitals> {
    pids.iter().filter_map(|pid| Vitals::read(*pid).ok()).collect()
}

/// Whether a process is runnable but has not been scheduled, so that it could not show what it does.
fn awaits_its_turn(facts: &ReachFacts, after: &Vitals) -> bool {
    let before = facts.life.iter().find(|life| life.before.pid == after.pid).map(|life| &life.before);
    before.is_some_and(|before| life::runs_on(before, after) && !life::has_had_its_turn(before, after))
}
