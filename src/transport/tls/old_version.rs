//! Certificates of X.509 version 1, as `openssl x509 -req` makes them without -extfile. rustls reads version 3 alone.
//!
//! Such a certificate has a key like any other, so a handshake can be verified with it; what it cannot have are
//! alternative names, a purpose, or the mark that it is no authority's. Where those matter it is refused, in words.

use std::fmt;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{self, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::{CertificateError, DigitallySignedStruct, Error};
use x509_parser::asn1_rs::{BitString, Sequence};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Certificate;
use super::certificate::{CURRENT_VERSION, own_error};

/// Why a certificate that must be verified is refused: its version has not what is verified.
#[derive(Debug)]
pub(super) struct OldVersion {
    version: u32,
    /// It is not the other end's own certificate, but one that signed it.
    is_issuer: bool,
}

impl OldVersion {
    /// What is wrong, and what to do. `whose`: as "the client's certificate".
    pub(super) fn text(&self, whose: &str) -> String {
        let OldVersion { version, is_issuer } = self;
        let what = if *is_issuer { format!("one that signed {whose}") } else { whose.to_owned() };
        format!(
            "{what} is X.509 version {version}, which has no names and no purpose to verify: reissue it as version 3 \
             (`openssl x509 -req` needs -extfile for that)"
        )
    }
}

impl fmt::Display for OldVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text("the certificate"))
    }
}

impl std::error::Error for OldVersion {}

/// This error in words, if a certificate's version is what it is about.
pub(super) fn explained(error: Error, own: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Error {
    // webpki's error has no variant in rustls.
    let is_version = matches!(&error, Error::InvalidCertificate(CertificateError::Other(why))
        if why.to_string().contains("UnsupportedCertVersion"));
    if !is_version {
        return error;
    }
    let old = |der: &CertificateDer<'_>| {
        Certificate::read(der).map(|it| it.version).filter(|version| *version != CURRENT_VERSION)
    };
    let found = match old(own) {
        Some(version) => Some(OldVersion { version, is_issuer: false }),
        None => rest.iter().find_map(old).map(|version| OldVersion { version, is_issuer: true }),
    };
    match found {
        Some(old) => own_error(old),
        None => error,
    }
}

/// The public key of a certificate of any version, as SubjectPublicKeyInfo (RFC 5280, 4.1.2.7).
pub(super) fn public_key<'a>(own: &'a CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'a>> {
    let (_, read) = X509Certificate::from_der(own).ok()?;
    Some(SubjectPublicKeyInfoDer::from(read.tbs_certificate.subject_pki.raw))
}

/// Whether rustls cannot read it.
pub(super) fn is_old(own: &CertificateDer<'_>) -> bool {
    Certificate::read(own).is_some_and(|it| it.version != CURRENT_VERSION)
}

/// Verifies a signature of TLS 1.3 with the key of a certificate of any version.
pub(super) fn verify_tls13_signature(
    message: &[u8],
    own: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    if !is_old(own) {
        return crypto::verify_tls13_signature(message, own, signed, algorithms);
    }
    let key = public_key(own).ok_or(CertificateError::BadEncoding)?;
    verify_tls13_signature_with_raw_key(message, &key, signed, algorithms)
}

/// The same of TLS 1.2, whose schemes name no curve: each algorithm for the kind of key is tried (RFC 5246, 7.4.1.4.1).
pub(super) fn verify_tls12_signature(
    message: &[u8],
    own: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    if !is_old(own) {
        return crypto::verify_tls12_signature(message, own, signed, algorithms);
    }
    let key = public_key(own).ok_or(CertificateError::BadEncoding)?;
    let (kind, key) = parts(&key).ok_or(CertificateError::BadEncoding)?;
    let named = algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signed.scheme);
    let mut fitting =
        named.flat_map(|(_, all)| all.iter()).filter(|it| it.public_key_alg_id().as_ref() == kind);
    match fitting.any(|it| it.verify_signature(&key, message, signed.signature()).is_ok()) {
        true => Ok(HandshakeSignatureValid::assertion()),
        false => Err(CertificateError::BadSignature.into()),
    }
}

/// The identifier of its algorithm, without its frame, and the key itself.
fn parts<'a>(key: &'a SubjectPublicKeyInfoDer<'_>) -> Option<(&'a [u8], Vec<u8>)> {
    let (_, whole) = raw_sequence(key)?;
    let (rest, kind) = raw_sequence(whole)?;
    let (_, bits) = BitString::from_der(rest).ok()?;
    Some((kind, bits.data.to_vec()))
}

/// What follows the sequence at the beginning of `der`, and its content.
fn raw_sequence(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (rest, sequence) = Sequence::from_der(der).ok()?;
    let length = der.len() - rest.len();
    let content = &der[length - sequence.content.len()..length];
    Some((rest, content))
}
