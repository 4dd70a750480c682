//! The private key of a machine. Its bytes are shown nowhere but in its own file, and wiped when it is dropped.

use std::fmt;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::{default_provider, sign};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use zeroize::{Zeroize, Zeroizing};

use super::PublicKey;
use crate::units::base64;

/// What precedes the 32 bytes of a key in PKCS#8 (RFC 8410, section 7): version 0, the algorithm id-Ed25519, and the key as
/// an octet string in an octet string. The public key, which may follow in version 1, is left out as openssl leaves it out.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Letters of a line of PEM (RFC 7468, section 2).
const LINE: usize = 64;

/// The private key of a machine. Its `Debug` is `***`.
pub struct PrivateKey {
    public: PublicKey,
    /// The key as TLS uses it. aws-lc wipes its memory when it frees a key.
    pub(super) shown: Arc<CertifiedKey>,
    pkcs8: Zeroizing<Vec<u8>>,
}

/// What is wrong with a text that should be a private key, and what to do. It quotes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoKey {
    pub(super) what: &'static str,
    pub(super) help: &'static str,
}

impl PrivateKey {
    /// A new key, from the system's random numbers.
    ///
    /// # Errors
    /// The system has none (getrandom(2)), or the key cannot be used.
    pub fn generate() -> Result<PrivateKey, String> {
        let mut pkcs8 = Zeroizing::new(Vec::with_capacity(PKCS8_PREFIX.len() + 32));
        pkcs8.extend(PKCS8_PREFIX);
        let mut seed = Zeroizing::new([0; 32]);
        default_provider()
            .secure_random
            .fill(&mut *seed)
            .map_err(|_| "the system gives no random numbers")?;
        pkcs8.extend_from_slice(&*seed);
        PrivateKey::of_pkcs8(pkcs8).ok_or_else(|| "the new key cannot be used".into())
    }

    /// The key in a PEM text.
    pub(super) fn of_pem(text: &[u8]) -> Result<PrivateKey, NoKey> {
        let has = |words: &[u8]| text.windows(words.len()).any(|window| window == words);
        let read = PrivateKeyDer::from_pem_slice(text).map_err(|error| NoKey {
            what: match error {
                _ if has(b"BEGIN ENCRYPTED PRIVATE KEY") => "the key in it is encrypted",
                _ if has(b"BEGIN OPENSSH PRIVATE KEY") => {
                    "it holds a key of ssh, and a tunnel has keys of its own"
                }
                PemError::NoItemsFound => "there is no key in it",
                _ => "the key in it is damaged",
            },
            help: "make another with `loopgate tunnel key --file FILE`",
        })?;
        let pkcs8 = match read {
            PrivateKeyDer::Pkcs8(mut pkcs8) => {
                let copy = Zeroizing::new(pkcs8.secret_pkcs8_der().to_vec());
                pkcs8.zeroize();
                PrivateKey::of_pkcs8(copy)
            }
            mut other => {
                other.zeroize();
                None
            }
        };
        pkcs8.ok_or(NoKey {
            what: "the key in it is not an Ed25519 key",
            help: "make one with `loopgate tunnel key --file FILE`",
        })
    }

    fn of_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Option<PrivateKey> {
        let signer = sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(&pkcs8[..])).ok()?;
        let public = PublicKey::of_spki(&signer.public_key()?)?;
        let shown = CertifiedKey::new(vec![CertificateDer::from(public.spki().to_vec())], signer);
        Some(PrivateKey { public, shown: Arc::new(shown), pkcs8 })
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// A number that this key alone makes of a text, the same each time: for a choice that must stay the same after a restart,
    /// and must not tell others how it was made.
    ///
    /// It is the beginning of a signature, which Ed25519 makes without random numbers (RFC 8032, section 5.1.6). What TLS has
    /// a key sign begins with 64 spaces (RFC 8446, section 4.4.3), so it is none of those.
    pub(crate) fn choice(&self, of: &str) -> u64 {
        let signer = self.shown.key.choose_scheme(&[SignatureScheme::ED25519]);
        let text = format!("loopgate choice\0{of}");
        // An Ed25519 key signs with nothing else, and it signs every text.
        let signature = signer.and_then(|signer| signer.sign(text.as_bytes()).ok()).unwrap_or_default();
        signature.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
    }

    /// It as PKCS#8 in PEM, which openssl reads. Wiped when it is dropped.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let letters = Zeroizing::new(base64::encode(&self.pkcs8));
        // One allocation: a text that grows leaves copies of itself behind.
        let mut pem =
            Zeroizing::new(String::with_capacity(letters.len() + letters.len().div_ceil(LINE) + 64));
        pem.push_str("-----BEGIN PRIVATE KEY-----\n");
        let mut rest = &letters[..];
        while !rest.is_empty() {
            let (line, after) = rest.split_at(LINE.min(rest.len()));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        pem
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Two private keys are equal if their public halves are.
impl PartialEq for PrivateKey {
    fn eq(&self, other: &Self) -> bool {
        self.public == other.public
    }
}

impl Eq for PrivateKey {}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// What openssl makes of an input.
    fn openssl(arguments: &[&str], input: &str) -> Vec<u8> {
        use std::io::Write;
        let mut child = Command::new("openssl")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        output.stdout
    }

    #[test]
    #[ignore = "needs openssl"]
    fn openssl_reads_a_key_of_ours_and_finds_the_same_public_one() {
        let key = PrivateKey::generate().unwrap();

        let spki = openssl(&["pkey", "-pubout", "-outform", "DER"], &key.to_pem());

        assert_eq!(spki, key.public().spki());
        assert_eq!(
            String::from_utf8(openssl(&["pkey"], &key.to_pem())).unwrap(),
            *key.to_pem(),
            "byte for byte"
        );
    }

    #[test]
    #[ignore = "needs openssl"]
    fn a_key_of_openssl_is_read_and_written_as_it_was() {
        let pem = String::from_utf8(openssl(&["genpkey", "-algorithm", "ed25519"], "")).unwrap();

        let key = PrivateKey::of_pem(pem.as_bytes()).unwrap();

        assert_eq!(key.public().spki()[..], openssl(&["pkey", "-pubout", "-outform", "DER"], &pem));
        assert_eq!(*key.to_pem(), pem);
    }

    #[test]
    fn a_key_that_brings_its_public_half_is_read_and_kept_whole() {
        // Version 1 of PKCS#8 (RFC 8410, section 7), as rcgen and ring write it.
        let made = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();

        let key = PrivateKey::of_pem(made.serialize_pem().as_bytes()).unwrap();

        assert_eq!(key.public().spki()[12..], *made.public_key_raw());
        assert_eq!(PrivateKey::of_pem(key.to_pem().as_bytes()).unwrap(), key);
        assert!(key.to_pem().lines().all(|line| line.len() <= LINE));
    }

    #[test]
    fn every_key_is_another_and_shows_nothing_of_itself() {
        let (one, other) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());

        assert_ne!(one, other);
        assert_eq!(format!("{one:?}"), "***");
    }

    #[test]
    fn what_is_no_key_of_a_tunnel_is_told_apart() {
        let told = |text: &str| PrivateKey::of_pem(text.as_bytes()).unwrap_err().what;
        let ecdsa = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let ours = PrivateKey::generate().unwrap().to_pem();

        assert_eq!(told(""), "there is no key in it");
        assert_eq!(told(&ecdsa), "the key in it is not an Ed25519 key");
        assert_eq!(told(&ours.replace("MC4C", "MC4D")), "the key in it is not an Ed25519 key");
        assert_eq!(told(&ours.replace("MC4C", "M!4C")), "the key in it is damaged");
        let openssh =
            "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk=\n-----END OPENSSH PRIVATE KEY-----\n";
        assert!(told(openssh).starts_with("it holds a key of ssh"));
        let encrypted = openssh.replace("OPENSSH", "ENCRYPTED");
        assert_eq!(told(&encrypted), "the key in it is encrypted");
    }
}
