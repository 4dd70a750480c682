//! What a sent header of version 2 says of the TLS that ended here (section 2.2.6).

use super::tlv::{ALPN, AUTHORITY, SSL, Tlvs, one};

const VERSION: u8 = 0x21;
const COMMON_NAME: u8 = 0x22;
const CIPHER: u8 = 0x23;

/// The client connected over TLS.
const CLIENT_SSL: u8 = 1;
/// It showed a certificate on this connection.
const CLIENT_CERT_CONN: u8 = 2;
/// It showed one on this connection, or on that whose session it resumed.
const CLIENT_CERT_SESS: u8 = 4;

/// The longest name that is passed on; a longer one is left out, as a part of a name is another name.
const MOST: usize = 255;

/// What is known of a client's TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// As `TLSv1.3`.
    pub version: String,
    /// As IANA names it: `TLS_AES_128_GCM_SHA256`.
    pub cipher: String,
    /// The protocol that was agreed on.
    pub alpn: Option<Vec<u8>>,
    /// The name that it asked for.
    pub authority: Option<String>,
    /// Whether a session was resumed.
    pub resumed: bool,
    /// The common name of its certificate, which was verified, empty if that has none or if it was the key alone that was
    /// verified; `None` without a certificate.
    pub common_name: Option<String>,
}

impl TlsFacts {
    /// These TLVs and ours. One that is there already stays: it came from nearer the client.
    pub fn added_to(&self, tlvs: Tlvs) -> Tlvs {
        let is_short = |text: &&str| !text.is_empty() && text.len() <= MOST;
        let tlvs = match &self.alpn {
            Some(alpn) => tlvs.and(ALPN, alpn),
            None => tlvs,
        };
        let tlvs = match self.authority.as_deref().filter(is_short) {
            Some(name) => tlvs.and(AUTHORITY, name.as_bytes()),
            None => tlvs,
        };
        let (client, verify) = match (&self.common_name, self.resumed) {
            (None, _) => (CLIENT_SSL, 1u32),
            (Some(_), true) => (CLIENT_SSL | CLIENT_CERT_SESS, 0),
            (Some(_), false) => (CLIENT_SSL | CLIENT_CERT_SESS | CLIENT_CERT_CONN, 0),
        };
        let mut ssl = [&[client][..], &verify.to_be_bytes(), &one(VERSION, self.version.as_bytes())].concat();
        ssl.extend(one(CIPHER, openssl_name(&self.cipher).as_bytes()));
        if let Some(name) = self.common_name.as_deref().filter(is_short) {
            ssl.extend(one(COMMON_NAME, name.as_bytes()));
        }
        tlvs.and(SSL, &ssl)
    }
}

/// A cipher as OpenSSL names it, whose names the text wants: those of TLS 1.2 have neither `TLS` nor `WITH`.
fn openssl_name(iana: &str) -> String {
    if !iana.contains("_WITH_") {
        return iana.to_owned();
    }
    let name = iana.trim_start_matches("TLS_").replace("_WITH_", "_").replace("AES_", "AES");
    name.replace('_', "-").replace("POLY1305-SHA256", "POLY1305")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> TlsFacts {
        TlsFacts { version: "TLSv1.3".into(), cipher: "TLS_AES_128_GCM_SHA256".into(), ..TlsFacts::default() }
    }

    #[test]
    fn ciphers_have_openssls_names() {
        for (iana, name) in [
            ("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
            ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
            ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
            ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
        ] {
            assert_eq!(openssl_name(iana), name);
        }
    }

    #[test]
    fn what_a_proxy_nearer_the_client_says_stays() {
        let earlier =
            TlsFacts { authority: Some("first.example".into()), ..facts() }.added_to(Tlvs::default());
        let ours =
            TlsFacts { authority: Some("second.example".into()), alpn: Some(b"h2".to_vec()), ..facts() };

        let both = ours.added_to(earlier.clone());

        assert_eq!(both.bytes(), [earlier.bytes(), &one(ALPN, b"h2")].concat());
    }

    #[test]
    fn a_name_too_long_is_left_out_and_so_is_what_has_no_room() {
        let long = TlsFacts { common_name: Some("x".repeat(MOST + 1)), ..facts() };
        let short = TlsFacts { common_name: Some(String::new()), ..facts() };
        assert_eq!(long.added_to(Tlvs::default()), short.added_to(Tlvs::default()));

        let full = Tlvs::default().and(0xe0, &[0; 3850]);
        assert_eq!(facts().added_to(full.clone()), full);
    }
}
