//! A certificate and its key, as read from their files; problems are described for the user.
//!
//! The key's bytes exist only in the signer and are never shown.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::{Certificate, old_version, provider, read_certificates};

/// A certificate chain and its key.
#[derive(Clone)]
pub struct Pair {
    pub(super) certified: Arc<CertifiedKey>,
    /// Names and dates of the first certificate.
    pub certificate: Certificate,
    /// The key's file and its permission bits.
    pub key_file: (PathBuf, u32),
}

impl Pair {
    /// The pair, with the path and mode of the key's file.
    #[must_use]
    pub fn with_key_of(mut self, path: PathBuf, mode: u32) -> Pair {
        self.key_file = (path, mode);
        self
    }
}

/// Which of the two files is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairFile {
    /// The certificate's.
    Certificate,
    /// The key's.
    Key,
}

/// What is wrong with a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairFault {
    /// The file with the problem.
    pub file: PairFile,
    /// What is wrong, to follow the file's name.
    pub what: &'static str,
    /// What to do.
    pub help: &'static str,
}

/// Makes a pair from the texts of its files, which may be the same file.
///
/// # Errors
/// What is wrong, and with which file.
pub fn read_pair(certificate: &[u8], key: &[u8]) -> Result<Pair, PairFault> {
    let of_certificate = |what| PairFault { file: PairFile::Certificate, what, help: CERTIFICATE_HELP };
    let chain = read_certificates(certificate).map_err(of_certificate)?;
    let facts = Certificate::read(&chain[0]).ok_or(of_certificate("the certificate in it is damaged"))?;
    let key = read_key(key)?;
    let certified = certified(chain, key).map_err(|error| match error {
        Error::InconsistentKeys(_) => PairFault {
            file: PairFile::Key,
            what: "the key does not belong to the certificate",
            help: "name the key the certificate was made for; the server's own certificate stands first in its file",
        },
        _ => PairFault {
            file: PairFile::Key,
            what: "the key is of a kind that TLS does not use, or damaged",
            help: "use an RSA key of 2048 bits or more, or an ECDSA key on P-256, P-384 or P-521, or Ed25519",
        },
    })?;
    Ok(Pair { certified: Arc::new(certified), certificate: facts, key_file: (PathBuf::new(), 0) })
}

/// The two as one, if the key is that of the first certificate.
fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, Error> {
    if !chain.first().is_some_and(old_version::is_old) {
        return CertifiedKey::from_der(chain, key, &provider());
    }
    // rustls cannot read it, and need not: it sends it as it is.
    let key = provider().key_provider.load_private_key(key)?;
    if let Some(of_key) = key.public_key()
        && chain.first().and_then(old_version::public_key) != Some(of_key)
    {
        return Err(InconsistentKeys::KeyMismatch.into());
    }
    Ok(CertifiedKey::new(chain, key))
}

const CERTIFICATE_HELP: &str =
    "write it in PEM: the server's own certificate first, then those that signed it";

fn read_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, PairFault> {
    let fault = |what, help| PairFault { file: PairFile::Key, what, help };
    let has = |words: &[u8]| text.windows(words.len()).any(|window| window == words);
    if has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED") {
        let help = "take the passphrase off with `openssl pkey -in KEY -out NEW`, and keep the new file to yourself (0600)";
        return Err(fault("the key is encrypted, and its passphrase cannot be asked for", help));
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        PemError::NoItemsFound if has(b"BEGIN CERTIFICATE") => {
            fault("it holds a certificate, and no key", "name the key's file under key")
        }
        PemError::NoItemsFound => fault("there is no key in it", "write the key in PEM (BEGIN PRIVATE KEY)"),
        _ => fault("the key in it is damaged", "write the key in PEM (BEGIN PRIVATE KEY)"),
    })
}

/// Pairs are equal if their certificates are: a key that does not match its certificate is refused.
impl PartialEq for Pair {
    fn eq(&self, other: &Pair) -> bool {
        self.certified.cert == other.certified.cert
    }
}

impl Eq for Pair {}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pair({:?})", self.certificate)
    }
}
