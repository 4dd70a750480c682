//! Datagrams in TLS connections: carriers that are taken from the tunnel's pool by the end that opens the flow, and never carry
//! a session again.

mod outbox;
mod queue;
mod ride;
mod slots;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout_at};

use super::means::{Arrivals, Means};
use super::table::is_of;
use crate::outcome::Cause;
use crate::transport::tunnel::carrier::{FrameLink, Resting};
use crate::transport::tunnel::engaged::Engaged;
use crate::transport::tunnel::exchange::Role;
use crate::transport::tunnel::flows::{FlowEnded, FlowNumber};
use crate::transport::tunnel::frame::{CloseCode, Frame};
use crate::transport::tunnel::line::Line;
use crate::transport::tunnel::message::{End, FlowEnd};
use crate::transport::tunnel::open::Open;
use crate::tunnel::closing::tell_close;
use outbox::Outbox;
use ride::{Ride, tell_dropped};
use slots::{MAX_SLOTS, Place, Slots};

/// How long a flow waits for a connection of its own before it shares another's.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most carriers that flows wait for at one time: visitors of sessions wait in the same line, and are not to be last.
const MAX_TAKES: usize = 8;

/// The most connections of the other end's flows, and those of them that may wait to be looked at. The other end has up to
/// [`MAX_SLOTS`], and some that it is closing.
const MAX_OTHERS: usize = MAX_SLOTS + 64;
const MAX_NEWCOMERS: usize = 64;

/// How often idle connections are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The TLS connections of the flows of one control.
pub(crate) struct Tls {
    line: Arc<Line>,
    /// This end.
    end: End,
    state: Mutex<State>,
    /// A connection is to be taken.
    changed: Notify,
    takes: Semaphore,
    newcomers: mpsc::Sender<Newcomer>,
}

#[derive(Default)]
struct State {
    /// The connections of this end's flows.
    own: Slots<Arc<Outbox>>,
    /// What is told of each of these flows when it begins, or moves.
    opens: HashMap<FlowNumber, Arc<[u8]>>,
    /// The connection of each flow of the other end.
    others: HashMap<FlowNumber, Arc<Outbox>>,
    /// Connections that are to be taken.
    fresh: Vec<(u64, Arc<Outbox>)>,
}

/// A carrier on which the other end has begun a flow.
struct Newcomer {
    link: Resting,
    first: Frame,
}

/// What [`Tls::run`] takes.
pub(crate) struct Inbox(mpsc::Receiver<Newcomer>);

impl Tls {
    /// No connection yet.
    pub(crate) fn new(line: Arc<Line>, end: End) -> (Tls, Inbox) {
        let (newcomers, inbox) = mpsc::channel(MAX_NEWCOMERS);
        let (changed, takes) = (Notify::new(), Semaphore::new(MAX_TAKES));
        (Tls { line, end, state: Mutex::default(), changed, takes, newcomers }, Inbox(inbox))
    }

    /// The other end has begun a flow on this carrier, which was idle. Beyond a limit it is closed.
    pub(crate) fn add(&self, link: FrameLink, first: Frame) {
        // It may have waited where sessions are carried.
        let Ok(link) = link.rest() else { return };
        // One that has no room is closed by its drop.
        let _ = self.newcomers.try_send(Newcomer { link, first });
    }

    /// A flow of this end goes another way from now on. Its connection may be another's.
    pub(crate) fn leave(&self, flow: FlowNumber) {
        let mut state = self.lock();
        state.opens.remove(&flow);
        if let Some(outbox) = state.own.end(flow, Instant::now()) {
            // Said now, it would have the other end answer by a connection that closes as one without flows.
            outbox.unsay(flow);
        }
    }

    /// Whether a connection has this flow.
    pub(crate) fn has(&self, flow: FlowNumber) -> bool {
        self.lock().of(flow).is_some()
    }

    /// What was taken of a flow that ends now, and is not sent.
    pub(crate) fn settle(&self, flow: FlowNumber) -> u64 {
        let outbox = self.lock().of(flow);
        outbox.map_or(0, |outbox| outbox.forget(flow))
    }

    /// A flow is no longer: nothing is known of it any more, and the other end is told nothing.
    pub(crate) fn forget(&self, flow: FlowNumber) {
        let mut state = self.lock();
        state.opens.remove(&flow);
        let outbox = match is_of(flow, self.end) {
            true => state.own.end(flow, Instant::now()),
            false => state.others.remove(&flow),
        };
        drop(state);
        if let Some(outbox) = outbox {
            outbox.forget(flow);
        }
    }

    /// Has connections carry flows, for as long as it is polled. Cancel safe: they are closed then.
    pub(crate) async fn run(self: Arc<Self>, inbox: Inbox, arrivals: Arc<dyn Arrivals>) {
        let Inbox(mut newcomers) = inbox;
        let (mut own, mut others) = (JoinSet::new(), JoinSet::new());
        let mut looks = interval(LOOK_EVERY);
        loop {
            for (id, outbox) in std::mem::take(&mut self.lock().fresh) {
                own.spawn(self.clone().ride(id, outbox, arrivals.clone()));
            }
            tokio::select! {
                () = self.changed.notified() => {}
                Some(newcomer) = newcomers.recv() => match others.len() < MAX_OTHERS {
                    true => drop(others.spawn(self.clone().follow(newcomer, arrivals.clone()))),
                    false => drop(others.spawn(refuse(newcomer))),
                },
                Some(_) = own.join_next() => {}
                Some(_) = others.join_next() => {}
                _ = looks.tick() => self.close_idle(),
            }
        }
    }

    fn close_idle(&self) {
        let idle = self.lock().own.take_idle(Instant::now());
        idle.iter().for_each(|outbox| outbox.closing.cancel());
    }

    /// Takes a carrier for flows of this end, and has it carry them.
    async fn ride(self: Arc<Self>, id: u64, outbox: Arc<Outbox>, arrivals: Arc<dyn Arrivals>) {
        let engaged = self.engage().await;
        let was_had = engaged.is_some();
        if let Some(Engaged { link, back: _back }) = engaged {
            self.lock().own.stand(id);
            outbox.stand();
            let ride = Ride::new(Role::Opener, &outbox, &*arrivals, self.end, &|_| {});
            ride.take(link).await;
        }
        self.lost(id, &outbox, was_had, &*arrivals);
    }

    /// A carrier, if there is one in time.
    async fn engage(&self) -> Option<Engaged> {
        let deadline = Instant::now() + PATIENCE;
        // It is never closed.
        let _turn = timeout_at(deadline.into(), self.takes.acquire()).await.ok()?.ok()?;
        let carrier = self.line.take(deadline).await.ok()?;
        carrier.engage().ok()
    }

    /// A connection of this end's flows is gone, or was not had: they go by others, and what had waited goes there.
    fn lost(&self, id: u64, outbox: &Arc<Outbox>, was_had: bool, arrivals: &dyn Arrivals) {
        let (mut places, mut ended) = (HashMap::new(), Vec::new());
        {
            let mut state = self.lock();
            for (flow, place) in state.own.lost(id, was_had, Instant::now()) {
                match (place, state.opens.get(&flow).cloned()) {
                    (Some(place), Some(open)) => {
                        let outbox = state.take_place(place);
                        outbox.tell(Frame::Flow(flow.0, open.to_vec()));
                        places.insert(flow, outbox);
                    }
                    _ => {
                        state.opens.remove(&flow);
                        ended.push(flow);
                    }
                }
            }
        }
        self.changed.notify_one();
        for (flow, datagram) in outbox.take_datagrams() {
            match places.get(&flow) {
                Some(outbox) => outbox.send(flow, datagram),
                None => arrivals.dropped(flow, 1),
            }
        }
        tell_dropped(outbox, arrivals);
        ended.into_iter().for_each(|flow| arrivals.ended(flow, FlowEnded::Refused(Cause::TunnelBusy, None)));
    }

    /// Has a carrier of the other end carry its flows.
    async fn follow(self: Arc<Self>, newcomer: Newcomer, arrivals: Arc<dyn Arrivals>) {
        let Newcomer { link, first } = newcomer;
        // The poller could not add it.
        let Ok(link) = link.open() else { return };
        let outbox = Arc::<Outbox>::default();
        outbox.stand();
        let on_flow = |flow: FlowNumber| {
            self.lock().others.insert(flow, outbox.clone());
        };
        let ride = Ride::new(Role::Other, &outbox, &*arrivals, opposite(self.end), &on_flow);
        ride.follow(link, first).await;
        // Its flows live on: the other end announces them on another connection.
        let _gone: Vec<_> =
            self.lock().others.extract_if(|_, of| Arc::ptr_eq(of, &outbox)).map(|(flow, _)| flow).collect();
        for (flow, _) in outbox.take_datagrams() {
            arrivals.dropped(flow, 1);
        }
        tell_dropped(&outbox, &*arrivals);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave it half-changed, so a poisoned lock is as good as a clean one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The connection of a flow that was just placed; one that is new is to be taken.
    fn take_place(&mut self, place: Place<Arc<Outbox>>) -> Arc<Outbox> {
        match place {
            Place::In(outbox) => outbox,
            Place::New(id, outbox) => {
                self.fresh.push((id, outbox.clone()));
                outbox
            }
        }
    }

    fn of(&self, flow: FlowNumber) -> Option<Arc<Outbox>> {
        self.own.of(flow).or_else(|| self.others.get(&flow)).cloned()
    }
}

impl Means for Tls {
    fn begin(&self, flow: FlowNumber, open: &Open) {
        let open: Arc<[u8]> = open.encode().into();
        let mut state = self.lock();
        let place = state.own.begin(flow);
        let outbox = state.take_place(place);
        // Within the lock, so that it stands before whatever follows, also where the connection is lost meanwhile.
        outbox.tell(Frame::Flow(flow.0, open.to_vec()));
        state.opens.insert(flow, open);
        drop(state);
        self.changed.notify_one();
    }

    fn send(&self, flow: FlowNumber, datagram: Bytes) -> bool {
        let outbox = self.lock().of(flow);
        let Some(outbox) = outbox else { return false };
        outbox.send(flow, datagram);
        true
    }

    fn end(&self, flow: FlowNumber, why: &FlowEnded) {
        let mut state = self.lock();
        let outbox = match is_of(flow, self.end) {
            true => {
                state.opens.remove(&flow);
                state.own.end(flow, Instant::now())
            }
            false => state.others.remove(&flow),
        };
        drop(state);
        if let Some(outbox) = outbox {
            outbox.forget(flow);
            outbox.tell(Frame::FlowEnd(flow.0, FlowEnd::of(why).encode()));
        }
    }
}

fn opposite(end: End) -> End {
    match end {
        End::Dialling => End::Accepting,
        End::Accepting => End::Dialling,
    }
}

async fn refuse(newcomer: Newcomer) {
    if let Ok(mut link) = newcomer.link.open() {
        tell_close(&mut link, CloseCode::Overload).await;
    }
}
