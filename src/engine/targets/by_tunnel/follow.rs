//! Takes carriers for a target in a tunnel, and follows what is said of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{ByTunnel, GRACE, Taken, Told};
use crate::address::Address;
use crate::engine::targets::attempts::Attempts;
use crate::engine::targets::health::{Event, Stage};
use crate::engine::targets::reach::Unreached;
use crate::engine::targets::target::Target;
use crate::outcome::{Attempt, Cause};
use crate::transport::tunnel::line::Fault;

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
