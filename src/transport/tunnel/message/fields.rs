//! The forms of single values in messages. What is wrong is said without a quotation.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::address::{ListenAddress, Run, There};

/// The most bytes of `words`; longer ones are cut between two characters.
pub const MAX_WORDS: usize = 200;

/// The most addresses at which one route may listen there.
pub const MAX_LISTEN: usize = 64;

/// The most bytes of an address.
const MAX_ADDRESS: usize = 255;

/// The most bytes of the word for a cause.
const MAX_WORD: usize = 32;

/// The name of a route.
pub(super) fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(deserializer, |name| There::service(name).is_some(), "a name that no route has")
}

/// The name of a tunnel, or nothing.
pub(super) fn name_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(
        deserializer,
        |name| name.is_empty() || There::service(name).is_some(),
        "a name that no tunnel has",
    )
}

/// The word of a record for a cause.
pub(super) fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(deserializer, is_word, "a cause that is no word")
}

/// The same, or null.
pub(super) fn word_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let word = Option::<String>::deserialize(deserializer)?;
    if word.as_deref().is_none_or(is_word) { Ok(word) } else { Err(Error::custom("a cause that is no word")) }
}

/// An address that a listener can have.
pub(super) fn listening<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(deserializer, is_listening, "an address that is none, or not as it is printed")
}

/// Addresses as they are asked for.
pub(super) fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let all = Vec::<String>::deserialize(deserializer)?;
    if all.len() > MAX_LISTEN {
        return Err(Error::custom("more addresses than a route may have"));
    }
    if all.iter().any(|address| address.len() > MAX_ADDRESS) {
        return Err(Error::custom("an address that is too long"));
    }
    Ok(all)
}

fn is_word(text: &str) -> bool {
    let is_small = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    (1..=MAX_WORD).contains(&text.len()) && text.bytes().all(is_small)
}

fn is_listening(text: &str) -> bool {
    let Ok(run) = text.parse::<Run<ListenAddress>>() else { return false };
    let is_there = matches!(run.first(), ListenAddress::There(_));
    run.count() == 1 && !is_there && run.to_string() == text
}

fn checked<'de, D: Deserializer<'de>>(
    deserializer: D,
    is_right: fn(&str) -> bool,
    wrong: &'static str,
) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if is_right(&text) { Ok(text) } else { Err(Error::custom(wrong)) }
}

/// Words for people, cut on both ways.
pub(super) mod words {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::MAX_WORDS;

    pub(crate) fn serialize<S: Serializer>(words: &str, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&words[..words.floor_char_boundary(MAX_WORDS)])
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        let mut words = String::deserialize(deserializer)?;
        words.truncate(words.floor_char_boundary(MAX_WORDS));
        Ok(words)
    }
}

/// Whether a target is up, as a word.
pub(super) mod up_or_down {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(is_up: &bool, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if *is_up { "up" } else { "down" })
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
        match &*String::deserialize(deserializer)? {
            "up" => Ok(true),
            "down" => Ok(false),
            _ => Err(Error::custom("a target that is neither up nor down")),
        }
    }
}
