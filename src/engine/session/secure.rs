//! The step *secure* of a route that uses TLS with its clients: the handshake.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::state::Session;
use crate::engine::runtime::context::SessionSlot;
use crate::outcome::{End, Limit, Side};
use crate::transport::Stream;
use crate::transport::tls::{self, Sealed, TlsTermination, Unsecured};

/// The handshake with a client. The cause of a failure becomes the hint of the record.
pub(crate) async fn secure(
    client: &Stream,
    session: &Session,
    tls: &TlsTermination,
) -> Result<Box<Sealed>, End> {
    let deadline = Instant::now() + tls.parts().handshake_timeout;
    let SessionSlot { cx, .. } = &session.slot;
    let why = match timeout_at(deadline, tls::hello(client)).await {
        Ok(Ok(hello)) => {
            let place = timeout_at(deadline, cx.handshakes.enter()).await;
            let mut place = place.map_err(|_| End::Limited(Limit::Handshakes))?;
            let handshake = async {
                let answer = || tls::answer(tls, hello);
                cx.handshakes.compute(session.slot.worker(), answer).await?.finish(client).await
            };
            tokio::select! {
                biased;
                sealed = timeout_at(deadline, handshake) => match sealed {
                    Ok(Ok(sealed)) => {
                        session.entry.agree(Side::Client, sealed.agreed());
                        return Ok(Box::new(sealed));
                    }
                    Ok(Err(why)) => why,
                    Err(_) => late(),
                },
                () = place.reclaimed() => return Err(End::Limited(Limit::Handshakes)),
            }
        }
        Ok(Err(why)) => why,
        Err(_) => late(),
    };
    let words: Arc<str> = match why {
        // A test of the port, as monitors and port scanners do it.
        Unsecured::Gone { said: 0 } => return Err(End::ClientGone),
        Unsecured::Gone { .. } => "the client closed in the middle of the handshake".into(),
        Unsecured::Broken(_) => "the client reset the connection in the handshake".into(),
        Unsecured::NoTls(words) => words.into(),
        Unsecured::Untrusted(words) | Unsecured::Refused(words) => words.into(),
    };
    session.entry.hint(words);
    Err(End::TlsFailed)
}

fn late() -> Unsecured {
    Unsecured::Refused("the client did not finish the handshake within handshake_timeout".into())
}
