//! What could not be read, and what to write instead; for every parser of text from users.
//!
//! It contains no position: the configuration adds the line, the command line the argument.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::Deserializer;
use serde::de::{Error, Visitor};

/// The longest part of a user's text that is quoted, in characters.
const MAX_SHOWN: usize = 64;

/// Why a text could not be read, and what to write instead.
///
/// `{}` is one line; `{:#}` puts what to write instead on a line of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misread {
    /// What is wrong, with the text quoted and its control characters escaped.
    pub what: String,
    /// What to write instead.
    pub instead: String,
}

impl Misread {
    pub(crate) fn new(what: impl Into<String>, instead: impl Into<String>) -> Self {
        Misread { what: what.into(), instead: instead.into() }
    }
}

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let between = if f.alternate() { "\n" } else { "; " };
        write!(f, "{}{between}{}", self.what, self.instead)
    }
}

impl std::error::Error for Misread {}

/// `text` in quotes, with control, invisible and direction-changing characters escaped and a long text cut.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        None => format!("{text:?}"),
        Some((cut, _)) => format!("{:?}…", &text[..cut]),
    }
}

/// Implements `Deserialize` for a type that is written as a string. `expected` names it, as "a time", and `number`
/// makes the message for a bare number.
pub(crate) fn from_text<'de, D, T>(
    deserializer: D,
    expected: &'static str,
    number: fn(&str) -> Misread,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = Misread>,
{
    deserializer.deserialize_any(Text { expected, number, parsed: PhantomData })
}

struct Text<T> {
    expected: &'static str,
    number: fn(&str) -> Misread,
    parsed: PhantomData<T>,
}

impl<T: FromStr<Err = Misread>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        Err(E::custom((self.number)(&number.to_string())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        Err(E::custom((self.number)(&number.to_string())))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        Err(E::custom((self.number)(&number.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_escaped_and_cut() {
        assert_eq!(quoted("a\x1b[31m\u{202e}\"\n"), r#""a\u{1b}[31m\u{202e}\"\n""#);
        assert_eq!(quoted(&"ü".repeat(1000)).chars().count(), MAX_SHOWN + 3);
    }
}
