//! The names of targets in TLS: the one that a certificate must have, and the one that is sent.

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, DnsName, ServerName};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error};
use serde::Deserialize;

use super::Certificate;
use super::certificate::own_error;

/// The name that a target's certificate must have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetName {
    /// A DNS name or an address.
    Host(ServerName<'static>),
    /// A URI, as `spiffe://mesh/db`; every letter of it counts.
    Uri(String),
}

impl TryFrom<String> for TargetName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Some((kind, name)) =
            text.split_once(':').filter(|(kind, _)| matches!(*kind, "URI" | "DNS" | "IP"))
        {
            return Err(format!("{text:?} has its kind before the name\nwrite {name:?} without {kind}:"));
        }
        if text.contains("://") {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains('*');
            return match text.split_once("://") {
                Some((scheme, rest)) if is_plain && !scheme.is_empty() && !rest.is_empty() => {
                    Ok(TargetName::Uri(text))
                }
                _ => Err(format!(
                    "{text:?} is no URI a certificate can have\nwrite all of it, as spiffe://mesh/db"
                )),
            };
        }
        let wrong = |_| {
            format!(
                "{text:?} is no name a certificate can have\nwrite a host, as db.example.com, an address, without a \
                 port, or a URI, as spiffe://mesh/db"
            )
        };
        ServerName::try_from(text.clone()).map(TargetName::Host).map_err(wrong)
    }
}

impl<'de> Deserialize<'de> for TargetName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        TargetName::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A name that a target is asked for (SNI, RFC 6066, section 3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sni(pub DnsName<'static>);

impl TryFrom<String> for Sni {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match ServerName::try_from(text.clone()) {
            Ok(ServerName::DnsName(name)) => Ok(Sni(name)),
            Ok(_) => Err(format!(
                "{text:?} is an address, which cannot be asked for\nwrite a DNS name, or \"off\""
            )),
            Err(_) => Err(format!("{text:?} is no DNS name\nwrite one, as db.example.com, or \"off\"")),
        }
    }
}

impl<'de> Deserialize<'de> for Sni {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Sni::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A certificate without the URI that is asked for: that one, and those it has.
#[derive(Debug)]
pub(super) struct OtherUri {
    pub(super) wanted: String,
    pub(super) found: Vec<String>,
}

impl std::fmt::Display for OtherUri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "it is not for {}", self.wanted)
    }
}

impl std::error::Error for OtherUri {}

impl TargetName {
    /// Checks that a certificate is for this name. With `takes_common_name`, its common name counts as a DNS name if it
    /// has no list of alternative names at all (RFC 6125, section 6.4.4).
    pub(super) fn verify(&self, own: &CertificateDer<'_>, takes_common_name: bool) -> Result<(), Error> {
        let read = || Certificate::read(own).ok_or(CertificateError::BadEncoding);
        match self {
            TargetName::Uri(wanted) => {
                let found = read()?.uris;
                match found.contains(wanted) {
                    true => Ok(()),
                    false => Err(own_error(OtherUri { wanted: wanted.clone(), found })),
                }
            }
            TargetName::Host(ServerName::DnsName(name))
                if takes_common_name
                    && read()?.sole_name().is_some_and(|common| is_for(common, name.as_ref())) =>
            {
                Ok(())
            }
            TargetName::Host(name) => verify_server_name(&ParsedCertificate::try_from(own)?, name),
        }
    }
}

/// Whether a common name is this DNS name; `*.` stands for exactly one label (RFC 9525, section 6.3).
fn is_for(common: &str, name: &str) -> bool {
    match common.strip_prefix("*.") {
        Some(domain) => {
            domain.contains('.')
                && name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain))
        }
        None => common.eq_ignore_ascii_case(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_host_an_address_or_a_uri() {
        let read = |text: &str| TargetName::try_from(text.to_owned());

        for host in ["db.example.com", "127.0.0.1", "::1"] {
            assert!(matches!(read(host), Ok(TargetName::Host(_))), "{host}");
        }
        assert_eq!(read("spiffe://mesh/db"), Ok(TargetName::Uri("spiffe://mesh/db".into())));
        for wrong in
            ["", "db:5432", "spiffe://", "://x", "spiffe://mesh/*", "spiffe://me sh/x", "*.example.com"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read("URI:spiffe://mesh/db").unwrap_err().contains("without URI:"));
    }

    #[test]
    fn a_common_name_is_compared_as_a_dns_name() {
        assert!(is_for("DB.example.com", "db.example.com") && is_for("*.example.com", "db.example.com"));
        for (common, name) in [
            ("*.com", "example.com"),
            ("*.example.com", "example.com"),
            ("*.example.com", "a.db.example.com"),
            ("db.example.com\0.evil.com", "db.example.com"),
            ("db.example.com ", "db.example.com"),
        ] {
            assert!(!is_for(common, name), "{common} {name}");
        }
    }
}
