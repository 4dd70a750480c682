//! The step *secure*, and what is left of *greet*, where a route speaks TLS: the handshakes with client and target.

use std::sync::Arc;

use tokio::io::Interest;
use tokio::time::timeout;

use super::session::Session;
use crate::address::TargetAddress;
use crate::outcome::{Cause, End};
use crate::transport::Stream;
use crate::transport::tls::{self, ClientTls, Sealed, TargetTls, Unsecured};

/// Handshakes with clients that are under way at one time, over all routes. Each may hold some 100 KiB; who has not sent
/// its first record whole is not among them. A client beyond waits its turn, as long as its `handshake_timeout` lasts.
pub(super) const MOST_HANDSHAKES: usize = 1024;

/// The handshake with a client. What goes wrong is noted in words.
pub(super) async fn secure(client: &Stream, session: &Session, tls: &ClientTls) -> Result<Box<Sealed>, End> {
    let handshake = async {
        let hello = tls::hello(client).await?;
        // It fails only on a closed semaphore, and this one is never closed.
        let _turn = session.seat.cx.handshakes.acquire().await.ok();
        tls::accept(client, tls, hello).await
    };
    let why = match timeout(tls.parts().handshake_timeout, handshake).await {
        Ok(Ok(sealed)) => return Ok(Box::new(sealed)),
        Ok(Err(why)) => why,
        Err(_) => {
            Unsecured::Refused("the client did not finish the handshake within handshake_timeout".into())
        }
    };
    let words: Arc<str> = match why {
        // A look whether somebody listens, as monitors and port scanners do it.
        Unsecured::Gone { said: 0 } => return Err(End::ClientGone),
        Unsecured::Gone { .. } => "the client closed in the middle of the handshake".into(),
        Unsecured::Broken(_) => "the client reset the connection in the handshake".into(),
        Unsecured::NoTls(words) => words.into(),
        Unsecured::Untrusted(words) | Unsecured::Refused(words) => words.into(),
    };
    session.entry.hint(words);
    Err(End::TlsFailed)
}

/// The handshake with the target that is `written` so, unless the client goes first. What goes wrong is noted in words.
pub(super) async fn secure_target(
    client: &Stream,
    target: &Stream,
    written: Option<&TargetAddress>,
    session: &Session,
    tls: &TargetTls,
) -> Result<Box<Sealed>, End> {
    let handshake = timeout(tls.parts().handshake_timeout, tls::greet(target, tls, written));
    let why = tokio::select! {
        biased;
        answer = handshake => match answer {
            Ok(Ok(sealed)) => return Ok(Box::new(sealed)),
            Ok(Err(why)) => why,
            Err(_) => Unsecured::Refused("the target did not finish the handshake within handshake_timeout".into()),
        },
        // A FIN is no reason to go: the client may have sent its whole request. A reset is.
        _ = client.ready(Interest::ERROR) => return Err(End::ClientGone),
    };
    let (cause, words): (Cause, Arc<str>) = match why {
        Unsecured::Gone { .. } => (
            Cause::TlsRefused,
            "the target closed in the handshake: does that port speak TLS? see its log".into(),
        ),
        Unsecured::Broken(_) => (
            Cause::TlsRefused,
            "the target reset the connection in the handshake: does that port speak TLS?".into(),
        ),
        Unsecured::NoTls(words) => (Cause::NoTls, words.into()),
        Unsecured::Untrusted(words) => (Cause::TlsUntrusted, words.into()),
        Unsecured::Refused(words) => (Cause::TlsRefused, words.into()),
    };
    session.entry.hint(words);
    Err(End::NoTarget(cause))
}
