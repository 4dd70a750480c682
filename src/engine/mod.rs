//! Runs a plan: the supervisor opens and closes listeners, workers carry sessions, a drain ends them.
//!
//! There is a single entry point, [`Handle::declare`]: each source states the complete set of routes and services it
//! wants, and the supervisor applies the difference. Nothing here reads a file or the wall clock.

mod admission;
mod api;
mod carry;
mod listeners;
mod monitor;
mod names;
mod runtime;
mod service;
mod session;
mod targets;
mod udp;

use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use crate::address::TunnelName;
use crate::ledger::{self, Ledger, Live, OrderRefused};
use crate::limits::Limits;
pub use crate::plan::{RouteId, Source};
use crate::transport::tunnel::line::Lines;
use admission::bandwidth::Bandwidths;
use admission::handshakes::HandshakeLimiter;
use admission::queue::AdmissionControls;
pub use api::{Answer, BindFailure, Declaration, Declared, Listening, NotListening, Policy, Refused};
pub use carry::CarryRefused;
pub use listeners::bind_error::diagnose;
use listeners::supervisor::{Request, Supervisor};
use monitor::checker::HealthChecker;
use monitor::diagnosis_worker::ProcessWatches;
use monitor::monitor_handle::MonitorHandle;
use names::{Keeper, Names};
use runtime::context::Context;
pub use runtime::refusals::refused_needs;
pub use runtime::settings::Settings;
pub(crate) use runtime::settings::needs;
use runtime::stopping::Stopping;
pub use runtime::workers::{NO_THREAD, is_no_thread};
pub use service::{Kind, Owner, Serve, ServeDatagrams, Served, Service, ServiceId, Services};
pub(crate) use session::turn_away::turn_away;
use targets::registry::Targets;

/// Starts an engine with no routes, on the current tokio runtime and on `settings.workers` threads of its own. The
/// ledger must not be shared with another engine: a stop ends every session in it.
///
/// # Errors
/// If a thread or its poller cannot be created.
///
/// # Panics
/// Outside a tokio runtime.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use loopgate::engine::{self, Settings};
/// use loopgate::ledger::{Ledger, Record};
/// use loopgate::plan;
///
/// let plan = plan::parse("embed", "routes.web = { listen = '127.0.0.1:0', target = '3000' }", &[])?;
/// let ledger = Ledger::new(Box::new(|record: &Record| println!("{record}")));
/// let engine = engine::start(Settings::fitting(&plan), ledger)?;
///
/// let declared = engine.declare(plan.source, plan.routes).await?;
/// println!("{} listens on {}", declared.listening[0].owner, declared.listening[0].address);
///
/// let reset = engine.stop(plan.limits.drain_timeout).await?;
/// assert_eq!(reset, 0);
/// # Ok(())
/// # }
/// ```
pub fn start(settings: Settings, ledger: Arc<Ledger>) -> io::Result<Handle> {
    let most = settings.budget.connections.clamp(1, u32::MAX as usize / 2).min(Semaphore::MAX_PERMITS);
    let names = Arc::new(Names::default());
    let lines = Arc::new(Lines::default());
    let (targets, checker) = watch_targets(settings.budget.watches, &ledger, &names, &lines)?;
    let handshakes = HandshakeLimiter::new(settings.workers, Limits::default().handshakes);
    let pipes = if runtime::refusals::log_refusals() { settings.budget.pipes } else { 0 };
    let beside = tokio::runtime::Handle::current();
    let admissions = Arc::new(AdmissionControls::default());
    let bandwidths = Arc::new(Bandwidths::default());
    let shared = udp::context::Shared::new(
        ledger.clone(),
        admissions.clone(),
        bandwidths.clone(),
        (names.clone(), lines.clone()),
        settings.budget.flows,
        beside,
    );
    let cx = Arc::new(Context {
        udp: udp::Udp::new(settings.workers, shared),
        admissions,
        ledger: ledger.clone(),
        slots: Arc::new(Semaphore::new(most)),
        most_sessions: most as u32,
        handshakes: handshakes.clone(),
        stopping: Stopping::default(),
        routes: Mutex::default(),
        workers: runtime::workers::Workers::start(settings.workers, pipes)?,
        targets,
        bandwidths,
        _health_checker: checker,
        _name_keeper: Keeper::start(&names),
        names,
    });
    let (requests, inbox) = mpsc::channel(16);
    let weak = Arc::downgrade(&cx);
    let supervisor = Supervisor::new(cx);
    tokio::runtime::Handle::current().spawn(supervisor.run(inbox));
    Ok(Handle { requests, handshakes, ledger, lines, cx: weak })
}

/// The targets, with the task and the thread that monitor them; at most `watches` processes are awaited.
fn watch_targets(
    watches: usize,
    ledger: &Arc<Ledger>,
    names: &Arc<Names>,
    lines: &Arc<Lines>,
) -> io::Result<(Arc<Targets>, HealthChecker)> {
    let (sender, process_watches) = mpsc::channel(watches.max(1));
    let queue = monitor::diagnosis_worker::start(
        ProcessWatches { sender, places: Arc::new(Semaphore::new(watches)) },
        ledger.clone(),
    )?;
    let wake = Arc::new(Notify::new());
    let monitor = Arc::new(MonitorHandle { queue, wake: wake.clone() });
    let targets = Arc::new(Targets::new(names.clone(), lines.clone(), monitor));
    let checker = monitor::checker::start(targets.clone(), ledger.clone(), wake, process_watches);
    Ok((targets, checker))
}

/// Controls a running engine. The engine stops, without a drain, when the last handle is dropped.
#[derive(Clone)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
    handshakes: Arc<HandshakeLimiter>,
    ledger: Arc<Ledger>,
    lines: Arc<Lines>,
    /// Weak, so that handles do not keep a stopped engine in memory.
    cx: Weak<Context>,
}

impl Handle {
    /// Makes `declaration`, or just routes, the complete set that `source` wants: binds what is new, and only once all
    /// of it is bound swaps what changed and retires what is no longer wanted. A listener whose address stays wanted
    /// keeps its socket. Each source keeps its routes until it declares a set without them; a source that wants nothing
    /// any more declares no routes.
    ///
    /// # Errors
    /// [`Refused::Conflict`], [`Refused::Loop`] or [`Refused::SameName`] if a route or a service conflicts with
    /// another, [`Refused::Bind`] with every address that failed; then nothing has changed. Under [`Policy::WhatCan`]
    /// these are reported for single entries, in [`Declared::answers`].
    ///
    /// Not cancel safe: a declaration that was sent is carried out, whether or not its answer is awaited.
    pub async fn declare(
        &self,
        source: Source,
        declaration: impl Into<Declaration>,
    ) -> Result<Declared, Refused> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Declare { source, declaration: declaration.into(), reply };
        self.requests.send(request).await.map_err(|_| Refused::Stopped)?;
        self.answered(answer).await?
    }

    /// Changes how many TLS handshakes with clients may run at one time, over all routes; 0 counts as 1. Running
    /// handshakes continue.
    pub fn limit_handshakes(&self, most: usize) {
        self.handshakes.limit(most.max(1));
    }

    /// Looks every name of a target up again that was looked up before, at once and whatever `resolve` is. New clients go
    /// to the addresses that are found; sessions stay.
    pub fn look_up_names(&self) {
        if let Some(cx) = self.cx.upgrade() {
            cx.names.look_up_all();
        }
    }

    /// The tunnels by name: each offers its idle carriers there, and says whether it is up. A target in a tunnel takes its
    /// connections from there.
    pub fn lines(&self) -> Arc<Lines> {
        self.lines.clone()
    }

    /// Every session and flow that has not ended, oldest first: its number, its route, its client, its tunnel and its
    /// counts.
    pub fn sessions(&self) -> Vec<Arc<Live>> {
        self.ledger.live()
    }

    /// Ends one session, in any step, or one flow: both its connections are reset, and its record has the end `killed`.
    /// The order is placed when this returns, and the session ends a moment later; all others continue.
    ///
    /// # Errors
    /// [`OrderRefused`] if no session has this number, or an earlier order already ends it.
    pub fn kill(&self, id: u64) -> Result<(), OrderRefused> {
        self.ledger.order(id, ledger::Order::Kill)
    }

    /// Ends every session and flow that came by this tunnel, or goes to it: both its connections are reset, and its record
    /// has the end `revoked`. Returns how many it ends. The orders are placed when this returns.
    pub fn revoke(&self, tunnel: &TunnelName) -> usize {
        self.revoke_where(|live| live.uses(tunnel))
    }

    /// The same for the sessions that `is_revoked` names. It must be quick.
    pub fn revoke_where(&self, is_revoked: impl Fn(&Live) -> bool) -> usize {
        self.ledger.order_some(is_revoked, ledger::Order::Revoke)
    }

    /// Stops accepting, waits up to `patience` for the remaining sessions, resets those that are left, and ends.
    /// Returns how many were reset.
    ///
    /// # Errors
    /// [`Refused::Stopped`] if the engine has already stopped, by a request or by a bug; then no session was waited for.
    ///
    /// If the future is dropped, the wait ends: the remaining sessions are reset at once.
    pub async fn stop(&self, patience: Duration) -> Result<usize, Refused> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Stop { patience, reply }).await.map_err(|_| Refused::Stopped)?;
        self.answered(answer).await
    }

    /// The answer to a request, or that the supervisor has ended. A request that is sent in the moment in which the
    /// supervisor ends stays in the channel, which keeps its way to answer: nobody would ever be told.
    async fn answered<T>(&self, mut answer: oneshot::Receiver<T>) -> Result<T, Refused> {
        tokio::select! {
            biased;
            answer = &mut answer => answer.map_err(|_| Refused::Stopped),
            // The answer is given before the end.
            () = self.requests.closed() => answer.try_recv().map_err(|_| Refused::Stopped),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A handle whose requests arrive at the receiver.
    fn handle() -> (Handle, mpsc::Receiver<Request>) {
        let (requests, inbox) = mpsc::channel(1);
        let ledger = Ledger::new(Box::new(|_: &ledger::Record| {}));
        let (handshakes, lines, cx) = (HandshakeLimiter::new(1, 1), Arc::default(), Weak::new());
        (Handle { requests, handshakes, ledger, lines, cx }, inbox)
    }

    #[tokio::test]
    async fn a_stop_that_the_engine_does_not_carry_out_is_an_error() {
        let (handle, mut inbox) = handle();
        // A supervisor that panics drops the request it had, and then its inbox.
        let broken = async { drop(inbox.recv().await) };

        let (stopped, ()) = tokio::join!(handle.stop(Duration::ZERO), broken);
        assert!(matches!(stopped, Err(Refused::Stopped)));
        drop(inbox);
        assert!(matches!(handle.stop(Duration::ZERO).await, Err(Refused::Stopped)));
    }

    #[tokio::test]
    async fn a_stop_that_comes_in_the_moment_in_which_the_engine_ends_is_answered() {
        let (handle, mut inbox) = handle();
        // It ends behind the request, which stays where it is.
        let ending = async {
            while inbox.is_empty() {
                tokio::task::yield_now().await;
            }
            inbox.close();
        };

        let (stopped, ()) = tokio::join!(handle.stop(Duration::ZERO), ending);

        assert!(matches!(stopped, Err(Refused::Stopped)));
        drop(inbox);
    }
}
