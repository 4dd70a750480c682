//! What the health checker has to do for a target, and when: a query, a dial, both or nothing.

use std::time::{Duration, Instant};

use crate::balance::Check;
use crate::engine::targets::health::Stage;
use crate::engine::targets::target::Target;

/// The interval between two queries of a target that is down: a waiting client waits no longer than this for a service
/// that is back.
const WHILE_DOWN: Duration = Duration::from_millis(100);

/// The interval for a target that is up and whose holder's end is not being waited for.
const WHILE_UP: Duration = Duration::from_millis(900);

/// The longest sleep.
pub(crate) const IDLE: Duration = Duration::from_secs(1);

/// What a target needs now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Query,
    Dial,
}

/// A step, when it was last taken, and the interval until it is due again.
pub(crate) type Due = (Option<Step>, Option<Instant>, Duration);

/// What a target needs; `is_here`: whether it is on this machine, so that a query can see it.
pub(crate) fn due_of(target: &Target, is_here: bool) -> impl Iterator<Item = Due> {
    let both = match target.rules().check {
        Check::None => [None, None],
        Check::Listen => [Some(query_or_dial(target, is_here)), None],
        Check::Connect => [Some(query(target, is_here)), Some(dial(target))],
    };
    both.into_iter().flatten()
}

/// For a target that is dialled only where a query cannot determine its state.
fn query_or_dial(target: &Target, is_here: bool) -> Due {
    let health = target.health();
    if !matches!(health.stage(), Stage::Down(_)) {
        return query(target, is_here);
    }
    let details = target.details();
    let can_query = is_here && !details.blind;
    let interval = target.rules().interval;
    if details.urgent && can_query {
        return (Some(Step::Query), None, WHILE_DOWN);
    }
    if can_query && (health.can_be_seen_back() || details.queried.is_none()) {
        (Some(Step::Query), details.queried, WHILE_DOWN)
    } else if details.dialling {
        (None, details.dialled, interval)
    } else if can_query && details.queried <= details.dialled {
        // Every other time a query: a listener blocked by a firewall now may be gone later.
        (Some(Step::Query), details.dialled.or(details.queried), interval / 2)
    } else {
        (Some(Step::Dial), details.dialled, interval)
    }
}

/// For a target that is up, or whose state a check determines anyway: whether it listens, and which process holds it.
fn query(target: &Target, is_here: bool) -> Due {
    let details = target.details();
    let can_query = is_here && !details.blind;
    let is_held = details.holder.as_ref().is_some_and(|held| held.watch.is_some());
    match (can_query, details.urgent) {
        (true, true) => (Some(Step::Query), None, WHILE_DOWN),
        (true, false) if !is_held => (Some(Step::Query), details.queried, WHILE_UP),
        _ => (None, None, IDLE),
    }
}

fn dial(target: &Target) -> Due {
    let details = target.details();
    let step = if details.dialling { None } else { Some(Step::Dial) };
    (step, details.dialled, target.rules().interval)
}
