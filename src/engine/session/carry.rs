//! One connection's life, from accept to Outcome. This file is the heart: read it first.
//!
//! A session runs in steps, and a record's `phase` names the step it ended in: *identify* → *admit* → *secure* →
//! *connect* → *greet* → *relay*. A plain route has only *connect* and *relay*.

use std::pin::pin;

use super::admit::{admit, decide_again};
use super::connect::connect;
use super::custom::from_socket;
use super::first_byte::first_byte;
use super::front::Front;
use super::identify::identify;
use super::progress::{Finish, Progress, kernel};
use super::relay::{carefully, is_plain};
use super::secure::secure;
use super::sni::choose;
use super::state::{Caller, ClientEnd, Session, TargetEnd, Unfinished};
use crate::engine::runtime::by_hello::Speaks;
use crate::outcome::{End, Phase};
use crate::relay::{Relayed, Seals, abort, relay};
use crate::transport::{Arrived, Stream};

// The futures below are blocks, not `async fn`s, and they borrow the futures that they await: an async fn stores its
// arguments twice, and a future that is moved into another takes its space twice. Each idle session would pay for it.

/// Carries one accepted connection along its route to its end. The record is written after both sockets are closed, and
/// the slot is released after that: once all slots are free, all records are written.
///
/// An order from outside ends it in any step.
#[allow(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
pub(crate) fn carry(client: Arrived, session: Session) -> impl Future<Output = ()> + Send + 'static {
    async move {
        // The poller could not add the socket. An entry that is dropped unclosed is recorded as `internal`.
        let Ok(client) = client.open() else { return };
        let mut progress = Progress::default();
        let finish = 'steps: {
            let unfinished = Unfinished(&client);
            // Boxed: the memory of these steps is freed before the bytes begin to move.
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
            // Each has its own scope, so that a plain session has no space for the other.
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
            // The relay has decided how the target's connection closes.
            target_unfinished.disarm();
            let finish = finish(relayed, &client, &target, &session);
            if finish.end == End::Done {
                unfinished.disarm();
            }
            finish
        };
        drop(client);
        let (rest, slot) = session.close(progress, finish);
        if let Some(rest) = rest {
            rest.await;
        }
        drop(slot);
    }
}

/// The result of the relay, with the kernel's facts about both connections if records show them.
fn finish(relayed: Relayed, client: &Stream, target: &Stream, session: &Session) -> Finish {
    let mut finish = Finish::from(relayed);
    if session.slot.cx.ledger.wants_kernel_facts() {
        finish.kernel = kernel(client, target);
    }
    finish
}

/// Every step before the bytes move to a target that is a socket; with another target, the whole session.
async fn arrive_at_socket(
    client: &Stream,
    session: &Session,
    progress: &mut Progress,
) -> Result<(Stream, Option<Box<Seals>>), Finish> {
    match arrive(ClientEnd::Socket(client), Front::of_socket(client), session, progress).await? {
        (TargetEnd::Socket(target), seals) => Ok((target, seals)),
        (target, seals) => {
            progress.phase = Phase::Relay;
            // Boxed, so that sessions to a socket have no space for it.
            Err(Box::pin(from_socket(client, target, seals, session, progress)).await)
        }
    }
}

/// Every step before the bytes move; each sets `phase` before it begins. What the client sends first is looked at in `front`.
/// Returns the target, and the TLS state of the connections that use TLS.
pub(super) async fn arrive(
    client: ClientEnd<'_>,
    mut front: Front<'_>,
    session: &Session,
    progress: &mut Progress,
) -> Result<(TargetEnd, Option<Box<Seals>>), End> {
    let route = &session.runtime.route;
    let mut seals = Seals::default();
    // Boxed, like everything that few routes need, so that the other sessions have no space for it.
    let mut header = None;
    if !route.proxy.accept.is_empty() {
        progress.phase = Phase::Identify;
        let header = header.insert(Box::pin(identify(&mut front, session)).await?);
        progress.phase = Phase::Admit;
        decide_again(session, header, client.socket())?;
    }
    if session.slot.waits() {
        progress.phase = Phase::Admit;
        admit(client, session).await?;
    }
    if let Some(patience) = session.runtime.limits.first_byte {
        progress.phase = Phase::Admit;
        Box::pin(first_byte(&mut front, session, patience)).await?;
    }
    let chosen;
    let (mut runtime, mut speaks) = (&session.runtime, Speaks::Tls);
    if let Some(by_hello) = &runtime.by_hello {
        progress.phase = Phase::Secure;
        (chosen, speaks) = Box::pin(choose(&mut front, session, by_hello)).await?;
        runtime = &chosen;
    }
    if let Some(tls) = route.tls.as_ref().filter(|_| speaks == Speaks::Tls) {
        progress.phase = Phase::Secure;
        seals.client = Some(Box::pin(secure(&mut front, session, tls)).await?);
    }
    // Targets are tried in turn, which is safe because no target receives the client's bytes before it is greeted.
    let told = seals.client.as_ref().filter(|_| route.proxy.send.is_some());
    let is_vouched_for = route.tls.as_ref().is_some_and(|tls| tls.parts().asks_authorities());
    let tls = told.map(|sealed| Box::new(sealed.facts(is_vouched_for)));
    let told = client.visitor().map(|visitor| &visitor.header);
    let caller = Caller { client, tls, header: header.as_ref().or(told), session, runtime };
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
