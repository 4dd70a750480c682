//! TLS with the clients of a route: our certificates, and which client certificates are required.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};

use super::certificate::own_error;
use super::{
    Certificate, ClientName, CloseNotify, MaxVersion, MinVersion, Pair, Pin, old_version, pin, provider,
    versions,
};

/// The settings of [`TlsTermination`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsTerminationParts {
    /// Our certificates, at least one; a client that requests a name gets the matching one, else the first.
    pub pairs: Vec<Pair>,
    /// Which client certificates are required; `None` requests none.
    pub who: Option<WhoMayConnect>,
    /// The protocols offered (ALPN, RFC 7301), in order of preference; if empty, the client's offer is not answered.
    pub alpn: Vec<String>,
    /// The oldest version.
    pub min_version: MinVersion,
    /// The newest version, not older than that.
    pub max_version: MaxVersion,
    /// How long the handshake may take; more than zero.
    pub handshake_timeout: Duration,
    /// Whether a session can be resumed.
    pub session_tickets: bool,
    /// What a close without close_notify means.
    pub close_notify: CloseNotify,
}

impl TlsTerminationParts {
    /// Whether an authority must have signed the certificate of a client, and so vouches for the names in it.
    pub fn asks_authorities(&self) -> bool {
        self.who.as_ref().is_some_and(|who| !who.ca.is_empty())
    }
}

/// Which clients may connect by their certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhoMayConnect {
    /// The authorities, one of which must have signed it. Empty: whoever has; it is its key that counts.
    pub ca: Vec<CertificateDer<'static>>,
    /// The names, one of which it must have; if empty, any.
    pub names: Vec<ClientName>,
    /// The public keys, one of which it must have; if empty, any.
    pub pins: Vec<Pin>,
}

/// TLS with the clients of a route, ready for handshakes.
pub struct TlsTermination {
    parts: TlsTerminationParts,
    pub(super) config: Arc<ServerConfig>,
    pub(super) verifier: Option<Arc<ClientVerifier>>,
}

impl TlsTermination {
    /// Prepares it.
    ///
    /// # Errors
    /// A description, if the client authorities cannot be used or the system has no random numbers.
    pub fn new(parts: TlsTerminationParts) -> Result<TlsTermination, String> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions(parts.min_version, parts.max_version))
            .map_err(|error| error.to_string())?;
        let verifier = parts.who.as_ref().map(ClientVerifier::new).transpose()?.map(Arc::new);
        let builder = match verifier.clone() {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier),
        };
        let mut config = builder.with_cert_resolver(Arc::new(CertificateChoice::new(&parts.pairs)));
        config.alpn_protocols = parts.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        // Sessions are resumed by tickets only, whose keys change every few hours: nothing is kept for clients that
        // have left.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if parts.session_tickets {
            config.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| error.to_string())?;
        } else {
            config.send_tls13_tickets = 0;
        }
        Ok(TlsTermination { parts, config: Arc::new(config), verifier })
    }

    /// Its settings.
    pub fn parts(&self) -> &TlsTerminationParts {
        &self.parts
    }
}

impl PartialEq for TlsTermination {
    fn eq(&self, other: &TlsTermination) -> bool {
        self.parts == other.parts
    }
}

impl Eq for TlsTermination {}

impl fmt::Debug for TlsTermination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.fmt(f)
    }
}

/// Finds the certificate for a requested name.
#[derive(Debug)]
struct CertificateChoice {
    pairs: Vec<Pair>,
}

impl CertificateChoice {
    fn new(pairs: &[Pair]) -> CertificateChoice {
        CertificateChoice { pairs: pairs.to_vec() }
    }
}

impl ResolvesServerCert for CertificateChoice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // There may be an RSA certificate and another one for the same name: a client that cannot verify one gets the
        // other.
        let usable = |pair: &&Pair| pair.certified.key.choose_scheme(hello.signature_schemes()).is_some();
        let named = |pair: &&Pair| hello.server_name().is_some_and(|name| is_for(&pair.certificate, name));
        let mut usable_ones = self.pairs.iter().filter(usable);
        let found = usable_ones.clone().find(named).or_else(|| usable_ones.next());
        found.map(|pair| pair.certified.clone())
    }
}

fn is_for(certificate: &Certificate, name: &str) -> bool {
    certificate.dns.iter().any(|own| match own.strip_prefix("*.") {
        Some(domain) => name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
        None => name.eq_ignore_ascii_case(own),
    })
}

/// Requests client certificates, and checks their issuer and names.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    /// `None`: the pins alone decide.
    signed: Option<Arc<dyn ClientCertVerifier>>,
    names: Vec<ClientName>,
    pins: Vec<Pin>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientVerifier {
    fn new(who: &WhoMayConnect) -> Result<ClientVerifier, String> {
        let mut roots = RootCertStore::empty();
        for certificate in &who.ca {
            roots.add(certificate.clone()).map_err(|error| error.to_string())?;
        }
        let signed = match who.ca.is_empty() {
            true => None,
            false => {
                let built = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
                Some(built.map_err(|error| error.to_string())? as Arc<dyn ClientCertVerifier>)
            }
        };
        let algorithms = provider().signature_verification_algorithms;
        Ok(ClientVerifier { signed, names: who.names.clone(), pins: who.pins.clone(), algorithms })
    }

    /// Verifies again the client certificate of the session that is resumed: it may have expired since. (When
    /// `client_ca`, `client_names` or `client_pin` change, so do the ticket keys, and nothing is resumed.)
    pub(super) fn let_in_again(&self, shown: Option<&[CertificateDer<'static>]>) -> Result<(), Error> {
        let (own, rest) = shown.and_then(<[_]>::split_first).ok_or(Error::NoCertificatesPresented)?;
        self.verify_client_cert(own, rest, UnixTime::now()).map(drop)
    }
}

/// A client whose certificate is valid and has none of the names in `client_names`.
#[derive(Debug)]
pub(super) struct NotOnTheList(pub(super) Vec<String>);

impl fmt::Display for NotOnTheList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the names of the client's certificate are not in client_names")
    }
}

impl std::error::Error for NotOnTheList {}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.signed.as_ref().map_or(&[], |signed| signed.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        pin::check(&self.pins, own)?;
        let verified = match &self.signed {
            None if self.pins.is_empty() => Err(CertificateError::UnknownIssuer.into()),
            None => Ok(ClientCertVerified::assertion()),
            Some(signed) => signed.verify_client_cert(own, rest, now),
        };
        let verified = verified.map_err(|error| old_version::explained(error, own, rest))?;
        let certificate = Certificate::read(own).ok_or(CertificateError::BadEncoding)?;
        if self.names.is_empty() || self.names.iter().any(|name| name.fits(&certificate)) {
            return Ok(verified);
        }
        let names = certificate.names().map(str::to_owned).collect();
        Err(own_error(NotOnTheList(names)))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        old_version::verify_tls12_signature(message, own, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        old_version::verify_tls13_signature(message, own, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
