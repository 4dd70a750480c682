//! Every tunnel of the configuration, walked at once, beside whatever else takes seconds.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::report::{Area, area_status};
use crate::diagnosis::{Diagnosis, Severity, Status};
use crate::plan::{Plan, Tunnel};
use crate::tunnel::explain::{Depth, explain};

/// Tunnels that are walked concurrently.
const AT_ONCE: usize = 8;

/// The most tunnels that are walked; the report counts the rest.
const MAX_TUNNELS: usize = 64;

/// How long a target may take to answer; there are none here, as they have an area of their own.
const NONE: Duration = Duration::ZERO;

/// Runs `other`, and walks the tunnels meanwhile; no area if there are none. It takes at most about eight seconds for each
/// eight tunnels and each address of theirs.
pub(super) fn beside<T>(plan: &Plan, other: impl FnOnce() -> T) -> (T, Option<Area>) {
    let links: Vec<Arc<Tunnel>> = plan.tunnels.links.values().take(MAX_TUNNELS).cloned().collect();
    let walks = Walks { plan: Arc::new(plan.clone()), links: Mutex::new(links), found: Mutex::default() };
    let other = thread::scope(|scope| {
        for _ in 0..walks.left().min(AT_ONCE) {
            // If the kernel refuses a thread, this one does the work.
            let _ = thread::Builder::new().spawn_scoped(scope, || walks.walk());
        }
        let other = other();
        walks.walk();
        other
    });
    let found = walks.found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let untried = plan.tunnels.links.len().saturating_sub(MAX_TUNNELS);
    (other, (!found.is_empty()).then(|| area(found, untried)))
}

struct Walks {
    plan: Arc<Plan>,
    links: Mutex<Vec<Arc<Tunnel>>>,
    found: Mutex<Vec<Diagnosis>>,
}

impl Walks {
    fn left(&self) -> usize {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn walk(&self) {
        let next = || self.links.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let depth = Depth { only: None, targets: false, runs: false, timeout: NONE };
        while let Some(tunnel) = next() {
            let found = explain(&self.plan, &tunnel, &depth);
            self.found.lock().unwrap_or_else(PoisonError::into_inner).push(found);
        }
    }
}

fn area(mut found: Vec<Diagnosis>, untried: usize) -> Area {
    found.sort_by_cached_key(|it| it.subject.to_string());
    let all = found.len();
    found.retain(|it| it.severity() > Severity::Fine);
    let mut area = match found.iter().map(Diagnosis::severity).max() {
        None => Area::new("tunnels", Status::Ok, format!("{all} of {all} have no fault")),
        Some(gravest) => {
            let text = format!("{} of {all} do not work, or not as they should", found.len());
            Area::new("tunnels", area_status(gravest), text)
        }
    };
    if untried > 0 {
        area.notes.push(format!("{untried} more were not looked at"));
    }
    area.diagnoses = found;
    area
}
