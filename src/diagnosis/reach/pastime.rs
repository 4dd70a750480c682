//! What a program does after it has read the request and before it answers. Pure.

use super::facts::ReachFacts;
use super::life::serving;
use crate::probe::process::holders::Held;
use crate::probe::process::process_stats::Vitals;
use crate::probe::process::threads::Call;

/// What a program does after it has read the request and before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pastime {
    /// It waits for more from the client, as a service may.
    WaitsForMore,
    /// It does something else, or sleeps: it has not got round to the answer.
    Works,
    /// It waits for input, perhaps from the client or from another peer, or for a timer.
    Loops,
    /// Its activity cannot be seen.
    Hidden,
}

/// What the program does. If only a socket can end its event loop, and it has no other connections, it waits for the
/// client; any other event loop may as well wait for something it needs for the answer.
pub(super) fn pastime(facts: &ReachFacts) -> Pastime {
    if reads_on(facts) {
        return Pastime::WaitsForMore;
    }
    let lives = serving(facts);
    let threads = || lives.iter().flat_map(|life| &life.after.threads);
    if !threads().any(|thread| thread.is_seen()) {
        return Pastime::Hidden;
    }
    let loops = threads().any(|thread| thread.awaits_events());
    if !loops && threads().any(|thread| thread.is_seen() && !thread.awaits_input()) {
        return Pastime::Works;
    }
    let endless =
        threads().all(|thread| matches!(thread.call, Call::Events { endless: true } | Call::Reads(_)));
    let alone = facts.talks_elsewhere == Some(false);
    if loops && endless && alone { Pastime::WaitsForMore } else { Pastime::Loops }
}

/// Whether a healthy service sent nothing that was recognised.
pub(super) fn waits_for_more(facts: &ReachFacts) -> bool {
    facts.first().is_some_and(|first| first.is_silent()) && pastime(facts) == Pastime::WaitsForMore
}

/// Whether a thread blocks in a call that reads from this very connection.
fn reads_on(facts: &ReachFacts) -> bool {
    reads(&facts.served_by, facts.life.iter().map(|life| &life.after))
}

/// The same for given processes that hold the service's end of the connection.
pub(super) fn reads<'a>(served_by: &[Held], mut lives: impl Iterator<Item = &'a Vitals>) -> bool {
    lives.any(|life| {
        let held = served_by.iter().filter(|held| held.holder.pid == life.pid);
        let descriptors: Vec<u32> = held.map(|held| held.descriptor).collect();
        life.threads
            .iter()
            .any(|thread| matches!(thread.call, Call::Reads(descriptor) if descriptors.contains(&descriptor)))
    })
}
