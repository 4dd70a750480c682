//! Both directions of a session, polled together by its one task.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::broken::{Broken, Trouble};
use super::direction::Direction;
use super::half::Half;
use super::reset::{FIRST_PAUSE, LONGEST_LOOK, acknowledged, reset_after};
use super::throttle::Throttle;
use crate::ledger::{FlowMeter, Meter};
use crate::outcome::{End, Side};
use crate::transport::Stream;

/// How long a session that has ended on both sides waits for the proof that its last bytes have arrived. An other end
/// acknowledges within a fifth of a second, and a trip around the world takes another; one that reads slowly gets the rest
/// from the kernel, as before.
const LONGEST_PROOF: Duration = Duration::from_secs(1);

/// How long the alert to an end that broke its protocol may take to be acknowledged, since a reset discards it; an end
/// that reads nothing does not keep the session for longer.
const ALERT_LINGER: Duration = Duration::from_secs(1);

/// Two halves and the bytes that move between them, each direction within its throttle.
pub(super) struct Pump<'a, C, T, L> {
    client: C,
    target: T,
    meter: &'a Meter,
    up: Direction<L>,
    down: Direction<L>,
    /// Whether this half is watched for errors that no read or write meets.
    watches_client: bool,
    watches_target: bool,
}

impl<'a, C: Half, T: Half, L: Throttle> Pump<'a, C, T, L> {
    pub(super) fn new(client: C, target: T, meter: &'a Meter, [up, down]: [L; 2]) -> Self {
        let (up, down) = (Direction::new(up), Direction::new(down));
        Pump { client, target, meter, up, down, watches_client: false, watches_target: false }
    }

    /// Runs until both sides have ended, or one connection breaks.
    pub(super) async fn run(&mut self) -> Result<(), Broken> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        // A break of one direction ends the turn: the kernel reports a reset once, and to a later read the reset looks
        // like a FIN, which must not be passed on.
        let broken = self.poll_up(cx).or_else(|| self.poll_down(cx));
        self.note_order(broken.as_ref());
        if let Some(broken) = broken {
            return Poll::Ready(Err(broken));
        }
        if self.up.is_done() && self.down.is_done() {
            return Poll::Ready(Ok(()));
        }
        if self.poll_abandoned(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        self.poll_watch(cx).map(Err)
    }

    fn poll_up(&mut self, cx: &mut Context<'_>) -> Option<Broken> {
        let (client, target, flow) = (&mut self.client, &mut self.target, &self.meter.up);
        let is_last = self.down.is_done();
        let mut answer = self.up.poll(cx, client, target, flow, is_last);
        // Many clients close this way after the target's end: then nothing they wanted was truncated.
        if is_last && matches!(&answer, Poll::Ready(Err(fault)) if fault.is_cut()) {
            self.up.end();
            answer = self.up.poll(cx, client, target, flow, is_last);
        }
        if client.is_cut() {
            flow.cut();
        }
        match answer {
            Poll::Ready(Err(fault)) => Some(fault.of(Side::Client)),
            Poll::Ready(Ok(())) | Poll::Pending => None,
        }
    }

    fn poll_down(&mut self, cx: &mut Context<'_>) -> Option<Broken> {
        let (client, target, flow) = (&mut self.client, &mut self.target, &self.meter.down);
        let answer = self.down.poll(cx, target, client, flow, self.up.is_done());
        if flow.flow().read > 0 {
            // A clock read only for the first byte of a session.
            self.meter.first_byte.get_or_init(Instant::now);
        }
        if target.is_cut() {
            flow.cut();
        }
        match answer {
            Poll::Ready(Err(fault)) => Some(fault.of(Side::Target)),
            Poll::Ready(Ok(())) | Poll::Pending => None,
        }
    }

    fn note_order(&mut self, broken: Option<&Broken>) {
        let first = match (self.up.has_ended(), self.down.has_ended(), broken) {
            (true, ..) => Side::Client,
            (_, true, _) => Side::Target,
            // This counts as an end all the same.
            (.., Some(broken)) if broken.is_cut() => broken.side,
            _ => return,
        };
        self.meter.closed_by.get_or_init(|| first);
    }

    /// Ready once the side that has ended is known to have closed altogether, and nothing is kept for it. Then nobody is left
    /// to carry bytes to: the close that follows has the kernel of the other side's connection refuse them at once, as the
    /// kernel of the closed one would. To read them first would be too late: with a FIN behind them, no reset could follow.
    ///
    /// A reader that has not taken everything yet is not left to the kernel, which gives up a paused one after minutes.
    fn poll_abandoned(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Pump { client, target, meter, up, down, .. } = self;
        let in_flight = match [up.is_done(), down.is_done()] {
            [false, true] if client.refuses_by_close() && !up.is_deaf(target.is_behind()) => {
                ready!(target.poll_abandoned(cx));
                client.in_flight(meter.down.has_sent_end())
            }
            [true, false] if target.refuses_by_close() && !down.is_deaf(client.is_behind()) => {
                ready!(client.poll_abandoned(cx));
                target.in_flight(meter.up.has_sent_end())
            }
            _ => return Poll::Pending,
        };
        if in_flight == 0 { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether a pump that has run came to its end because one side was closed altogether.
    pub(super) fn is_abandoned(&self) -> bool {
        self.up.is_done() != self.down.is_done()
    }

    /// After an end, while a sink takes nothing or a turn is waited for, a reset of the source shows only as EPOLLERR,
    /// because the source is not read. One that is read reports it to the read.
    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        self.watches_client |= self.up.is_deaf(self.target.is_behind());
        self.watches_target |= self.down.is_deaf(self.client.is_behind());
        if self.watches_client
            && let Poll::Ready(trouble) = self.client.poll_broken(cx)
        {
            return Poll::Ready(Broken { side: Side::Client, trouble });
        }
        if !self.watches_target {
            return Poll::Pending;
        }
        self.target.poll_broken(cx).map(|trouble| Broken { side: Side::Target, trouble })
    }

    /// Whether both ends are proven, of a session that has come to its end: nobody is known to have refused what was written
    /// last, and nothing of it is on its way.
    ///
    /// The kernel takes bytes for an other end that has closed long before, and learns only then that nobody wants them.
    pub(super) fn ask(&mut self) -> Result<bool, Broken> {
        let Pump { client, target, meter, .. } = self;
        let sockets = client.spliceable().zip(target.spliceable());
        if sockets.is_none_or(|(client, target)| Stream::have_errors([client, target])) {
            let error = |half: &mut dyn Half, side| match half.take_error() {
                Some(trouble) => Err(Broken { side, trouble }),
                None => Ok(()),
            };
            error(client, Side::Client)?;
            error(target, Side::Target)?;
        }
        let (up, down) = (meter.up.has_sent_end(), meter.down.has_sent_end());
        Ok(target.in_flight(up) == 0 && client.in_flight(down) == 0)
    }

    /// Ends a session that broke, or whose end is not proven yet.
    pub(super) async fn conclude(
        &mut self,
        ended: Result<(), Broken>,
        linger: Duration,
    ) -> (End, Option<Arc<str>>) {
        let ended = match ended {
            Ok(()) => self.prove(linger.min(LONGEST_PROOF)).await,
            broken => broken,
        };
        match ended {
            Ok(()) => (End::Done, None),
            Err(broken) => self.pass_on(broken, linger).await,
        }
    }

    /// Waits until what was written last is acknowledged, or `limit` is over: then the kernel goes on alone.
    async fn prove(&mut self, limit: Duration) -> Result<(), Broken> {
        // The end that was left to the close goes first: its receiver is not to wait for this, and acknowledges it at once.
        let Pump { client, target, meter, up, down, .. } = self;
        // Nobody is left to read the end of a direction that was given up; it is sent to be answered alone, and anything
        // before it, such as close_notify, would be answered with a reset instead.
        if !down.is_done() {
            client.end_as_cut();
        }
        if !up.is_done() {
            target.end_as_cut();
        }
        send_end(client, &meter.down).await.map_err(|trouble| Broken { side: Side::Client, trouble })?;
        send_end(target, &meter.up).await.map_err(|trouble| Broken { side: Side::Target, trouble })?;
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        while !self.ask()? && began.elapsed() < limit {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_LOOK);
        }
        Ok(())
    }

    /// Delivers to the other side what the broken one sent before, waits until that is acknowledged, then resets both.
    /// After `linger` it resets all the same, and the bytes that destroys are counted as lost. Nothing else is waited
    /// for. Returns the end of the session, and a description if it needs one.
    pub(super) async fn pass_on(&mut self, broken: Broken, linger: Duration) -> (End, Option<Arc<str>>) {
        let Pump { client, target, meter, up, down, .. } = self;
        // Behind the ends of both sides, a reset is the answer to what came too late: whoever has received our FIN sends none.
        // Only its name is another then, ECONNRESET.
        let is_behind_both = match broken.side {
            Side::Client => up.has_ended() && meter.down.has_sent_end(),
            Side::Target => down.has_ended() && meter.up.has_sent_end(),
        };
        let refused_by = (broken.is_refusal() || is_behind_both).then_some(broken.side);
        // A timeout needs no handling of its own: the reset accounts for what is left.
        let _ = match broken.side {
            Side::Client => timeout(linger, deliver_rest(up, client, target, &meter.up, &broken)).await,
            Side::Target => timeout(linger, deliver_rest(down, target, client, &meter.down, &broken)).await,
        };
        if broken.is_of_protocol() {
            let patience = linger.min(ALERT_LINGER);
            let _ = match broken.side {
                Side::Client => timeout(patience, acknowledged(client, meter.down.has_sent_end())).await,
                Side::Target => timeout(patience, acknowledged(target, meter.up.has_sent_end())).await,
            };
        }
        // What the half has read since says more.
        let told = match broken.side {
            Side::Client => client.told(),
            Side::Target => target.told(),
        };
        let broken = Broken { trouble: told.unwrap_or(broken.trouble), ..broken };
        let end = broken.end();
        reset_after(client, target, meter, end, refused_by);
        (end, broken.description())
    }
}

/// Sends the end that was left to the drop of the half.
async fn send_end(half: &mut impl Half, flow: &FlowMeter) -> Result<(), Trouble> {
    if !flow.has_sent_end() && half.in_flight(false) > 0 {
        poll_fn(|cx| half.poll_end(cx, false)).await?;
        flow.sends_end();
    }
    Ok(())
}

/// Reads the source to its end, passes everything on and waits until it is acknowledged. The end is not passed on:
/// before a reset it would make a truncated answer look complete.
///
/// A source that may be open would not come to an end: what it has sent by now is all.
async fn deliver_rest<S: Half, K: Half, L: Throttle>(
    direction: &mut Direction<L>,
    source: &mut S,
    sink: &mut K,
    flow: &FlowMeter,
    broken: &Broken,
) {
    if broken.may_be_open() {
        source.shut_read();
    }
    poll_fn(|cx| source.poll_last_words(cx)).await;
    // What precedes a reset would be late if it waited for its turn.
    direction.lift();
    let is_whole = poll_fn(|cx| match direction.poll_bytes(cx, source, sink, flow) {
        // The source's error is the break itself; after it, only what is kept is left to write.
        Poll::Ready(Err(fault)) if fault.is_of_source() => {
            direction.end();
            direction.poll_bytes(cx, source, sink, flow)
        }
        answer => answer,
    });
    if is_whole.await.is_ok() {
        acknowledged(sink, flow.has_sent_end()).await;
    }
}
