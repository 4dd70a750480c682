//! SHA-256 as invites have it.

use std::fmt;
use std::hint::black_box;
use std::str::FromStr;

use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;

/// A SHA-256, printed as `sha256:` and 64 hexadecimal digits. Two are compared in a time that does not depend on where they
/// differ.
#[derive(Clone, Copy, Debug, Eq)]
pub struct Sha256([u8; 32]);

const PREFIX: &str = "sha256:";

impl Sha256 {
    /// Of these bytes; `None` if the library of TLS has no such hash, which it has.
    pub fn of(bytes: &[u8]) -> Option<Sha256> {
        let hash = TLS13_AES_128_GCM_SHA256.tls13()?.common.hash_provider.hash(bytes);
        hash.as_ref().try_into().ok().map(Sha256)
    }
}

impl PartialEq for Sha256 {
    fn eq(&self, other: &Sha256) -> bool {
        let differing = self.0.iter().zip(&other.0).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
        black_box(differing) == 0
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Sha256 {
    type Err = ();

    fn from_str(text: &str) -> Result<Sha256, ()> {
        let digits = text.strip_prefix(PREFIX).ok_or(())?;
        let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return Err(()) };
        let pairs: &[[u8; 2]; 32] = pairs.try_into().map_err(|_| ())?;
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(()),
        };
        let mut bytes = [0; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Sha256(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_the_standard_and_reads_back() {
        // FIPS 180-4, the example of one block.
        let shown = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hash = Sha256::of(b"abc").unwrap();

        assert_eq!(hash.to_string(), shown);
        assert_eq!(shown.parse(), Ok(hash));
        assert_ne!(Sha256::of(b"abd").unwrap(), hash);
        for wrong in ["", "sha256:", &shown[1..], &shown[..70], &shown.to_uppercase(), &format!("{shown}0")] {
            assert_eq!(wrong.parse::<Sha256>(), Err(()), "{wrong}");
        }
    }
}
