//! Messages ⇄ bytes.
//!
//! What is read is checked twice: once as JSON, where keys may not repeat and nothing nests too deep, whatever the keys are;
//! and once as the message that it is. A reader that takes the first of two keys and one that takes the last would understand
//! two messages.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::kinds::{Failed, Hello, MAX_LONG, MAX_MESSAGE, Message};
use crate::transport::tunnel::frame::MAX_CONTENT;
use crate::units::shown;

/// How deep a message may nest.
pub const MAX_DEPTH: usize = 32;

/// The most characters that are said of a fault.
const MAX_FAULT: usize = 200;

/// Bytes that are no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Longer than a message of its kind may be, in bytes.
    Long(usize),
    /// Not JSON, or not as this version has it; escaped words that follow a colon.
    Wrong(String),
}

/// The bytes of a message.
pub fn encode(message: &Message) -> Vec<u8> {
    // Every key is a text and every value one of ours, so there is no error.
    serde_json::to_vec(message).unwrap_or_default()
}

/// Reads a message of at most [`MAX_LONG`] bytes; of at most [`MAX_MESSAGE`] but for HELLO of a control or a probe, ROUTES,
/// ROUTES_ARE and DIALS_ARE. A kind that this version does not know is [`Message::Unknown`].
///
/// # Errors
/// What is wrong with the bytes. The other end has broken the rules, and the connection is to be closed.
pub fn decode(bytes: &[u8]) -> Result<Message, Malformed> {
    let message = read_strictly(bytes, MAX_LONG)?;
    let longest = match message {
        Message::Hello(Hello::Control { .. } | Hello::Probe { .. }) => MAX_LONG,
        Message::Routes(_) | Message::RoutesAre(_) | Message::DialsAre(_) => MAX_LONG,
        _ => MAX_MESSAGE,
    };
    if bytes.len() > longest { Err(Malformed::Long(bytes.len())) } else { Ok(message) }
}

impl Failed {
    /// The content of FAILED, at most [`MAX_CONTENT`] bytes.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the content of FAILED.
    ///
    /// # Errors
    /// As of [`decode`].
    pub fn decode(bytes: &[u8]) -> Result<Failed, Malformed> {
        read_strictly(bytes, MAX_CONTENT)
    }
}

/// Reads an object of at most `longest` bytes, whose keys stand once each and which nests no deeper than [`MAX_DEPTH`].
///
/// # Errors
/// As of [`decode`].
pub(crate) fn read_strictly<'b, T: Deserialize<'b>>(bytes: &'b [u8], longest: usize) -> Result<T, Malformed> {
    if bytes.len() > longest {
        return Err(Malformed::Long(bytes.len()));
    }
    let wrong = |error: serde_json::Error| Malformed::Wrong(shown(&error.to_string(), MAX_FAULT));
    // A derived reader would take a list of values for an object as well.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Malformed::Wrong("it is no object".to_owned()));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    Strict { depth: 0 }.deserialize(&mut json).and_then(|()| json.end()).map_err(wrong)?;
    serde_json::from_slice(bytes).map_err(wrong)
}

/// Any JSON within this many others, whose objects have each key but once.
#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn inside<E: Error>(self) -> Result<Strict, E> {
        let depth = self.depth + 1;
        if depth > MAX_DEPTH { Err(E::custom("it nests too deep")) } else { Ok(Strict { depth }) }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        let mut known = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !known.insert(key) {
                return Err(A::Error::custom("a key stands twice"));
            }
            map.next_value_seed(inside)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        while list.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Long(length) => write!(f, "a message of {length} bytes"),
            Malformed::Wrong(words) => write!(f, "a message that is wrong: {words}"),
        }
    }
}

impl std::error::Error for Malformed {}
