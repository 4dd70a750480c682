//! The facts about a certificate that a person needs: its names and how long it is valid (RFC 5280).
//!
//! Nothing is verified here.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, Error, OtherError};
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{OID_X509_EXT_NAME_CONSTRAINTS, OID_X509_EXT_SUBJECT_ALT_NAME};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The version of X.509 that certificates have had since 1996, the only one with alternative names and purposes.
pub(super) const CURRENT_VERSION: u32 = 3;

/// Names and dates of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The version of X.509 it is written in: 1, 2 or 3.
    pub version: u32,
    /// The common name of its subject; empty if it has none.
    pub common_name: String,
    /// The DNS names it is for, in lower case.
    pub dns: Vec<String>,
    /// The URIs it is for, as `spiffe://…`.
    pub uris: Vec<String>,
    /// The mail addresses it is for.
    pub emails: Vec<String>,
    /// Whether it has a list of alternative names, even one without any of these kinds, or one that cannot be read.
    pub has_alternative_names: bool,
    /// Whether it bounds the names in the certificates that it signed.
    pub has_name_constraints: bool,
    /// The start of its validity, in seconds of the Unix epoch.
    pub from: i64,
    /// The last second of its validity, in seconds of the Unix epoch.
    pub until: i64,
}

impl Certificate {
    /// Reads a certificate; `None` if `der` is not one.
    pub fn read(der: &[u8]) -> Option<Certificate> {
        let (_, read) = X509Certificate::from_der(der).ok()?;
        let common_name = read.subject().iter_common_name().next().and_then(|it| it.as_str().ok());
        let mut certificate = Certificate {
            version: read.version().0.saturating_add(1),
            common_name: common_name.unwrap_or_default().to_owned(),
            dns: Vec::new(),
            uris: Vec::new(),
            emails: Vec::new(),
            has_alternative_names: read.extensions().iter().any(|it| it.oid == OID_X509_EXT_SUBJECT_ALT_NAME),
            has_name_constraints: read.extensions().iter().any(|it| it.oid == OID_X509_EXT_NAME_CONSTRAINTS),
            from: read.validity().not_before.timestamp(),
            until: read.validity().not_after.timestamp(),
        };
        let names = read.subject_alternative_name().ok().flatten();
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::DNSName(name) => certificate.dns.push(name.to_ascii_lowercase()),
                GeneralName::URI(name) => certificate.uris.push((*name).to_owned()),
                GeneralName::RFC822Name(name) => certificate.emails.push((*name).to_owned()),
                _ => {}
            }
        }
        Some(certificate)
    }

    /// The common name of a certificate without any list of alternative names. Where there is one, the common name says
    /// nothing, whatever is in the list (RFC 9525, section 6.3; RFC 6125, section 6.4.4).
    pub fn sole_name(&self) -> Option<&str> {
        Some(&*self.common_name).filter(|name| !self.has_alternative_names && !name.is_empty())
    }

    /// Every DNS name, URI and mail address it is for, or else its sole name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let listed = self.dns.iter().chain(&self.uris).chain(&self.emails);
        listed.map(String::as_str).chain(self.sole_name())
    }
}

/// The certificates of a PEM text, in order.
///
/// # Errors
/// What is wrong with the text, if it has none or a damaged one.
pub fn read_certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let certificates = read.map_err(|_| "the certificates in it are damaged")?;
    if certificates.is_empty() {
        return Err(instead_of_certificates(text));
    }
    if certificates.iter().any(|it| Certificate::read(it).is_none()) {
        return Err("the certificates in it are damaged");
    }
    Ok(certificates)
}

/// A reason to refuse a certificate that rustls has no variant for, as it takes one.
pub(super) fn own_error(why: impl std::error::Error + Send + Sync + 'static) -> Error {
    CertificateError::Other(OtherError(Arc::new(why))).into()
}

fn instead_of_certificates(text: &[u8]) -> &'static str {
    let has = |words: &[u8]| text.windows(words.len()).any(|window| window == words);
    if text.starts_with(&[0x30, 0x82]) || text.starts_with(&[0x30, 0x83]) {
        return "it is in DER, and PEM is needed";
    }
    if has(b"CERTIFICATE REQUEST-----") {
        return "it holds a request for a certificate, and no certificate";
    }
    if has(b"PRIVATE KEY-----") {
        "it holds a key, and no certificate"
    } else {
        "there is no certificate in it"
    }
}
