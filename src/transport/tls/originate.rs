//! TLS with the target of a route: which name it must prove, and which certificates are trusted.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::{Certificate, CloseNotify, MinVersion, Pair, Pin, old_version, pin, provider};
use crate::address::{Host, TargetAddress};

/// The number of sessions per route that are kept for resumption.
const MAX_TICKETS: usize = 32;

/// The settings of [`TlsOrigination`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOriginationParts {
    /// The name, or the address, the target's certificate must have; a name is also sent to it (SNI). `None`: the host
    /// of the target as written.
    pub name: Option<ServerName<'static>>,
    /// Which issuers of its certificate are trusted.
    pub trust: Trust,
    /// The public keys its certificate may have; any if there are none.
    pub pins: Vec<Pin>,
    /// Our own certificate, sent if the target requests one.
    pub pair: Option<Pair>,
    /// The protocols we offer (ALPN).
    pub alpn: Vec<String>,
    /// The oldest version.
    pub min_version: MinVersion,
    /// How long the handshake may take; more than zero.
    pub handshake_timeout: Duration,
    /// Whether a session with the target is resumed.
    pub session_tickets: bool,
    /// What a close without close_notify means.
    pub close_notify: CloseNotify,
}

/// Which certificates are accepted as proof of a target's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those signed by one of these authorities; or the target's own certificate, if it is among them.
    Given(Vec<CertificateDer<'static>>),
    /// Any: nothing is verified. Only if the configuration says so.
    Any,
}

/// TLS with the target of a route, ready for handshakes.
pub struct TlsOrigination {
    parts: TlsOriginationParts,
    pub(super) config: Arc<ClientConfig>,
}

impl TlsOrigination {
    /// Prepares it.
    ///
    /// # Errors
    /// A description, if an authority or our own certificate cannot be used.
    pub fn new(parts: TlsOriginationParts) -> Result<TlsOrigination, String> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(parts.min_version.versions())
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TargetVerifier::new(&parts)?));
        let mut config = match &parts.pair {
            None => builder.with_no_client_auth(),
            Some(pair) => builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(
                (*pair.certified).clone(),
            ))),
        };
        config.alpn_protocols = parts.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.resumption = match parts.session_tickets {
            true => Resumption::in_memory_sessions(MAX_TICKETS),
            false => Resumption::disabled(),
        };
        Ok(TlsOrigination { parts, config: Arc::new(config) })
    }

    /// The name that the certificate of `target` must have. If nothing is verified, a placeholder: it is not sent.
    pub fn name_of(&self, target: Option<&TargetAddress>) -> ServerName<'static> {
        let name = self.parts.name.clone().or_else(|| target.and_then(server_name));
        name.unwrap_or(ServerName::IpAddress(Ipv4Addr::LOCALHOST.into()))
    }

    /// Its settings.
    pub fn parts(&self) -> &TlsOriginationParts {
        &self.parts
    }
}

impl PartialEq for TlsOrigination {
    fn eq(&self, other: &TlsOrigination) -> bool {
        self.parts == other.parts
    }
}

impl Eq for TlsOrigination {}

/// Hashes what distinguishes most of them.
impl Hash for TlsOrigination {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.parts.name, &self.parts.alpn, self.parts.handshake_timeout).hash(state);
    }
}

impl fmt::Debug for TlsOrigination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.fmt(f)
    }
}

/// The name that the certificate of a target must have if none is configured; a Unix socket has none.
pub fn server_name(target: &TargetAddress) -> Option<ServerName<'static>> {
    match target.net()?.0 {
        Host::Name(name) => ServerName::try_from(name.to_string()).ok(),
        literal => literal.ip().map(ServerName::from),
    }
}

/// Verifies a target's identity.
#[derive(Debug)]
struct TargetVerifier {
    /// The trusted authorities; `None` if there are none.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    /// The certificates that are trusted as they are.
    known: Vec<CertificateDer<'static>>,
    accepts_any: bool,
    pins: Vec<Pin>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl TargetVerifier {
    fn new(parts: &TlsOriginationParts) -> Result<TargetVerifier, String> {
        let algorithms = provider().signature_verification_algorithms;
        let pins = parts.pins.clone();
        let Trust::Given(certificates) = &parts.trust else {
            return Ok(TargetVerifier {
                authorities: None,
                known: Vec::new(),
                accepts_any: true,
                pins,
                algorithms,
            });
        };
        let mut roots = RootCertStore::empty();
        // A certificate that is not an authority's still counts as it is.
        roots.add_parsable_certificates(certificates.iter().cloned());
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        let authorities = authorities.map_err(|error| error.to_string())?;
        Ok(TargetVerifier {
            authorities: Some(authorities),
            known: certificates.clone(),
            accepts_any: false,
            pins,
            algorithms,
        })
    }
}

impl ServerCertVerifier for TargetVerifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // First, as its answer names the key that would be right.
        pin::check(&self.pins, own)?;
        if self.accepts_any {
            return Ok(ServerCertVerified::assertion());
        }
        // `openssl req -x509` makes every certificate an authority's, and an authority's certificate must not be used
        // as a server's (RFC 5280, 4.2.1.9). One that was configured as a whole needs no issuer; its name and its dates
        // are checked all the same.
        let verified = if self.known.iter().any(|known| known == own) {
            is_good_now(own, now)
                .and_then(|()| verify_server_name(&ParsedCertificate::try_from(own)?, name))
                .map(|()| ServerCertVerified::assertion())
        } else {
            match &self.authorities {
                Some(authorities) => authorities.verify_server_cert(own, rest, name, ocsp, now),
                None => Err(CertificateError::UnknownIssuer.into()),
            }
        };
        verified.map_err(|error| old_version::explained(error, own, rest))
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

fn is_good_now(own: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let certificate = Certificate::read(own).ok_or(CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < certificate.from {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > certificate.until { Err(CertificateError::Expired.into()) } else { Ok(()) }
}
