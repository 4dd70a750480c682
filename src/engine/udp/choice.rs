//! The target of a new client.

use std::time::Instant;

use super::context::UdpRouteRuntime;
use super::target::Goal;
use crate::balance::Key;
use crate::engine::targets::pool::{Picked, Tried};
use crate::outcome::{Cause, Client};

/// The target of a new client.
pub(super) enum Chosen {
    /// The target at this place.
    At(usize, Goal),
    /// The target at this place, once its name is looked up.
    LookUp(usize),
    /// All targets are full.
    Full,
    /// No target has an address, for this reason.
    Nowhere(Cause),
}

/// Chooses by the route's rule among the targets not tried yet, and skips those whose names have had no address since
/// the client came.
pub(super) fn choose(
    runtime: &UdpRouteRuntime,
    client: Client,
    came: Instant,
    now: Instant,
    tried: &mut Tried,
) -> Chosen {
    let key = Key::of_client(client);
    let mut why = Cause::NoAddress;
    let mut trial = if tried.is_empty() { runtime.pool.trial(now) } else { None };
    trial.into_iter().for_each(|place| tried.is_trial(place));
    loop {
        if runtime.route.next_target.is_some_and(|others| tried.count() > others) {
            return Chosen::Nowhere(why);
        }
        let picked = trial.take().map_or_else(|| runtime.pool.pick(|| key, tried, now), Picked::At);
        let place = match picked {
            Picked::At(place) => place,
            Picked::Full => return Chosen::Full,
            Picked::Nobody => return Chosen::Nowhere(why),
        };
        let target = runtime.pool.at(place);
        match target.goal() {
            Some(goal) => return Chosen::At(place, goal),
            None => match target.has_no_address_since(came) {
                Some(cause) => {
                    why = cause;
                    tried.add(place);
                }
                None => return Chosen::LookUp(place),
            },
        }
    }
}
