//! The public key of a machine, as people pass it on and as TLS sends it.

use std::fmt;
use std::hint::black_box;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::units::{Misread, base64, from_text};

/// The public key of a machine: printed as `ed25519:` and 43 letters of base64url (RFC 4648, section 5, without `=`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; 32]);

/// What the text begins with.
const PREFIX: &str = "ed25519:";

/// What precedes the key's 32 bytes in a SubjectPublicKeyInfo (RFC 8410, sections 3 and 4): the sequence, the algorithm
/// id-Ed25519 (1.3.101.112) without parameters, and a bit string without unused bits.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

impl PublicKey {
    /// The key of these 32 bytes (RFC 8032, section 5.1.2), unless they are weak: another spelling of a point that has one
    /// already, or a point of small order, whose signatures anybody can make.
    ///
    /// Half of all 32 bytes are no point at all. That is not checked: nobody can sign with such a key, so it lets nobody in.
    pub fn of_bytes(bytes: [u8; 32]) -> Option<PublicKey> {
        (!is_weak(&bytes)).then_some(PublicKey(bytes))
    }

    /// The key in a SubjectPublicKeyInfo of 44 bytes, as TLS sends it; `None` for any other kind, and a weak one.
    pub fn of_spki(spki: &[u8]) -> Option<PublicKey> {
        let bytes = spki.strip_prefix(&SPKI_PREFIX)?;
        PublicKey::of_bytes(bytes.try_into().ok()?)
    }

    /// It as a SubjectPublicKeyInfo in DER.
    pub fn spki(&self) -> [u8; 44] {
        let mut spki = [0; 44];
        spki[..SPKI_PREFIX.len()].copy_from_slice(&SPKI_PREFIX);
        spki[SPKI_PREFIX.len()..].copy_from_slice(&self.0);
        spki
    }

    /// Whether it is one of these. Every one is compared in full: the time tells their number, and neither which one
    /// matched nor how much of one.
    pub fn is_one_of<'k>(&self, keys: impl IntoIterator<Item = &'k PublicKey>) -> bool {
        keys.into_iter().fold(false, |found, key| found | self.is_the_same(key))
    }

    fn is_the_same(&self, other: &PublicKey) -> bool {
        let differing = self.0.iter().zip(&other.0).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
        black_box(differing) == 0
    }
}

/// Whether the encoded point is refused. The last bit of the 255-bit number y is the sign of x.
///
/// * A y of 2^255 - 19 or more is another spelling of one that is smaller (RFC 8032, section 5.1.3, step 1, refuses it).
/// * Of the eight points whose order divides 8, the y are 0, 1, -1 and the two of order 8, each with either sign; for 1 and
///   -1 the one with a sign is no spelling of a point (step 4). With such a key a signature proves nothing: RFC 8032,
///   section 8.4 ("legacy") leaves them to the protocol, RFC 7748, section 6.1 has those that do the same to X25519.
fn is_weak(bytes: &[u8; 32]) -> bool {
    let mut y = *bytes;
    y[31] &= 0x7f;
    is_not_reduced(&y) || SMALL_ORDER.contains(&y)
}

/// Whether the number is 2^255 - 19 or more: `ed`, thirty times `ff`, `7f` in little endian.
fn is_not_reduced(y: &[u8; 32]) -> bool {
    y[31] == 0x7f && y[1..31].iter().all(|byte| *byte == 0xff) && y[0] >= 0xed
}

/// The y of the points of small order, in little endian: 0 (order 4), 1 (order 1), -1 (order 2), and two of order 8.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    last_of(1, 0, 0),
    last_of(0xec, 0xff, 0x7f),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// A number by its first byte, all between and its last byte.
const fn last_of(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    (bytes[0], bytes[31]) = (first, last);
    bytes
}

impl FromStr for PublicKey {
    type Err = Misread;

    /// Reads what is printed, and the same in standard base64, with or without its `=`. The text is never quoted: it may
    /// be a private key that was put in the wrong place.
    fn from_str(text: &str) -> Result<Self, Misread> {
        let Some(letters) = text.strip_prefix(PREFIX) else { return Err(not_a_key(text)) };
        let standard: String = letters
            .strip_suffix('=')
            .unwrap_or(letters)
            .chars()
            .map(|letter| match letter {
                '-' => '+',
                '_' => '/',
                other => other,
            })
            .chain(['='])
            .collect();
        let bytes: [u8; 32] = match base64::decode(&standard).map(TryInto::try_into) {
            Some(Ok(bytes)) => bytes,
            _ => {
                let count = letters.chars().count();
                let what = match count {
                    43 | 44 => "the letters after ed25519: are not those of a key".to_owned(),
                    _ => format!("a key has 43 letters after ed25519:, and this has {count}"),
                };
                return Err(Misread::new(what, INSTEAD));
            }
        };
        let weak = "this is no key that a machine can have: anybody could pretend to hold it";
        PublicKey::of_bytes(bytes).ok_or_else(|| Misread::new(weak, INSTEAD))
    }
}

const INSTEAD: &str = "copy the line that `loopgate tunnel key` prints at the other end";

fn not_a_key(text: &str) -> Misread {
    let text = text.trim_start();
    let what = if text.starts_with("ssh-") {
        "this is a key of ssh, and a tunnel has keys of its own"
    } else if text.contains("PRIVATE KEY") {
        "this is a private key, which stays on its own machine"
    } else if PublicKey::from_str(&format!("{PREFIX}{text}")).is_ok() {
        "a key begins with ed25519:"
    } else {
        "this is not a public key: one is ed25519: and 43 letters"
    };
    Misread::new(what, INSTEAD)
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = base64::encode(&self.0).replace('+', "-").replace('/', "_");
        write!(f, "{PREFIX}{}", letters.trim_end_matches('='))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a public key, as \"ed25519:…\"", |_| {
            Misread::new("a public key is written in quotes", INSTEAD)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustls::SignatureScheme;
    use rustls::crypto::aws_lc_rs::default_provider;
    use rustls::pki_types::SignatureVerificationAlgorithm;

    fn told(text: &str) -> String {
        text.parse::<PublicKey>().unwrap_err().to_string()
    }

    #[test]
    fn a_key_is_read_in_either_base64_and_printed_in_one() {
        // The key of test 1 of RFC 8032, section 7.1.
        let printed = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let spellings = [
            printed,
            "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
            "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        ];

        for spelling in spellings {
            let key: PublicKey = spelling.parse().unwrap();
            assert_eq!((key.to_string(), key.0[0]), (printed.into(), 0xd7), "{spelling}");
            assert_eq!(format!("{key:?}"), printed);
        }
    }

    #[test]
    fn what_is_no_public_key_is_told_apart_and_never_quoted() {
        let letters = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let private = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v_VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";

        assert!(told(letters).starts_with("a key begins with ed25519:"));
        assert!(told("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI me@here").starts_with("this is a key of ssh"));
        assert!(told("-----BEGIN PRIVATE KEY-----").starts_with("this is a private key"));
        assert!(
            told(&format!("ed25519:{}", &letters[1..]))
                .contains("43 letters after ed25519:, and this has 42")
        );
        assert!(told(&format!("ed25519:{}!", &letters[1..])).contains("are not those of a key"));
        // A last letter whose lowest bits are none of the key's.
        assert!(told(&format!("ed25519:{}p", &letters[..42])).contains("are not those of a key"));
        for text in [private.into(), format!("ed25519:{private}"), format!("ed25519:{letters}==")] {
            assert!(!told(&text).contains(&private[..8]) && !told(&text).contains(&letters[..8]), "{text}");
        }
    }

    #[test]
    fn a_key_is_sent_as_openssl_writes_it_and_no_other_kind_is_taken() {
        let key = PublicKey::of_bytes([7; 32]).unwrap();
        let spki = key.spki();

        assert_eq!(PublicKey::of_spki(&spki), Some(key));
        assert_eq!(PublicKey::of_spki(&spki[..43]), None);
        assert_eq!(PublicKey::of_spki(&[&spki[..], &[0]].concat()), None);
        for place in 0..SPKI_PREFIX.len() {
            let mut other = spki;
            other[place] ^= 1;
            assert_eq!(PublicKey::of_spki(&other), None, "{place}");
        }
    }

    #[test]
    fn every_key_of_a_list_is_found_and_no_other() {
        let key = |byte| PublicKey::of_bytes([byte; 32]).unwrap();
        let list = [key(2), key(3), key(4)];

        assert!(list.iter().all(|it| it.is_one_of(&list)));
        assert!(!key(5).is_one_of(&list) && !key(2).is_one_of(&[]));
        let mut close = [3; 32];
        close[31] ^= 0x40;
        assert!(!PublicKey(close).is_one_of(&list));
    }

    /// Whether somebody without any private key can sign for this public one: a signature of the neutral point and zero is
    /// good for one text in as many as the key's order.
    fn is_forged(key: &[u8; 32]) -> bool {
        let algorithms = default_provider().signature_verification_algorithms.mapping;
        let (_, ed25519) = algorithms.iter().find(|(scheme, _)| *scheme == SignatureScheme::ED25519).unwrap();
        let signature = [&last_of(1, 0, 0)[..], &[0; 32]].concat();
        let signed = |n: u8| {
            (ed25519[0] as &dyn SignatureVerificationAlgorithm).verify_signature(key, &[n], &signature)
        };
        (0..=255).any(|n| signed(n).is_ok())
    }

    #[test]
    fn keys_that_anybody_can_sign_with_are_refused() {
        let good = super::super::PrivateKey::generate().unwrap().public();
        assert!(!is_forged(&good.0));

        for y in SMALL_ORDER {
            assert!(is_forged(&y), "{y:02x?}");
            for sign in [0, 0x80] {
                let mut point = y;
                point[31] |= sign;
                assert_eq!(PublicKey::of_bytes(point), None, "{point:02x?}");
            }
        }
        let text = format!("{PREFIX}{}", "A".repeat(43));
        assert!(told(&text).starts_with("this is no key that a machine can have"));
    }

    #[test]
    fn a_second_spelling_of_a_point_is_refused() {
        for low in 0xed..=0xff {
            for sign in [0x7f, 0xff] {
                assert_eq!(PublicKey::of_bytes(last_of(low, 0xff, sign)), None, "{low:x} {sign:x}");
            }
        }
        // 2^255 - 19 - 2, the largest that is refused for neither reason.
        assert!(PublicKey::of_bytes(last_of(0xeb, 0xff, 0x7f)).is_some());
    }

    proptest! {
        #[test]
        fn a_key_is_read_back(bytes: [u8; 32]) {
            if let Some(key) = PublicKey::of_bytes(bytes) {
                prop_assert_eq!(key.to_string().parse(), Ok(key));
                prop_assert_eq!(key.to_string().len(), PREFIX.len() + 43);
            }
        }

        #[test]
        fn no_text_panics(text in "(ed25519:)?.{0,50}") {
            let _ = text.parse::<PublicKey>();
        }
    }
}
