//! One connection's life, from accept to Outcome. This file is the heart: read it first.
//!
//! A session is carried in steps, and a record's `phase` names the step it ended in: *connect* reaches the target, *relay*
//! moves the bytes. (Identify, admit and secure will stand before them, greet between them.)

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::time::timeout_at;

use super::context::{Seat, Serving};
use super::targets::{Target, Unreached, breathe};
use crate::ledger::Entry;
use crate::outcome::{Attempt, End, Kernel, Outcome, Phase, Side, Timing};
use crate::relay::{Relayed, abort, relay};
use crate::sys;
use crate::transport::{Arrived, Stream};

/// What a session holds from its accept to its record.
pub(super) struct Session {
    pub(super) serving: Arc<Serving>,
    pub(super) entry: Entry,
    pub(super) seat: Seat,
}

// The futures below are blocks, not `async fn`s, and what they await is lent to them, not given: an async fn keeps its
// arguments twice, and a future that was moved into another takes its room twice. Each idle session would pay.

/// Carries one accepted connection along its route to its end. The record is written when both sockets are closed, and
/// the seat is given back after that: who has all seats has all records.
#[allow(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
pub(super) fn carry(client: Arrived, session: Session) -> impl Future<Output = ()> + Send + 'static {
    async move {
        // Dropped unclosed, the entry says `internal`: the poller would not take the socket.
        let Ok(client) = client.open() else { return };
        let mut trip = Trip::default();
        let finish = {
            let unfinished = Unfinished(&client);
            let finish = steps(&client, &session, &mut trip).await;
            if finish.end == End::Done {
                unfinished.disarm();
            }
            finish
        };
        drop(client);
        let Session { serving, entry, seat } = session;
        let outcome = trip.outcome(finish, &serving.target, &entry);
        entry.close(outcome);
        drop(seat);
    }
}

#[allow(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
fn steps(client: &Stream, session: &Session, trip: &mut Trip) -> impl Future<Output = Finish> + Send {
    async move {
        let mut cut = pin!(session.seat.cx.cut.cancelled());
        // Boxed: what a dial needs is given back before the bytes begin to move.
        let target = {
            let mut connecting = Box::pin(connect(client, &session.serving, trip));
            match unless(cut.as_mut(), connecting.as_mut()).await {
                Some(Ok(target)) => target,
                Some(Err(end)) => return end.into(),
                None => return End::Drained.into(),
            }
        };
        let unfinished = Unfinished(&target);
        let _open = session.entry.meter().open(client, &target);
        let linger = &session.serving.route.reset_linger;
        let relayed = unless(cut, pin!(relay(client, &target, session.entry.meter(), linger))).await;
        if relayed.is_none() {
            abort(client, &target, session.entry.meter());
        }
        // What its close is to be has been decided by now.
        unfinished.disarm();
        let mut finish = relayed.map_or(End::Drained.into(), Finish::from);
        if session.seat.cx.ledger.wants_kernel_facts() {
            finish.kernel = kernel(client, &target);
        }
        finish
    }
}

/// Does `work`, or gives it up with `None` once the stop has waited long enough.
fn unless<T>(
    mut cut: Pin<&mut impl Future<Output = ()>>,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> impl Future<Output = Option<T>> {
    poll_fn(move |task| match work.as_mut().poll(task) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => cut.as_mut().poll(task).map(|()| None),
    })
}

/// Reaches the target, unless the client goes first.
async fn connect(client: &Stream, serving: &Arc<Serving>, trip: &mut Trip) -> Result<Stream, End> {
    tokio::select! {
        // A dial on this machine is over at the first look, and then the client is not watched at all.
        biased;
        reached = reach(serving, trip) => reached,
        // A FIN is no reason to go: the client may have sent its whole request. A reset is.
        _ = client.ready(Interest::ERROR) => Err(End::ClientGone),
    }
}

/// Dials the target; where it is down and the route says so, waits for it.
async fn reach(serving: &Arc<Serving>, trip: &mut Trip) -> Result<Stream, End> {
    let dial = &serving.route.dial;
    let began = Instant::now();
    let deadline = began + dial.wait_for_target;
    loop {
        let failed = match serving.target.reach(dial, &mut trip.attempts).await {
            Ok((target, _)) => {
                trip.connect = Some(began.elapsed());
                return Ok(target);
            }
            Err(failed) => failed,
        };
        if !failed.cause.blames_target() || Instant::now() >= deadline {
            return Err(End::NoTarget(failed.cause));
        }
        wait_for_target(serving, deadline, failed).await?;
        trip.forget_old_attempts();
    }
}

/// Holds the client until its target is back or the wait is over.
async fn wait_for_target(serving: &Serving, deadline: Instant, failed: Unreached) -> Result<(), End> {
    let _waits = serving.target.client_waits();
    let back = async {
        breathe().await;
        serving.target.up().await;
    };
    timeout_at(deadline.into(), back).await.map_err(|_| End::NoTarget(failed.cause))
}

fn kernel(client: &Stream, target: &Stream) -> Option<Kernel> {
    let (client, target) = (sys::tcp_info(client).ok()?, sys::tcp_info(target).ok()?);
    Some(Kernel {
        client_rtt_us: client.round_trip_us,
        target_rtt_us: target.round_trip_us,
        client_retransmits: client.retransmits,
        target_retransmits: target.retransmits,
    })
}

/// What is known by now about why a session ended as it did.
fn hint(target: &Target, end: End, closed_by: Option<Side>) -> Option<Arc<str>> {
    match end {
        End::NoTarget(cause) => target.hint(cause),
        End::TargetReset | End::TargetLost => target.cut_by_death(Instant::now()),
        _ if closed_by == Some(Side::Target) && target.has_died() => target.cut_by_death(Instant::now()),
        _ => None,
    }
}

/// Makes the close of a connection a reset unless its session has come to its end, whatever keeps it from that: where a
/// bug unwinds, too, a cut answer must not look whole.
struct Unfinished<'s>(&'s Stream);

impl Unfinished<'_> {
    fn disarm(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.0.reset_on_close();
    }
}

/// What is noted on the way.
#[derive(Default)]
struct Trip {
    attempts: Vec<Attempt>,
    connect: Option<Duration>,
}

/// What the last step came to.
struct Finish {
    end: End,
    first_byte: Option<Instant>,
    closed_by: Option<Side>,
    kernel: Option<Kernel>,
}

impl From<End> for Finish {
    fn from(end: End) -> Finish {
        Finish { end, first_byte: None, closed_by: None, kernel: None }
    }
}

impl From<Relayed> for Finish {
    fn from(it: Relayed) -> Finish {
        Finish { end: it.end, first_byte: it.first_byte, closed_by: it.closed_by, kernel: None }
    }
}

/// The attempts of one session that its record keeps.
const MOST_ATTEMPTS: usize = 32;

impl Trip {
    fn forget_old_attempts(&mut self) {
        let excess = self.attempts.len().saturating_sub(MOST_ATTEMPTS);
        self.attempts.drain(..excess);
    }

    fn outcome(self, finish: Finish, target: &Target, entry: &Entry) -> Outcome {
        let started = entry.started();
        Outcome {
            end: finish.end,
            phase: if self.connect.is_some() { Phase::Relay } else { Phase::Connect },
            closed_by: finish.closed_by,
            target: self.attempts.last().map(|attempt| attempt.address.clone()),
            attempts: self.attempts,
            traffic: entry.meter().traffic(),
            timing: Timing {
                connect: self.connect,
                first_byte: finish.first_byte.map(|at| at.saturating_duration_since(started)),
                total: started.elapsed(),
            },
            way: entry.meter().way(),
            datagrams: None,
            kernel: finish.kernel,
            hint: hint(target, finish.end, finish.closed_by),
        }
    }
}
