//! TLS as a client of the bench speaks it: one version, one cipher and one key exchange, so that no forwarder gets an
//! easier one than another.

mod handshakes;
mod streams;
mod trust;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use loopgate_load::{Fallible, PATIENCE};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

pub(super) use handshakes::load as handshakes;
pub(super) use streams::take;

pub(crate) type Client = StreamOwned<ClientConnection, TcpStream>;

/// TLS 1.3 with TLS_AES_128_GCM_SHA256 and X25519: all have these, while the post-quantum exchange, which Loopgate would
/// take, is in no OpenSSL before 3.5. Every handshake is a full one; all send two tickets by default, and nobody comes
/// back with one.
pub(crate) fn config() -> Fallible<Arc<ClientConfig>> {
    let mut provider = default_provider();
    provider.cipher_suites = vec![cipher_suite::TLS13_AES_128_GCM_SHA256];
    provider.kx_groups = vec![kx_group::X25519];
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13])?.dangerous();
    let mut config =
        builder.with_custom_certificate_verifier(Arc::new(trust::Everybody)).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// A connection whose handshake is yet to come: it begins with the first bytes that are written or read.
pub(crate) fn connect(to: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Client> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let name = ServerName::try_from("localhost").expect("localhost is a name");
    let connection = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}
