//! The step *connect*: chooses a target for a session and reaches it, or the next one; and waits where all are down and
//! the route says so.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::time::{timeout, timeout_at};

use super::context::Serving;
use super::pool::Tried;
use super::targets::{Unreached, breathe};
use super::trip::{Aim, Trip};
use crate::address::Address;
use crate::balance::{Check, Key};
use crate::ledger::Entry;
use crate::outcome::{Cause, End};
use crate::transport::Stream;

/// A client is tried to be carried to one target after another for as many times `connect_timeout`, however many there
/// are: those that refuse cost nothing, those that swallow every packet a whole timeout each.
const MOST_TIMEOUTS: u32 = 3;

/// Reaches a target, unless the client goes first.
pub(super) async fn connect(
    client: &Stream,
    serving: &Serving,
    entry: &Entry,
    trip: &mut Trip,
) -> Result<Stream, End> {
    tokio::select! {
        // A dial on this machine is over at the first look, and then the client is not watched at all.
        biased;
        reached = reach(serving, entry, trip) => reached,
        // A FIN is no reason to go: the client may have sent its whole request. A reset is.
        _ = client.ready(Interest::ERROR) => Err(End::ClientGone),
    }
}

/// Reaches a target; where none can be and the route says so, waits for one.
async fn reach(serving: &Serving, entry: &Entry, trip: &mut Trip) -> Result<Stream, End> {
    let began = Instant::now();
    let deadline = began + serving.route.dial.wait_for_target;
    loop {
        let reached = match serving.pool.only() {
            Some(_) => dial(serving, entry, 0, serving.route.dial.connect_timeout, trip).await,
            // Boxed, so that a route with one target has no room for what this needs.
            None => Box::pin(dial_one_of(serving, entry, trip)).await,
        };
        let failed = match reached {
            Ok(target) => {
                trip.reached(began.elapsed());
                return Ok(target);
            }
            Err(failed) => failed,
        };
        if !failed.cause.blames_target() || Instant::now() >= deadline {
            return Err(End::NoTarget(failed.cause));
        }
        wait_for_target(serving, deadline, failed).await?;
        trip.attempts.forget_old();
    }
}

/// Dials the target at this place.
async fn dial(
    serving: &Serving,
    entry: &Entry,
    place: usize,
    patience: Duration,
    trip: &mut Trip,
) -> Result<Stream, Unreached> {
    let target = serving.pool.at(place);
    trip.aim = Some(Aim::at(target));
    entry.aim(serving.pool.number(place));
    let reached = target.reach(&serving.route.dial, patience, &mut trip.attempts).await;
    let (stream, address) = reached?;
    if let Address::Net(address) = address {
        // It fails only on a connection that is dead already, which the first read will say better.
        let _ = serving.route.upkeep.set_up(&stream, address.ip());
    }
    Ok(stream)
}

/// Dials one target after another, each chosen by the route's rule among those that have not failed this client, until
/// one answers. Of several failures one that blames a target is told before any other, and else the last.
async fn dial_one_of(serving: &Serving, entry: &Entry, trip: &mut Trip) -> Result<Stream, Unreached> {
    let Serving { route, pool, .. } = serving;
    let client = Key::of_client(entry.behind());
    let until = Instant::now() + route.dial.connect_timeout * MOST_TIMEOUTS;
    let mut tried = Tried::default();
    let mut told: Option<Unreached> = None;
    loop {
        let now = Instant::now();
        let patience = until.saturating_duration_since(now).min(route.dial.connect_timeout);
        let trial = if tried.is_empty() { pool.trial(now) } else { None };
        let place = trial.or_else(|| pool.pick(client, &tried, now)).filter(|_| !patience.is_zero());
        let Some(place) = place else {
            return Err(told.unwrap_or(Unreached { cause: Cause::NoAddress }));
        };
        tried.add(place);
        match dial(serving, entry, place, patience, trip).await {
            Ok(target) => return Ok(target),
            // Without a descriptor no other can be dialled either.
            Err(failed) if matches!(failed.cause, Cause::NoDescriptor | Cause::NoMemory) => {
                return Err(failed);
            }
            Err(failed) => told = Some(failed.after(told)),
        }
        trip.attempts.forget_old();
    }
}

/// Holds the client until a target may be back or the wait is over.
async fn wait_for_target(serving: &Serving, deadline: Instant, failed: Unreached) -> Result<(), End> {
    let _waits: Vec<_> = serving.pool.open().map(|target| target.client_waits()).collect();
    let health = &serving.route.health;
    let back = async {
        breathe().await;
        match health.check {
            // Nobody looks: only another dial can tell.
            Check::None => drop(timeout(health.interval, any_up(serving)).await),
            Check::Connect | Check::Listen => any_up(serving).await,
        }
    };
    timeout_at(deadline.into(), back).await.map_err(|_| End::NoTarget(failed.cause))
}

/// Resolves once one of the targets is not down, as far as is known. Cancel safe.
async fn any_up(serving: &Serving) {
    type Up<'s> = Pin<Box<dyn Future<Output = ()> + Send + 's>>;
    let mut ups: Vec<Up<'_>> = serving.pool.open().map(|target| Box::pin(target.up()) as Up<'_>).collect();
    poll_fn(|task| {
        let is_up = ups.iter_mut().any(|up| up.as_mut().poll(task).is_ready());
        if is_up { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
