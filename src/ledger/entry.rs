//! The open entry of a session: what its own task records until its end.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::live::NO_AIM;
use super::{Ledger, Live, Meter};
use crate::outcome::{Agreed, Attempt, Client, End, Limit, Outcome, Phase, Side, Timing, Way};

/// The open entry of one session. Dropped without [`Entry::close`], as when a panic unwinds, it closes as `internal`.
pub struct Entry {
    /// `None` once it is closed.
    pub(super) ledger: Option<Arc<Ledger>>,
    pub(super) live: Arc<Live>,
}

impl Entry {
    /// The live counts.
    pub fn meter(&self) -> &Meter {
        &self.live.meter
    }

    /// Records which of its route's targets the session goes to: an index among them.
    pub fn aim(&self, place: usize) {
        self.live.aim.store(place.try_into().unwrap_or(NO_AIM), Relaxed);
    }

    /// Who connected.
    pub fn client(&self) -> Client {
        self.live.client
    }

    /// The session as seen from outside.
    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// When the session was accepted.
    pub fn started(&self) -> Instant {
        self.live.started
    }

    /// Records the client behind the one that connected: the record names it as the client, and the other as its proxy.
    pub fn identify(&self, behind: Client) {
        if let Some(ledger) = &self.ledger {
            ledger.lives.note(self.live.id, |notes| notes.behind = Some(behind));
        }
    }

    /// The client behind the one that connected, if one was recorded; else the one that connected.
    pub(crate) fn behind(&self) -> Client {
        let ledger = self.ledger.as_ref();
        let noted = ledger.and_then(|ledger| ledger.lives.noted(self.live.id, |notes| notes.behind));
        noted.unwrap_or(self.live.client)
    }

    /// Records why it ends as it does: the hint of its record, if its end has none of its own.
    pub fn hint(&self, text: impl Into<Arc<str>>) {
        if let Some(ledger) = &self.ledger {
            ledger.note(self.live.id, text.into());
        }
    }

    /// Records which limit would have kept the client out, on a route with `limits_dry_run`.
    pub fn dry_run(&self, limit: Limit) {
        if let Some(ledger) = &self.ledger {
            ledger.lives.note(self.live.id, |notes| notes.dry_run = Some(limit));
        }
    }

    /// Records the server name that the client requests, as it was sent.
    pub fn name(&self, name: impl Into<Arc<str>>) {
        if let Some(ledger) = &self.ledger {
            ledger.lives.note(self.live.id, |notes| notes.name = Some(name.into()));
        }
    }

    /// Records what was negotiated with this side of a TLS connection.
    pub fn agree(&self, side: Side, on: Agreed) {
        let Some(ledger) = &self.ledger else { return };
        ledger.lives.note(self.live.id, |notes| match side {
            Side::Client => notes.client_tls = Some(on.into()),
            Side::Target => notes.target_tls = Some(on.into()),
        });
    }

    /// Closes the entry and writes its record.
    pub fn close(mut self, outcome: Outcome) {
        if let Some(ledger) = self.ledger.take() {
            ledger.close(&self.live, outcome);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(ledger) = self.ledger.take() {
            let total = self.live.started.elapsed();
            ledger.close(&self.live, internal(&self.live, total));
        }
    }
}

/// The outcome of a session whose task panicked. Its phase is the latest of which the live entry has evidence: bytes that were
/// read, else a target that was chosen, else none.
fn internal(live: &Live, total: Duration) -> Outcome {
    let meter = &live.meter;
    let phase = match meter.way() {
        Way::None if live.aim.load(Relaxed) == NO_AIM => Phase::Identify,
        Way::None => Phase::Connect,
        _ => Phase::Relay,
    };
    Outcome {
        end: End::Internal,
        phase,
        closed_by: None,
        target: None,
        attempts: Vec::<Attempt>::new(),
        traffic: meter.traffic(),
        timing: Timing { total, ..Timing::default() },
        way: meter.way(),
        datagrams: None,
        kernel: None,
        hint: None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::ledger::{Record, TargetNames};

    /// The phase in the record of a session whose task panicked after `steps`.
    fn phase_of_panic(steps: impl FnOnce(&Entry)) -> Phase {
        let records = Arc::new(Mutex::new(Vec::new()));
        let sink = records.clone();
        let ledger = Ledger::new(Box::new(move |record: &Record| sink.lock().unwrap().push(record.clone())));
        let client = Client::Net(([127, 0, 0, 1], 1).into());
        let targets = TargetNames::new(vec!["t:1".into(), "t:2".into()]).into();
        let entry = ledger.open("web".into(), targets, client, Instant::now());
        steps(&entry);

        drop(entry);

        let records = records.lock().unwrap();
        assert_eq!(records[0].outcome.end, End::Internal);
        records[0].outcome.phase
    }

    #[test]
    fn a_bug_before_the_relay_is_not_recorded_as_one_of_the_relay() {
        assert_eq!(phase_of_panic(|_| {}), Phase::Identify);
        assert_eq!(phase_of_panic(|entry| entry.aim(1)), Phase::Connect);
        assert_eq!(phase_of_panic(|entry| entry.meter().up.read(1)), Phase::Relay);
    }
}
