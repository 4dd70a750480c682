//! TLS with clients and with targets: what a route says of it, the handshake, and records ⇄ plain bytes.
//!
//! rustls speaks it, by its unbuffered interface: the bytes lie in buffers of the caller, so an idle connection keeps
//! none. No file is chosen and nothing is waited for here; which route, how long and what a failure means is the
//! engine's.

mod certificate;
mod errors;
mod handshake;
mod key_pair;
mod names;
mod originate;
mod records;
mod terminate;

use std::sync::Arc;

use rustls::SupportedProtocolVersion;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use serde::Deserialize;

pub use certificate::{Certificate, read_certificates};
pub use errors::{Unsecured, broken};
pub use handshake::{Answered, Hello, answer, greet, hello};
pub use key_pair::{Pair, PairFault, PairFile, read_pair};
pub use names::{Alpn, ClientName, TargetName};
pub use originate::{TlsOrigination, TlsOriginationParts, Trust, server_name};
pub use records::{MAX_UNREAD, Sealed, sealed_room};
pub use terminate::{TlsTermination, TlsTerminationParts, WhoMayConnect};

/// The oldest version of TLS that is spoken. Older ones than 1.2 are not (RFC 8996).
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

/// Whether a target must prove who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// By its certificate: the name in it, who signed it, its dates.
    #[default]
    Full,
    /// By nothing. What is sent to it can be read and changed by whoever stands between.
    None,
}

/// What is spoken, the newest first.
static VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

impl MinVersion {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            MinVersion::Tls12 => VERSIONS,
            MinVersion::Tls13 => &VERSIONS[..1],
        }
    }
}

/// Ciphers and key exchanges, post-quantum X25519MLKEM768 before the others.
///
/// Handed over at each use: rustls' process-wide default is a global that two libraries can quarrel about.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
