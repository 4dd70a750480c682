//! An ordinary look at a server: which certificate it shows to whoever asks. Nothing is trusted for it, and nothing is said.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

use super::handshake::shake_as_client;
use super::{Certificate, CloseNotify, MaxVersion, MinVersion, provider, versions};
use crate::transport::Stream;

/// What browsers offer (ALPN), so that no server refuses for want of a protocol.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The most certificates of a server that are kept.
const MAX_CHAIN: usize = 16;

/// What a server has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    chain: Vec<CertificateDer<'static>>,
}

/// Begins an ordinary handshake, asks for `host`, and keeps what the server shows; `None` if it shows no certificate. There
/// is no deadline here: callers set one. Not cancel safe: the connection is of no more use.
pub async fn look(socket: &Stream, host: &str) -> Option<Shown> {
    let seen = Arc::new(Seen::default());
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(MinVersion::Tls12, MaxVersion::Tls13))
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(seen.clone())
        .with_no_client_auth();
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    config.resumption = Resumption::disabled();
    let name = ServerName::try_from(host.to_owned()).ok()?;
    // Our own verifier ends it once the certificate is there.
    let _ = shake_as_client(socket, Arc::new(config), name, CloseNotify::Optional).await;
    let chain = std::mem::take(&mut *seen.chain.lock().unwrap_or_else(PoisonError::into_inner));
    (!chain.is_empty()).then_some(Shown { chain })
}

impl Shown {
    /// Its first name, not escaped; empty if it has none.
    pub fn name(&self) -> String {
        let Some(read) = Certificate::read(self.own()) else { return String::new() };
        read.names().next().unwrap_or(&read.common_name).to_owned()
    }

    /// Who signed it, not escaped: the common name of the issuer, or its organisation.
    pub fn issuer(&self) -> String {
        let Ok((_, read)) = X509Certificate::from_der(self.own()) else { return String::new() };
        called(read.issuer())
    }

    /// Whether it names itself as its issuer.
    pub fn is_its_own_issuer(&self) -> bool {
        let read = X509Certificate::from_der(self.own());
        read.is_ok_and(|(_, read)| read.issuer().as_raw() == read.subject().as_raw())
    }

    /// Whether it is for this host, a name or an address.
    pub fn is_for(&self, host: &str) -> bool {
        let name = ServerName::try_from(host.to_owned());
        let read = ParsedCertificate::try_from(self.own());
        matches!((read, name), (Ok(read), Ok(name)) if verify_server_name(&read, &name).is_ok())
    }

    /// Whether one of these authorities signed it, now.
    pub fn is_signed_by(&self, authorities: &[CertificateDer<'static>]) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(authorities.iter().cloned());
        let algorithms = provider().signature_verification_algorithms.all;
        let Ok(read) = ParsedCertificate::try_from(self.own()) else { return false };
        let (rest, now) = (&self.chain[1..], UnixTime::now());
        verify_server_cert_signed_by_trust_anchor(&read, &roots, rest, now, algorithms).is_ok()
    }

    fn own(&self) -> &CertificateDer<'static> {
        // It has at least one.
        &self.chain[0]
    }
}

fn called(name: &X509Name<'_>) -> String {
    let mut names = name.iter_common_name().chain(name.iter_organization());
    names.find_map(|it| it.as_str().ok()).unwrap_or_default().to_owned()
}

/// Keeps the certificates of one handshake, and ends it.
#[derive(Debug, Default)]
struct Seen {
    chain: Mutex<Vec<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(own).chain(rest).take(MAX_CHAIN).map(|it| it.clone().into_owned());
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = chain.collect();
        Err(Error::General("only a look".into()))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only a look".into()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only a look".into()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
