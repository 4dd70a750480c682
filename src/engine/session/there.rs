//! The steps *connect* and *greet* with a target at the other end of a tunnel: OPEN on the carrier that was taken, and the
//! answer to it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::timeout_at;

use super::begun::Begun;
use super::greet::{introduction, secure};
use super::progress::Progress;
use super::state::{Caller, TargetEnd};
use crate::address::Protocol;
use crate::engine::targets::by_tunnel::Taken;
use crate::engine::targets::health::Stage;
use crate::engine::targets::reach::Unreached;
use crate::engine::targets::target::Target;
use crate::ledger::TunnelCarrier;
use crate::outcome::{Cause, End, Phase, Side};
use crate::proxy_protocol::Form;
use crate::relay::{Trouble, end_of, no_target};
use crate::transport::tls::{Sealed, TlsOrigination};
use crate::transport::tunnel::carrier::{Broken, FrameLink, Received};
use crate::transport::tunnel::frame::{Frame, Reason};
use crate::transport::tunnel::open::Open;

/// Takes a carrier and opens the session on it, within `patience`. The answer is waited for where something depends on it;
/// else the client's first bytes follow OPEN, and no round trip is added. With a target that speaks TLS the handshake follows.
///
/// # Errors
/// Why it did not come about. What the client has sent is all there for the next target.
pub(super) async fn dial_there(
    caller: &Caller<'_>,
    target: &Arc<Target>,
    patience: Duration,
    progress: &mut Progress,
) -> Result<(TargetEnd, Option<Box<Sealed>>), Unreached> {
    let deadline = Instant::now() + patience;
    let taken = target.take_carrier(patience, &mut progress.attempts).await;
    let Taken { carrier, waited } = taken.unwrap_or(Err(Cause::NoAddress.into()))?;
    let began = Instant::now();
    caller.session.entry.carried_by(TunnelCarrier { peer: carrier.peer, carried: carrier.carried, waited });
    let carrier = carrier.engage().map_err(|error| Unreached::from(Cause::of_dial(&error)))?;
    let mut begun = Begun::new(carrier, caller.session);
    let opened = match timeout_at(deadline.into(), open(caller, &mut begun, target)).await {
        Ok(opened) => opened,
        Err(_) => Err(Cause::TimedOut.into()),
    };
    let greeted = match (opened, &target.greeting().tls) {
        (Ok(answer), None) => Ok((answer, None)),
        (Ok(answer), Some(tls)) => {
            progress.phase = Phase::Greet;
            let sealed = shake_hands_there(&mut begun, tls, target).await;
            sealed.map(|sealed| (answer, Some(Box::new(sealed))))
        }
        (Err(failed), _) => Err(failed),
    };
    match greeted {
        Ok((answer, sealed)) => {
            if answer == Answer::Opened {
                target.answered_there(Ok(()));
            }
            if let Some(sealed) = &sealed {
                caller.session.entry.agree(Side::Target, sealed.agreed());
            }
            Ok((TargetEnd::Carrier(begun.done()?), sealed))
        }
        Err(failed) => {
            progress.attempts.fail_last(failed.cause, began.elapsed());
            if failed.cause.blames_target() {
                target.details().answer = failed.words.as_deref().map(str::to_owned);
                target.answered_there(Err(failed.cause));
            }
            Err(failed)
        }
    }
}

/// The handshake with the target, in the session: the other end of the tunnel carries its bytes as any.
async fn shake_hands_there(
    begun: &mut Begun<'_>,
    tls: &TlsOrigination,
    target: &Target,
) -> Result<Sealed, Unreached> {
    let there = begun.flow()?;
    let failed = match secure(&mut *there, tls, target).await {
        Ok(sealed) => return Ok(sealed),
        Err(failed) => match there.trouble().and_then(ended_there) {
            Some(ended) => Unreached { handshake: failed.handshake, ..ended },
            None => failed,
        },
    };
    begun.fails(End::TlsFailed);
    Err(failed)
}

/// How the other end of the tunnel has ended the session within the handshake, if it was not the target that did.
fn ended_there(trouble: &Trouble) -> Option<Unreached> {
    let Trouble::Told(end, words) = trouble else { return None };
    let cause = match end {
        End::TargetReset => return None,
        End::NoTarget(cause) => *cause,
        End::TunnelLost => Cause::TunnelDown,
        End::Denied(_) | End::NoName | End::BadHeader => Cause::Denied,
        End::Limited(_) | End::Evicted | End::Drained => Cause::TunnelBusy,
        _ => Cause::Reset,
    };
    let far = matches!(end, End::NoTarget(_));
    // As where it is lost before the other end has answered.
    let turned_away = (*end != End::TunnelLost).then_some(*end);
    Some(Unreached { words: words.clone(), far, turned_away, ..cause.into() })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// The target has answered.
    Opened,
    /// Nobody has waited.
    Unknown,
}

async fn open(caller: &Caller<'_>, begun: &mut Begun<'_>, target: &Target) -> Result<Answer, Unreached> {
    let greeting = target.greeting();
    let open = Frame::Open(opening(caller, target)?.encode());
    let link = begun.begin()?;
    link.queue(&open).map_err(broken)?;
    if let Some(form) = greeting.header {
        let header = introduction(caller, form);
        link.queue_message(&form.announce(&header.ends, &header.tlvs)).map_err(broken)?;
    }
    if !waits(caller, target) {
        // The relay sends it, along with the client's first bytes if those are there.
        return Ok(Answer::Unknown);
    }
    link.flush().await.map_err(broken)?;
    let answer = answer(link).await;
    if answer.is_err() {
        begun.is_over();
    }
    answer.map(|()| Answer::Opened)
}

/// What the other end is asked for.
fn opening(caller: &Caller<'_>, target: &Target) -> Result<Open, Unreached> {
    let there = target.to().there().ok_or(Cause::NoAddress)?;
    let entry = &caller.session.entry;
    let (id, came) = match caller.client.visitor() {
        // One session has one number, and one beginning, however many tunnels it goes through.
        Some(visitor) => (visitor.id, visitor.came),
        None => {
            let now = SystemTime::now();
            (entry.id(), now.checked_sub(entry.started().elapsed()).unwrap_or(now))
        }
    };
    let header = introduction(caller, Form::V2);
    Ok(Open { id, to: there.to.clone(), protocol: Protocol::Tcp, came, header })
}

/// Whether something depends on the answer: another target can be tried, or the same once more; the target is known to be
/// down; TLS with it is ours; or the opener of a tunnel before this one is to be told.
fn waits(caller: &Caller<'_>, target: &Target) -> bool {
    let dial = &caller.runtime.route.dial;
    caller.runtime.pool.only().is_none()
        || !dial.wait_for_target.is_zero()
        || matches!(target.stage(), Stage::Down(_) | Stage::Stalled)
        || target.greeting().tls.is_some()
        || caller.client.visitor().is_some()
}

/// Waits for the answer to OPEN, before which the other end sends nothing else.
async fn answer(link: &mut FrameLink) -> Result<(), Unreached> {
    match link.receive(0).await {
        Ok(Received::Frame(Frame::Opened)) => Ok(()),
        Ok(Received::Frame(Frame::Failed(content))) => Err(failed(&content)),
        Ok(Received::Frame(Frame::Reset(reason))) => Err(turned_away(reason)),
        // It has crossed OPEN.
        Ok(Received::Frame(Frame::Close(_))) => Err(Cause::TunnelDown.into()),
        Ok(_) => Err(broken(Broken::Protocol("what it sent is no answer to OPEN".to_owned()))),
        Err(why) => Err(broken(why)),
    }
}

/// The other end has dialled in vain.
fn failed(content: &[u8]) -> Unreached {
    let (end, words) = no_target(content);
    let cause = if let End::NoTarget(cause) = end { cause } else { Cause::TunnelRefused };
    Unreached { words, far: true, ..cause.into() }
}

/// The other end has ended the session before it dialled.
fn turned_away(reason: Reason) -> Unreached {
    let cause = match reason {
        Reason::Denied | Reason::NoName | Reason::BadHeader => Cause::Denied,
        Reason::Limited | Reason::Evicted | Reason::Drained => Cause::TunnelBusy,
        Reason::Revoked | Reason::NoTarget => Cause::TunnelRefused,
        _ => Cause::Reset,
    };
    let (end, words) = end_of(reason, Side::Target);
    let far = matches!(end, End::NoTarget(_));
    Unreached { words, far, turned_away: Some(end), ..cause.into() }
}

fn broken(why: Broken) -> Unreached {
    let cause = match &why {
        Broken::Closed => Cause::TunnelDown,
        Broken::Io(error) => Cause::of_dial(error),
        Broken::Tls(_) | Broken::Protocol(_) => Cause::BadAnswer,
    };
    let words = matches!(cause, Cause::BadAnswer).then(|| why.to_string().into());
    Unreached { words, ..cause.into() }
}
