//! The step *secure* of a route that speaks TLS with its clients: the handshake.

use std::sync::Arc;

use tokio::time::timeout;

use super::session::Session;
use crate::outcome::End;
use crate::transport::Stream;
use crate::transport::tls::{self, ClientTls, Sealed, Unsecured};

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
