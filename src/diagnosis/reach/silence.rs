//! What can be seen only while a connection stands and nothing comes back on it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use super::connected;
use super::facts::{Hop, ReachFacts};
use super::gather::MAX_EXAMINED;
use super::ring;
use crate::probe::holders::{self, Search};
use crate::probe::trace::Connection;
use crate::probe::vitals::Vitals;

/// How long a process is given on a loaded machine to run at all, and how often it is looked at meanwhile.
const TURN: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_millis(200);

/// What is seen while a connection stands and nothing comes back.
#[derive(Default)]
pub(super) struct Silence {
    pub(super) search: Search,
    pub(super) lives: Vec<Vitals>,
    pub(super) ring: Vec<Hop>,
}

impl Silence {
    pub(super) fn look(&mut self, facts: &ReachFacts, address: SocketAddr, connection: &Connection) {
        if !self.lives.is_empty() {
            return;
        }
        let inode = connection.server.map_or(0, |side| side.inode);
        if inode != 0 {
            self.search = holders::of_inodes(&BTreeSet::from([inode]));
        }
        self.ring = ring::find(address.port());
        let serving = self.search.found.iter().map(|held| held.holder.pid);
        let pids: BTreeSet<u32> =
            facts.examined().into_iter().chain(serving).take(2 * MAX_EXAMINED).collect();
        self.lives = lives(&pids);
        let mut patience = TURN;
        while !patience.is_zero() && self.lives.iter().any(|life| awaits_its_turn(facts, life)) {
            sleep(PAUSE);
            patience = patience.saturating_sub(PAUSE);
            self.lives = lives(&pids);
        }
    }
}

fn lives(pids: &BTreeSet<u32>) -> Vec<Vitals> {
    pids.iter().filter_map(|pid| Vitals::read(*pid).ok()).collect()
}

/// Whether a process could run, and the machine has given it no processor to show what it would do.
fn awaits_its_turn(facts: &ReachFacts, after: &Vitals) -> bool {
    let before = facts.life.iter().find(|life| life.before.pid == after.pid).map(|life| &life.before);
    before.is_some_and(|before| {
        connected::runs_on(before, after) && !connected::has_had_its_turn(before, after)
    })
}
