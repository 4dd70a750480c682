//! Carriers on which this end opens sessions: each is asked now and then whether it lives, and those that are too many are
//! closed. Only their opener closes idle carriers, so that no client meets one that is being closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use super::super::closing::tell_close;
use super::super::link::Pass;
use super::super::pool::{self, MAX_IDLE, Surplus};
use crate::transport::tunnel::carrier::{Broken, Carrier, FrameLink, Home, Received, Resting, Stay};
use crate::transport::tunnel::frame::{CloseCode, Frame};
use crate::transport::tunnel::line::Line;

/// How often the idle ones are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// One that was idle for longer is asked at the next look, and so every 30 s.
const ASK_AFTER: Duration = Duration::from_secs(25);

/// How long the answer may take: one that has not answered for 40 s is closed.
const ANSWER: Duration = Duration::from_secs(10);

/// The carriers of one control whose opener is this end.
pub(crate) struct Keeping {
    line: Arc<Line>,
    /// A session that outlives its control is still one of this key: each carrier with a session refers to this.
    _pass: Pass,
    /// The control has ended: what comes home is closed.
    is_over: AtomicBool,
    /// Those that are being asked, and so are not in the line.
    asked: AtomicUsize,
    lost: Notify,
}

impl Keeping {
    /// None yet.
    pub(crate) fn new(line: Arc<Line>, pass: Pass) -> Arc<Keeping> {
        Arc::new(Keeping {
            line,
            _pass: pass,
            is_over: false.into(),
            asked: AtomicUsize::new(0),
            lost: Notify::new(),
        })
    }

    /// The home of the carriers.
    pub(crate) fn home(self: &Arc<Self>) -> Arc<dyn Home> {
        Arc::new(Back(self.clone()))
    }

    /// How many there are without a session.
    pub(crate) fn idle(&self) -> usize {
        self.line.demand(Instant::now()).idle + self.asked.load(Relaxed)
    }

    /// How many should be idle: by what clients have asked for lately, and those that wait now. `least` are kept ready.
    pub(crate) fn wanted(&self, least: usize) -> usize {
        let demand = self.line.demand(Instant::now());
        (pool::ready(demand.takes, least) + demand.waiting).min(MAX_IDLE)
    }

    /// How many have begun to carry their first session since the last call.
    pub(crate) fn take_first_uses(&self) -> usize {
        self.line.take_first_uses()
    }

    /// Resolves once the demand may have changed. For one task alone. Cancel safe.
    pub(crate) async fn changed(&self) {
        tokio::select! {
            () = self.line.changed() => {}
            () = self.lost.notified() => {}
        }
    }

    /// Adds one; one too many is closed.
    pub(crate) fn add(&self, carrier: Carrier) {
        if self.is_over.load(Relaxed) {
            return;
        }
        // One that is not kept is closed by its drop.
        let _ = self.line.offer(carrier);
    }

    /// The control has ended.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Relaxed);
    }

    /// Asks and closes, for as long as it is polled. Cancel safe: those that are being asked then are closed.
    pub(crate) async fn run(self: Arc<Self>, least: impl Fn() -> usize) {
        let mut surplus = Surplus::default();
        let mut looks = interval(LOOK_EVERY);
        let mut asked = JoinSet::new();
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                Some(_) = asked.join_next() => continue,
            }
            let too_many = surplus.closes(self.idle(), self.wanted(least()), Instant::now());
            for (place, carrier) in self.take_old(too_many).into_iter().enumerate() {
                self.asked.fetch_add(1, Relaxed);
                match place < too_many {
                    true => asked.spawn(self.clone().close(carrier)),
                    false => asked.spawn(self.clone().ask(carrier)),
                };
            }
        }
    }

    /// Those that are to be asked, oldest first, and at least so many if there are.
    fn take_old(&self, least: usize) -> Vec<Carrier> {
        let mut old = self.line.take_idle_older_than(ASK_AFTER);
        if old.len() < least {
            old.extend(self.line.take_idle_older_than(Duration::ZERO));
        }
        old
    }

    async fn ask(self: Arc<Self>, carrier: Carrier) {
        let Carrier { link, peer, carried, home } = carrier;
        let answered = timeout(ANSWER, answer(link)).await;
        self.asked.fetch_sub(1, Relaxed);
        // Whatever broke it, it is of no more use.
        let Ok(Ok(link)) = answered else { return home.lost() };
        match link.rest() {
            Ok(link) => self.add(Carrier { link, peer, carried, home }),
            Err(_) => home.lost(),
        }
    }

    async fn close(self: Arc<Self>, carrier: Carrier) {
        self.asked.fetch_sub(1, Relaxed);
        if let Ok(mut link) = carrier.link.open() {
            tell_close(&mut link, CloseCode::Surplus).await;
        }
    }
}

async fn answer(link: Resting) -> Result<FrameLink, Broken> {
    let mut link = link.open().map_err(Broken::Io)?;
    link.queue(&Frame::Ping(0))?;
    match link.receive(1).await? {
        Received::Frame(Frame::Pong(0)) => Ok(link),
        Received::Frame(Frame::Close(_)) => Err(Broken::Closed),
        _ => Err(Broken::Protocol("no answer to PING".into())),
    }
}

/// The way back of a carrier to the line, if its control still lives.
struct Back(Arc<Keeping>);

impl Home for Back {
    fn taken(&self) {
        self.0.line.numbers().carriers_busy.rise();
    }

    fn left(&self) {
        self.0.line.numbers().carriers_busy.fall();
    }

    fn free(&self, carrier: Carrier) -> Option<Stay> {
        self.0.add(carrier);
        None
    }

    fn lost(&self) {
        self.0.lost.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::tunnel::carrier::testing::links;

    /// Whether an idle carrier whose other end says this to PING is of further use.
    async fn is_of_use(says: impl FnOnce(u32) -> Frame) -> bool {
        let (opener, mut other) = links().await;
        let asked = answer(opener.park().unwrap().into());
        let says = async {
            let Ok(Received::Frame(Frame::Ping(number))) = other.receive(1).await else { panic!("no PING") };
            other.queue(&says(number)).unwrap();
            other.flush().await.unwrap();
        };
        let (answered, ()) = timeout(2 * ANSWER, async { tokio::join!(asked, says) }).await.unwrap();
        answered.is_ok()
    }

    #[tokio::test]
    async fn an_idle_carrier_is_of_use_if_it_answers_what_it_was_asked() {
        assert!(is_of_use(Frame::Pong).await);
        assert!(!is_of_use(|number| Frame::Pong(number + 1)).await);
        assert!(!is_of_use(|_| Frame::Close(CloseCode::Stopping)).await);
        assert!(!is_of_use(|_| Frame::Opened).await);
    }
}
