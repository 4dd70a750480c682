//! The step *connect*: chooses a target for a session, reaches and greets it, or the next one; and waits if all targets
//! are down and the route has `wait_for_target`.

use std::future::pending;
use std::time::{Duration, Instant};

use tokio::time::{timeout, timeout_at};

use super::greet::greet;
use super::place::{Search, Step, any, choose, enter_at};
use super::progress::{Progress, TargetGuard};
use super::state::{Caller, TargetEnd};
use super::there::dial_there;
use crate::engine::runtime::context::RouteRuntime;
use crate::engine::targets::health::Event;
use crate::engine::targets::reach::{Unreached, breathe};
use crate::outcome::{Cause, End, Limit, Phase};
use crate::plan::Route;
use crate::transport::tls::Sealed;
use crate::transport::{hops_of, peer_address};

/// One target after another is tried for a client for at most this many times `connect_timeout`, and as many times
/// `handshake_timeout`, however many targets there are: a target that refuses costs nothing, one that drops every
/// packet a whole timeout.
const MAX_TIMEOUTS: u32 = 3;

/// A connection to a target, and its TLS state if it uses TLS.
type Reached = (TargetEnd, Option<Box<Sealed>>);

/// Reaches a target and greets it, unless the client disconnects first.
pub(crate) async fn connect(caller: &Caller<'_>, progress: &mut Progress) -> Result<Reached, End> {
    tokio::select! {
        // A dial on this machine is complete at the first poll, and then the client is not watched at all.
        biased;
        reached = reach(caller, progress) => reached,
        // A FIN does not count: the client may have sent its whole request. A reset does.
        () = caller.client.is_gone() => Err(End::ClientGone),
    }
}

/// Reaches a target; if none can be reached, waits for one as long as the route allows.
async fn reach(caller: &Caller<'_>, progress: &mut Progress) -> Result<Reached, End> {
    let runtime = caller.runtime;
    let began = Instant::now();
    let (mut waited, mut has_looked_again) = (Duration::ZERO, false);
    loop {
        let mut search = Search::default();
        let reached = match runtime.pool.only() {
            Some(_) => dial_only(caller, &mut search, progress).await,
            // Boxed, so that a session with a single target has no space for it.
            None => Box::pin(dial_one_of(caller, &mut search, progress)).await,
        };
        waited += search.waited;
        let failed = match reached {
            Ok(target) => {
                progress.reached(began.elapsed().saturating_sub(waited));
                return Ok(target);
            }
            // A dial to a target that is down holds a place for a moment; its client will wait, and so may this one.
            Err(Missed::Full(Limit::Target)) if !has_looked_again && may_wait(runtime) => {
                has_looked_again = true;
                breathe().await;
                continue;
            }
            Err(Missed::Full(limit)) => return Err(End::Limited(limit)),
            Err(Missed::Failed(failed)) => failed,
        };
        let is_ours = !failed.cause.blames_target();
        // A wait for a place is not one for a target that restarts.
        let deadline = began + waited + runtime.route.dial.wait_for_target;
        if is_ours || Instant::now() >= deadline || !is_back(caller, deadline, progress).await {
            if failed.far {
                caller.session.entry.far();
            }
            let end = failed.end();
            failed.words.into_iter().for_each(|words| caller.session.entry.hint(words));
            return Err(end);
        }
        progress.attempts.forget_old();
    }
}

/// Whether clients of the route wait for a target that is down.
fn may_wait(runtime: &RouteRuntime) -> bool {
    !runtime.route.dial.wait_for_target.is_zero()
}

/// Why a client has no connection to a target.
enum Missed {
    Failed(Unreached),
    /// All targets are full.
    Full(Limit),
}

impl From<Unreached> for Missed {
    fn from(failed: Unreached) -> Missed {
        Missed::Failed(failed)
    }
}

impl From<Limit> for Missed {
    fn from(limit: Limit) -> Missed {
        Missed::Full(limit)
    }
}

/// Dials the only target, and greets it.
async fn dial_only(
    caller: &Caller<'_>,
    search: &mut Search,
    progress: &mut Progress,
) -> Result<Reached, Missed> {
    choose(caller, search, progress).await?;
    Ok(dial(caller, 0, caller.runtime.route.dial.connect_timeout, progress).await?)
}

/// Dials the target at this index, at which the session is counted, and greets it.
async fn dial(
    caller: &Caller<'_>,
    place: usize,
    patience: Duration,
    progress: &mut Progress,
) -> Result<Reached, Unreached> {
    let Caller { runtime, session, .. } = caller;
    let target = runtime.pool.at(place);
    progress.phase = Phase::Connect;
    session.entry.aim(runtime.pool.number(place));
    if target.by_tunnel().is_some() {
        // Boxed, so that sessions to other targets have no space for it.
        return Box::pin(dial_there(caller, target, patience, progress)).await;
    }
    let came_through = || caller.client.socket().map_or(0, hops_of);
    let reached = target.reach(&runtime.route.dial, patience, &came_through, &mut progress.attempts).await;
    let (mut link, address) = reached?;
    // The socket of a custom target is set up by the code that made it.
    let behind =
        if target.to().is_proxied() { link.socket().and_then(|it| peer_address(it).ok()) } else { None };
    if let (Some(socket), Some(address)) = (link.socket(), address.net().or(behind)) {
        // It fails only on a connection that is already dead, which the first read reports better.
        let _ = runtime.route.upkeep.set_up(socket, address.ip());
    }
    let mut seal = None;
    if !target.greeting().is_empty() {
        progress.phase = Phase::Greet;
        seal = Box::pin(greet(caller, &mut link, target, progress)).await?;
    }
    target.note(Event::Reached);
    Ok((link.into(), seal))
}

/// Tries one target after another, as many as the route allows, each chosen by its rule among those that have not failed
/// this client, until one answers. Of several failures, one that blames a target is reported before any other, otherwise the last.
async fn dial_one_of(
    caller: &Caller<'_>,
    search: &mut Search,
    progress: &mut Progress,
) -> Result<Reached, Missed> {
    let RouteRuntime { route, pool, .. } = caller.runtime;
    let mut patience = Patience::new(route, Instant::now());
    let mut others = route.next_target.unwrap_or(usize::MAX);
    let mut failure: Option<Unreached> = None;
    loop {
        let trial = if search.tried.is_empty() { pool.trial(Instant::now()) } else { None };
        let trial = trial.filter(|place| enter_at(caller.runtime, *place, progress));
        if trial.is_none() && patience.left(Instant::now()).is_zero() {
            return Err(failure.unwrap_or(Cause::NoAddress.into()).into());
        }
        let before = search.waited;
        let place = match trial {
            Some(trial) => Some(trial),
            None => choose(caller, search, progress).await?,
        };
        patience.until += search.waited - before;
        let Some(place) = place else {
            return Err(failure.unwrap_or(Cause::NoAddress.into()).into());
        };
        search.tried.add(place);
        match dial(caller, place, patience.left(Instant::now()), progress).await {
            Ok(target) => return Ok(target),
            // Without a free descriptor no other target can be dialled either.
            Err(failed) if matches!(failed.cause, Cause::NoDescriptor | Cause::NoMemory) => {
                return Err(failed.into());
            }
            Err(failed) => {
                patience.spend_handshake(failed.handshake);
                let failed = failed.after(failure);
                // A trial is for the target's sake, not the client's.
                others = match others.checked_sub(usize::from(trial.is_none())) {
                    Some(left) => left,
                    None => return Err(failed.into()),
                };
                failure = Some(failed);
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

/// Holds the client until a target may be back; false if `deadline` passes first. Meanwhile it takes no place at a target.
async fn is_back(caller: &Caller<'_>, deadline: Instant, progress: &mut Progress) -> bool {
    let runtime = caller.runtime;
    let last = progress.guard.take().map(TargetGuard::step_back);
    let _waits: Vec<_> = runtime.pool.open().map(|target| target.client_waits()).collect();
    let up = || any(runtime.pool.open().map(|target| Box::pin(target.up()) as Step<'_>).collect());
    let back = async {
        breathe().await;
        match runtime.pool.open().any(|target| target.only_dials_tell()) {
            true => drop(timeout(runtime.route.health.interval, up()).await),
            false => up().await,
        }
    };
    let is_back = tokio::select! {
        biased;
        back = timeout_at(deadline.into(), back) => back.is_ok(),
        () = no_tunnel_comes_back(caller) => false,
    };
    if !is_back {
        // Its record tells what is known about the target.
        progress.guard = last.and_then(|target| TargetGuard::enter(&target, None));
    }
    is_back
}

/// Resolves once the engine stops, if every target is in a tunnel: tunnels have gone before it, and a stop waits for sessions.
async fn no_tunnel_comes_back(caller: &Caller<'_>) {
    if caller.runtime.pool.open().any(|target| target.by_tunnel().is_none()) {
        return pending().await;
    }
    caller.session.slot.cx.stopping.draining.cancelled().await;
}
