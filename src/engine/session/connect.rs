//! The step *connect*: chooses a target for a session, reaches and greets it, or the next one; and waits if all targets
//! are down and the route has `wait_for_target`.

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

/// One target after another is tried for a client for at most this many times `connect_timeout`, and as many times
/// `handshake_timeout`, however many targets there are: a target that refuses costs nothing, one that drops every
/// packet a whole timeout.
const MAX_TIMEOUTS: u32 = 3;

/// A connection to a target, and its TLS state if it uses TLS.
type Reached = (Link, Option<Box<Sealed>>);

/// Reaches a target and greets it, unless the client disconnects first.
pub(crate) async fn connect(caller: &Caller<'_>, progress: &mut Progress) -> Result<Reached, End> {
    tokio::select! {
        // A dial on this machine is complete at the first poll, and then the client is not watched at all.
        biased;
        reached = reach(caller, progress) => reached,
        // A FIN does not count: the client may have sent its whole request. A reset does.
        () = is_gone(caller.client) => Err(End::ClientGone),
    }
}

/// Reaches a target; if none can be reached, waits for one as long as the route allows.
async fn reach(caller: &Caller<'_>, progress: &mut Progress) -> Result<Reached, End> {
    let runtime = caller.runtime;
    let began = Instant::now();
    let deadline = began + runtime.route.dial.wait_for_target;
    loop {
        let reached = match runtime.pool.only() {
            Some(_) => dial(caller, 0, runtime.route.dial.connect_timeout, progress).await,
            // Boxed, so that a session with a single target has no space for it.
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

/// Dials the target at this index, and greets it.
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
    // The socket of a custom target is set up by the code that made it.
    if let (Some(socket), Some(address)) = (link.socket(), address.net()) {
        // It fails only on a connection that is already dead, which the first read reports better.
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
/// one answers. Of several failures, one that blames a target is reported before any other, otherwise the last.
async fn dial_one_of(caller: &Caller<'_>, progress: &mut Progress) -> Result<Reached, Unreached> {
    let RouteRuntime { route, pool, .. } = caller.runtime;
    let client = Key::of_client(caller.session.entry.behind());
    let mut patience = Patience::new(route, Instant::now());
    let mut tried = Tried::default();
    let mut failure: Option<Unreached> = None;
    loop {
        let now = Instant::now();
        let left = patience.left(now);
        let trial = if tried.is_empty() { pool.trial(now) } else { None };
        let place = trial.or_else(|| pool.pick(client, &tried, now)).filter(|_| !left.is_zero());
        let Some(place) = place else {
            return Err(failure.unwrap_or(Cause::NoAddress.into()));
        };
        tried.add(place);
        match dial(caller, place, left, progress).await {
            Ok(target) => return Ok(target),
            // Without a free descriptor no other target can be dialled either.
            Err(failed) if matches!(failed.cause, Cause::NoDescriptor | Cause::NoMemory) => {
                return Err(failed);
            }
            Err(failed) => {
                patience.spend_handshake(failed.handshake);
                failure = Some(failed.after(failure));
            }
        }
        progress.attempts.forget_old();
    }
}

/// How long targets are tried for one client: [`MAX_TIMEOUTS`] times the limit of a single attempt, separately for
/// dials and handshakes.
struct Patience {
    connect_timeout: Duration,
    /// When the dials must end; the time of handshakes is added to it.
    until: Instant,
    /// The time left for handshakes.
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

    /// Accounts for the time of a handshake that failed.
    fn spend_handshake(&mut self, took: Duration) {
        self.until += took;
        self.handshakes = self.handshakes.map(|left| left.saturating_sub(took));
    }
}

/// Holds the client until a target may be back; false if `deadline` passes first.
async fn is_back(runtime: &RouteRuntime, deadline: Instant) -> bool {
    let _waits: Vec<_> = runtime.pool.open().map(|target| target.client_waits()).collect();
    let health = &runtime.route.health;
    let back = async {
        breathe().await;
        match health.check {
            // There are no health checks: only another dial can find out.
            Check::None => drop(timeout(health.interval, any_up(runtime)).await),
            Check::Connect | Check::Listen => any_up(runtime).await,
        }
    };
    timeout_at(deadline.into(), back).await.is_ok()
}

/// Resolves once at least one of the targets is not known to be down. Cancel safe.
async fn any_up(runtime: &RouteRuntime) {
    type Up<'s> = Pin<Box<dyn Future<Output = ()> + Send + 's>>;
    let mut ups: Vec<Up<'_>> = runtime.pool.open().map(|target| Box::pin(target.up()) as Up<'_>).collect();
    poll_fn(|task| {
        let is_up = ups.iter_mut().any(|up| up.as_mut().poll(task).is_ready());
        if is_up { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
