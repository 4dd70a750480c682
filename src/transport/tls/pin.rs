//! The public keys that an end's certificate may have, whoever signed it: `sha256//…`, as curl's --pinnedpubkey has it.

use std::fmt;

use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, Error};
use serde::Deserialize;

use super::certificate::own_error;
use super::old_version::public_key;
use crate::units::base64;

/// The SHA-256 of a public key, as the certificate has it (SubjectPublicKeyInfo).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

const PREFIX: &str = "sha256//";

impl Pin {
    /// The pin of a certificate's key.
    fn of(own: &CertificateDer<'_>) -> Option<Pin> {
        let key = public_key(own)?;
        let hash = TLS13_AES_128_GCM_SHA256.tls13()?.common.hash_provider.hash(&key);
        hash.as_ref().try_into().ok().map(Pin)
    }
}

impl TryFrom<String> for Pin {
    type Error = String;

    fn try_from(text: String) -> Result<Pin, String> {
        let instead = "write \"sha256//…\", as curl's --pinnedpubkey: openssl x509 -in CERTIFICATE -noout -pubkey | \
                       openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary | base64";
        if text.contains(';') {
            return Err(format!(
                "{text:?} has several pins\nwrite a list, as [\"sha256//…\", \"sha256//…\"]"
            ));
        }
        let bytes = text.strip_prefix(PREFIX).and_then(base64::decode);
        let hash = bytes.and_then(|bytes| bytes.try_into().ok());
        hash.map(Pin).ok_or_else(|| format!("{text:?} is not the SHA-256 of a public key\n{instead}"))
    }
}

impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Pin::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", base64::encode(&self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A certificate whose key has none of the pins: the pin of its key.
#[derive(Debug)]
pub(super) struct NotPinned(pub(super) Pin);

impl fmt::Display for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the public key is {}", self.0)
    }
}

impl std::error::Error for NotPinned {}

/// Checks the key of an end's own certificate, unless there are no pins. The time of a comparison may tell how much of a
/// pin is right: what is compared is public.
pub(super) fn check(pins: &[Pin], own: &CertificateDer<'_>) -> Result<(), Error> {
    if pins.is_empty() {
        return Ok(());
    }
    let pin = Pin::of(own).ok_or(CertificateError::BadEncoding)?;
    match pins.contains(&pin) {
        true => Ok(()),
        false => Err(own_error(NotPinned(pin))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_read_as_curl_writes_it_and_written_back() {
        let text = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert_eq!(Pin::try_from(text.to_owned()).unwrap().to_string(), text);
    }

    #[test]
    fn other_forms_are_told_what_to_write() {
        let told = |text: &str| Pin::try_from(text.to_owned()).unwrap_err();
        for wrong in [
            "",
            "sha256//",
            "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
            "E3:B0:C4:42:98:FC",
            "key.pem",
        ] {
            assert!(told(wrong).contains("write \"sha256//…\""), "{wrong}");
        }
        assert!(told("sha256//a=;sha256//b=").contains("write a list"));
    }
}
