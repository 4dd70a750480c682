//! Follows what a tunnel and its other end say of a target.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::sleep;

use super::target::UdpTarget;
use crate::address::{TargetThere, There};
use crate::outcome::Cause;
use crate::transport::tunnel::line::LineState;

/// How long a tunnel that has not been up yet is not called down: at a start, its targets would be told down and up again
/// within the time of a dial.
const GRACE: Duration = Duration::from_secs(2);

impl UdpTarget {
    /// Begins to follow what the tunnel and the other end say, if it is in a tunnel.
    pub(super) fn follow(self: &Arc<Self>, beside: &Handle) {
        if let Some(tunnel) = self.by_tunnel() {
            let task = beside.spawn(follow(Arc::downgrade(self), tunnel.line.watch(), tunnel.there.clone()));
            let _ = tunnel.follows.set(task.abort_handle());
        }
    }

    /// Records that the other end has ended a flow for this reason. Of a service that it offers it tells the state itself,
    /// by rules of its own.
    pub(super) fn note_refused_there(&self, cause: Cause) {
        let Some(tunnel) = self.by_tunnel() else { return };
        let is_told = match tunnel.there.to {
            There::Service(_) => cause != Cause::TunnelRefused,
            // The tunnel says so itself, and when it is back.
            There::Address(_) => cause == Cause::TunnelDown,
        };
        if cause.blames_target() && !is_told {
            self.set_down(cause, false);
        }
    }
}

async fn follow(target: Weak<UdpTarget>, mut state: watch::Receiver<LineState>, there: Arc<TargetThere>) {
    if !state.borrow().is_up() {
        tokio::select! {
            () = sleep(GRACE) => {}
            changed = state.changed() => if changed.is_err() { return },
        }
    }
    let mut told = None;
    loop {
        let fault = state.borrow_and_update().fault(&there.to);
        let Some(target) = target.upgrade() else { return };
        match fault {
            Some(fault) => drop(target.set_down(fault.cause, false)),
            None if told.is_some() => target.note_up(),
            None => {}
        }
        told = fault;
        drop(target);
        if state.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;
    use std::time::Instant;

    use super::*;
    use crate::address::{Run, TargetAddress};
    use crate::balance::Fitness;
    use crate::engine::targets::pool::Member;
    use crate::engine::udp::target::UdpTargets;
    use crate::transport::tunnel::line::{Line, Lines};

    /// A target in the tunnel `home`, which is up.
    fn target(to: &str) -> (Arc<UdpTarget>, Arc<Line>) {
        let lines = Lines::default();
        let line = lines.get(&"home".parse().unwrap());
        line.set_up();
        let to: Run<TargetAddress> = to.parse().unwrap();
        let to = to.first().clone().into();
        (UdpTargets::default().get(&to, || None, &lines, &Handle::current()), line)
    }

    async fn until(what: &str, is: impl Fn() -> bool) {
        let waited = async {
            while !is() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waited).await.unwrap_or_else(|_| panic!("{what}"));
    }

    fn is_ill(target: &UdpTarget) -> bool {
        matches!(target.fitness(Instant::now()), Fitness::Ill)
    }

    #[tokio::test]
    async fn a_target_is_down_with_its_tunnel_or_by_the_word_of_the_other_end_and_back_with_it() {
        let (target, line) = target("tunnel:home/game");
        assert_eq!(target.why_down(), None);

        line.set_down();
        assert_eq!((target.why_down(), is_ill(&target)), (Some(Cause::TunnelDown), true), "at once");
        until("it is told", || target.is_down.load(Relaxed)).await;
        // The tunnel says when it is back, so no client is risked.
        assert!(!target.take_trial(Instant::now() + Duration::from_secs(60)));
        line.set_up();
        until("it is told", || !target.is_down.load(Relaxed)).await;

        line.set_state("game", Some(Cause::Refused));
        assert_eq!(target.why_down(), Some(Cause::Refused));
        until("it is told", || target.is_down.load(Relaxed)).await;
        line.set_state("game", None);
        until("it is told", || target.why_down().is_none()).await;
        assert!(!is_ill(&target));
    }

    #[tokio::test]
    async fn a_service_is_the_other_ends_to_judge_and_an_address_that_of_its_flows() {
        let (service, _line) = target("tunnel:home/game");
        service.note_refused_there(Cause::Refused);
        assert_eq!(service.why_down(), None);
        service.note_refused_there(Cause::TunnelRefused);
        assert_eq!(service.why_down(), Some(Cause::TunnelRefused));

        let (address, _line) = target("tunnel:home/10.0.0.5:53");
        address.note_refused_there(Cause::TunnelBusy);
        address.note_refused_there(Cause::TunnelDown);
        assert_eq!(address.why_down(), None, "the first is no fault of it, and the tunnel tells the second");
        address.note_refused_there(Cause::Refused);
        assert_eq!(address.why_down(), Some(Cause::Refused));
        assert!(address.take_trial(Instant::now() + Duration::from_secs(60)));
        address.note_answer();
        assert_eq!((address.why_down(), is_ill(&address)), (None, false));
    }
}
