//! The key of another Loopgate, as a user writes it.

use serde::{Deserialize, Deserializer};

use crate::transport::tunnel::identity::PublicKey;
use crate::units::{Misread, from_text};

/// A public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyText(pub(crate) PublicKey);

impl std::str::FromStr for KeyText {
    type Err = Misread;

    fn from_str(text: &str) -> Result<Self, Misread> {
        text.parse().map(KeyText)
    }
}

impl<'de> Deserialize<'de> for KeyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a public key, as \"ed25519:…\"", |number| {
            Misread::new(format!("{number} is not a key"), "write it in quotes, as \"ed25519:…\"")
        })
    }
}
