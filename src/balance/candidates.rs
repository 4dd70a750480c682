//! Which targets may be chosen: health, backups, drain and limits in one place, so that no rule has to know them.

use std::time::Duration;

/// The role and weight of a target in a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its share of the clients relative to the others'; at least 1, at most [`Part::MAX_WEIGHT`].
    pub weight: u32,
    /// When it is chosen.
    pub role: Role,
    /// Its sessions at one time, at least 1; `None` is unlimited.
    pub most: Option<usize>,
}

impl Part {
    /// The greatest weight.
    pub const MAX_WEIGHT: u32 = 1000;
}

impl Default for Part {
    fn default() -> Self {
        Part { weight: 1, role: Role::Primary, most: None }
    }
}

/// When a target is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Whenever it is well.
    Primary,
    /// While no primary is well and has room.
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

/// Whether a client of these targets can be sent to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// At least one is open.
    Open,
    /// All that might be are full; the client may wait for one.
    Full,
    /// Each has failed this client or drains.
    None,
}

/// The targets as a rule sees them, in their order. Open are those of the best rank among the targets that have room and
/// have not failed this client yet: first primaries that are well, then backups that are well, then primaries and
/// backups that are not. What is known about a target may be outdated, and a client that would be refused anyway loses
/// nothing by a try; but while one that is well is full, a client had better wait for that. A draining target is never
/// open. `slow_start` is the time in which the share of a returned target grows to its full size.
pub fn candidates(targets: &[Facts], slow_start: Duration, into: &mut Vec<Candidate>) -> Room {
    let full = targets.iter().filter(|target| target.is_full()).filter_map(rank).min();
    let worst = full.filter(|rank| *rank < ILL).map_or(u8::MAX, |_| ILL);
    let has_room = |target: &Facts| rank(target).filter(|rank| *rank < worst && !target.is_full());
    let best = targets.iter().filter_map(has_room).min();
    into.clear();
    into.extend(targets.iter().map(|target| match has_room(target) {
        Some(rank) if Some(rank) == best => {
            Candidate { weight: target.part.weight, share: share(target, slow_start), load: target.load }
        }
        _ => Candidate { load: target.load, ..Candidate::default() },
    }));
    match (best, full) {
        (Some(_), _) => Room::Open,
        (None, Some(_)) => Room::Full,
        (None, None) => Room::None,
    }
}

impl Facts {
    fn is_full(&self) -> bool {
        self.part.most.is_some_and(|most| self.load >= most)
    }
}

/// The rank of the first target that is not well.
const ILL: u8 = 2;

/// The rank of a target, whether it has room or not; `None` if it can never be chosen for this client.
fn rank(target: &Facts) -> Option<u8> {
    let ill = if target.fitness == Fitness::Ill { ILL } else { 0 };
    match target.part.role {
        _ if target.is_tried => None,
        Role::Drained => None,
        Role::Primary => Some(ill),
        Role::Backup => Some(ill + 1),
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
