//! What is known of a tunnel. Whoever can dial it gathers this; the rules only read it.

use std::net::SocketAddr;
use std::time::Duration;

use crate::address::Protocol;
use crate::diagnosis::finding::Diagnosis;

/// What is known of a tunnel. Text of the other end is escaped already.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TunnelFacts {
    /// `[tunnels.NAME]`.
    pub name: String,
    /// The addresses of `connect`, as written; none if the other end connects.
    pub connect: Vec<String>,
    /// The public key of this machine.
    pub own_key: String,
    /// What this machine is called in a table there, as a key of TOML.
    pub machine: String,
    /// The keys that the other end may have.
    pub their_keys: Vec<String>,
    /// The routes that listen in the tunnel.
    pub offers: Vec<Offer>,
    /// Each address that was dialled, in order, up to the one that let this machine in.
    pub tries: Vec<Try>,
    /// Where the other end connects to; `None` if that was not looked at.
    pub listeners: Option<Vec<Listener>>,
    /// The targets of the routes that listen in the tunnel.
    pub targets: Vec<TargetHere>,
    /// What the other end may open here to everybody, in words.
    pub exposed: Option<String>,
    /// What was asked about and is a matter of the other end alone.
    pub there: Option<String>,
}

/// A route that listens in the tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its name.
    pub route: String,
    /// What it carries.
    pub protocol: Protocol,
    /// Where it wants to listen there; nothing for its name alone.
    pub listen: Vec<String>,
}

/// One address of `connect`.
#[derive(Clone, Debug, PartialEq)]
pub struct Try {
    /// As written.
    pub to: String,
    /// What its name means, and how long that took to find out; nothing for an address.
    pub resolved: Option<(Vec<SocketAddr>, Duration)>,
    /// The address that answered, and after which time.
    pub connected: Option<(SocketAddr, Duration)>,
    /// How it ended.
    pub end: TryEnd,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq)]
pub enum TryEnd {
    /// No address of it connects: what the diagnosis of the way has found.
    Unreached(Box<Diagnosis>),
    /// The proxy on the way refuses, in its own words; with the status of HTTP, if it speaks that.
    ProxyRefused {
        /// What it said.
        words: String,
        /// The status of an answer to CONNECT.
        status: Option<u16>,
    },
    /// It takes the connection, and no handshake comes.
    Silent(Option<Box<Diagnosis>>),
    /// It closed, or reset, in the middle of the handshake.
    Closed,
    /// It speaks another protocol, as these words show.
    NotTls {
        /// What it is, such as `HTTP` or `SSH`; `None` if that is unknown.
        protocol: Option<String>,
        /// Its first words.
        words: String,
    },
    /// It speaks TLS, and has no raw key; its certificate, if an ordinary handshake shows one.
    NoKey(Option<Shown>),
    /// It speaks no version of the tunnel protocol that is spoken here; whether it has proven the key that is expected.
    Version {
        /// Whether it is the end that is meant.
        has_key: bool,
    },
    /// It has proven another key.
    WrongKey(String),
    /// It does not know this machine's key.
    UnknownThere,
    /// Another machine is connected with this key, as it says.
    InUse(String),
    /// Anything else, in words.
    Other(String),
    /// It lets this machine in.
    LetIn(Box<LetIn>),
}

/// A certificate that something on the way, or at the address, shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Whom it names first; empty if it names nobody.
    pub name: String,
    /// Whether it names the host that was dialled.
    pub is_for_host: bool,
    /// Who signed it.
    pub issuer: String,
    /// What is known of the issuer.
    pub known: Issuer,
}

/// What this machine knows of the issuer of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// The certificate has signed itself.
    Itself,
    /// This machine trusts it as its system came.
    Public,
    /// This machine trusts it because somebody has added it.
    Added,
    /// This machine does not know it.
    Unknown,
}

/// An end that lets this machine in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LetIn {
    /// The key it has proven.
    pub key: String,
    /// What this machine is called there, if it says so.
    pub name: Option<String>,
    /// This machine's address, as it is seen there.
    pub seen: String,
    /// The time between the question and the answer.
    pub rtt: Duration,
    /// The control that is there with this machine's key, as the other end says.
    pub control: Option<Control>,
    /// What became of the addresses, or would.
    pub listens: Vec<Listen>,
    /// What this machine would open sessions to there.
    pub beyond: Vec<Beyond>,
    /// Addresses that were not asked about, as they are too many for one question.
    pub unasked: usize,
}

/// A control that the other end has with this machine's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Where it comes from.
    pub from: String,
    /// Since when.
    pub since: String,
    /// Whether this machine has a connection to that end, beside that of the question; `None` if its connections cannot be
    /// read.
    pub may_be_ours: Option<bool>,
}

/// A route at one of its addresses there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The route.
    pub route: String,
    /// The address as asked for; `None` if it is offered by its name.
    pub asked: Option<String>,
    /// Its fate.
    pub fate: Fate,
}

/// What became of an address there, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It may listen there, at this address; nothing is known against it.
    May(String),
    /// It is offered by its name.
    Offered,
    /// `may_listen` there does not have it.
    NotPermitted,
    /// `max_listeners` there is reached.
    TooMany,
    /// Something there has it.
    Held,
    /// No interface there has it.
    NotThere,
    /// The other end may not listen on such a port.
    Privileged,
    /// Anything else, in a word.
    Other(&'static str),
}

/// Something at the other end that this machine dials through the tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// As a target is written.
    pub to: String,
    /// What it is there: a name, or an address.
    pub what: String,
    /// Whether it is a route there, and not an address.
    pub is_route: bool,
    /// What it carries.
    pub protocol: Protocol,
    /// What the other end says.
    pub reached: Reached,
}

/// What the other end says of something that is dialled there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Nothing: its version does not know the question.
    Unasked,
    /// It may be dialled; nothing is known against it.
    May,
    /// It may, and its target is down, for this cause.
    Down(String),
    /// It is not offered, not permitted, or does not exist.
    Refused,
}

/// A listener of this machine for other Loopgates.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// Its address.
    pub address: String,
    /// What is there.
    pub found: Found,
}

/// What is at the address of such a listener.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// A Loopgate that has proven this machine's key.
    Ours,
    /// Nothing.
    Nobody,
    /// Something else, or nothing that can be: what the diagnosis of the address says.
    Other(Box<Diagnosis>),
}

/// A target of a route that listens in the tunnel.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetHere {
    /// The route.
    pub route: String,
    /// What was found.
    pub found: Box<Diagnosis>,
}

impl TunnelFacts {
    /// The end that lets this machine in, and the address of it.
    pub(super) fn let_in(&self) -> Option<(&Try, &LetIn)> {
        self.tries.iter().find_map(|it| match &it.end {
            TryEnd::LetIn(let_in) => Some((it, &**let_in)),
            _ => None,
        })
    }
}
