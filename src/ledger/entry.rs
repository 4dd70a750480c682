//! The open entry of a session: what its own task records until its end.

use std::sync::atomic::{AtomicU8, AtomicU16, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::live::NO_AIM;
use super::order::NO_WAKER;
use super::{Ledger, Live, Meter, TargetNames, Through, TunnelCarrier};
use crate::outcome::{Agreed, Attempt, Client, End, Limit, Outcome, Phase, SessionId, Side, Timing, Way};

impl Ledger {
    /// Opens the entry of a session that was accepted at `started`. `targets` are the targets of the route.
    pub fn open(
        self: &Arc<Self>,
        route: Arc<str>,
        targets: Arc<TargetNames>,
        client: Client,
        started: Instant,
    ) -> Entry {
        self.open_through(route, targets, client, started, None)
    }

    /// The same for a session whose client may have come by a tunnel.
    pub fn open_through(
        self: &Arc<Self>,
        route: Arc<str>,
        targets: Arc<TargetNames>,
        client: Client,
        started: Instant,
        through: Option<Box<Through>>,
    ) -> Entry {
        let id = self.opened.fetch_add(1, Relaxed) + 1;
        let live = Arc::new(Live {
            id,
            route,
            targets,
            aim: AtomicU16::new(NO_AIM),
            word: AtomicU8::new(NO_WAKER),
            process: self.process,
            through,
            client,
            started,
            meter: Meter::default(),
            waker: Mutex::default(),
        });
        self.lives.insert(live.clone());
        Entry { ledger: Some(self.clone()), live }
    }
}

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

    /// The id of its record.
    pub fn id(&self) -> SessionId {
        self.live.session_id()
    }

    /// Records which connection of a tunnel carries it to its target.
    pub fn carried_by(&self, carrier: TunnelCarrier) {
        if let Some(ledger) = &self.ledger {
            ledger.lives.note(self.live.id, |notes| notes.carrier = Some(carrier.into()));
        }
    }

    /// Records that the other end of a tunnel has said why the target was not reached.
    pub fn far(&self) {
        if let Some(ledger) = &self.ledger {
            ledger.lives.note(self.live.id, |notes| notes.far = true);
        }
    }

    /// Records why it ends as it does: the hint of its record, if its end has none of its own.
    pub fn hint(&self, text: impl Into<Arc<str>>) {
        if let Some(ledger) = &self.ledger {
            ledger.note(self.live.id, text.into());
        }
    }

    /// What was recorded so far of why it ends.
    pub(crate) fn hinted(&self) -> Option<Arc<str>> {
        let ledger = self.ledger.as_ref()?;
        ledger.lives.noted(self.live.id, |notes| notes.hint.clone())
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
    use super::*;
    use crate::address::TunnelName;
    use crate::ledger::Record;
    use crate::outcome::Cause;

    fn ledger() -> (Arc<Ledger>, Arc<Mutex<Vec<Record>>>) {
        let records = Arc::new(Mutex::new(Vec::new()));
        let sink = records.clone();
        let ledger = Ledger::new(Box::new(move |record: &Record| sink.lock().unwrap().push(record.clone())));
        (ledger, records)
    }

    fn home() -> TunnelName {
        "home".parse().unwrap()
    }

    /// The entry of a session with two targets, the second of which is in the tunnel `office`.
    fn open(ledger: &Arc<Ledger>, through: Option<Through>) -> Entry {
        let client = Client::Net(([127, 0, 0, 1], 1).into());
        let names = TargetNames::new(vec!["t:1".into(), "tunnel:office/web".into()]);
        let targets = names.in_tunnels([None, "office".parse().ok()].into_iter());
        ledger.open_through("web".into(), targets.into(), client, Instant::now(), through.map(Box::new))
    }

    fn ended(live: &Live, end: End) -> Outcome {
        Outcome { end, ..internal(live, Duration::from_millis(61)) }
    }

    #[test]
    fn every_record_has_an_id_and_no_two_sessions_have_the_same() {
        let (ledger, records) = ledger();
        let (other, others) = self::ledger();
        let ids: Vec<SessionId> = (0..3).map(|_| open(&ledger, None).id()).collect();
        drop(open(&other, None));

        let records = records.lock().unwrap();
        assert_eq!(records.iter().map(|record| record.id).collect::<Vec<_>>(), ids);
        assert!(ids[0] < ids[1] && ids[1] < ids[2]);
        assert!(records[0].to_string().ends_with(&format!(" id={}", ids[0])), "{}", records[0]);
        assert_eq!(serde_json::to_value(&records[0]).unwrap()["id"], ids[0].to_string());
        // Two processes have nothing in common but the way they count.
        let there = others.lock().unwrap()[0].id;
        assert_ne!(there, ids[0]);
        assert_eq!(there.to_string()[8..], ids[0].to_string()[8..]);
    }

    #[test]
    fn a_session_that_came_by_a_tunnel_has_the_id_of_the_other_end() {
        let (ledger, records) = ledger();
        let id = SessionId([9; 10]);
        let entry = open(&ledger, Some(Through { tunnel: home(), id }));
        let live = ledger.live().remove(0);
        assert_eq!((entry.id(), live.session_id(), live.tunnel()), (id, id, Some(&home())));
        let outcome = ended(&live, End::Done);

        entry.close(outcome);

        let record = records.lock().unwrap().remove(0);
        let text = record.to_string();
        assert!(text.starts_with("route=web client=127.0.0.1:1 tunnel=home target="), "{text}");
        assert!(text.ends_with(&format!(" total=61ms id={id}")), "{text}");
        let json = serde_json::to_value(&record).unwrap();
        assert_eq!((&json["tunnel"], json.get("tunnel_carrier")), (&"home".into(), None));
    }

    #[test]
    fn what_the_other_end_does_not_offer_is_not_looked_for_in_its_records() {
        let (ledger, records) = ledger();
        let entry = open(&ledger, None);
        entry.aim(1);
        let live = ledger.live().remove(0);
        entry.far();

        entry.close(ended(&live, End::NoTarget(Cause::TunnelRefused)));

        let record = records.lock().unwrap().remove(0);
        assert_eq!(record.hint(), Some(Cause::TunnelRefused.remedy()));
    }

    #[test]
    fn a_session_that_goes_to_a_tunnel_tells_its_carrier_and_what_the_other_end_said() {
        let (ledger, records) = ledger();
        let entry = open(&ledger, None);
        entry.aim(0);
        let live = ledger.live().remove(0);
        assert_eq!(live.tunnel(), None);
        entry.aim(1);
        assert_eq!(live.tunnel().map(TunnelName::as_str), Some("office"));
        let (peer, waited) = (([192, 0, 2, 1], 4433).into(), Duration::from_micros(1500));
        entry.carried_by(TunnelCarrier { peer, carried: 3, waited });
        entry.far();

        entry.close(ended(&live, End::NoTarget(Cause::Refused)));

        let record = records.lock().unwrap().remove(0);
        let text = record.to_string();
        assert!(
            text.contains(
                " tunnel=office target=tunnel:office/web end=no_target cause=refused far=true phase="
            )
        );
        assert!(text.ends_with(
            "\"so says the other end of the tunnel: its record of the same id, and its log, say more\""
        ));
        let json = serde_json::to_value(&record).unwrap();
        let carrier =
            serde_json::json!({ "address": "192.0.2.1:4433", "carried_before": 3, "waited_us": 1500 });
        assert_eq!((&json["tunnel_carrier"], &json["far"]), (&carrier, &true.into()));
    }

    /// The phase in the record of a session whose task panicked after `steps`.
    fn phase_of_panic(steps: impl FnOnce(&Entry)) -> Phase {
        let (ledger, records) = ledger();
        let entry = open(&ledger, None);
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
