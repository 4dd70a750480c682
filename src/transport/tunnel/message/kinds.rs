//! What the messages are.

use serde::{Deserialize, Serialize};

use crate::address::Protocol;

/// The longest HELLO of a control, and the longest ROUTES, in bytes; a longer set of routes comes in parts.
pub const MAX_LONG: usize = 64_000;

/// The longest of any other message, in bytes.
pub const MAX_MESSAGE: usize = 16 << 10;

/// The most routes that a tunnel may have.
pub const MAX_ROUTES: usize = 1024;

/// 128 random bits, as 32 hexadecimal digits. Never logged.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(pub [u8; 16]);

/// Any message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message {
    /// The first of the dialling end.
    Hello(Hello),
    /// The answer of the accepting end that lets the connection in.
    Welcome(Welcome),
    /// The answer that does not, or the end of a control.
    Bye(Bye),
    /// Every route that the sender wants at the other end; replaces the set before.
    Routes(Routes),
    /// What became of them.
    RoutesAre(RoutesAre),
    /// How many idle carriers the sender wants for sessions that it opens.
    Carry {
        /// At most the other end's own limit.
        ready: u16,
    },
    /// Whether the target behind a route is up, on change only.
    State(State),
    /// A kind that this version does not know; it is ignored.
    #[serde(other)]
    Unknown,
}

/// What a connection is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Hello {
    /// Messages.
    Control {
        /// The program and its version.
        software: String,
        /// A secret of the process that dials.
        instance: Token,
        /// What it can do beyond the first version.
        #[serde(default)]
        features: Vec<String>,
    },
    /// Sessions.
    Carrier {
        /// The control it belongs to.
        session: Token,
        /// The end that opens sessions on it.
        opener: End,
    },
    /// A question whether the key and these routes would be let in; nothing is bound.
    Probe {
        /// The routes asked about.
        #[serde(default)]
        routes: Vec<WantedRoute>,
    },
}

/// One end of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The one that opens the connections.
    Dialling,
    /// The one that accepts them.
    Accepting,
}

/// The answer to a HELLO that is let in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// The control, to which carriers refer.
    pub session: Token,
    /// The time there, as RFC 3339 has it.
    #[serde(default)]
    pub time: String,
    /// The name of the tunnel there.
    #[serde(default)]
    pub name: String,
    /// The address that the connection came from, seen from there.
    #[serde(default)]
    pub you: String,
    /// How often to ping, in seconds.
    pub ping_s: u16,
}

/// A refusal, or an end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bye {
    /// Why.
    pub code: ByeCode,
    /// The same in words, at most 200 bytes; to be escaped.
    #[serde(default)]
    pub words: String,
    /// When to try again, in milliseconds.
    #[serde(default)]
    pub retry_ms: Option<u32>,
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ByeCode {
    /// The sender stops, or starts anew.
    Stopping,
    /// The key is no longer known.
    Revoked,
    /// Another machine with this key is connected and lives.
    InUse,
    /// No common version.
    Version,
    /// The sender is out of something.
    Overload,
    /// The other end broke the rules.
    Protocol,
    /// Another control of this key took over.
    Replaced,
    /// The control that a carrier names does not exist, or is another key's.
    NoSession,
    /// A code that this version does not know.
    #[serde(other)]
    Other,
}

/// A set of routes, or a part of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Routes {
    /// The routes.
    pub routes: Vec<WantedRoute>,
    /// More of the set follow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// A route that the sender offers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WantedRoute {
    /// Its name.
    pub name: String,
    /// What it carries.
    pub protocol: Protocol,
    /// Where it wants to listen there, as addresses; none if it only offers itself by its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listen: Vec<String>,
}

/// What became of a set of routes, or a part of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RoutesAre {
    /// One for each address, and one for each route without any.
    pub routes: Vec<RouteIs>,
    /// More follow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// What became of a route at one of its addresses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteIs {
    /// Its name.
    pub name: String,
    /// The address as asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
}

/// What became of a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Fate {
    /// It can be dialled by its name.
    Offered,
    /// It listens there.
    Listening {
        /// With the port that was chosen.
        address: String,
    },
    /// It does not.
    Refused {
        /// Why.
        code: RefusedCode,
    },
}

/// Why a route does not listen. Never who has the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedCode {
    /// `may_listen` there does not have the address.
    NotPermitted,
    /// Something has the port.
    Taken,
    /// That machine does not have the address.
    AddressNotHere,
    /// The port is privileged, or a policy forbids it.
    Privileged,
    /// No descriptors or memory.
    OutOfResources,
    /// A limit of the tunnel.
    TooMany,
    /// This version cannot.
    Unsupported,
    /// A code that this version does not know.
    #[serde(other)]
    Other,
}

/// Whether the target behind a route is up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The route.
    pub route: String,
    /// Whether new sessions have a target.
    pub up: bool,
    /// Why not, as the word of a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// The content of FAILED.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// The cause, as the word of a record.
    pub cause: String,
    /// A description, at most 200 bytes; to be escaped.
    #[serde(default)]
    pub words: String,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Token {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&digits)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let digits = text.as_bytes();
        if digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(serde::de::Error::custom("not 32 hexadecimal digits"));
        }
        let byte = |n: usize| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap_or_default();
        Ok(Token(std::array::from_fn(byte)))
    }
}
