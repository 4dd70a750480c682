//! What a probe asks and is told beside its routes: sessions that would be opened, and who else has the asker's key.

use serde::{Deserialize, Serialize};

use super::fields;
use crate::address::Protocol;

/// The most sessions that a probe is about.
pub const MAX_DIALS: usize = 64;

/// What a session would be opened to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedDial {
    /// What is meant there.
    #[serde(flatten)]
    pub to: DialTo,
    /// What it carries.
    pub protocol: Protocol,
}

/// What is meant at the other end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DialTo {
    /// A route that is offered in the tunnel, by its name.
    Service(String),
    /// An address.
    Address(String),
}

/// What would become of sessions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DialsAre {
    /// One for each that was asked about.
    pub dials: Vec<DialIs>,
}

/// What would become of a session. One that is not offered and one that does not exist are the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DialIs {
    /// As it was asked about.
    #[serde(flatten)]
    pub of: WantedDial,
    /// Whether it may be opened.
    pub may: bool,
    /// Why its target is down, as the word of a record, if that is known: at most 32 small letters, digits and `_`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "fields::word_or_none")]
    pub cause: Option<String>,
}

/// Another connection with the receiver's key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SameKey {
    /// Where it comes from, as the sender sees it; to be escaped, as `since` is.
    #[serde(with = "fields::words")]
    pub from: String,
    /// Since when it is there, as RFC 3339 has it.
    #[serde(default, with = "fields::words")]
    pub since: String,
}
