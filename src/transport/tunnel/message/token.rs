//! A secret that names something.

use std::hash::{Hash, Hasher};
use std::{fmt, hint};

use rustls::crypto::aws_lc_rs::default_provider;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// 128 random bits, as 32 hexadecimal digits. Never logged: its `Debug` is `***`.
#[derive(Clone, Copy, Eq)]
pub struct Token(pub [u8; 16]);

impl Token {
    /// 128 bits that nobody can guess; `None` if the system gives no random numbers.
    pub fn random() -> Option<Token> {
        let mut bits = [0; 16];
        default_provider().secure_random.fill(&mut bits).ok()?;
        Some(Token(bits))
    }
}

/// In a time that does not depend on where two of them differ.
impl PartialEq for Token {
    fn eq(&self, other: &Token) -> bool {
        let difference = self.0.iter().zip(&other.0).fold(0, |difference, (a, b)| difference | (a ^ b));
        hint::black_box(difference) == 0
    }
}

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&digits)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (digits, []) = text.as_bytes().as_chunks::<2>() else { return Err(not_digits()) };
        let digits: &[[u8; 2]; 16] = digits.try_into().map_err(|_| not_digits())?;
        let mut token = [0; 16];
        for (byte, [high, low]) in token.iter_mut().zip(digits) {
            *byte =
                digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low).ok_or_else(not_digits)?;
        }
        Ok(Token(token))
    }
}

/// The value of a digit; small letters only, so that a token has one form.
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

fn not_digits<E: serde::de::Error>() -> E {
    E::custom("not 32 hexadecimal digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_thirty_two_digits_and_shows_none_of_them() {
        let token = Token(*b"\x00\x01\x0a\xa0\xff\x10\x99\x00\x00\x00\x00\x00\x00\x00\x00\x7f");

        let json = serde_json::to_string(&token).unwrap();

        assert_eq!(json, r#""00010aa0ff109900000000000000007f""#);
        assert_eq!(serde_json::from_str::<Token>(&json).unwrap(), token);
        assert_eq!(format!("{token:?}"), "***");
        for text in [
            "",
            "0",
            &"0".repeat(31),
            &"0".repeat(33),
            &"A".repeat(32),
            &"g".repeat(32),
            &"\u{e9}".repeat(16),
        ] {
            let refused = serde_json::from_value::<Token>(text.into()).unwrap_err().to_string();
            assert_eq!(refused, "not 32 hexadecimal digits");
        }
    }

    #[test]
    fn no_two_random_tokens_are_the_same() {
        let all: std::collections::HashSet<Token> = (0..1000).filter_map(|_| Token::random()).collect();

        assert_eq!(all.len(), 1000);
    }

    #[test]
    fn tokens_that_differ_in_one_bit_are_two() {
        for bit in 0..128 {
            let mut other = [7; 16];
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(Token([7; 16]), Token(other));
        }
        assert_eq!(Token([7; 16]), Token([7; 16]));
    }
}
