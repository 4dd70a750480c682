//! Ports with `bind = "retry"` that could not be bound: tried again every second, with reminders in the log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::bind::{Port, Unbound, WantedBy};
use super::bind_error;
use crate::engine::api::NotListening;
use crate::units::Seconds;

/// How often the log repeats that a port does not listen.
const REMIND: Duration = Duration::from_secs(60);

/// Every port that is tried again.
#[derive(Default)]
pub(crate) struct Retries(BTreeMap<Port, Retry>);

struct Retry {
    by: WantedBy,
    why: String,
    since: Instant,
    reported: Instant,
}

impl Retries {
    /// Keeps the ports that are still `awaited`, and adds those that could not be bound just now.
    pub(crate) fn postpone(&mut self, unbound: Vec<Unbound>, awaited: impl Fn(&Port) -> bool) {
        self.0.retain(|port, _| awaited(port));
        let now = Instant::now();
        for (Unbound { port, by, .. }, why) in explained(unbound) {
            let retry = self.0.entry(port).or_insert_with(|| Retry {
                by: by.clone(),
                why: String::new(),
                since: now,
                reported: now,
            });
            (retry.by, retry.why) = (by, why);
        }
    }

    /// The ports to try now.
    pub(crate) fn due(&self) -> Vec<(Port, WantedBy)> {
        self.0.iter().map(|(port, retry)| (port.clone(), retry.by.clone())).collect()
    }

    /// Removes a port that is now bound; returns since when it was missing.
    pub(crate) fn end(&mut self, port: &Port) -> Instant {
        self.0.remove(port).map_or_else(Instant::now, |retry| retry.since)
    }

    /// Logs the ports that are missing and whose reminder is due.
    pub(crate) fn remind(&mut self, mut unbound: Vec<Unbound>) {
        unbound.retain(|it| self.0.get(&it.port).is_some_and(|retry| retry.reported.elapsed() >= REMIND));
        for (Unbound { port, .. }, why) in explained(unbound) {
            let Some(retry) = self.0.get_mut(&port) else { continue };
            let (owner, address, for_) = (retry.by.owner(), port.address(), Seconds(retry.since.elapsed()));
            tracing::warn!("{owner} does NOT listen on {address}, for {for_} now: {why}");
            (retry.reported, retry.why) = (Instant::now(), why);
        }
    }

    /// Each with the last reason.
    pub(crate) fn not_listening(&self) -> Vec<NotListening> {
        let one = |(port, retry): (&Port, &Retry)| NotListening {
            owner: retry.by.owner(),
            address: port.address().clone(),
            why: retry.why.clone(),
        };
        self.0.iter().map(one).collect()
    }

    /// Removes all of them.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Each with the explained reason why it could not be bound. That reads /proc, so it is done once per report, not once
/// per attempt.
fn explained(unbound: Vec<Unbound>) -> Vec<(Unbound, String)> {
    let errors: Vec<_> = unbound.iter().map(|it| (it.port.protocol, it.port.address(), &it.error)).collect();
    let why = bind_error::summaries(&errors);
    unbound.into_iter().zip(why).collect()
}
