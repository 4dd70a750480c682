//! The certificate of the TLS workloads: one for all forwarders of a run, of a key on P-256, signed by itself.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{CertifiedKey, generate_simple_self_signed};

use loopgate_load::Fallible;

/// The file with the certificate and its key, which is made when it is first asked for. Every forwarder takes both from
/// one file, and HAProxy from nothing else.
pub(crate) fn pair(scratch: &Path) -> Fallible<PathBuf> {
    let path = scratch.join("certificate.pem");
    if path.exists() {
        return Ok(path);
    }
    // The library's own choice of key is ECDSA on P-256.
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all((cert.pem() + &signing_key.serialize_pem()).as_bytes())?;
    Ok(path)
}
