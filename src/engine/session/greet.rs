//! The step *greet*: the PROXY header that a target is sent and the TLS handshake with it, before anything else.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::progress::Progress;
use super::state::{Caller, Session, Unfinished};
use crate::engine::targets::greeting::{Greeting, shake_hands};
use crate::engine::targets::health::Event;
use crate::engine::targets::reach::Unreached;
use crate::engine::targets::target::Target;
use crate::outcome::{Cause, Client, Side};
use crate::proxy_protocol::{Ends, Form, Header};
use crate::transport::tls::{Sealed, TlsOrigination};
use crate::transport::{Link, Stream, local_address, local_name};

/// Greets a target that was reached; returns the TLS state, if it uses TLS. A target that cannot be greeted counts like
/// one that cannot be dialled: the cause is noted in its attempt and its health.
pub(crate) async fn greet(
    caller: &Caller<'_>,
    link: &mut Link,
    target: &Arc<Target>,
    progress: &mut Progress,
) -> Result<Option<Box<Sealed>>, Unreached> {
    let began = Instant::now();
    let greeted = send_greeting(caller, link, target).await;
    if let Ok(Some(seal)) = &greeted {
        caller.session.entry.agree(Side::Target, seal.agreed());
    }
    if let Err(failed) = &greeted {
        progress.attempts.fail_last(failed.cause, began.elapsed());
        target.details().answer = failed.words.as_deref().map(str::to_owned);
        target.note(Event::Failed(failed.cause));
    }
    greeted
}

async fn send_greeting(
    caller: &Caller<'_>,
    link: &mut Link,
    target: &Target,
) -> Result<Option<Box<Sealed>>, Unreached> {
    let Greeting { header, tls } = target.greeting();
    if let Some(form) = header {
        announce(caller, link, *form).await?;
    }
    match (tls, link) {
        (None, _) => Ok(None),
        (Some(tls), Link::Socket(stream)) => Ok(Some(Box::new(secure(&*stream, tls, target).await?))),
        (Some(tls), Link::Custom(custom)) => Ok(Some(Box::new(secure(custom.stream(), tls, target).await?))),
        // One that a session takes is greeted where it is opened.
        (Some(_), Link::Carrier(_)) => Err(Cause::TlsRefused.into()),
    }
}

/// Sends the PROXY header that announces the client to the target, within `connect_timeout`. The content of an accepted
/// header is passed on, so that a chain of proxies names the client of the first.
async fn announce(caller: &Caller<'_>, target: &mut Link, form: Form) -> Result<(), Unreached> {
    let (client, session) = (caller.client.socket(), caller.session);
    let Header { ends, tlvs } = introduction(caller, form);
    let bytes = form.announce(&ends, &tlvs);
    let stream = match target {
        // It resets itself when it is dropped before its end; and a carrier's session has a guard of its own.
        Link::Custom(_) | Link::Carrier(_) => return within(session, target.send_all(&bytes)).await,
        Link::Socket(stream) => &*stream,
    };
    // A partial header must end in a reset, not look complete.
    let unfinished = Unfinished(stream);
    let send = async {
        // The bytes that the client has already sent go with it in one segment, which wakes the target once. With TLS
        // this does not hold: the ciphertext so far may not be a whole record.
        if session.runtime.route.tls.is_none() && client.is_some_and(Stream::has_unread) {
            stream.send_all_before_others(&bytes).await
        } else {
            stream.send_all(&bytes).await
        }
    };
    within(session, send).await?;
    unfinished.disarm();
    Ok(())
}

/// What is told of a client: its ends, as its proxy announced them or as the kernel has them, and what that proxy said of
/// it besides.
pub(super) fn introduction(caller: &Caller<'_>, form: Form) -> Header {
    let tlvs = caller.header.map(|header| header.tlvs.clone()).unwrap_or_default();
    let tlvs = caller.tls.as_ref().map_or(tlvs.clone(), |facts| facts.added_to(tlvs));
    // A proxy that came by a tunnel and connects on its own behalf is the visitor.
    let of_visitor = || caller.client.visitor().map(|visitor| &visitor.header.ends);
    let announced = caller.header.map(|header| &header.ends).filter(|ends| **ends != Ends::Own);
    let ends = match announced.or_else(of_visitor) {
        None | Some(Ends::Own) => ends(caller.client.socket(), caller.session.entry.client(), form),
        Some(ends) => ends.clone(),
    };
    Header { ends, tlvs }
}

/// Sends within `connect_timeout`.
async fn within(session: &Session, send: impl Future<Output = io::Result<()>>) -> Result<(), Unreached> {
    match timeout(session.runtime.route.dial.connect_timeout, send).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(cause_of(&error).into()),
        Err(_) => Err(Cause::TimedOut.into()),
    }
}

/// The cause of a failed send. EPIPE means that the target closed at once and answered the header with a reset.
fn cause_of(error: &io::Error) -> Cause {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Cause::Reset,
        _ => Cause::of_dial(error),
    }
}

/// The ends of the client's connection as the kernel has them. A client of a Unix socket, or of a custom stream, has no
/// address that identifies it, and HAProxy refuses headers of the Unix family: it is announced as the proxy's own
/// connection, as HAProxy does, unless the route says otherwise. A socket without a local address has lost its client, which the relay will find out.
fn ends(stream: Option<&Stream>, client: Client, form: Form) -> Ends {
    match (client, stream) {
        (Client::Net(client), Some(stream)) => {
            local_address(stream).map_or(Ends::Own, |destination| Ends::Net { client, destination })
        }
        (Client::Unix { .. }, Some(stream)) if form == Form::V2Unix => {
            local_name(stream).map_or(Ends::Own, |name| Ends::at_unix(&name))
        }
        (Client::Net(_), None) | (Client::Unix { .. } | Client::Unknown, _) => Ends::Own,
    }
}

/// The TLS handshake with a target, for at most its `handshake_timeout`.
///
/// Cancel safe in the sense that only the connection is lost.
pub(super) async fn secure(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    tls: &TlsOrigination,
    target: &Target,
) -> Result<Sealed, Unreached> {
    let (patience, began) = (tls.parts().handshake_timeout, Instant::now());
    let secured = timeout(patience, shake_hands(stream, tls, target.to().named())).await;
    let (cause, words) = match secured {
        Ok(Ok(sealed)) => return Ok(sealed),
        Ok(Err(failed)) => failed,
        Err(_) => (Cause::TlsRefused, LATE.into()),
    };
    Err(Unreached { words: Some(words.into()), handshake: began.elapsed(), ..cause.into() })
}

const LATE: &str = "the target did not finish the handshake within handshake_timeout";
