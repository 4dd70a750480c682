//! What Loopgate sends to a target, and verifies, before the bytes of a connection. Checks do the same.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::address::TargetAddress;
use crate::outcome::Cause;
use crate::proxy_protocol::Form;
use crate::transport::tls::{self, Sealed, TlsOrigination, Unsecured};

/// What precedes the bytes of a connection with a target. None of it comes from the client, so it can be repeated with
/// the next target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Greeting {
    /// The PROXY header, which is sent first.
    pub(crate) header: Option<Form>,
    /// The TLS handshake.
    pub(crate) tls: Option<Arc<TlsOrigination>>,
}

impl Greeting {
    /// Whether nothing precedes the client's bytes.
    pub(crate) fn is_empty(&self) -> bool {
        self.header.is_none() && self.tls.is_none()
    }
}

/// The TLS handshake with a target, without a deadline. An error holds the cause and a description.
pub(crate) async fn shake_hands(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    tls: &TlsOrigination,
    target: Option<&TargetAddress>,
) -> Result<Sealed, (Cause, String)> {
    tls::greet(stream, tls, target).await.map_err(|why| match why {
        Unsecured::Gone { .. } => (
            Cause::TlsRefused,
            "the target closed in the handshake: does that port speak TLS? see its log".into(),
        ),
        Unsecured::Broken(_) => (
            Cause::TlsRefused,
            "the target reset the connection in the handshake: does that port speak TLS?".into(),
        ),
        Unsecured::NoTls(words) => (Cause::NoTls, words.into()),
        Unsecured::Untrusted(words) => (Cause::TlsUntrusted, words),
        Unsecured::Refused(words) => (Cause::TlsRefused, words),
    })
}
