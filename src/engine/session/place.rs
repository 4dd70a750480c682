//! The part of the step *connect* that chooses a target: one that has room for the session, which it counts there, or,
//! where all are full, the first at which a session ends.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::progress::{Progress, TargetGuard};
use super::state::Caller;
use crate::balance::{Fitness, Key};
use crate::engine::runtime::context::RouteRuntime;
use crate::engine::targets::crowd::Position;
use crate::engine::targets::pool::{Member, Picked, Tried};
use crate::limits::WhenFull;
use crate::outcome::{Limit, Phase};

/// What a client's search for a target has come to.
#[derive(Default)]
pub(super) struct Search {
    /// The targets that have failed it.
    pub(super) tried: Tried,
    /// How long it has waited for a place.
    pub(super) waited: Duration,
    /// Until when it may; `None` if it has not waited yet.
    until: Option<Instant>,
}

/// Chooses a target by the route's rule, and counts the session there. `None` if each has failed this client.
///
/// # Errors
/// The limit that rejects the client: all targets are full, and it may not wait, or waited too long.
pub(super) async fn choose(
    caller: &Caller<'_>,
    search: &mut Search,
    progress: &mut Progress,
) -> Result<Option<usize>, Limit> {
    let is_behind_others = caller.runtime.line.as_ref().is_some_and(|line| !line.is_empty());
    if !is_behind_others {
        match enter(caller, search, progress) {
            Picked::At(place) => return Ok(Some(place)),
            Picked::Nobody => return Ok(None),
            Picked::Full => {}
        }
    }
    // Boxed, so that the others have no space for it.
    Box::pin(wait(caller, search, progress)).await
}

/// Counts the session at the target at this index, if that has room.
pub(super) fn enter_at(runtime: &RouteRuntime, place: usize, progress: &mut Progress) -> bool {
    // It is not counted at two at one time, nor keeps itself out.
    progress.guard = None;
    progress.guard = TargetGuard::enter(runtime.pool.at(place), runtime.pool.most(place));
    progress.guard.is_some()
}

/// The same at a target of the route's choice.
fn enter(caller: &Caller<'_>, search: &Search, progress: &mut Progress) -> Picked {
    let client = || Key::of_client(caller.session.entry.behind());
    loop {
        match caller.runtime.pool.pick(client, &search.tried, Instant::now()) {
            // Another client may have taken the place since; then that target is seen to be full.
            Picked::At(place) if !enter_at(caller.runtime, place, progress) => {}
            picked => return picked,
        }
    }
}

/// Waits in the route's line until a target has room. Cancel safe.
async fn wait(
    caller: &Caller<'_>,
    search: &mut Search,
    progress: &mut Progress,
) -> Result<Option<usize>, Limit> {
    // It takes no place at one that has failed it.
    (progress.phase, progress.guard) = (Phase::Connect, None);
    let (runtime, entry) = (caller.runtime, &caller.runtime.route.entry);
    let Some(line) = runtime.line.as_ref().filter(|_| entry.full == WhenFull::Queue) else {
        return Err(Limit::Target);
    };
    let began = Instant::now();
    let position = line.join(entry.queue).ok_or(Limit::Queue)?;
    let until = *search.until.get_or_insert(began + entry.queue_timeout);
    let entered = async {
        loop {
            if called(&position, runtime).await == Call::Back {
                // Among others, it may be one that has failed this client.
                search.tried = Tried::default();
            }
            match enter(caller, search, progress) {
                Picked::At(place) => return Some(place),
                Picked::Nobody => return None,
                // What has failed this client may have room for the next.
                Picked::Full if !search.tried.is_empty() => position.pass(),
                Picked::Full => {}
            }
        }
    };
    let entered = timeout_at(until.into(), entered).await;
    search.waited += began.elapsed();
    entered.map_err(|_| Limit::QueueTimeout)
}

/// Why a client in a line should look for a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    /// A session has ended, or who is before it found nothing.
    Turn,
    /// A target that was down or stalled is well.
    Back,
}

/// Resolves when the client should look for a place. Cancel safe.
async fn called(position: &Position<'_>, runtime: &RouteRuntime) -> Call {
    let ill = runtime.pool.open().filter(|target| target.fitness(Instant::now()) == Fitness::Ill);
    let back = any(ill.map(|target| Box::pin(target.well()) as Step<'_>).collect());
    tokio::select! {
        biased;
        () = position.turn() => return Call::Turn,
        () = back => {}
    }
    // Who is before it goes first, and calls the next.
    if !position.is_first() {
        position.turn().await;
    }
    Call::Back
}

/// Something that a client waits for.
pub(super) type Step<'s> = Pin<Box<dyn Future<Output = ()> + Send + 's>>;

/// Resolves with the first of these; never, if there is none. Cancel safe where each is.
pub(super) async fn any(mut steps: Vec<Step<'_>>) {
    poll_fn(|task| {
        let is_one = steps.iter_mut().any(|step| step.as_mut().poll(task).is_ready());
        if is_one { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
