//! A TLS ClientHello, and the unencrypted part of the answer.
//!
//! The ClientHello offers TLS 1.2 at most, because a TLS 1.3 server sends its certificate encrypted: a server that
//! supports 1.2 shows it, any other refuses with an alert, and both prove that they speak TLS. Nothing is verified and
//! no key is generated; the handshake ends here (RFC 5246).

use std::fmt;

use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

use crate::units::shown;

const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const PROTOCOL_VERSION: u8 = 70;
const MAX_NAME_CHARS: usize = 64;

/// The answer of a TLS server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An alert, by its number.
    Alert(u8),
    /// It accepted the ClientHello; its certificate, if it could be read.
    Hello(Option<Certificate>),
}

/// The parts of a certificate that a report shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The common name of its subject, escaped; empty if it has none.
    pub name: String,
    /// The first day of its validity, as `2026-11-24`.
    pub from: String,
    /// The last day of its validity.
    pub until: String,
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CN={}, {} to {}", self.name, self.from, self.until)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Alert(PROTOCOL_VERSION) => write!(f, "TLS 1.3 only, which hides its certificate"),
            Answer::Alert(number) => write!(f, "TLS, alert {number}"),
            Answer::Hello(None) => write!(f, "a TLS ServerHello"),
            Answer::Hello(Some(certificate)) => write!(f, "TLS, {certificate}"),
        }
    }
}

/// A ClientHello for `host`, with a server_name extension if `host` is a name.
pub fn client_hello(host: &str) -> Vec<u8> {
    let name = host.rsplit_once(':').map_or(host, |(name, port)| match port.parse::<u16>() {
        Ok(_) => name,
        Err(_) => host,
    });
    let mut extensions = Vec::new();
    let is_name = name.bytes().any(|byte| byte.is_ascii_alphabetic()) && !name.contains([':', '[']);
    if is_name && name.len() <= 253 {
        // server_name: a list of one entry, of type host_name.
        let entry = [&[0][..], &sized(name.as_bytes())].concat();
        extension(&mut extensions, 0, &sized(&entry));
    }
    // supported_groups: x25519, secp256r1, secp384r1; ec_point_formats: uncompressed.
    extension(&mut extensions, 10, &sized(&[0, 29, 0, 23, 0, 24]));
    extension(&mut extensions, 11, &[1, 0]);
    // signature_algorithms: ECDSA, RSA-PSS and PKCS#1 with SHA-256, -384, -512.
    let algorithms = [4, 3, 5, 3, 6, 3, 8, 4, 8, 5, 8, 6, 4, 1, 5, 1, 6, 1];
    extension(&mut extensions, 13, &sized(&algorithms));

    // ECDHE with AES-GCM and ChaCha20, then plain RSA for old servers; the last is TLS_EMPTY_RENEGOTIATION_INFO_SCSV.
    let suites: [u16; 10] = [0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x00ff];
    let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
    let mut hello = vec![3, 3];
    // This handshake produces no secret, so the random may be a constant.
    hello.extend(b"loopgate asks who answers here ?");
    hello.push(0);
    hello.extend(sized(&suites));
    hello.extend([1, 0]);
    hello.extend(sized(&extensions));

    let mut message = vec![1, 0];
    message.extend(sized(&hello));
    [&[HANDSHAKE, 3, 1][..], &sized(&message)].concat()
}

fn extension(extensions: &mut Vec<u8>, kind: u16, payload: &[u8]) {
    extensions.extend(kind.to_be_bytes());
    extensions.extend(sized(payload));
}

/// The bytes, preceded by their length in two bytes.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&length[..], bytes].concat()
}

/// Parses the beginning of a server's answer; `None` if it is not TLS.
pub fn read_answer(mut rest: &[u8]) -> Option<Answer> {
    let mut handshake = Vec::new();
    let mut alert = None;
    while let [kind @ (HANDSHAKE | ALERT), 3, 0..=4, high, low, body @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let payload = body.get(..length).unwrap_or(body);
        match kind {
            &ALERT => alert = alert.or(payload.get(1).copied()),
            _ => handshake.extend(payload),
        }
        rest = body.get(length..).unwrap_or_default();
    }
    if handshake.first() == Some(&SERVER_HELLO) {
        return Some(Answer::Hello(certificate(&handshake)));
    }
    alert.map(Answer::Alert)
}

/// The first certificate in the handshake messages, each of which has a type and a length of three bytes.
fn certificate(mut rest: &[u8]) -> Option<Certificate> {
    while let [kind, a, b, c, body @ ..] = rest {
        let length = three(*a, *b, *c);
        if *kind == CERTIFICATE {
            let [_, _, _, a, b, c, certificate @ ..] = body else { return None };
            return read_certificate(certificate.get(..three(*a, *b, *c))?);
        }
        rest = body.get(length..)?;
    }
    None
}

/// Parses a certificate; `None` if it is malformed.
fn read_certificate(der: &[u8]) -> Option<Certificate> {
    let (_, read) = X509Certificate::from_der(der).ok()?;
    let name = read.subject().iter_common_name().next().map(|name| name.attr_value().data);
    let name = shown(&String::from_utf8_lossy(name.unwrap_or_default()), MAX_NAME_CHARS);
    let day = |time: ASN1Time| time.to_datetime().date().to_string();
    let validity = read.validity();
    Some(Certificate { name, from: day(validity.not_before), until: day(validity.not_after) })
}

fn three(a: u8, b: u8, c: u8) -> usize {
    usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    static SAMPLE: LazyLock<Vec<u8>> = LazyLock::new(|| sample("localhost"));

    fn sample(name: &str) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2026, 11, 24);
        // From 2050 on, dates have another encoding (RFC 5280, section 4.1.2.5).
        params.not_after = date_time_ymd(2056, 11, 26);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_name_and_the_dates_of_a_certificate_are_read() {
        let read = read_certificate(&SAMPLE).unwrap();

        assert_eq!(read.to_string(), "CN=localhost, 2026-11-24 to 2056-11-26");
    }

    #[test]
    fn a_certificates_name_cannot_garble_a_terminal() {
        let read = read_certificate(&sample("\u{1b}[2Jx")).unwrap();

        assert!(read.name.ends_with('x') && !read.name.contains(char::is_control));
    }

    #[test]
    fn a_certificate_that_is_cut_off_is_none() {
        for length in 0..SAMPLE.len() {
            assert_eq!(read_certificate(&SAMPLE[..length]), None, "cut at {length}");
        }
    }

    #[test]
    fn the_lengths_in_a_hello_add_up() {
        for host in ["localhost:443", "127.0.0.1:443", "[::1]:443", ""] {
            let hello = client_hello(host);

            let record = usize::from(u16::from_be_bytes([hello[3], hello[4]]));
            assert_eq!(record, hello.len() - 5, "{host}");
            assert_eq!(three(hello[6], hello[7], hello[8]), record - 4, "{host}");
            let named = hello.windows(9).any(|window| window == b"localhost");
            assert_eq!(named, host.starts_with("localhost"));
        }
    }

    #[test]
    fn an_alert_about_the_version_means_that_the_certificate_is_hidden() {
        let answer = read_answer(&[21, 3, 3, 0, 2, 2, 70]).unwrap();

        assert_eq!(answer.to_string(), "TLS 1.3 only, which hides its certificate");
        assert_eq!(read_answer(b"HTTP/1.1"), None);
        assert_eq!(read_answer(&[22, 3, 3, 0, 4, 2, 0, 0, 0]), Some(Answer::Hello(None)));
    }

    proptest! {
        #[test]
        fn no_certificate_panics(bytes: Vec<u8>, at: usize, byte: u8) {
            let _ = read_certificate(&bytes);
            let mut changed = SAMPLE.clone();
            let at = at % changed.len();
            changed[at] = byte;
            let _ = read_certificate(&changed);
        }

        #[test]
        fn no_answer_panics(bytes: Vec<u8>, length: u16) {
            let _ = read_answer(&bytes);
            let record = [&[22, 3, 3][..], &length.to_be_bytes(), &[2, 0, 0, 0, 11], &bytes].concat();
            let _ = read_answer(&record);
        }
    }
}
