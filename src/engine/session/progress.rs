//! What a session notes while it runs, from which its outcome is made at the end.

use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::targets::attempts::Attempts;
use crate::engine::targets::target::Target;
use crate::ledger::Entry;
use crate::outcome::{Cause, End, Kernel, Outcome, Phase, Side, Timing};
use crate::relay::Relayed;
use crate::sys;
use crate::transport::Stream;

/// The notes of one session.
#[derive(Default)]
pub(crate) struct Progress {
    /// The step it is in.
    pub(crate) phase: Phase,
    /// The target it goes to.
    pub(crate) guard: Option<TargetGuard>,
    pub(crate) attempts: Attempts,
    pub(crate) connect: Option<Nanos>,
}

/// A time of at most 584 years, in half the size of a [`Duration`]: every idle session has one.
pub(crate) struct Nanos(NonZeroU64);

/// Counts a session at its target, from the dial on, until it is dropped.
pub(crate) struct TargetGuard(Arc<Target>);

impl TargetGuard {
    /// Counts a session; `None` if the target has `most` already.
    pub(crate) fn enter(target: &Arc<Target>, most: Option<usize>) -> Option<TargetGuard> {
        target.crowd.enter(most).then(|| TargetGuard(target.clone()))
    }

    /// The target.
    pub(crate) fn target(&self) -> &Arc<Target> {
        &self.0
    }

    /// Counts the session off while it waits, and on again with [`TargetGuard::enter`].
    pub(crate) fn step_back(self) -> Arc<Target> {
        self.0.clone()
    }
}

impl Drop for TargetGuard {
    fn drop(&mut self) {
        self.0.crowd.leave();
    }
}

/// The result of the last step.
pub(crate) struct Finish {
    pub(crate) end: End,
    first_byte: Option<Instant>,
    closed_by: Option<Side>,
    abandoned: bool,
    pub(crate) kernel: Option<Kernel>,
    /// What is left to do once both connections are closed and the record is written.
    rest: Option<Rest>,
}

/// What follows a session that was cut on a carrier: the wait until the other end has the reason.
pub(crate) type Rest = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Finish {
    /// Has this follow the session, beside what follows it already.
    pub(crate) fn then(mut self, next: impl Future<Output = ()> + Send + 'static) -> Finish {
        let rest = self.rest.take();
        self.rest = Some(Box::pin(async {
            match rest {
                Some(rest) => drop(tokio::join!(rest, next)),
                None => next.await,
            }
        }));
        self
    }

    /// What follows it; the session keeps its place until that is over.
    pub(crate) fn take_rest(&mut self) -> Option<Rest> {
        self.rest.take()
    }
}

impl From<End> for Finish {
    fn from(end: End) -> Finish {
        Finish { end, first_byte: None, closed_by: None, abandoned: false, kernel: None, rest: None }
    }
}

impl From<Relayed> for Finish {
    fn from(it: Relayed) -> Finish {
        Finish {
            end: it.end,
            first_byte: it.first_byte,
            closed_by: it.closed_by,
            abandoned: it.abandoned,
            kernel: None,
            rest: None,
        }
    }
}

impl Progress {
    /// Notes that the target was reached, and how long that took.
    pub(crate) fn reached(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.connect = Some(Nanos(NonZeroU64::new(nanos).unwrap_or(NonZeroU64::MIN)));
    }

    pub(crate) fn outcome(self, finish: Finish, entry: &Entry) -> Outcome {
        let started = entry.started();
        let traffic = entry.meter().traffic();
        if let Some(tunnel) = self.guard.as_ref().and_then(|aim| aim.0.by_tunnel()) {
            tunnel.line.numbers().moved(traffic.up.delivered, traffic.down.read);
        }
        let attempts = self.attempts.into_vec(|| self.guard.as_ref()?.0.to().place());
        Outcome {
            end: finish.end,
            phase: self.phase,
            closed_by: finish.closed_by,
            target: attempts.last().map(|attempt| attempt.address.clone()),
            attempts,
            traffic,
            timing: Timing {
                connect: self.connect.map(|it| Duration::from_nanos(it.0.get())),
                first_byte: finish.first_byte.map(|at| at.saturating_duration_since(started)),
                total: started.elapsed(),
            },
            way: entry.meter().way(),
            datagrams: None,
            kernel: finish.kernel,
            hint: self.guard.and_then(|aim| hint(&aim.0, &finish)),
        }
    }
}

pub(crate) fn kernel(client: &Stream, target: &Stream) -> Option<Kernel> {
    let (client, target) = (sys::tcp_info(client).ok()?, sys::tcp_info(target).ok()?);
    Some(Kernel {
        client_rtt_us: client.round_trip_us,
        target_rtt_us: target.round_trip_us,
        client_retransmits: client.retransmits,
        target_retransmits: target.retransmits,
    })
}

/// What is known about why a session ended as it did.
fn hint(target: &Target, finish: &Finish) -> Option<Arc<str>> {
    let is_of_target = finish.closed_by == Some(Side::Target);
    match finish.end {
        // The session has noted the details itself.
        End::NoTarget(Cause::NoTls | Cause::TlsUntrusted | Cause::TlsRefused) => None,
        End::NoTarget(cause) => target.hint(cause),
        End::TargetReset | End::TargetLost => target.cut_by_death(Instant::now()),
        // A FIN of a target that closed altogether may be known here before its process is known to have ended.
        _ if is_of_target && (finish.abandoned || target.has_died()) => target.cut_by_death(Instant::now()),
        _ => None,
    }
}
