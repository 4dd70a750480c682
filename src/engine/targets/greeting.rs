//! What a target has to be told, and to prove, before the bytes of a connection: also that of a check.

use std::sync::Arc;

use crate::address::TargetAddress;
use crate::outcome::Cause;
use crate::proxy_protocol::Form;
use crate::transport::Stream;
use crate::transport::tls::{self, Sealed, TlsOrigination, Unsecured};

/// What stands before the bytes of a connection with a target. Nothing of it is the client's, so it can be said again to
/// the next target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Greeting {
    /// The PROXY header, which comes first.
    pub(crate) header: Option<Form>,
    /// The TLS handshake.
    pub(crate) tls: Option<Arc<TlsOrigination>>,
}

impl Greeting {
    /// Whether there is nothing to be said.
    pub(crate) fn is_empty(&self) -> bool {
        self.header.is_none() && self.tls.is_none()
    }
}

/// The TLS handshake with a target, without a deadline; what went wrong, in words.
pub(crate) async fn shake_hands(
    stream: &Stream,
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
