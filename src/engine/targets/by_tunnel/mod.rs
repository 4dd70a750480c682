//! A target at the other end of a tunnel. It is reached by a carrier of the tunnel, and nothing here dials or queries it:
//! whether it is up, its tunnel and the other end say.

mod follow;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::address::{TargetThere, There};
use crate::balance::{Check, HealthRules};
use crate::transport::tunnel::carrier::Carrier;
use crate::transport::tunnel::line::{Fault, Line, Lines};

/// How long a tunnel that has not been up yet is not called down, unless a client asks: at a start, its target would be
/// told down and up again within the time of a dial.
const GRACE: Duration = Duration::from_secs(2);

/// The tunnel of a target.
pub(crate) struct ByTunnel {
    pub(crate) there: Arc<TargetThere>,
    pub(crate) line: Arc<Line>,
    since: Instant,
    told: Mutex<Told>,
}

/// What was told last of the target.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Up,
    Down(Fault),
}

/// A carrier for a session.
pub(crate) struct Taken {
    pub(crate) carrier: Carrier,
    /// How long it was waited for.
    pub(crate) waited: Duration,
}

/// The rules for a target in a tunnel: no checks of ours.
pub(super) fn rules(rules: &HealthRules) -> HealthRules {
    HealthRules { check: Check::None, talk: None, ..rules.clone() }
}

impl ByTunnel {
    pub(super) fn new(there: &Arc<TargetThere>, lines: &Lines) -> ByTunnel {
        let line = lines.get(&there.tunnel);
        ByTunnel { there: there.clone(), line, since: Instant::now(), told: Mutex::new(Told::Nothing) }
    }

    /// Why the target is down, as the tunnel or the other end says now.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.line.fault(&self.there.to)
    }

    /// Whether somebody will say when a target that is down is back: its tunnel, or the other end, has said that it is down.
    /// Otherwise sessions have found it so, and only a session shows that it is back.
    pub(super) fn tells(&self) -> bool {
        self.fault().is_some()
    }

    fn is_service(&self) -> bool {
        matches!(self.there.to, There::Service(_))
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // A panic cannot leave it half-changed.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
