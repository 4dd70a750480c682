//! One connection's life, from accept to Outcome. This file is the heart: read it first.
//!
//! A session is carried in steps, and a record's `phase` names the step it ended in: *connect* reaches the target, *relay*
//! moves the bytes. (Identify, admit and secure will stand before them, greet between them.)

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::time::timeout_at;

use super::context::{Context, Serving};
use super::targets::{Target, Unreached, breathe};
use crate::ledger::Entry;
use crate::outcome::{Attempt, End, Kernel, Outcome, Phase, Side, Timing};
use crate::relay::{abort, relay};
use crate::sys;
use crate::transport::{Accepted, Stream};

/// Carries one accepted connection along its route to its end. The record is written when both sockets are closed.
pub(super) async fn carry(accepted: Accepted, serving: Arc<Serving>, cx: Arc<Context>) {
    let (route, target) = (serving.name.clone(), serving.written_target.clone());
    let entry = cx.ledger.open(route, target, accepted.client, Instant::now());
    // Dropped unclosed, the entry says `internal`: the poller would not take the socket.
    let Ok(client) = accepted.open() else { return };
    let mut trip = Trip::default();
    let end = steps(&client, &serving, &cx, &entry, &mut trip).await;
    if end != End::Done {
        client.reset_on_close();
    }
    drop(client);
    trip.hint = hint(&serving.target, end, trip.closed_by);
    let outcome = trip.outcome(end, &entry);
    entry.close(outcome);
}

async fn steps(client: &Stream, serving: &Arc<Serving>, cx: &Context, entry: &Entry, trip: &mut Trip) -> End {
    // Boxed: what a dial needs is given back before the bytes begin to move, and an idle session stays small.
    let connecting = Box::pin(connect(client, serving, trip));
    let target = match cx.cut.run_until_cancelled(connecting).await {
        Some(Ok(target)) => target,
        Some(Err(end)) => return end,
        None => return End::Drained,
    };
    trip.phase = Some(Phase::Relay);
    let relaying = relay(client, &target, entry.meter(), serving.route.reset_linger);
    let end = match cx.cut.run_until_cancelled(relaying).await {
        Some(relayed) => {
            trip.closed_by = relayed.closed_by;
            trip.first_byte = relayed.first_byte;
            relayed.end
        }
        None => {
            abort(client, &target, entry.meter());
            End::Drained
        }
    };
    if cx.ledger.wants_kernel_facts() {
        trip.kernel = kernel(client, &target);
    }
    end
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

/// What is noted on the way.
#[derive(Default)]
struct Trip {
    phase: Option<Phase>,
    attempts: Vec<Attempt>,
    connect: Option<Duration>,
    first_byte: Option<Instant>,
    closed_by: Option<Side>,
    kernel: Option<Kernel>,
    hint: Option<Arc<str>>,
}

/// The attempts of one session that its record keeps.
const MOST_ATTEMPTS: usize = 32;

impl Trip {
    fn forget_old_attempts(&mut self) {
        let excess = self.attempts.len().saturating_sub(MOST_ATTEMPTS);
        self.attempts.drain(..excess);
    }

    fn outcome(self, end: End, entry: &Entry) -> Outcome {
        let started = entry.started();
        Outcome {
            end,
            phase: self.phase.unwrap_or(Phase::Connect),
            closed_by: self.closed_by,
            target: self.attempts.last().map(|attempt| attempt.address.clone()),
            attempts: self.attempts,
            traffic: entry.meter().traffic(),
            timing: Timing {
                connect: self.connect,
                first_byte: self.first_byte.map(|at| at.saturating_duration_since(started)),
                total: started.elapsed(),
            },
            way: entry.meter().way(),
            datagrams: None,
            kernel: self.kernel,
            hint: self.hint,
        }
    }
}
