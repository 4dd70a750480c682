//! A target of UDP routes: its addresses, whether it is up, and whether it reads what it receives.
//!
//! Datagrams are not acknowledged, so a target is up until it refuses one, and up again once it answers or the kernel
//! lists a socket there.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::by_tunnel::ByTunnel;
use crate::balance::Fitness;
use crate::engine::names::Name;
use crate::engine::targets::pool::Member;
use crate::outcome::Cause;
use crate::probe;
use crate::transport::Destination;
use crate::transport::tunnel::line::Lines;
use crate::units::Seconds;

/// The interval between two clients sent to a target that is down and on another machine, if another target would take
/// them.
const TRIAL_INTERVAL: Duration = Duration::from_secs(10);

/// How long a name's addresses are used without a new lookup.
const FRESH: Duration = Duration::from_secs(30);

/// Every target that a UDP route sends to.
#[derive(Default)]
pub(super) struct UdpTargets {
    known: Mutex<HashMap<Destination, Weak<UdpTarget>>>,
}

impl UdpTargets {
    /// The state of a target; created if no route sends to it yet. `by_name` gives its name and port, if it has a name
    /// that must be looked up; what it is in a tunnel is followed on `beside`.
    pub(super) fn get(
        &self,
        to: &Destination,
        by_name: impl FnOnce() -> Option<(Arc<Name>, u16)>,
        lines: &Lines,
        beside: &Handle,
    ) -> Arc<UdpTarget> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, target| target.strong_count() > 0);
        if let Some(target) = known.get(to).and_then(Weak::upgrade) {
            return target;
        }
        let by_tunnel = to.there().map(|there| Box::new(ByTunnel::new(there, lines)));
        let target = Arc::new(UdpTarget::new(to.clone(), by_name(), by_tunnel));
        target.follow(beside);
        known.insert(to.clone(), Arc::downgrade(&target));
        target
    }
}

/// The state of one target.
pub(super) struct UdpTarget {
    pub(super) to: Destination,
    /// The same as it is printed.
    name: Arc<str>,
    by_tunnel: Option<Box<ByTunnel>>,
    pub(super) by_name: Option<(Arc<Name>, u16)>,
    names: Mutex<Names>,
    pub(super) is_down: AtomicBool,
    down: Mutex<Option<Down>>,
    /// Its live flows.
    pub(super) flows: AtomicUsize,
    pub(super) is_watched: AtomicBool,
    /// What its own socket dropped while it was watched.
    pub(super) dropped: AtomicU64,
}

/// Where a flow goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    At(SocketAddr),
    /// Into the target's tunnel.
    There,
}

impl Goal {
    /// The address, if it is dialled from here.
    pub(super) fn address(self) -> Option<SocketAddr> {
        if let Goal::At(address) = self { Some(address) } else { None }
    }
}

/// The addresses of a name.
#[derive(Default)]
struct Names {
    found: Vec<SocketAddr>,
    at: Option<Instant>,
    is_looked_up: bool,
    /// Why the latest look-up found none.
    why: Option<Cause>,
    /// How often the addresses of the name had changed by then.
    moves: u64,
    /// Whether one of them has refused since.
    is_refused: bool,
}

struct Down {
    cause: Cause,
    since: Instant,
    refusals: u64,
    /// Whether its address certainly belongs to this machine.
    is_here: bool,
    /// When a client was last sent to it.
    tried: Instant,
}

impl Member for UdpTarget {
    fn fitness(&self, _: Instant) -> Fitness {
        if self.why_down().is_some() { Fitness::Ill } else { Fitness::Well { back: None } }
    }

    fn load(&self) -> usize {
        self.flows.load(Relaxed)
    }

    /// On this machine the kernel shows when a socket is there again; elsewhere only an answer does.
    fn take_trial(&self, now: Instant) -> bool {
        if !self.is_down.load(Relaxed) {
            return false;
        }
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        // Of a tunnel that is down, the tunnel says when it is back.
        let is_told = |down: &Down| down.is_here || down.cause == Cause::TunnelDown;
        let Some(down) = down.as_mut().filter(|down| !is_told(down)) else { return false };
        let is_due = now.saturating_duration_since(down.tried) >= TRIAL_INTERVAL;
        if is_due {
            down.tried = now;
        }
        is_due
    }
}

impl UdpTarget {
    fn new(
        to: Destination,
        by_name: Option<(Arc<Name>, u16)>,
        by_tunnel: Option<Box<ByTunnel>>,
    ) -> UdpTarget {
        UdpTarget {
            name: to.to_string().into(),
            to,
            by_tunnel,
            by_name,
            names: Mutex::default(),
            is_down: AtomicBool::new(false),
            down: Mutex::new(None),
            flows: AtomicUsize::new(0),
            is_watched: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        }
    }

    /// The address as written.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The tunnel at whose other end it is.
    pub(super) fn by_tunnel(&self) -> Option<&ByTunnel> {
        self.by_tunnel.as_deref()
    }

    /// Why it is down, if it is.
    pub(super) fn why_down(&self) -> Option<Cause> {
        if let Some(fault) = self.by_tunnel.as_ref().and_then(|tunnel| tunnel.fault()) {
            return Some(fault.cause);
        }
        if !self.is_down.load(Relaxed) {
            return None;
        }
        self.down.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|down| down.cause)
    }

    /// Where a new flow goes; `None` until a name has been looked up.
    pub(super) fn goal(&self) -> Option<Goal> {
        if self.by_tunnel.is_some() { Some(Goal::There) } else { self.address().map(Goal::At) }
    }

    /// The address for a new flow; `None` until a name has been looked up.
    fn address(&self) -> Option<SocketAddr> {
        if let Some(place) = self.to.place() {
            return place.net();
        }
        let mut names = self.names();
        if let Some((name, _)) = &self.by_name
            && name.note_use() != Some(names.moves)
        {
            names.found.clear();
        }
        names.found.first().copied()
    }

    /// Why a lookup since then has found no address; `None` if there was none, or it found one.
    pub(super) fn has_no_address_since(&self, then: Instant) -> Option<Cause> {
        let names = self.names();
        let is_over = !names.is_looked_up && names.at.is_some_and(|at| at >= then);
        (names.found.is_empty() && is_over).then(|| names.why.unwrap_or(Cause::NoAddress))
    }

    /// Looks the name up, outside the loop, and then calls `done`. One lookup at a time; further callers share it.
    pub(super) fn look_up(
        self: &Arc<Self>,
        patience: Duration,
        beside: &Handle,
        done: impl FnOnce() + Send + 'static,
    ) {
        let was_refused = {
            let mut names = self.names();
            if std::mem::replace(&mut names.is_looked_up, true) {
                return;
            }
            std::mem::take(&mut names.is_refused)
        };
        let target = self.clone();
        beside.spawn(async move {
            let found = target.found(Instant::now() + patience, was_refused).await;
            let moves = target.by_name.as_ref().map_or(0, |(name, _)| name.moves());
            let why = found.as_ref().err().copied();
            let mut found = found.unwrap_or_default();
            // Of several addresses, as localhost has, prefer one with a receiving socket; the sort is stable, so
            // otherwise the first.
            if found.len() > 1 {
                found.sort_by_key(|address| !matches!(probe::sockets::udp::buffer(*address), Ok(Some(_))));
            }
            {
                let mut names = target.names();
                (names.found, names.at, names.is_looked_up) = (found, Some(Instant::now()), false);
                if moves != names.moves {
                    target.forget_refusals();
                }
                (names.why, names.moves) = (why, moves);
            }
            done();
        });
    }

    /// Records a refusal that a flow met, from the target or from the path to it.
    pub(super) fn note_refused(self: &Arc<Self>, address: SocketAddr, cause: Cause, beside: &Handle) {
        if !cause.blames_target() {
            return;
        }
        // The name may have moved, or its other address may be the right one.
        {
            let mut names = self.names();
            names.found.clear();
            names.is_refused = true;
        }
        if self.set_down(cause, address.ip().to_canonical().is_loopback()) {
            self.look_for(address, beside);
        }
    }

    /// Records that it is down, or one more refusal; returns whether it was up.
    pub(super) fn set_down(&self, cause: Cause, is_here: bool) -> bool {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(down) = &mut *down {
            (down.cause, down.refusals) = (cause, down.refusals + 1);
            return false;
        }
        let now = Instant::now();
        *down = Some(Down { cause, since: now, refusals: 1, is_here, tried: now });
        self.is_down.store(true, Relaxed);
        self.log_down(cause);
        true
    }

    /// Records an answer, which shows that the target is up.
    pub(super) fn note_answer(&self) {
        if self.is_down.load(Relaxed) {
            self.note_up();
        }
    }

    /// Its name has other addresses: what the ones before did says nothing of them.
    fn forget_refusals(&self) {
        self.is_down.store(false, Relaxed);
        *self.down.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn note_up(&self) {
        let was = self.down.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.is_down.store(false, Relaxed);
        if let Some(Down { since, refusals, .. }) = was {
            let after = Seconds(since.elapsed());
            let name = &self.to;
            let text = format!("target {name}/udp UP after {after}, {refusals} flows refused meanwhile");
            tracing::info!("target" = %name, state = "up", "{text}");
        }
    }

    /// Counts a new flow, and returns the drop count of the target's own socket before it.
    pub(super) fn enter(self: &Arc<Self>, goal: Goal, beside: &Handle) -> u64 {
        self.flows.fetch_add(1, Relaxed);
        let Goal::At(address) = goal else { return 0 };
        // Read before the flow's first datagram, or the loss of that first burst would be missed.
        if !self.is_watched.swap(true, Relaxed) {
            self.look_at_drops(address, beside);
        }
        self.dropped()
    }

    /// Counts a flow that has ended.
    pub(super) fn leave(&self) {
        self.flows.fetch_sub(1, Relaxed);
    }

    /// What the target's own socket dropped while it was watched.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.at.is_some_and(|at| at.elapsed() > FRESH) {
            names.found.clear();
        }
        names
    }
}
