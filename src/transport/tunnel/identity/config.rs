//! TLS as the two ends of a tunnel set it up, and what each verifies of the other.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};

use super::{PrivateKey, PublicKey};

/// The protocol as both ends offer it (ALPN, RFC 7301): the newest version first.
pub(super) const PROTOCOLS: [&[u8]; 1] = [b"loopgate/1"];

/// The protocol of a connection that joins, in its place. It is offered only while an invite is open.
pub(super) const JOIN: &[u8] = b"loopgate-join/1";

const JOINING: [&[u8]; 1] = [JOIN];
/// That of the QUIC connections for datagrams.
const DATAGRAM_PROTOCOLS: [&[u8]; 1] = [b"loopgate-d/1"];

/// What the names of every version of the protocol begin with.
pub(super) const ANY_VERSION: &[u8] = b"loopgate/";

/// Which keys an accepting end knows; asked at each handshake, so that a reload counts at once.
pub trait Known: Send + Sync + fmt::Debug {
    /// Whether this key may connect, looked up in constant time: see [`PublicKey::is_one_of`]. The key is proven.
    fn knows(&self, key: &PublicKey) -> bool;
}

/// How the dialling end secures a connection: with which key of its own, and which keys it expects there.
#[derive(Clone)]
pub struct Dialling {
    own: Arc<CertifiedKey>,
    theirs: Arc<[PublicKey]>,
    pub(super) protocols: &'static [&'static [u8]],
    pub(super) provider: Arc<CryptoProvider>,
}

/// How the accepting end does: with which key of its own, and who knows the others.
#[derive(Clone)]
pub struct Accepting {
    own: Arc<CertifiedKey>,
    known: Arc<dyn Known>,
    pub(super) protocols: &'static [&'static [u8]],
    pub(super) provider: Arc<CryptoProvider>,
}

impl Dialling {
    /// With this key of ours; the other end must have one of `theirs`.
    pub fn new(own: &PrivateKey, theirs: &[PublicKey]) -> Dialling {
        let (own, theirs) = (own.shown.clone(), theirs.into());
        Dialling { own, theirs, protocols: &PROTOCOLS, provider: provider() }
    }

    /// The same for a connection that joins: it is no tunnel's.
    pub fn joining(own: &PrivateKey, theirs: PublicKey) -> Dialling {
        Dialling { protocols: &JOINING, ..Dialling::new(own, &[theirs]) }
    }

    /// The same without a protocol (ALPN), so that an end of any version goes on and proves its key: which key that is,
    /// [`HandshakeFault::WrongKey`](super::HandshakeFault::WrongKey) tells where none is expected. Nothing else can come of
    /// such a handshake.
    pub fn of_any_version(self) -> Dialling {
        Dialling { protocols: &[], ..self }
    }

    /// For one connection; the verifier tells afterwards which key the other end has proven.
    ///
    /// Each connection has a verifier, and so a configuration, of its own: rustls has no room in an error for the key that
    /// was refused together with the alert access_denied. It takes about a hundredth of a handshake.
    pub(super) fn config(&self) -> Result<(Arc<ClientConfig>, Arc<Verifier>), Error> {
        self.config_for(self.protocols)
    }

    /// For one QUIC connection. As rustls asks for it to be, one of TLS 1.3 alone and without early data.
    pub(in crate::transport::tunnel) fn datagram_config(&self) -> Result<Arc<ClientConfig>, Error> {
        self.config_for(&DATAGRAM_PROTOCOLS).map(|(config, _)| config)
    }

    fn config_for(&self, protocols: &[&[u8]]) -> Result<(Arc<ClientConfig>, Arc<Verifier>), Error> {
        let theirs = Arc::new(OneOf(self.theirs.clone()));
        let verifier = Verifier::new(theirs, &self.provider);
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone())
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(self.own.clone())));
        config.alpn_protocols = names(protocols);
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        Ok((Arc::new(config), verifier))
    }
}

impl Accepting {
    /// With this key of ours, for whoever `known` knows.
    pub fn new(own: &PrivateKey, known: Arc<dyn Known>) -> Accepting {
        Accepting { own: own.shown.clone(), known, protocols: &PROTOCOLS, provider: provider() }
    }

    /// The same for a connection that joins, with any key that it can prove: it is no tunnel's, and speaks no other protocol.
    pub fn joining(&self) -> Accepting {
        Accepting { known: Arc::new(Anyone), protocols: &JOINING, ..self.clone() }
    }

    /// The same as for [`Dialling::config`].
    pub(super) fn config(&self) -> Result<(Arc<ServerConfig>, Arc<Verifier>), Error> {
        self.config_for(self.protocols)
    }

    /// For one QUIC connection. Its verifier knows one key once it has been proven, so no two connections share it.
    pub(in crate::transport::tunnel) fn datagram_config(&self) -> Result<Arc<ServerConfig>, Error> {
        self.config_for(&DATAGRAM_PROTOCOLS).map(|(config, _)| config)
    }

    fn config_for(&self, protocols: &[&[u8]]) -> Result<(Arc<ServerConfig>, Arc<Verifier>), Error> {
        let verifier = Verifier::new(self.known.clone(), &self.provider);
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(verifier.clone())
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(self.own.clone())));
        config.alpn_protocols = names(protocols);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        // Nothing is said to a client before its key is proven.
        config.send_half_rtt_data = false;
        Ok((Arc::new(config), verifier))
    }
}

/// Whether this is the protocol of a QUIC connection for datagrams.
pub(in crate::transport::tunnel) fn carries_datagrams(protocol: &[u8]) -> bool {
    DATAGRAM_PROTOCOLS.contains(&protocol)
}

/// Ciphers and key exchanges: post-quantum X25519MLKEM768 first, and no other curve than X25519.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519],
        ..default_provider()
    })
}

fn names(protocols: &[&[u8]]) -> Vec<Vec<u8>> {
    protocols.iter().map(|name| name.to_vec()).collect()
}

/// Every key is known: for connections that join.
#[derive(Debug)]
struct Anyone;

impl Known for Anyone {
    fn knows(&self, _: &PublicKey) -> bool {
        true
    }
}

/// Keys that are known because they are written.
#[derive(Debug)]
struct OneOf(Arc<[PublicKey]>);

impl Known for OneOf {
    fn knows(&self, key: &PublicKey) -> bool {
        key.is_one_of(&*self.0)
    }
}

/// Verifies the key of one connection's other end.
///
/// Any Ed25519 key is taken for now, and looked up only once the other end has proven that it holds it: rustls asks about
/// the key first, so that somebody who only shows a key could learn from the alert whether it is known here.
pub(super) struct Verifier {
    known: Arc<dyn Known>,
    algorithms: WebPkiSupportedAlgorithms,
    proven: OnceLock<PublicKey>,
}

impl Verifier {
    fn new(known: Arc<dyn Known>, provider: &CryptoProvider) -> Arc<Verifier> {
        let algorithms = provider.signature_verification_algorithms;
        Arc::new(Verifier { known, algorithms, proven: OnceLock::new() })
    }

    /// The key that the other end has proven to hold, known or not.
    pub(super) fn proven(&self) -> Option<PublicKey> {
        self.proven.get().copied()
    }

    /// Whether it is a key at all.
    fn take(spki: &CertificateDer<'_>) -> Result<PublicKey, Error> {
        PublicKey::of_spki(spki).ok_or_else(|| CertificateError::BadEncoding.into())
    }

    fn prove(
        &self,
        message: &[u8],
        spki: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = Verifier::take(spki)?;
        let raw = SubjectPublicKeyInfoDer::from(spki.as_ref());
        let valid = verify_tls13_signature_with_raw_key(message, &raw, signed, &self.algorithms)?;
        // A handshake has one signature of the other end.
        let key = *self.proven.get_or_init(|| key);
        match self.known.knows(&key) {
            true => Ok(valid),
            // Its alert is access_denied.
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.known.fmt(f)
    }
}

/// TLS 1.2 is not offered, so it is not spoken either.
fn no_tls12() -> Error {
    Error::General("TLS 1.2 in a tunnel".into())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Verifier::take(own).map(|_| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.prove(message, own, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Verifier::take(own).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.prove(message, own, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
