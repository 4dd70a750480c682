//! TLS of the QUIC connections: the same keys, pinned both ways, as of the TLS connections ([`super::super::identity`]).
//!
//! Each connection has a configuration of its own, since its verifier keeps the key that was proven.

use std::sync::Arc;

use quinn::Connection;
use quinn::crypto::rustls::{HandshakeData, NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use rustls::Error;
use rustls::pki_types::CertificateDer;

use super::settings;
use crate::transport::tunnel::identity::{Accepting, Dialling, PublicKey, carries_datagrams};

/// A connection whose handshake is complete, and the key that its other end has proven.
pub(crate) struct Connected {
    pub(crate) connection: Connection,
    pub(crate) key: PublicKey,
}

/// For one connection that this end dials.
///
/// # Errors
/// The key cannot be used.
pub(crate) fn client(tls: &Dialling) -> Result<quinn::ClientConfig, Error> {
    let crypto = QuicClientConfig::try_from(tls.datagram_config()?).map_err(no_suite)?;
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    config.transport_config(settings::transport(0));
    Ok(config)
}

/// For one connection that this end accepts.
///
/// # Errors
/// The key cannot be used.
pub(crate) fn server(tls: &Accepting) -> Result<quinn::ServerConfig, Error> {
    let crypto = QuicServerConfig::try_from(tls.datagram_config()?).map_err(no_suite)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(settings::transport(1));
    settings::bound(&mut config);
    Ok(config)
}

/// The key of the other end of a connection whose handshake is complete; `None` if it speaks another protocol, or has no key.
pub(crate) fn connected(connection: Connection) -> Option<Connected> {
    let agreed = connection.handshake_data()?.downcast::<HandshakeData>().ok()?;
    if !agreed.protocol.as_deref().is_some_and(carries_datagrams) {
        return None;
    }
    let shown = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    let key = PublicKey::of_spki(shown.first()?)?;
    Some(Connected { connection, key })
}

/// The provider has the cipher of first packets.
fn no_suite(error: NoInitialCipherSuite) -> Error {
    Error::General(error.to_string())
}
