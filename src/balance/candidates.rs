//! Which targets may be chosen: health, backups and drain in one place, so that no rule has to know them.

use std::time::Duration;

/// The role and weight of a target in a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its share of the clients relative to the others'; at least 1, at most [`Part::MAX_WEIGHT`].
    pub weight: u32,
    /// When it is chosen.
    pub role: Role,
}

impl Part {
    /// The greatest weight.
    pub const MAX_WEIGHT: u32 = 1000;
}

impl Default for Part {
    fn default() -> Self {
        Part { weight: 1, role: Role::Primary }
    }
}

/// When a target is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Whenever it is well.
    Primary,
    /// While no primary is well.
    Backup,
    /// Never: it only keeps the sessions it has.
    Drained,
}

/// Whether a target is known to accept connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fitness {
    /// It accepts them, or has not been checked yet.
    Well {
        /// How long it has been back, if it was down before.
        back: Option<Duration>,
    },
    /// It is down, or accepts connections and does not answer as it should.
    Ill,
}

/// What is known about one target when a client comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its part in the route.
    pub part: Part,
    /// Its health.
    pub fitness: Fitness,
    /// Whether it has failed this client already.
    pub is_tried: bool,
    /// The number of its sessions.
    pub load: usize,
}

/// A target as a rule sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Its weight; zero if it may not be chosen now.
    pub weight: u32,
    /// Its weight in hundredths, less during a slow start; zero if it may not be chosen now.
    pub share: u32,
    /// The number of its sessions.
    pub load: usize,
}

impl Candidate {
    /// Whether it may be chosen.
    pub(super) fn is_open(&self) -> bool {
        self.weight > 0
    }
}

/// Hundredths, so that a target of weight 1 can start slowly.
const PARTS: u32 = 100;

/// The targets as a rule sees them, in their order. Open are those of the best rank among the targets that have not
/// failed this client yet: first primaries that are well, then backups that are well, then primaries and backups that
/// are not. What is known about a target may be outdated, and a client that would be refused anyway loses nothing by a
/// try. A draining target is never open. `slow_start` is the time in which the share of a returned target grows to its
/// full size.
pub fn candidates(targets: &[Facts], slow_start: Duration, into: &mut Vec<Candidate>) {
    let best = targets.iter().filter_map(rank).min();
    into.clear();
    into.extend(targets.iter().map(|target| match rank(target) {
        Some(rank) if Some(rank) == best => {
            Candidate { weight: target.part.weight, share: share(target, slow_start), load: target.load }
        }
        _ => Candidate { load: target.load, ..Candidate::default() },
    }));
}

fn rank(target: &Facts) -> Option<u8> {
    let is_ill = target.fitness == Fitness::Ill;
    match target.part.role {
        _ if target.is_tried => None,
        Role::Drained => None,
        Role::Primary => Some(if is_ill { 2 } else { 0 }),
        Role::Backup => Some(if is_ill { 3 } else { 1 }),
    }
}

/// In hundredths of a weight of 1; never zero, or a target in a slow start would never start.
fn share(target: &Facts, slow_start: Duration) -> u32 {
    let whole = target.part.weight * PARTS;
    match target.fitness {
        Fitness::Well { back: Some(back) } if back < slow_start => {
            let grown = f64::from(whole) * back.as_secs_f64() / slow_start.as_secs_f64();
            (grown as u32).max(1)
        }
        _ => whole,
    }
}
