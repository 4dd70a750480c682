//! The answers on the connections of a trace. Pure.

use super::facts::ReachFacts;
use crate::probe::trace::Connection;
use crate::probe::trace::recognise::Recognised;

/// The connections that received an answer.
pub(super) fn answers(facts: &ReachFacts) -> impl Iterator<Item = &Connection> {
    facts.trace.connections.iter().filter(|connection| !connection.received.is_empty())
}

/// The protocol of the service, by the last answer that was recognised.
pub(super) fn protocol(facts: &ReachFacts) -> Option<Recognised> {
    facts.trace.connections.iter().rev().find_map(Connection::recognised)
}

/// The status for our host, another host that the service serves, and the status for that one.
pub(super) fn other_host(facts: &ReachFacts) -> Option<(u16, String, u16)> {
    let status_of = |connection: &Connection| {
        let found = connection.recognised()?;
        Some((found.turns_host_away(), found.status?, connection.sent.as_ref()?.host.clone()?))
    };
    let mut answers = facts.trace.connections.iter().filter_map(status_of);
    let (true, ours, _) = answers.next()? else { return None };
    let (_, status, host) = answers.find(|(turned_away, status, _)| !turned_away && *status < 500)?;
    Some((ours, host, status))
}
