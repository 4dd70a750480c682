//! One value of the file → its type, by that type's own `Deserialize`.
//!
//! serde's errors are kept in parts, not as prose: what is wrong, and what to write instead. Places are added by the
//! caller.

use std::fmt;
use std::num::IntErrorKind;
use std::path::PathBuf;

use serde::de::value::{BoolDeserializer, F64Deserializer, I64Deserializer, StrDeserializer};
use serde::de::{self, Deserialize, IntoDeserializer, Unexpected, Visitor};
use toml::de::DeValue;

use super::spelling::{listed, nearest};
use crate::units::quoted;

/// Why a key does not accept a value.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) what: String,
    pub(super) instead: Option<String>,
}

/// Reads a value that is neither a table nor a list.
pub(super) fn decode<T: for<'de> Deserialize<'de>>(value: &DeValue<'_>) -> Result<T, Wrong> {
    match value {
        DeValue::String(text) => T::deserialize(StrDeserializer::<Wrong>::new(text)),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => T::deserialize(I64Deserializer::<Wrong>::new(number)),
            // The parser of TOML lets 0x, 0o and 0b pass without digits.
            Err(error) if *error.kind() == IntErrorKind::Empty => {
                Err(Wrong { what: "this number has no digits".into(), instead: None })
            }
            Err(_) => Err(Wrong { what: "this number is too large".into(), instead: None }),
        },
        DeValue::Float(number) => {
            T::deserialize(F64Deserializer::<Wrong>::new(number.as_str().parse().unwrap_or(f64::NAN)))
        }
        DeValue::Boolean(truth) => {
            let truth: BoolDeserializer<Wrong> = truth.into_deserializer();
            T::deserialize(truth)
        }
        other => T::deserialize(Other(other.type_str())),
    }
}

/// Reads one of a type's words, such as `"strict"` or `"retry"`.
pub(super) fn decode_word<T: for<'de> Deserialize<'de>>(value: &DeValue<'_>) -> Result<T, Wrong> {
    match value {
        DeValue::String(_) => decode(value),
        // The empty string is not a word of any type, so the error lists the words.
        other => Err(match T::deserialize(StrDeserializer::<Wrong>::new("")) {
            Err(words) => Wrong { what: format!("must be a string, not {}", kind(other)), ..words },
            Ok(_) => Wrong { what: "must be a string".into(), instead: None },
        }),
    }
}

/// A whole number of 1 or more.
pub(super) struct Count(pub(super) usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl Visitor<'_> for Whole {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Count, E> {
                match text.parse::<i64>() {
                    Ok(number) => Err(E::custom(format_args!(
                        "must be a number, not a string\nwrite {number} without quotes"
                    ))),
                    Err(_) => Err(E::custom(format_args!(
                        "must be a whole number, not {}\nwrite 1 or more, without quotes",
                        quoted(text)
                    ))),
                }
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Count, E> {
                match usize::try_from(number) {
                    Ok(count @ 1..) => Ok(Count(count)),
                    _ => Err(E::custom(format_args!("{number} is too small\nwrite 1 or more"))),
                }
            }
        }
        deserializer.deserialize_any(Whole)
    }
}

/// True or false.
pub(super) struct Truth(pub(super) bool);

impl<'de> Deserialize<'de> for Truth {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Truth;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or false")
            }

            fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Truth, E> {
                Ok(Truth(truth))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Truth, E> {
                let wrong = |truth: &str| {
                    E::custom(format_args!(
                        "must be true or false, not a string\nwrite {truth} without quotes"
                    ))
                };
                match text {
                    "true" | "True" | "TRUE" | "yes" | "on" | "1" => Err(wrong("true")),
                    "false" | "False" | "FALSE" | "no" | "off" | "0" => Err(wrong("false")),
                    _ => Err(E::invalid_type(Unexpected::Str(text), &self)),
                }
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Truth, E> {
                match number {
                    0 => Err(E::custom("must be true or false, not a number\nwrite false")),
                    1 => Err(E::custom("must be true or false, not a number\nwrite true")),
                    _ => Err(E::invalid_type(Unexpected::Signed(number), &self)),
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// The path of a file.
#[derive(Clone, Debug)]
pub(crate) struct FileName(pub(crate) PathBuf);

impl<'de> Deserialize<'de> for FileName {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = String::deserialize(deserializer)?;
        if path.is_empty() {
            return Err(de::Error::custom("the path is empty\nname a file, or leave the key out"));
        }
        Ok(FileName(path.into()))
    }
}

/// The words of other programs that mean one of ours.
const WORDS: &[(&[&str], &str)] = &[
    (&["roundrobin", "rr", "static-rr", "weighted"], "round_robin"),
    (&["leastconn", "least_conn", "lc", "leastconnections"], "least_connections"),
    (&["ip_hash", "iphash", "hash", "source", "sticky", "consistent_hash", "maglev"], "source_hash"),
    (&["failover", "priority", "active_passive"], "first"),
    (&["tcp", "http", "active"], "connect"),
    (&["passive"], "none"),
    (&["wait"], "queue"),
    (&["reject", "drop", "close"], "refuse"),
    (&["optional", "ignore"], "retry"),
];

/// A table, a list or a date in place of a plain value.
struct Other(&'static str);

impl<'de> de::Deserializer<'de> for Other {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let kind = match self.0 {
            "array" => "a list",
            "datetime" => "a date",
            _ => "a table",
        };
        Err(de::Error::invalid_type(Unexpected::Other(kind), &visitor))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The kind of a value in a user's words.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl de::Error for Wrong {
    /// The alternate form (`{:#}`) of such a message has what to write instead on a second line.
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = format!("{message:#}");
        match message.split_once('\n') {
            Some((what, instead)) => Wrong { what: what.into(), instead: Some(instead.into()) },
            None => Wrong { what: message, instead: None },
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            Unexpected::Str(_) => "a string".into(),
            Unexpected::Bool(truth) => truth.to_string(),
            // A whole number is wanted.
            Unexpected::Float(number) => number.to_string(),
            Unexpected::Signed(_) | Unexpected::Unsigned(_) => "a number".into(),
            other => other.to_string(),
        };
        Wrong { what: format!("must be {expected}, not {found}"), instead: None }
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        let words: Vec<String> = known.iter().map(|word| format!("{word:?}")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let elsewhere = WORDS.iter().find(|(theirs, ours)| theirs.contains(&word) && known.contains(ours));
        let instead = match elsewhere.map(|(_, ours)| *ours).or_else(|| nearest(word, known)) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("write {}", listed(&words, "or")),
        };
        Wrong { what: format!("unknown word {}", quoted(word)), instead: Some(instead) }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Wrong {}

/// The words that a type reads, taken from its own error for an unknown word.
pub(super) fn words<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    match T::deserialize(StrDeserializer::<Known>::new("")) {
        Err(Known(words)) => words,
        Ok(_) => &[],
    }
}

/// The words that a type accepts in place of an unknown one.
#[derive(Debug)]
struct Known(&'static [&'static str]);

impl de::Error for Known {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Known(&[])
    }

    fn unknown_variant(_: &str, known: &'static [&'static str]) -> Self {
        Known(known)
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of {:?}", self.0)
    }
}

impl std::error::Error for Known {}
