//! A target at the other end of a tunnel. It is reached by a carrier of the tunnel, and nothing here dials or queries it:
//! whether it is up, its tunnel and the other end say.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::attempts::Attempts;
use super::health::{Event, Stage};
use super::reach::Unreached;
use super::target::Target;
use crate::address::{Address, TargetThere, There};
use crate::balance::{Check, HealthRules};
use crate::outcome::{Attempt, Cause};
use crate::transport::tunnel::carrier::Carrier;
use crate::transport::tunnel::line::{Fault, Line, Lines};

/// How long a tunnel that has not been up yet is not called down, unless a client asks: at a start, its target would be
/// told down and up again within the time of a dial.
const GRACE: Duration = Duration::from_secs(2);

/// The tunnel of a target.
pub(crate) struct ByTunnel {
    pub(crate) there: Arc<TargetThere>,
    pub(crate) line: Arc<Line>,
    since: Instant,
    told: Mutex<Told>,
}

/// What was told last of the target.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Up,
    Down(Fault),
}

/// A carrier for a session.
pub(crate) struct Taken {
    pub(crate) carrier: Carrier,
    /// How long it was waited for.
    pub(crate) waited: Duration,
}

/// The rules for a target in a tunnel: no checks of ours.
pub(super) fn rules(rules: &HealthRules) -> HealthRules {
    HealthRules { check: Check::None, talk: None, ..rules.clone() }
}

impl ByTunnel {
    pub(super) fn new(there: &Arc<TargetThere>, lines: &Lines) -> ByTunnel {
        let line = lines.get(&there.tunnel);
        ByTunnel { there: there.clone(), line, since: Instant::now(), told: Mutex::new(Told::Nothing) }
    }

    /// Why the target is down, as the tunnel or the other end says now.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.line.fault(&self.there.to)
    }

    /// Whether somebody will say when a target that is down is back: its tunnel, or the other end, has said that it is down.
    /// Otherwise sessions have found it so, and only a session shows that it is back.
    pub(super) fn tells(&self) -> bool {
        self.fault().is_some()
    }

    fn is_service(&self) -> bool {
        matches!(self.there.to, There::Service(_))
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // A panic cannot leave it half-changed.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Target {
    /// The tunnel at whose other end it is.
    pub(crate) fn by_tunnel(&self) -> Option<&ByTunnel> {
        self.by_tunnel.as_deref()
    }

    /// Takes a carrier for a session with this target, and records the attempt. Waits at most `patience`. `None` if the
    /// target is in no tunnel.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// The tunnel is down, or no carrier was free in time.
    pub(crate) async fn take_carrier(
        self: &Arc<Self>,
        patience: Duration,
        attempts: &mut Attempts,
    ) -> Option<Result<Taken, Unreached>> {
        let tunnel = self.by_tunnel()?;
        let began = Instant::now();
        let taken = tunnel.line.take(began + patience).await;
        let took = began.elapsed();
        let address = Address::Named(self.name.clone());
        attempts.push(Attempt { address, took, cause: taken.as_ref().err().copied() });
        match &taken {
            Err(cause) if cause.blames_target() => self.follow_tunnel(true),
            Err(cause) => self.local_errors.meet(&self.name, *cause, Instant::now()),
            Ok(_) => {}
        }
        Some(taken.map(|carrier| Taken { carrier, waited: took }).map_err(Unreached::from))
    }

    /// Records how the tunnel and the other end see the target now. `asked`: a client has just found that the tunnel is
    /// down.
    pub(crate) fn follow_tunnel(self: &Arc<Self>, asked: bool) {
        let Some(tunnel) = self.by_tunnel() else { return };
        // Held until it is noted, so that of two changes the later one is noted last.
        let mut told = tunnel.told();
        let fault = tunnel.fault();
        let is_starting = *told == Told::Nothing && tunnel.since.elapsed() < GRACE;
        let now = match fault {
            Some(Fault { cause: Cause::TunnelDown, .. }) if is_starting && !asked => return,
            Some(fault) => Told::Down(fault),
            None => Told::Up,
        };
        if *told != now {
            *told = now;
            self.note(Event::Told(fault.map(|fault| fault.cause)));
        }
    }

    /// Records what the other end has answered to a session that waited for it: that the target was reached, or why not. Of
    /// a service that it offers it tells the state itself, by rules of its own.
    pub(crate) fn answered_there(self: &Arc<Self>, answer: Result<(), Cause>) {
        let Some(tunnel) = self.by_tunnel() else { return };
        // An answer that comes after the tunnel's end says nothing about what is now.
        let told = tunnel.told();
        if *told != Told::Up {
            return;
        }
        match answer {
            Ok(()) if self.stage() == Stage::Up => {}
            Ok(()) => self.note(Event::Passed),
            Err(cause) if tunnel.is_service() && cause != Cause::TunnelRefused => {}
            Err(cause) => self.note(Event::Failed(cause)),
        }
    }
}

#[cfg(test)]
mod tests;
