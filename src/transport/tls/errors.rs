//! Why a handshake, or a TLS connection, failed; worded for the person who has to fix it.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible};

use super::old_version::OldVersion;
use super::pin::NotPinned;
use super::target_name::OtherUri;
use super::terminate::NotOnTheList;
use crate::outcome::Side;
use crate::units::shown;

/// The first byte of a handshake record (RFC 8446, 5.1).
pub(super) const HANDSHAKE: u8 = 22;

/// How many of the first bytes identify another protocol.
pub(super) const TELLING: usize = 16;

/// A failed handshake.
#[derive(Debug)]
pub enum Unsecured {
    /// The other end closed before the handshake was over.
    Gone {
        /// The bytes it had sent, or more.
        said: usize,
    },
    /// The socket broke.
    Broken(io::Error),
    /// The other end speaks something other than TLS.
    NoTls(&'static str),
    /// The problem with its certificate, or that it has none.
    Untrusted(String),
    /// Any other failure; the other end may have given the reason.
    Refused(String),
}

impl From<io::Error> for Unsecured {
    fn from(error: io::Error) -> Self {
        Unsecured::Broken(error)
    }
}

/// The meaning of a rustls error in a handshake with `with`; `first` is what that side sent first.
pub(super) fn unsecured(error: &Error, with: Side, first: &[u8]) -> Unsecured {
    match error {
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        )
        | Error::InappropriateMessage { .. }
            if !first.is_empty() && first[0] != HANDSHAKE && first[0] != ALERT =>
        {
            Unsecured::NoTls(instead(first, with))
        }
        Error::InvalidMessage(_) if !first.is_empty() && first[0] != HANDSHAKE && first[0] != ALERT => {
            Unsecured::NoTls(instead(first, with))
        }
        Error::InvalidCertificate(why) => Unsecured::Untrusted(untrusted(why, with)),
        Error::NoCertificatesPresented => {
            let words = "the client showed no certificate, and client_ca or client_pin asks for one";
            Unsecured::Untrusted(words.into())
        }
        other => Unsecured::Refused(words(other, with)),
    }
}

const ALERT: u8 = 21;

/// The protocol that was spoken instead of TLS.
fn instead(first: &[u8], with: Side) -> &'static str {
    let begins = |words: &[&[u8]]| words.iter().any(|word| first.starts_with(word));
    let is_request = begins(&[
        b"GET ",
        b"POST ",
        b"HEAD ",
        b"PUT ",
        b"OPTIONS ",
        b"DELETE ",
        b"PATCH ",
        b"CONNECT ",
        b"PRI * ",
    ]);
    match with {
        Side::Client if is_request => "the client spoke plain HTTP: it should use https",
        Side::Client if begins(&[b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"]) => {
            "the client sent a PROXY header: list it in accept_proxy, or switch the header off there"
        }
        Side::Client => "what the client sent is not TLS",
        Side::Target if begins(&[b"HTTP/"]) => {
            "the target speaks plain HTTP and no TLS: leave target_tls out, or name its TLS port"
        }
        Side::Target => "the target does not speak TLS: leave target_tls out, or name its TLS port",
    }
}

/// What is wrong with the certificate of `with`.
fn untrusted(why: &CertificateError, with: Side) -> String {
    let (whose, key) = match with {
        Side::Client => ("the client's certificate", "client_ca"),
        Side::Target => ("the target's certificate", "target_tls.ca"),
    };
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => format!("{whose} has expired"),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("{whose} is not good yet; is a clock wrong?")
        }
        CertificateError::UnknownIssuer => format!("{whose} is not signed by any authority in {key}"),
        CertificateError::NotValidForName => format!("{whose} is for another name: see target_tls.name"),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let presented: Vec<_> =
                presented.iter().take(MAX_NAMES).map(|name| shown(bare_name(name), MAX_CHARS)).collect();
            let names = if presented.is_empty() { "no name".into() } else { presented.join(", ") };
            format!("{whose} is for {names}, not for {}: see target_tls.name", expected.to_str())
        }
        CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            format!("{whose} is not signed by any authority in {key}, although one there has the same name")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            format!("{whose} was not made for this purpose (extended key usage)")
        }
        CertificateError::Other(other) => untrusted_otherwise(other, with, whose, key),
        other => format!("{whose} is not accepted: {}", quoted(other)),
    }
}

/// The same where rustls has no variant for the reason, because we have found it.
fn untrusted_otherwise(other: &OtherError, with: Side, whose: &str, key: &str) -> String {
    if let Some(old) = other.0.downcast_ref::<OldVersion>() {
        return old.text(whose);
    }
    if let Some(NotPinned(pin)) = other.0.downcast_ref() {
        let pins = if with == Side::Client { "client_pin" } else { "target_tls.pin" };
        return format!("the public key of {whose} is {pin}, which is not in {pins}");
    }
    if let Some(OtherUri { wanted, found }) = other.0.downcast_ref() {
        let found: Vec<_> = found.iter().take(MAX_NAMES).map(|uri| shown(uri, MAX_CHARS)).collect();
        let found = if found.is_empty() { "no URI".into() } else { found.join(", ") };
        return format!("{whose} is for {found}, not for {wanted}: see target_tls.name");
    }
    match other.0.downcast_ref::<NotOnTheList>() {
        Some(NotOnTheList(names)) if names.is_empty() => {
            format!("{whose} has no DNS name, mail address or URI, and client_names asks for one")
        }
        Some(NotOnTheList(names)) => {
            let names: Vec<_> = names.iter().take(MAX_NAMES).map(|name| shown(name, MAX_CHARS)).collect();
            format!("{whose} is for {}, which is not in client_names", names.join(", "))
        }
        // An authority's certificate used as a server's own has no variant of its own.
        None if other.to_string().contains("CaUsedAsEndEntity") => {
            format!("{whose} is an authority's; put it into {key} itself, or make one for a server")
        }
        None => format!("{whose} is not accepted: {}", quoted(other)),
    }
}

/// The largest number of certificate names shown, and the length of each.
const MAX_NAMES: usize = 5;
const MAX_CHARS: usize = 100;

/// What the library says of an error; some of its errors quote the certificate.
fn quoted(error: &dyn std::fmt::Display) -> String {
    shown(&error.to_string(), MAX_WORDS)
}

/// The most characters that are shown of the library's own words.
const MAX_WORDS: usize = 300;

/// `DnsName("a.example")` as `a.example`.
fn bare_name(name: &str) -> &str {
    name.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"')).map_or(name, |(bare, _)| bare)
}

/// Describes an error that broke a TLS connection with `with`; and whether the other end ended it, by an alert.
pub fn broken(error: &Error, with: Side) -> (String, bool) {
    let words = match error {
        // rustls refuses renegotiation with a warning (RFC 5246, 7.2.2), and most peers that request it end with this.
        Error::AlertReceived(AlertDescription::HandshakeFailure) => {
            let who = with.code();
            format!(
                "the {who} gave up (handshake_failure): it requested a renegotiation, which is not supported"
            )
        }
        error => words(error, with),
    };
    (words, matches!(error, Error::AlertReceived(_)))
}

/// Describes any other error of `with`.
fn words(error: &Error, with: Side) -> String {
    let who = match with {
        Side::Client => "the client",
        Side::Target => "the target",
    };
    match error {
        Error::AlertReceived(alert) => alert_text(*alert, with),
        Error::PeerIncompatible(why) => match why {
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::SupportedVersionsExtensionRequired
            // Every TLS 1.2 hello of a current client has it (RFC 5246, 7.4.1.4.1).
            | PeerIncompatible::SignatureAlgorithmsExtensionRequired
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => {
                format!(
                    "no version of TLS in common: {who} speaks only older ones than min_version allows, or newer ones \
                     than max_version does"
                )
            }
            PeerIncompatible::NoCipherSuitesInCommon
            | PeerIncompatible::NoKxGroupsInCommon
            | PeerIncompatible::NamedGroupsExtensionRequired
            | PeerIncompatible::NoSignatureSchemesInCommon => {
                format!("no cipher in common: {who} offers only ciphers that are no longer safe")
            }
            other => format!("{who} speaks an incompatible TLS: {other:?}"),
        },
        Error::NoApplicationProtocol => {
            format!("no protocol in common: {who} offers none of those in alpn")
        }
        Error::DecryptError => {
            format!("what {who} sent does not decrypt: it was changed on the way, or is damaged")
        }
        Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge | InvalidMessage::MessageTooLarge) => {
            format!("{who} sent a message larger than any in TLS")
        }
        Error::EncryptError => format!("the keys of the connection with {who} are used up"),
        other => format!("{who} broke the rules of TLS: {}", quoted(other)),
    }
}

/// The meaning of an alert from the other end (RFC 8446, 6.2).
fn alert_text(alert: AlertDescription, with: Side) -> String {
    let (who, ours) = match with {
        Side::Client => ("the client", "our certificate"),
        Side::Target => ("the target", "our certificate"),
    };
    let refused = |why: &str| format!("{who} does not accept {ours}: {why}");
    match alert {
        AlertDescription::UnknownCA => refused("it does not know who signed it (unknown_ca)"),
        AlertDescription::CertificateExpired => refused("it has expired (certificate_expired)"),
        AlertDescription::BadCertificate => {
            refused("bad_certificate; is it for the name that was asked for?")
        }
        AlertDescription::CertificateUnknown => refused("certificate_unknown"),
        AlertDescription::CertificateRevoked => refused("it was revoked (certificate_revoked)"),
        AlertDescription::UnsupportedCertificate => refused("its type is not supported there"),
        AlertDescription::CertificateRequired => {
            format!("{who} asks for a certificate: name one under target_tls.certificate")
        }
        AlertDescription::AccessDenied => {
            format!("{who} says that our certificate may not connect (access_denied)")
        }
        AlertDescription::ProtocolVersion => {
            format!("no version of TLS in common, {who} reports (protocol_version)")
        }
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            format!("{who} finds nothing in common: version, cipher or certificate (handshake_failure)")
        }
        AlertDescription::UnrecognisedName => {
            format!("{who} does not serve the name it was asked for (unrecognized_name): see target_tls.name")
        }
        AlertDescription::NoApplicationProtocol => {
            format!("{who} speaks none of the protocols in alpn (no_application_protocol)")
        }
        other => format!("{who} ended it with the alert {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_reported_as_what_it_is() {
        let error = Error::InvalidMessage(InvalidMessage::InvalidContentType);
        let described = |first: &[u8], with| match unsecured(&error, with, first) {
            Unsecured::NoTls(what) => what,
            other => panic!("{other:?}"),
        };

        assert!(described(b"GET / HTTP/1.1\r\n", Side::Client).contains("plain HTTP"));
        assert!(described(b"PROXY TCP4 1.2.3", Side::Client).contains("accept_proxy"));
        assert!(described(b"-ERR unknown", Side::Target).contains("does not speak TLS"));
    }

    #[test]
    fn a_name_is_reported_without_its_wrapping() {
        assert_eq!(bare_name("DnsName(\"a.example\")"), "a.example");
        assert_eq!(bare_name("IpAddress(127.0.0.1)"), "IpAddress(127.0.0.1)");
    }
}
