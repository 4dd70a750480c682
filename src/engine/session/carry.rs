//! One connection's life, from accept to Outcome. This file is the heart: read it first.
//!
//! A session is carried in steps, and a record's `phase` names the step it ended in: *identify* → *admit* → *secure* →
//! *connect* → *greet* → *relay*. A route that asks for nothing special has but the last and *connect*.

use std::pin::pin;

use super::admit::{admit, decide_again};
use super::connect::connect;
use super::custom::to_custom;
use super::first_byte::first_byte;
use super::identify::identify;
use super::progress::{Finish, Progress, kernel};
use super::relay::{carefully, is_plain};
use super::secure::secure;
use super::sni::choose;
use super::state::{Caller, Session, Unfinished};
use crate::engine::runtime::by_hello::Speaks;
use crate::outcome::{End, Phase};
use crate::relay::{Relayed, Seals, abort, relay};
use crate::transport::{Arrived, Link, Stream};

// The futures below are blocks, not `async fn`s, and what they await is lent to them, not given: an async fn keeps its
// arguments twice, and a future that was moved into another takes its room twice. Each idle session would pay.

/// Carries one accepted connection along its route to its end. The record is written when both sockets are closed, and
/// the seat is given back after that: who has all seats has all records.
///
/// An order from outside ends it in whatever step it is.
#[allow(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
pub(crate) fn carry(client: Arrived, session: Session) -> impl Future<Output = ()> + Send + 'static {
    async move {
        // Dropped unclosed, the entry says `internal`: the poller would not take the socket.
        let Ok(client) = client.open() else { return };
        let mut progress = Progress::default();
        let finish = 'steps: {
            let unfinished = Unfinished(&client);
            // Boxed: what the way there needs is given back before the bytes begin to move.
            let (target, seals) = {
                let mut arriving = Box::pin(arrive_at_socket(&client, &session, &mut progress));
                match session.entry.live().unless_ordered(arriving.as_mut()).await {
                    Ok(Ok(arrived)) => arrived,
                    Ok(Err(finish)) => {
                        if finish.end == End::Done {
                            unfinished.disarm();
                        }
                        break 'steps finish;
                    }
                    Err(order) => break 'steps Finish::from(order.end()),
                }
            };
            progress.phase = Phase::Relay;
            let target_unfinished = Unfinished(&target);
            let _open = session.entry.meter().open(&client, &target);
            if let Some(permit) = session.slot.permit() {
                permit.moves(session.entry.live());
            }
            // Each in a scope of its own: who is carried plainly has no room for more.
            let relayed = if is_plain(&session, &seals) {
                let linger = &session.runtime.route.reset_linger;
                let relaying = pin!(relay(&client, &target, session.entry.meter(), linger));
                session.entry.live().unless_ordered(relaying).await
            } else {
                session
                    .entry
                    .live()
                    .unless_ordered(carefully(&client, &target, &session, seals).as_mut())
                    .await
            };
            let relayed = relayed.unwrap_or_else(|order| {
                abort(&client, &target, session.entry.meter(), order.end());
                Relayed::at(session.entry.meter(), order.end())
            });
            // What the target's close is to be has been decided by now.
            target_unfinished.disarm();
            let finish = finish(relayed, &client, &target, &session);
            if finish.end == End::Done {
                unfinished.disarm();
            }
            finish
        };
        drop(client);
        let Session { entry, slot, .. } = session;
        let outcome = progress.outcome(finish, &entry);
        entry.close(outcome);
        drop(slot);
    }
}

/// What the relay came to, with what the kernel knows of both connections where a record shows it.
fn finish(relayed: Relayed, client: &Stream, target: &Stream, session: &Session) -> Finish {
    let mut finish = Finish::from(relayed);
    if session.slot.cx.ledger.wants_kernel_facts() {
        finish.kernel = kernel(client, target);
    }
    finish
}

/// Every step before the bytes move to a target that is a socket, or else all of the session.
async fn arrive_at_socket(
    client: &Stream,
    session: &Session,
    progress: &mut Progress,
) -> Result<(Stream, Option<Box<Seals>>), Finish> {
    match arrive(Some(client), session, progress).await? {
        (Link::Socket(target), seals) => Ok((target, seals)),
        (Link::Custom(target), seals) => {
            progress.phase = Phase::Relay;
            // Boxed: the way to a socket needs no room for it.
            Err(Box::pin(to_custom(client, target, seals, session)).await)
        }
    }
}

/// Every step before the bytes move; each says its name before it begins. Gives the target, and which of the two
/// connections are secured.
pub(super) async fn arrive(
    client: Option<&Stream>,
    session: &Session,
    progress: &mut Progress,
) -> Result<(Link, Option<Box<Seals>>), End> {
    let route = &session.runtime.route;
    let mut seals = Seals::default();
    // Boxed, as whatever few routes have: the way of the others needs no room for it.
    let mut header = None;
    // What has to look at the first bytes needs a socket; who has none was refused.
    let socket = || client.ok_or(End::Internal);
    if !route.proxy.accept.is_empty() {
        progress.phase = Phase::Identify;
        let said = header.insert(Box::pin(identify(socket()?, session)).await?);
        progress.phase = Phase::Admit;
        decide_again(session, said)?;
    }
    if session.slot.waits() {
        progress.phase = Phase::Admit;
        admit(client, session).await?;
    }
    if let Some(patience) = session.runtime.limits.first_byte {
        progress.phase = Phase::Admit;
        Box::pin(first_byte(socket()?, session, patience)).await?;
    }
    let chosen;
    let (mut runtime, mut speaks) = (&session.runtime, Speaks::Tls);
    if let Some(by_hello) = &runtime.by_hello {
        progress.phase = Phase::Secure;
        (chosen, speaks) = Box::pin(choose(socket()?, session, by_hello)).await?;
        runtime = &chosen;
    }
    if let Some(tls) = route.tls.as_ref().filter(|_| speaks == Speaks::Tls) {
        progress.phase = Phase::Secure;
        seals.client = Some(Box::pin(secure(socket()?, session, tls)).await?);
    }
    // To each target in turn, as long as there is one: it has heard nothing of the client's until it is greeted.
    let caller = Caller { client, header: header.as_ref(), session, runtime };
    let (target, seal) = connect(&caller, progress).await?;
    seals.target = seal;
    Ok((target, (!seals.is_empty()).then(|| Box::new(seals))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_answer<A, B, F>(_: fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    /// With what tokio adds it is a task of 512 bytes, and as tasks are aligned to 128, one byte more costs as many.
    #[test]
    fn an_idle_session_is_a_small_future() {
        assert!(size_of_answer(carry) <= 408, "{}", size_of_answer(carry));
    }
}
