//! The step *secure* of a route that uses TLS with its clients: the handshake.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::front::Front;
use super::state::Session;
use crate::engine::runtime::context::SessionSlot;
use crate::outcome::{End, Limit, Side};
use crate::transport::tls::{self, Sealed, TlsTermination, Unsecured};

/// The handshake with a client. The cause of a failure becomes the hint of the record.
pub(super) async fn secure(
    client: &mut Front<'_>,
    session: &Session,
    tls: &TlsTermination,
) -> Result<Box<Sealed>, End> {
    let shaken = match client {
        Front::Socket(stream, _) => shake(*stream, session, tls).await,
        Front::Ahead(ahead) => shake(&mut **ahead, session, tls).await,
    };
    let why = match shaken {
        Ok(sealed) => {
            session.entry.agree(Side::Client, sealed.agreed());
            return Ok(Box::new(sealed));
        }
        Err(Failed::Handshake(why)) => why,
        Err(Failed::NoPlace) => return Err(End::Limited(Limit::Handshakes)),
    };
    let words: Arc<str> = match why {
        // A test of the port, as monitors and port scanners do it.
        Unsecured::Gone { said: 0 } => return Err(End::ClientGone),
        Unsecured::Gone { .. } => "the client closed in the middle of the handshake".into(),
        Unsecured::Broken(_) if client.gone(session) != End::ClientGone => return Err(client.gone(session)),
        Unsecured::Broken(_) => "the client reset the connection in the handshake".into(),
        Unsecured::NoTls(words) => words.into(),
        Unsecured::Untrusted(words) | Unsecured::Refused(words) => words.into(),
    };
    session.entry.hint(words);
    Err(End::TlsFailed)
}

/// Why there is no TLS with a client.
enum Failed {
    Handshake(Unsecured),
    /// Too many handshakes wait.
    NoPlace,
}

impl From<Unsecured> for Failed {
    fn from(why: Unsecured) -> Failed {
        Failed::Handshake(why)
    }
}

async fn shake(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    session: &Session,
    tls: &TlsTermination,
) -> Result<Sealed, Failed> {
    let deadline = Instant::now() + tls.parts().handshake_timeout;
    let SessionSlot { cx, .. } = &session.slot;
    let hello = timeout_at(deadline, tls::hello(&mut client)).await.map_err(|_| late())??;
    let place = timeout_at(deadline, cx.handshakes.enter()).await;
    let mut place = place.map_err(|_| Failed::NoPlace)?;
    let handshake = async {
        let answer = || tls::answer(tls, hello);
        cx.handshakes.compute(session.slot.worker(), answer).await?.finish(client).await
    };
    tokio::select! {
        biased;
        sealed = timeout_at(deadline, handshake) => Ok(sealed.map_err(|_| late())??),
        () = place.reclaimed() => Err(Failed::NoPlace),
    }
}

fn late() -> Unsecured {
    Unsecured::Refused("the client did not finish the handshake within handshake_timeout".into())
}
