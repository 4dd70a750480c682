//! TLS with the target of a route: which name it must prove, and which certificates are trusted.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::{
    Certificate, CloseNotify, MaxVersion, MinVersion, Pair, Pin, Sni, TargetName, old_version, pin, provider,
    versions,
};
use crate::address::{Host, TargetAddress, TargetThere, There};
use crate::units::OrOff;

/// The number of sessions per route that are kept for resumption.
const MAX_TICKETS: usize = 32;

/// The settings of [`TlsOrigination`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOriginationParts {
    /// The name that the target's certificate must have; a DNS name is also sent to it. `None`: the one that is sent, or
    /// else the host of the target as written.
    pub name: Option<TargetName>,
    /// The name that is sent to it (SNI), in place of `name` and of the host: none if off.
    pub sni: Option<OrOff<Sni>>,
    /// Whether the common name counts in a certificate that has no list of alternative names.
    pub common_name: bool,
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
    /// The newest version, not older than that.
    pub max_version: MaxVersion,
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
            .with_protocol_versions(versions(parts.min_version, parts.max_version))
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TargetVerifier::new(&parts)?));
        let mut config = match &parts.pair {
            None => builder.with_no_client_auth(),
            Some(pair) => builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(
                (*pair.certified).clone(),
            ))),
        };
        config.enable_sni = parts.sni != Some(OrOff(None));
        config.alpn_protocols = parts.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.resumption = match parts.session_tickets {
            true => Resumption::in_memory_sessions(MAX_TICKETS),
            false => Resumption::disabled(),
        };
        Ok(TlsOrigination { parts, config: Arc::new(config) })
    }

    /// The name that `target` is asked for, which its certificate must have unless another is written. If there is none
    /// and nothing is verified, a placeholder: an address is not sent.
    pub fn name_of(&self, target: Option<&TargetAddress>) -> ServerName<'static> {
        let sent = match (&self.parts.sni, &self.parts.name) {
            (Some(OrOff(Some(Sni(name)))), _) => Some(ServerName::DnsName(name.clone())),
            (_, Some(TargetName::Host(name))) => Some(name.clone()),
            _ => target.and_then(server_name),
        };
        sent.unwrap_or(ServerName::IpAddress(Ipv4Addr::LOCALHOST.into()))
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

/// The name that the certificate of a target must have if none is configured; a Unix socket has none, nor has a service that
/// the other end of a tunnel offers by the name of its route.
pub fn server_name(target: &TargetAddress) -> Option<ServerName<'static>> {
    if let Some(TargetThere { to: There::Address(address), .. }) = target.there() {
        return server_name(address);
    }
    match target.net()?.0 {
        Host::Name(name) => ServerName::try_from(name.to_string()).ok(),
        literal => literal.ip().map(ServerName::from),
    }
}

/// Verifies a target's identity.
#[derive(Debug)]
struct TargetVerifier {
    /// The trusted authorities.
    authorities: RootCertStore,
    /// The certificates that are trusted as they are.
    known: Vec<CertificateDer<'static>>,
    accepts_any: bool,
    /// The name it must have; `None`: the one it was asked for.
    name: Option<TargetName>,
    takes_common_name: bool,
    pins: Vec<Pin>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl TargetVerifier {
    fn new(parts: &TlsOriginationParts) -> Result<TargetVerifier, String> {
        let mut authorities = RootCertStore::empty();
        let known = match &parts.trust {
            Trust::Any => Vec::new(),
            Trust::Given(certificates) => certificates.clone(),
        };
        // A certificate that is not an authority's still counts as it is.
        authorities.add_parsable_certificates(known.iter().cloned());
        let accepts_any = parts.trust == Trust::Any;
        if authorities.is_empty() && !accepts_any {
            return Err("none of the certificates can be an authority's".into());
        }
        Ok(TargetVerifier {
            authorities,
            known,
            accepts_any,
            name: parts.name.clone(),
            takes_common_name: parts.common_name,
            pins: parts.pins.clone(),
            algorithms: provider().signature_verification_algorithms,
        })
    }

    /// Whether one of the authorities signed it.
    fn is_signed(
        &self,
        own: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let read = ParsedCertificate::try_from(own)?;
        verify_server_cert_signed_by_trust_anchor(&read, &self.authorities, rest, now, self.algorithms.all)
    }

    /// Whether the common name may count: rustls holds it to no constraint that an authority sets for names.
    fn takes_common_name(&self, rest: &[CertificateDer<'_>]) -> bool {
        let is_bound =
            |it: &CertificateDer<'_>| Certificate::read(it).is_none_or(|it| it.has_name_constraints);
        self.takes_common_name && !self.known.iter().chain(rest).any(is_bound)
    }
}

impl ServerCertVerifier for TargetVerifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
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
        let trusted = match self.known.iter().any(|known| known == own) {
            true => is_good_now(own, now),
            false => self.is_signed(own, rest, now),
        };
        let asked = TargetName::Host(name.to_owned());
        let verified = trusted
            .and_then(|()| self.name.as_ref().unwrap_or(&asked).verify(own, self.takes_common_name(rest)))
            .map(|()| ServerCertVerified::assertion());
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
