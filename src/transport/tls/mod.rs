//! TLS with clients and with targets: its settings in a route, the handshake, and records ⇄ plain bytes.
//!
//! rustls implements it, through its unbuffered interface: the bytes are in the caller's buffers, so an idle connection
//! keeps none. Nothing here reads files or sets deadlines; which route, how long and what a failure means is up to the
//! engine.

mod certificate;
mod errors;
mod handshake;
mod key_pair;
mod look;
mod names;
mod old_version;
mod originate;
mod pin;
mod records;
mod target_name;
mod terminate;
mod wire;

use std::sync::Arc;

use rustls::SupportedProtocolVersion;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use serde::Deserialize;

pub use certificate::{Certificate, read_certificates};
pub use errors::{Unsecured, broken};
pub use handshake::{Answered, Hello, answer, greet, hello};
pub(in crate::transport) use handshake::{Failed, shake_as_client, shake_as_server};
pub use key_pair::{Pair, PairFault, PairFile, read_pair};
pub use look::{Shown, look};
pub use names::{Alpn, ClientName};
pub use originate::{TlsOrigination, TlsOriginationParts, Trust, server_name};
pub use pin::Pin;
pub use records::{MAX_UNREAD, Sealed, sealed_room};
pub use target_name::{Sni, TargetName};
pub use terminate::{TlsTermination, TlsTerminationParts, WhoMayConnect};
pub use wire::MAX_READ;
pub(crate) use wire::Wire;

/// The oldest TLS version that is accepted. Versions before 1.2 are not supported (RFC 8996).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum MinVersion {
    /// RFC 5246.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    Tls13,
}

/// The newest TLS version that is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum MaxVersion {
    /// RFC 5246.
    #[serde(rename = "1.2")]
    Tls12,
    /// RFC 8446.
    #[default]
    #[serde(rename = "1.3")]
    Tls13,
}

/// What it means that a side closes its connection without close_notify (RFC 8446, 6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CloseNotify {
    /// An end, passed on as one and noted. Many clients and servers close like that after all that they had to say.
    #[default]
    Optional,
    /// A stream that may be cut, passed on as a reset.
    Require,
}

/// Whether a target must prove its identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// By its certificate: its name, its issuer, its dates.
    #[default]
    Full,
    /// Not at all. Anyone between can read and change what is sent.
    None,
}

/// The supported versions, the newest first.
static VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// The versions between these two; none if the oldest is newer than the newest.
fn versions(oldest: MinVersion, newest: MaxVersion) -> &'static [&'static SupportedProtocolVersion] {
    match (oldest, newest) {
        (MinVersion::Tls12, MaxVersion::Tls13) => VERSIONS,
        (MinVersion::Tls13, MaxVersion::Tls13) => &VERSIONS[..1],
        (MinVersion::Tls12, MaxVersion::Tls12) => &VERSIONS[1..],
        (MinVersion::Tls13, MaxVersion::Tls12) => &[],
    }
}

/// Ciphers and key exchanges, post-quantum X25519MLKEM768 before the others.
///
/// Passed explicitly at each use: rustls' process-wide default is a global on which two libraries can conflict.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
