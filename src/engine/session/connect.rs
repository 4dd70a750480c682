//! The step *connect*: chooses a target for a session, reaches it and has it greeted, or the next one; and waits where all
//! are down and the route says so.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time::{timeout, timeout_at};

use super::greet::greet;
use super::progress::{Progress, TargetGuard};
use super::state::{Caller, is_gone};
use crate::balance::{Check, Key};
use crate::engine::runtime::context::RouteRuntime;
use crate::engine::targets::health::Event;
use crate::engine::targets::pool::Tried;
use crate::engine::targets::reach::{Unreached, breathe};
use crate::outcome::{Cause, End, Phase};
use crate::plan::Route;
use crate::transport::Link;
use crate::transport::tls::Sealed;

/// A client is tried to be carried to one target after another for as many times `connect_timeout`, and as many times
/// `handshake_timeout`, however many there are: those that refuse cost nothing, those that swallow every packet a whole
/// timeout each.
const MAX_TIMEOUTS: u32 = 3;

/// A target, and what its bytes go through where it speaks TLS.
type Reached = (Link, Option<Box<Sealed>>);

/// Reaches a target and greets it, unless the client goes first.
pub(crate) async fn connect(caller: &Caller<'_>, progress: &mut Progress) -> Result<Reached, End> {
    tokio::select! {
        // A dial on this machine is over at the first look, and then the client is not watched at all.
        biased;
        reached = reach(caller, progress) => reached,
        // A FIN is no reason to go: the client may have sent its whole request. A reset is.
        () = is_gone(caller.client) => Err(End::ClientGone),
    }
}

/// Reaches a target; where none can be and the route says so, waits for one.
async fn reach(caller: &Caller<'_>, progress: &mut Progress) -> Result<Reached, End> {
    let runtime = caller.runtime;
    let began = Instant::now();
    let deadline = began + runtime.route.dial.wait_for_target;
    loop {
        let reached = match runtime.pool.only() {
            Some(_) => dial(caller, 0, runtime.route.dial.connect_timeout, progress).await,
            // Boxed, so that a route with one target has no room for what this needs.
            None => Box::pin(dial_one_of(caller, progress)).await,
        };
        let failed = match reached {
            Ok(target) => {
                progress.reached(began.elapsed());
                return Ok(target);
            }
            Err(failed) => failed,
        };
        let is_ours = !failed.cause.blames_target();
        if is_ours || Instant::now() >= deadline || !is_back(runtime, deadline).await {
            failed.words.into_iter().for_each(|words| caller.session.entry.hint(words));
            return Err(End::NoTarget(failed.cause));
        }
        progress.attempts.forget_old();
    }
}

/// Dials the target at this place, and greets it.
async fn dial(
    caller: &Caller<'_>,
    place: usize,
    patience: Duration,
    progress: &mut Progress,
) -> Result<Reached, Unreached> {
    let Caller { runtime, session, .. } = caller;
    let target = runtime.pool.at(place);
    progress.phase = Phase::Connect;
    progress.guard = Some(TargetGuard::at(target));
    session.entry.aim(runtime.pool.number(place));
    let reached = target.reach(&runtime.route.dial, patience, &mut progress.attempts).await;
    let (mut link, address) = reached?;
    // A socket that came in a way of its own is set up by whoever made it.
    if let (Some(socket), Some(address)) = (link.socket(), address.net()) {
        // It fails only on a connection that is dead already, which the first read will say better.
        let _ = runtime.route.upkeep.set_up(socket, address.ip());
    }
    let mut seal = None;
    if !target.greeting().is_empty() {
        progress.phase = Phase::Greet;
        seal = Box::pin(greet(caller, &mut link, target, progress)).await?;
    }
    target.note(Event::Reached);
    Ok((link, seal))
}

/// Tries one target after another, each chosen by the route's rule among those that have not failed this client, until
/// one answers. Of several failures one that blames a target is told before any other, and else the last.
async fn dial_one_of(caller: &Caller<'_>, progress: &mut Progress) -> Result<Reached, Unreached> {
    let RouteRuntime { route, pool, .. } = caller.runtime;
    let client = Key::of_client(caller.session.entry.behind());
    let mut patience = Patience::new(route, Instant::now());
    let mut tried = Tried::default();
    let mut told: Option<Unreached> = None;
    loop {
        let now = Instant::now();
        let left = patience.left(now);
        let trial = if tried.is_empty() { pool.trial(now) } else { None };
        let place = trial.or_else(|| pool.pick(client, &tried, now)).filter(|_| !left.is_zero());
        let Some(place) = place else {
            return Err(told.unwrap_or(Cause::NoAddress.into()));
        };
        tried.add(place);
        match dial(caller, place, left, progress).await {
            Ok(target) => return Ok(target),
            // Without a descriptor no other can be dialled either.
            Err(failed) if matches!(failed.cause, Cause::NoDescriptor | Cause::NoMemory) => {
                return Err(failed);
            }
            Err(failed) => {
                patience.shakes_hands(failed.handshake);
                told = Some(failed.after(told));
            }
        }
        progress.attempts.forget_old();
    }
}

/// How long a client is carried from one target to the next: so many times as long as one may take, its dial and its
/// handshake each on its own.
struct Patience {
    connect_timeout: Duration,
    /// When the dials have to be over, but for the handshakes.
    until: Instant,
    /// What is left for handshakes.
    handshakes: Option<Duration>,
}

impl Patience {
    fn new(route: &Route, now: Instant) -> Patience {
        let connect_timeout = route.dial.connect_timeout;
        let handshake = route.target_tls.as_ref().map(|tls| tls.parts().handshake_timeout);
        Patience {
            connect_timeout,
            until: now + connect_timeout * MAX_TIMEOUTS,
            handshakes: handshake.map(|timeout| timeout * MAX_TIMEOUTS),
        }
    }

    /// How long the next dial may take.
    fn left(&self, now: Instant) -> Duration {
        match self.handshakes {
            Some(Duration::ZERO) => Duration::ZERO,
            _ => self.until.saturating_duration_since(now).min(self.connect_timeout),
        }
    }

    /// Books the time of a handshake that failed.
    fn shakes_hands(&mut self, took: Duration) {
        self.until += took;
        self.handshakes = self.handshakes.map(|left| left.saturating_sub(took));
    }
}

/// Holds the client until a target may be back; false where the wait is over before.
async fn is_back(runtime: &RouteRuntime, deadline: Instant) -> bool {
    let _waits: Vec<_> = runtime.pool.open().map(|target| target.client_waits()).collect();
    let health = &runtime.route.health;
    let back = async {
        breathe().await;
        match health.check {
            // Nobody looks: only another dial can tell.
            Check::None => drop(timeout(health.interval, any_up(runtime)).await),
            Check::Connect | Check::Listen => any_up(runtime).await,
        }
    };
    timeout_at(deadline.into(), back).await.is_ok()
}

/// Resolves once one of the targets is not down, as far as is known. Cancel safe.
async fn any_up(runtime: &RouteRuntime) {
    type Up<'s> = Pin<Box<dyn Future<Output = ()> + Send + 's>>;
    let mut ups: Vec<Up<'_>> = runtime.pool.open().map(|target| Box::pin(target.up()) as Up<'_>).collect();
    poll_fn(|task| {
        let is_up = ups.iter_mut().any(|up| up.as_mut().poll(task).is_ready());
        if is_up { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
