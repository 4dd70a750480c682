//! What the two ends of a TLS connection negotiated.

use std::sync::Arc;

/// The words are those of nginx and HAProxy where they have some, else those of IANA's registries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// `TLSv1.3` or `TLSv1.2`, as `$ssl_protocol` and `%sslv` have it.
    pub version: String,
    /// As IANA names it: `TLS_AES_128_GCM_SHA256`.
    pub cipher: String,
    /// The key exchange: `X25519MLKEM768`; `None` if a session of TLS 1.2 was resumed, which has none.
    pub group: Option<&'static str>,
    /// The protocol negotiated by ALPN, if any.
    pub alpn: Option<Arc<str>>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
}
