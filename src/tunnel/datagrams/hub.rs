//! The flows of one control, at one end: which there are, and by what each goes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::means::{Arrivals, Means};
use super::table::{Arrived, Began, Flow, Table};
use super::tls::{self, Tls};
use crate::outcome::{Cause, Way};
use crate::transport::tunnel::carrier::FrameLink;
use crate::transport::tunnel::datagram::MAX_DATAGRAM;
use crate::transport::tunnel::flows::{FlowCarrier, FlowEnded, FlowNumber, FlowSink};
use crate::transport::tunnel::frame::{Frame, Reason};
use crate::transport::tunnel::line::{DatagramDropped, Direction, FlowsBy};
use crate::transport::tunnel::message::End;
use crate::transport::tunnel::open::Open;
use crate::tunnel::link::{Link, Pass};
use crate::tunnel::quic::Flows;

/// The flows of the other end that may wait to be admitted.
const MAX_ASKED: usize = 256;

type Sink = Arc<dyn FlowSink>;

/// The flows.
pub(crate) struct Hub {
    pub(super) link: Arc<Link>,
    pub(super) pass: Pass,
    /// The same, for those that outlive it.
    itself: Weak<Hub>,
    state: Mutex<State>,
    tls: Arc<Tls>,
    asked: mpsc::Sender<FlowNumber>,
}

struct State {
    table: Table<Sink>,
    quic: Option<Arc<dyn Means>>,
    /// The control has ended.
    is_over: bool,
}

/// What [`Hub::run`] takes.
pub(crate) struct Inbox {
    tls: tls::Inbox,
    pub(super) asked: mpsc::Receiver<FlowNumber>,
}

impl Hub {
    /// No flow yet. `end` is this end; whatever the other end opens was let in with this pass.
    pub(crate) fn new(link: Arc<Link>, pass: Pass, end: End) -> (Arc<Hub>, Inbox) {
        let (tls, inbox) = Tls::new(link.line.clone(), end);
        let (asked, asks) = mpsc::channel(MAX_ASKED);
        let hub = Arc::new_cyclic(|itself: &Weak<Hub>| Hub {
            link,
            pass,
            itself: itself.clone(),
            state: Mutex::new(State { table: Table::new(end), quic: None, is_over: false }),
            tls: Arc::new(tls),
            asked,
        });
        (hub, Inbox { tls: inbox, asked: asks })
    }

    /// Carries flows by TLS and admits those of the other end, for as long as it is polled. Cancel safe: the connections are
    /// closed then. Whoever drops it calls [`Hub::end_all`].
    pub(crate) async fn run(self: Arc<Self>, inbox: Inbox) {
        let Inbox { tls, asked } = inbox;
        let arrivals = self.arrivals(FlowsBy::Tls);
        tokio::join!(self.tls.clone().run(tls, arrivals), self.admit(asked));
    }

    /// What takes that which comes by this.
    pub(crate) fn arrivals(&self, by: FlowsBy) -> Arc<dyn Arrivals> {
        Arc::new(By { hub: self.itself.clone(), by })
    }

    /// The flows, as QUIC connections know them.
    pub(crate) fn of_quic(&self) -> Flows {
        let hub = self.itself.clone();
        let set_quic = move |means| {
            if let Some(hub) = hub.upgrade() {
                hub.set_quic(means);
            }
        };
        Flows { arrivals: self.arrivals(FlowsBy::Quic), set_quic: Arc::new(set_quic) }
    }

    /// Datagrams go by this QUIC connection from now on, or by TLS again. Each flow of this end is announced there; what is on
    /// its way may be lost, but comes to no other flow, and not twice.
    pub(crate) fn set_quic(&self, quic: Option<Arc<dyn Means>>) {
        let (new, by) = self.newest(&quic);
        // Within the lock, so that no flow that ends meanwhile is announced behind its end.
        let mut state = self.lock();
        if state.is_over {
            return;
        }
        state.quic = quic;
        for (flow, open) in state.table.go_by(by, by == FlowsBy::Quic) {
            if by == FlowsBy::Quic {
                self.tls.leave(flow);
            }
            new.begin(flow, &open);
        }
    }

    /// The other end has begun a flow on this carrier, which was idle.
    pub(crate) fn add(&self, link: FrameLink, first: Frame) {
        self.tls.add(link, first);
    }

    /// The control has ended: so has every flow.
    pub(crate) fn end_all(&self) {
        let why = if self.pass.revoked.is_cancelled() { FlowEnded::Revoked } else { FlowEnded::Lost };
        let flows = {
            let mut state = self.lock();
            (state.is_over, state.quic) = (true, None);
            state.table.end_all()
        };
        for (number, flow) in flows {
            self.link.line.numbers().flows.fall();
            let left = self.left(number);
            if let Some(sink) = flow.sink {
                sink.dropped(left);
                sink.ended(why.clone());
            }
        }
    }

    /// What the other end asked for with this flow, if it lives and is not admitted.
    pub(super) fn asked_with(&self, flow: FlowNumber) -> Option<Arc<Open>> {
        self.lock().table.get(flow).filter(|flow| flow.sink.is_none()).map(|flow| flow.open.clone())
    }

    /// A flow of the other end was admitted.
    pub(super) fn admitted(&self, flow: FlowNumber, sink: Sink) {
        let admitted = self.lock().table.admit(flow, sink.clone(), Instant::now());
        // One that has ended meanwhile has told the engine nothing: it was not there yet.
        let Some((waited, late)) = admitted else { return sink.ended(FlowEnded::Ended(Reason::Reset)) };
        self.dropped(DatagramDropped::Early, late);
        waited.into_iter().for_each(|datagram| sink.arrived(datagram));
    }

    /// Ends a flow, and tells the other end why.
    pub(super) fn finish(&self, flow: FlowNumber, why: &FlowEnded) -> Option<Sink> {
        let mut state = self.lock();
        let ended = state.table.end(flow)?;
        let left = self.tell_end(&state, flow, &ended, why);
        drop(state);
        ended.sink.inspect(|sink| sink.dropped(left))
    }

    /// What was taken of a flow that ends now, and is not sent: it is dropped.
    fn left(&self, flow: FlowNumber) -> u64 {
        let left = self.tls.settle(flow);
        self.link.line.numbers().datagrams_dropped(DatagramDropped::Full).add(left);
        left
    }

    /// Tells the other end; returns how many datagrams are left that are not sent any more.
    fn tell_end(&self, state: &State, flow: FlowNumber, ended: &Flow<Sink>, why: &FlowEnded) -> u64 {
        let left = self.left(flow);
        self.link.line.numbers().flows.fall();
        let (by, _) = self.means(state, flow, ended.by);
        by.end(flow, why);
        self.tls.forget(flow);
        left
    }

    /// By what new flows go.
    fn newest(&self, quic: &Option<Arc<dyn Means>>) -> (Arc<dyn Means>, FlowsBy) {
        match quic {
            Some(quic) => (quic.clone(), FlowsBy::Quic),
            None => (self.tls.clone(), FlowsBy::Tls),
        }
    }

    /// By what a flow goes that was announced by this. What no TLS connection has goes by QUIC: one may announce a flow late,
    /// behind QUIC, and be closed as one without flows.
    fn means(&self, state: &State, flow: FlowNumber, by: FlowsBy) -> (Arc<dyn Means>, FlowsBy) {
        let is_by_tls = by == FlowsBy::Tls && self.tls.has(flow);
        self.newest(if is_by_tls { &None } else { &state.quic })
    }

    /// Ends the flow that has been idle for the longest, if there is one too many.
    fn make_room(&self, state: &mut State, of: FlowNumber) -> Option<(Sink, u64)> {
        let most = self.link.terms().tunnel.max_flows;
        let (flow, evicted) = state.table.evict(of, most)?;
        let left = self.tell_end(state, flow, &evicted, &FlowEnded::Ended(Reason::Evicted));
        Some((evicted.sink?, left))
    }

    pub(super) fn dropped(&self, why: DatagramDropped, count: usize) {
        self.link.line.numbers().datagrams_dropped(why).add(count as u64);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave it half-changed, so a poisoned lock is as good as a clean one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn began(&self, flow: FlowNumber, open: Open, by: FlowsBy) {
        let mut state = self.lock();
        if state.is_over {
            return;
        }
        match state.table.began(flow, Arc::new(open), by, Instant::now()) {
            Began::New => {}
            Began::Known | Began::Wrong => return,
            // It may have been announced before its end was heard.
            Began::Ended => {
                let (means, _) = self.means(&state, flow, by);
                return means.end(flow, &FlowEnded::Ended(Reason::Reset));
            }
        }
        self.link.line.numbers().flows.rise();
        let evicted = self.make_room(&mut state, flow);
        drop(state);
        tell(evicted, Reason::Evicted);
        if self.asked.try_send(flow).is_err() {
            self.finish(flow, &FlowEnded::Refused(Cause::TunnelBusy, None));
        }
    }

    fn arrived(&self, flow: FlowNumber, datagram: Bytes, by: FlowsBy) {
        self.link.line.numbers().datagrams(Direction::Received, by).add(1);
        let arrived = self.lock().table.arrived(flow, datagram, Instant::now());
        match arrived {
            Arrived::To(sink, datagram) => sink.arrived(datagram),
            Arrived::Waits(dropped) => self.dropped(DatagramDropped::Early, dropped),
            Arrived::Ended => self.dropped(DatagramDropped::Ended, 1),
        }
    }

    fn were_dropped(&self, flow: FlowNumber, count: u64) {
        self.link.line.numbers().datagrams_dropped(DatagramDropped::Full).add(count);
        let sink = self.lock().table.get(flow).and_then(|flow| flow.sink.clone());
        if let Some(sink) = sink {
            sink.dropped(count);
        }
    }

    /// The other end, or the connection, has ended a flow.
    fn ended(&self, flow: FlowNumber, why: FlowEnded) {
        let ended = self.lock().table.end(flow);
        let Some(ended) = ended else { return };
        self.link.line.numbers().flows.fall();
        let left = self.left(flow);
        self.tls.forget(flow);
        if let Some(sink) = ended.sink {
            sink.dropped(left);
            sink.ended(why);
        }
    }
}

/// Tells whoever takes the datagrams of a flow that it has ended, if there is somebody; so many were dropped with it.
fn tell(sink: Option<(Sink, u64)>, why: Reason) {
    if let Some((sink, left)) = sink {
        sink.dropped(left);
        sink.ended(FlowEnded::Ended(why));
    }
}

impl FlowCarrier for Hub {
    fn open(&self, open: Open, sink: Sink) -> Result<FlowNumber, Cause> {
        let mut state = self.lock();
        if state.is_over {
            return Err(Cause::TunnelDown);
        }
        let (means, by) = self.newest(&state.quic);
        let open = Arc::new(open);
        let flow = state.table.open(open.clone(), sink, by, Instant::now());
        self.link.line.numbers().flows.rise();
        let evicted = self.make_room(&mut state, flow);
        means.begin(flow, &open);
        drop(state);
        tell(evicted, Reason::Evicted);
        Ok(flow)
    }

    fn send(&self, flow: FlowNumber, datagram: Bytes) -> bool {
        if datagram.len() > MAX_DATAGRAM {
            self.dropped(DatagramDropped::TooBig, 1);
            return false;
        }
        let found = {
            let mut state = self.lock();
            let by = state.table.active(flow, Instant::now()).map(|flow| flow.by);
            by.map(|by| self.means(&state, flow, by))
        };
        let Some((means, by)) = found else {
            self.dropped(DatagramDropped::Ended, 1);
            return false;
        };
        let is_sent = means.send(flow, datagram);
        match is_sent {
            true => self.link.line.numbers().datagrams(Direction::Sent, by).add(1),
            false => self.dropped(DatagramDropped::Full, 1),
        }
        is_sent
    }

    fn end(&self, flow: FlowNumber, why: Reason) {
        self.finish(flow, &FlowEnded::Ended(why));
    }

    fn refuse(&self, flow: FlowNumber, why: Cause, words: Option<String>) {
        self.finish(flow, &FlowEnded::Refused(why, words));
    }

    fn way(&self) -> Way {
        if self.lock().quic.is_some() { Way::Quic } else { Way::Tls }
    }
}

/// What takes that which comes by one of the two.
struct By {
    hub: Weak<Hub>,
    by: FlowsBy,
}

impl Arrivals for By {
    fn began(&self, flow: FlowNumber, open: Open) {
        if let Some(hub) = self.hub.upgrade() {
            hub.began(flow, open, self.by);
        }
    }

    fn arrived(&self, flow: FlowNumber, datagram: Bytes) {
        if let Some(hub) = self.hub.upgrade() {
            hub.arrived(flow, datagram, self.by);
        }
    }

    fn dropped(&self, flow: FlowNumber, count: u64) {
        if let Some(hub) = self.hub.upgrade() {
            hub.were_dropped(flow, count);
        }
    }

    fn ended(&self, flow: FlowNumber, why: FlowEnded) {
        if let Some(hub) = self.hub.upgrade() {
            hub.ended(flow, why);
        }
    }
}
