//! Carriers on which the other end opens sessions: this end waits for OPEN on each that is idle, and answers PING. One on which
//! FLOW comes instead goes to the flows, and does not come back.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Instant;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::super::asked;
use super::super::closing::{LAST_WORD, tell_close};
use super::super::control::rates::Rates;
use super::super::datagrams::Hub;
use super::super::link::{Link, Pass};
use super::super::pool::MAX_IDLE;
use crate::engine::turn_away;
use crate::outcome::{End, Limit};
use crate::plan::RouteId;
use crate::transport::Incoming;
use crate::transport::tunnel::carrier::{Broken, Carrier, FrameLink, Home, Received, Stay};
use crate::transport::tunnel::frame::{CloseCode, Frame};
use crate::transport::tunnel::open::Open;

/// The carriers that may be held at one time: idle, and being refused. One more is closed.
pub(super) const MAX_HELD: usize = 2 * MAX_IDLE;

/// No body may come on an idle carrier; the shortest one that is refused has two bytes.
const NO_BODY: usize = 1;

/// The idle carriers of one control whose opener is the other end.
pub(crate) struct Waiting {
    link: Arc<Link>,
    pass: Pass,
    /// Where carriers of flows go.
    hub: Arc<Hub>,
    /// The same, for the way back of a carrier.
    itself: Weak<Waiting>,
    arrivals: mpsc::Sender<Carrier>,
    idle: AtomicUsize,
    /// Carriers that ended before they carried a session.
    lost_unused: AtomicUsize,
    first_uses: AtomicUsize,
    changed: Notify,
    /// Cancelled once the control has ended.
    over: CancellationToken,
}

/// What [`Waiting::run`] takes.
pub(crate) struct Arrivals(mpsc::Receiver<Carrier>);

impl Waiting {
    /// No carrier yet; each that is added must have been let in with this pass.
    pub(crate) fn new(link: Arc<Link>, pass: Pass, hub: Arc<Hub>) -> (Arc<Waiting>, Arrivals) {
        let (arrivals, inbox) = mpsc::channel(MAX_HELD);
        let waiting = Arc::new_cyclic(|itself: &Weak<Waiting>| Waiting {
            link,
            pass,
            hub,
            itself: itself.clone(),
            arrivals,
            idle: AtomicUsize::new(0),
            lost_unused: AtomicUsize::new(0),
            first_uses: AtomicUsize::new(0),
            changed: Notify::new(),
            over: CancellationToken::new(),
        });
        (waiting, Arrivals(inbox))
    }

    /// How many are idle.
    pub(crate) fn idle(&self) -> usize {
        self.idle.load(Relaxed)
    }

    /// How many have ended before they carried a session since the last call.
    pub(crate) fn take_lost_unused(&self) -> usize {
        self.lost_unused.swap(0, Relaxed)
    }

    /// How many have begun to carry their first session since the last call.
    pub(crate) fn take_first_uses(&self) -> usize {
        self.first_uses.swap(0, Relaxed)
    }

    /// Resolves once one was taken, lost or added since the last call. For one task alone. Cancel safe.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The home of the carriers.
    pub(crate) fn home(&self) -> Arc<dyn Home> {
        let (link, waiting) = (self.link.clone(), self.itself.clone());
        Arc::new(Back { link, waiting, _pass: self.pass.clone() })
    }

    /// Waits on one more carrier, which may come from any thread. One beyond [`MAX_HELD`], or after the control's end, is
    /// closed.
    pub(crate) fn add(&self, carrier: Carrier) {
        // Counted before it is sent, so that the count never falls below zero. Those in the channel count, too: its room is
        // for bursts, not for as many again.
        if self.is_one_more() && self.arrivals.try_send(carrier).is_err() {
            self.idle.fetch_sub(1, Relaxed);
        }
        self.changed.notify_one();
    }

    /// Waits on a carrier where its last session was carried, and where its next one will be: neither it nor its OPEN goes from
    /// one thread to another. `None` if it is closed.
    fn stay(self: Arc<Self>, carrier: Carrier) -> Option<Stay> {
        self.changed.notify_one();
        if self.over.is_cancelled() || !self.is_one_more() {
            return None;
        }
        let over = self.over.clone();
        Some(Box::pin(async move {
            // It may have been in a session as the control ended.
            over.run_until_cancelled(self.hold(carrier)).await;
        }))
    }

    /// Counts an idle carrier, if there may be one more.
    fn is_one_more(&self) -> bool {
        let is_one = self.idle.fetch_add(1, Relaxed) < MAX_HELD;
        if !is_one {
            self.idle.fetch_sub(1, Relaxed);
        }
        is_one
    }

    /// Waits on every carrier, for as long as it is polled. Cancel safe: what is held then is closed.
    pub(crate) async fn run(self: Arc<Self>, mut arrivals: Arrivals) {
        let _over = self.over.clone().drop_guard();
        let mut held = JoinSet::new();
        loop {
            tokio::select! {
                Some(carrier) = arrivals.0.recv(), if held.len() < MAX_HELD => {
                    held.spawn(self.clone().hold(carrier));
                }
                Some(_) = held.join_next() => {}
                else => return,
            }
        }
    }

    async fn hold(self: Arc<Self>, carrier: Carrier) {
        let Carrier { link, peer, carried, home } = carrier;
        let opened = match link.open() {
            Ok(mut frames) => wait(&mut frames).await.map(|first| (frames, first)),
            // The poller could not add it.
            Err(_) => None,
        };
        self.idle.fetch_sub(1, Relaxed);
        if carried == 0 {
            let count = if opened.is_some() { &self.first_uses } else { &self.lost_unused };
            count.fetch_add(1, Relaxed);
        }
        self.changed.notify_one();
        let (frames, content) = match opened {
            Some((frames, Frame::Open(content))) => (frames, content),
            // The carrier of flows alone from now on: to its home it is no longer one.
            Some((frames, flow)) => return self.hub.add(frames, flow),
            None => return,
        };
        let Ok(open) = Open::decode(&content) else { return close(frames, CloseCode::Protocol).await };
        match self.admitted(&open).await {
            Ok(route) => {
                // There is nothing of a message on it.
                let Ok(link) = frames.rest() else { return };
                let carrier = Carrier { link, peer, carried, home };
                self.carry(carrier, open, &route);
            }
            Err(end) => turn_away(frames, end, None, LAST_WORD).await,
        }
    }

    /// The route of a session, if the other end may have it.
    async fn admitted(&self, open: &Open) -> Result<RouteId, End> {
        let route = asked::route_for(&self.link, &open.to, open.protocol).await.map_err(End::NoTarget)?;
        if self.is_revoked() {
            return Err(End::Revoked);
        }
        if self.link.sessions.load(Relaxed) >= self.link.terms().tunnel.max_connections {
            return Err(End::Limited(Limit::Connections));
        }
        Ok(route)
    }

    /// The key is looked up at each session, as it may have been withdrawn since.
    fn is_revoked(&self) -> bool {
        self.pass.revoked.is_cancelled() || self.link.pass(&self.pass.key).is_none()
    }

    pub(super) fn carry(&self, carrier: Carrier, open: Open, route: &RouteId) {
        let terms = self.link.terms();
        let trust_client = terms.tunnel.trust_client;
        let incoming = Incoming::carried(carrier, open, self.link.name.clone(), trust_client);
        self.link.sessions.fetch_add(1, Relaxed);
        // The other end was told of a refusal, and the carrier's home that it is lost.
        let _ = self.link.engine.carry(route, incoming);
        // The key may have been withdrawn since it was looked up; the sweep that followed has not met this session, then.
        if self.is_revoked() {
            self.link.engine.revoke(&self.link.name);
        }
    }
}

/// Waits for OPEN or FLOW; resolves with it, or with nothing if the carrier has ended.
async fn wait(frames: &mut FrameLink) -> Option<Frame> {
    let mut rates = Rates::default();
    let broken = loop {
        match frames.receive(NO_BODY).await {
            Ok(Received::Frame(first @ (Frame::Open(_) | Frame::Flow(..)))) => return Some(first),
            Ok(Received::Frame(Frame::Ping(number))) if rates.ping(Instant::now()) => {
                if frames.queue(&Frame::Pong(number)).is_err() {
                    return None;
                }
            }
            Ok(Received::Frame(Frame::Close(_))) => return None,
            Ok(_) => break Broken::Protocol("a frame that has no place on an idle carrier".into()),
            Err(broken) => break broken,
        }
    };
    if let Broken::Protocol(why) = broken {
        tracing::debug!("a carrier is closed: {why}");
        tell_close(frames, CloseCode::Protocol).await;
    }
    None
}

async fn close(mut frames: FrameLink, code: CloseCode) {
    tell_close(&mut frames, code).await;
}

/// The way back of a carrier from its session to those that wait, if their control still lives.
struct Back {
    link: Arc<Link>,
    waiting: Weak<Waiting>,
    /// A session that outlives its control is still one of this key.
    _pass: Pass,
}

impl Home for Back {
    fn taken(&self) {
        self.link.line.numbers().carriers_busy.rise();
    }

    fn left(&self) {
        self.link.line.numbers().carriers_busy.fall();
    }

    fn free(&self, carrier: Carrier) -> Option<Stay> {
        self.link.sessions.fetch_sub(1, Relaxed);
        self.waiting.upgrade()?.stay(carrier)
    }

    fn lost(&self) {
        self.link.sessions.fetch_sub(1, Relaxed);
        if let Some(waiting) = self.waiting.upgrade() {
            waiting.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::transport::tunnel::carrier::testing::links;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// What the opener gets while this end waits, and what this end waited for.
    async fn answers(sent: &[Frame], more: &[u8]) -> (Vec<Frame>, Option<Frame>) {
        let (mut opener, mut frames) = links().await;
        for frame in sent {
            opener.queue(frame).unwrap();
        }
        if !more.is_empty() {
            opener.queue_message(more).unwrap();
        }
        let get = async {
            let mut got = Vec::new();
            while let Ok(Received::Frame(frame)) = opener.receive(NO_BODY).await {
                got.push(frame);
            }
            got
        };
        let waited = async {
            let first = wait(&mut frames).await;
            drop(frames);
            first
        };
        timeout(PATIENCE, async { tokio::join!(get, waited) }).await.unwrap()
    }

    #[tokio::test]
    async fn questions_are_answered_until_a_session_is_opened() {
        let (mut opener, mut frames) = links().await;
        let asks = async {
            for number in [3, 4] {
                opener.queue(&Frame::Ping(number)).unwrap();
                let answer = opener.receive(NO_BODY).await.unwrap();
                assert_eq!(answer, Received::Frame(Frame::Pong(number)));
            }
            opener.queue(&Frame::Open(b"whatever".to_vec())).unwrap();
            opener.flush().await.unwrap();
        };

        let (first, ()) = timeout(PATIENCE, async { tokio::join!(wait(&mut frames), asks) }).await.unwrap();

        assert_eq!(first, Some(Frame::Open(b"whatever".to_vec())));
    }

    #[tokio::test]
    async fn the_first_flow_is_waited_for_as_a_session_is() {
        let flow = Frame::Flow(2, b"whatever".to_vec());

        let (got, first) = answers(std::slice::from_ref(&flow), b"").await;

        assert_eq!((got, first), (Vec::new(), Some(flow)));
    }

    #[tokio::test]
    async fn whatever_has_no_place_on_an_idle_carrier_closes_it() {
        let closed = vec![Frame::Close(CloseCode::Protocol)];
        for out_of_turn in [Frame::End, Frame::Pong(0), Frame::Opened, Frame::Done, Frame::FlowEnd(2, vec![])]
        {
            assert_eq!(answers(&[out_of_turn], b"").await, (closed.clone(), None));
        }
        assert_eq!(answers(&[], b"a body").await, (closed.clone(), None));
        assert_eq!(answers(&[], b"b").await, (closed.clone(), None));

        let (got, content) = answers(&vec![Frame::Ping(0); 100], b"").await;
        assert_eq!((got.last(), content), (closed.last(), None), "more than two a second");
    }

    #[tokio::test]
    async fn a_carrier_that_its_opener_closes_is_gone_without_a_word() {
        assert_eq!(answers(&[Frame::Close(CloseCode::Surplus)], b"").await, (Vec::new(), None));
    }
}
