//! Who a machine is: one Ed25519 key, shown as a raw public key in TLS 1.3 (RFC 7250), pinned at both ends.

use std::sync::Arc;

/// The public key of a machine: printed as `ed25519:` and 43 letters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey(pub(super) [u8; 32]);

/// The private key of a machine. Its `Debug` is `***`.
pub struct PrivateKey {
    public: PublicKey,
}

impl PrivateKey {
    /// The public half.
    pub fn public(&self) -> PublicKey {
        self.public
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ed25519:…")
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

/// Which keys an accepting end knows; asked at each handshake, so that a reload counts at once.
pub trait Known: Send + Sync + std::fmt::Debug {
    /// Whether this key may connect, looked up in constant time.
    fn knows(&self, key: &PublicKey) -> bool;
}

/// How the dialling end secures a connection.
#[derive(Clone)]
pub struct Dialling(Arc<rustls::ClientConfig>);

/// How the accepting end does.
#[derive(Clone)]
pub struct Accepting(Arc<rustls::ServerConfig>);
