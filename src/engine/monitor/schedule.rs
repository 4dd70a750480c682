//! What the health checker has to do for a target, and when: a look, a dial, both or nothing.

use std::time::{Duration, Instant};

use crate::balance::Check;
use crate::engine::targets::health::Stage;
use crate::engine::targets::target::Target;

/// Between two looks at a target that is down: a client that is held waits no longer than that for a service that is
/// back.
const WHILE_DOWN: Duration = Duration::from_millis(100);

/// Between two looks at one that is up and whose holder's end nobody waits for.
const WHILE_UP: Duration = Duration::from_millis(900);

/// The longest sleep.
pub(crate) const IDLE: Duration = Duration::from_secs(1);

/// What a target needs now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Look,
    Dial,
}

/// A step, when it was taken last, and how long it may rest in between.
pub(crate) type Due = (Option<Step>, Option<Instant>, Duration);

/// What a target needs; `is_here` is whether it is on this machine, so that a look can tell.
pub(crate) fn due_of(target: &Target, is_here: bool) -> impl Iterator<Item = Due> {
    let both = match target.rules().check {
        Check::None => [None, None],
        Check::Listen => [Some(look_or_dial(target, is_here)), None],
        Check::Connect => [Some(look(target, is_here)), Some(dial(target))],
    };
    both.into_iter().flatten()
}

/// Of a target that is dialled only where a look cannot tell.
fn look_or_dial(target: &Target, is_here: bool) -> Due {
    let health = target.health();
    if !matches!(health.stage(), Stage::Down(_)) {
        return look(target, is_here);
    }
    let details = target.details();
    let can_see = is_here && !details.blind;
    let interval = target.rules().interval;
    if details.urgent && can_see {
        return (Some(Step::Look), None, WHILE_DOWN);
    }
    if can_see && (health.can_be_seen_back() || details.looked.is_none()) {
        (Some(Step::Look), details.looked, WHILE_DOWN)
    } else if details.dialling {
        (None, details.dialled, interval)
    } else if can_see && details.looked <= details.dialled {
        // Every other time a look: whoever is blocked by a firewall now may be gone altogether.
        (Some(Step::Look), details.dialled.or(details.looked), interval / 2)
    } else {
        (Some(Step::Dial), details.dialled, interval)
    }
}

/// Of a target that is up, or whose state a check tells anyway: whether it is there, and who holds it.
fn look(target: &Target, is_here: bool) -> Due {
    let details = target.details();
    let can_see = is_here && !details.blind;
    let is_held = details.holder.as_ref().is_some_and(|held| held.watch.is_some());
    match (can_see, details.urgent) {
        (true, true) => (Some(Step::Look), None, WHILE_DOWN),
        (true, false) if !is_held => (Some(Step::Look), details.looked, WHILE_UP),
        _ => (None, None, IDLE),
    }
}

fn dial(target: &Target) -> Due {
    let details = target.details();
    let step = if details.dialling { None } else { Some(Step::Dial) };
    (step, details.dialled, target.rules().interval)
}
