//! What the messages are. Keys that this version does not know are ignored.

use serde::{Deserialize, Serialize};

use super::fields::{self, MAX_WORDS};
use super::probe::{DialsAre, SameKey, WantedDial};
use super::token::Token;
use crate::address::Protocol;
use crate::units::shown;

/// The longest HELLO but a carrier's, ROUTES and ROUTES_ARE, in bytes; a longer set of routes comes in parts.
pub const MAX_LONG: usize = 64_000;

/// The longest of any other message, in bytes.
pub const MAX_MESSAGE: usize = 16 << 10;

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
    /// The answer to what a probe would have dialled, before that about its routes.
    DialsAre(DialsAre),
    /// Another connection has proven the receiver's key: on a control, one that was refused since that control lives; in the
    /// answer to a probe, the control that is there.
    SameKey(SameKey),
    /// The dialling end wants to try QUIC once more, and needs a token for it. Answered by DATAGRAMS, or by nothing where there
    /// is no QUIC.
    AskDatagrams,
    /// The answer of the accepting end.
    Datagrams(Datagrams),
    /// A kind that this version does not know; it is ignored.
    #[serde(other)]
    Unknown,
}

/// What a connection is for. The routes of a control do not come with it: they follow as ROUTES once WELCOME has come, in one
/// way for the first set and for every later one.
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
    /// A question whether the key and these routes would be let in, and these sessions; nothing is bound or dialled.
    Probe {
        /// The routes asked about.
        #[serde(default)]
        routes: Vec<WantedRoute>,
        /// What the asker's sessions would be opened to, at most [`MAX_DIALS`](super::MAX_DIALS); more are not answered.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        dials: Vec<WantedDial>,
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
    /// The control, to which carriers refer; on a carrier that to which it belongs.
    pub session: Token,
    /// The time there, as RFC 3339 has it.
    #[serde(default)]
    pub time: String,
    /// The name of the tunnel there, or nothing.
    #[serde(default, deserialize_with = "fields::name_or_none")]
    pub name: String,
    /// The address that the connection came from, seen from there; to be escaped, as `time` is.
    #[serde(default)]
    pub you: String,
    /// How often to ping, in seconds.
    pub ping_s: u16,
    /// How datagrams go by QUIC; nothing if they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datagrams: Option<Datagrams>,
}

/// Where the accepting end is reached by QUIC, beside the address of the control.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Datagrams {
    /// The UDP port, at the address that the control has reached.
    pub port: u16,
    /// What the QUIC connection names the control by, once, within ten seconds.
    pub token: Token,
}

/// A refusal, or an end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bye {
    /// Why.
    pub code: ByeCode,
    /// The same in words, at most [`MAX_WORDS`]; to be escaped ([`Bye::shown`]).
    #[serde(default, with = "fields::words")]
    pub words: String,
    /// When to try again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// Its name, as a route's.
    #[serde(deserialize_with = "fields::name")]
    pub name: String,
    /// What it carries.
    pub protocol: Protocol,
    /// Where it wants to listen there, as addresses, at most [`MAX_LISTEN`](super::MAX_LISTEN) of at most 255 bytes; none if it
    /// only offers
    /// itself by its name. One that this version cannot read is refused by itself, not with the whole set.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "fields::addresses")]
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
    /// Its name, as a route's.
    #[serde(deserialize_with = "fields::name")]
    pub name: String,
    /// The address as asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
}

/// What became of a route. A word of a later version is read as a refusal for another reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", from = "ReadFate")]
pub enum Fate {
    /// It can be dialled by its name.
    Offered,
    /// It listens there.
    Listening {
        /// One address as it is printed, with the port that was chosen.
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

/// [`Fate`], as it is read.
#[derive(Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum ReadFate {
    Offered,
    Listening {
        #[serde(deserialize_with = "fields::listening")]
        address: String,
    },
    Refused {
        code: RefusedCode,
    },
    #[serde(other)]
    Unknown,
}

impl From<ReadFate> for Fate {
    fn from(read: ReadFate) -> Fate {
        match read {
            ReadFate::Offered => Fate::Offered,
            ReadFate::Listening { address } => Fate::Listening { address },
            ReadFate::Refused { code } => Fate::Refused { code },
            ReadFate::Unknown => Fate::Refused { code: RefusedCode::Other },
        }
    }
}

/// Whether the target behind a route is up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The route, by its name.
    #[serde(deserialize_with = "fields::name")]
    pub route: String,
    /// Whether new sessions have a target: `"target": "up"` or `"down"`.
    #[serde(rename = "target", with = "fields::up_or_down")]
    pub up: bool,
    /// Why not, as the word of a record: at most 32 small letters, digits and `_`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "fields::word_or_none")]
    pub cause: Option<String>,
}

/// The content of FAILED.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// The cause, as the word of a record: at most 32 small letters, digits and `_`.
    #[serde(deserialize_with = "fields::word")]
    pub cause: String,
    /// A description, at most [`MAX_WORDS`]; to be escaped ([`Failed::shown`]).
    #[serde(default, with = "fields::words")]
    pub words: String,
}

impl Bye {
    /// Its words, escaped.
    pub fn shown(&self) -> String {
        shown(&self.words, MAX_WORDS)
    }
}

impl Failed {
    /// Its words, escaped.
    pub fn shown(&self) -> String {
        shown(&self.words, MAX_WORDS)
    }
}
