//! How a session ends: End × Phase, with traffic and timing; and why the system said no.
//!
//! Plain values: nothing here waits, logs or knows a socket.

mod agreed;
mod cause;
mod client;
mod datagrams;
mod holder;
mod meaning;
mod refusal;

use std::sync::Arc;
use std::time::Duration;

use crate::address::Address;
pub use agreed::Agreed;
pub use cause::Cause;
pub use client::Client;
pub use datagrams::{Datagrams, DropReason, Drops};
pub use holder::{Ancestor, Container, Engine, HeldSocket, Holder, Unit};
pub use refusal::{Denial, Limit};

/// What became of a session. A connection cannot fail; it ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Who ended it, and how.
    pub end: End,
    /// The step it ended in.
    pub phase: Phase,
    /// Who sent FIN first; `None` where nobody did.
    pub closed_by: Option<Side>,
    /// The address dialled last, or the one that answered.
    pub target: Option<Address>,
    /// Every dial, in order.
    pub attempts: Vec<Attempt>,
    /// Bytes both ways.
    pub traffic: Traffic,
    /// How long each part took.
    pub timing: Timing,
    /// How the bytes moved.
    pub way: Way,
    /// The datagrams of a flow; `None` for a session of a stream.
    pub datagrams: Option<Box<Datagrams>>,
    /// What the kernel measured on the two connections; read only where the record shows it.
    pub kernel: Option<Kernel>,
    /// What a diagnosis had found by then, in words; a session never waits for one.
    pub hint: Option<Arc<str>>,
}

/// The two ends of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Who connected to us.
    Client,
    /// Whom we dialled.
    Target,
}

impl Side {
    /// The opposite end.
    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Target,
            Side::Target => Side::Client,
        }
    }

    /// The word in records.
    pub fn code(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Target => "target",
        }
    }
}

/// Who ended a session, and how: the stable `end=` code of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Both sides sent FIN, and everything read was delivered.
    Done,
    /// The client sent RST.
    ClientReset,
    /// The target sent RST.
    TargetReset,
    /// The kernel gave the client's connection up: no acknowledgement, no way there.
    ClientLost,
    /// The kernel gave the target's connection up.
    TargetLost,
    /// The target could not be reached; the client got a reset.
    NoTarget(Cause),
    /// The client's address may not connect; it got a reset.
    Denied(Denial),
    /// A limit of the route kept the client out; it got a reset.
    Limited(Limit),
    /// The client went away before the target answered.
    ClientGone,
    /// A client that must begin with a PROXY header did not, or not in time; it got a reset.
    BadHeader,
    /// The client had not said in its time what the route waits for: anything (`client_timeout`), or a whole hello
    /// (`hello_timeout`); the target was not dialled.
    SlowClient,
    /// TLS with the client failed or came too late, or what it sent later was no TLS; the client got an alert, then a reset.
    TlsFailed,
    /// A TLS client asked for a name that the route has no target for; it got an alert, then a reset.
    NoName,
    /// Nothing had moved either way for the route's `idle_timeout`.
    Idle,
    /// It was idle longest when a new client needed its place.
    Evicted,
    /// Somebody ended this one through [`crate::engine::Handle::kill`]; both sides got a reset.
    Killed,
    /// The stop's `drain_timeout` was over, and both sides got a reset; or a flow was quiet while the stop waited.
    Drained,
    /// A bug of ours ended it; both sides got a reset.
    Internal,
}

impl End {
    /// One of each code, in the order of the README's table. (What some of them carry stands for any.)
    pub const ALL: [End; 18] = [
        End::Done,
        End::ClientReset,
        End::TargetReset,
        End::ClientLost,
        End::TargetLost,
        End::NoTarget(Cause::Refused),
        End::Denied(Denial::Listed),
        End::Limited(Limit::Connections),
        End::ClientGone,
        End::BadHeader,
        End::SlowClient,
        End::TlsFailed,
        End::NoName,
        End::Idle,
        End::Evicted,
        End::Killed,
        End::Drained,
        End::Internal,
    ];

    /// The word in records; it never changes meaning.
    pub fn code(self) -> &'static str {
        match self {
            End::Done => "done",
            End::ClientReset => "client_reset",
            End::TargetReset => "target_reset",
            End::ClientLost => "client_lost",
            End::TargetLost => "target_lost",
            End::NoTarget(_) => "no_target",
            End::Denied(_) => "denied",
            End::Limited(_) => "limited",
            End::ClientGone => "client_gone",
            End::BadHeader => "bad_header",
            End::SlowClient => "slow_client",
            End::TlsFailed => "tls_failed",
            End::NoName => "no_name",
            End::Idle => "idle",
            End::Evicted => "evicted",
            End::Killed => "killed",
            End::Drained => "drained",
            End::Internal => "internal",
        }
    }

    /// Whether the client was turned away before it was served. Such ends come by the thousand, so identical ones are told
    /// in one line with a count.
    pub fn is_refusal(self) -> bool {
        matches!(
            self,
            End::NoTarget(_)
                | End::Denied(_)
                | End::Limited(_)
                | End::BadHeader
                | End::SlowClient
                | End::TlsFailed
                | End::NoName
        )
    }

    /// How the close was seen on the wire by the side that did not ask for it.
    pub fn how(self) -> &'static str {
        if self == End::Done { "fin" } else { "rst" }
    }

    /// HAProxy's termination state that tells the same (HAProxy manual, 8.5).
    pub fn haproxy(self) -> &'static str {
        match self {
            End::Done => "--",
            End::ClientReset => "CD",
            End::TargetReset => "SD",
            End::ClientLost => "cD",
            End::TargetLost => "sD",
            End::NoTarget(Cause::TimedOut) => "sC",
            End::NoTarget(Cause::NoSourcePort | Cause::NoDescriptor | Cause::NoMemory) => "RC",
            End::NoTarget(_) => "SC",
            End::Denied(_) => "PR",
            End::Limited(Limit::Queue | Limit::QueueTimeout) => "sQ",
            End::Limited(_) => "PR",
            End::ClientGone => "CC",
            End::BadHeader => "PR",
            End::SlowClient => "cR",
            End::TlsFailed => "PR",
            End::NoName => "PR",
            End::Idle => "cD",
            End::Evicted => "RD",
            End::Killed => "KD",
            End::Drained => "KD",
            End::Internal => "ID",
        }
    }
}

/// The steps of a session, in order: the path of `engine/session/carry.rs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Learning who the client is.
    #[default]
    Identify,
    /// Deciding whether it may come in, and when.
    Admit,
    /// Agreeing with it on encryption, or learning whom it asks for.
    Secure,
    /// Reaching the target.
    Connect,
    /// Telling the target what it must know first.
    Greet,
    /// Moving bytes.
    Relay,
}

impl Phase {
    /// The word in records.
    pub fn code(self) -> &'static str {
        match self {
            Phase::Identify => "identify",
            Phase::Admit => "admit",
            Phase::Secure => "secure",
            Phase::Connect => "connect",
            Phase::Greet => "greet",
            Phase::Relay => "relay",
        }
    }
}

/// How the bytes of a session moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Way {
    /// Not at all.
    #[default]
    None,
    /// Through the worker's buffer.
    Copy,
    /// At least in part inside the kernel, through a pipe.
    Splice,
    /// Opened and sealed on its way, as one connection or both are secured.
    Tls,
}

impl Way {
    /// The word in records.
    pub fn code(self) -> &'static str {
        match self {
            Way::None => "none",
            Way::Copy => "copy",
            Way::Splice => "splice",
            Way::Tls => "tls",
        }
    }
}

/// One dial.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// The address dialled.
    pub address: Address,
    /// How long it took.
    pub took: Duration,
    /// Why it failed; `None` where it did not.
    pub cause: Option<Cause>,
}

/// Bytes both ways. Up is client → target, down is target → client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Client → target.
    pub up: Flow,
    /// Target → client.
    pub down: Flow,
}

/// Bytes one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Bytes taken from the source.
    pub read: u64,
    /// Bytes the destination's kernel accepted, less those a reset of ours took back.
    pub delivered: u64,
}

impl Flow {
    /// Bytes we read and could not deliver.
    pub fn lost(self) -> u64 {
        self.read.saturating_sub(self.delivered)
    }
}

/// How long each part of a session took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// From the first dial to the answer, waits for a target that restarts included.
    pub connect: Option<Duration>,
    /// From accept to the first byte read from the target.
    pub first_byte: Option<Duration>,
    /// From accept to the end.
    pub total: Duration,
}

/// What TCP_INFO says at the end of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// Smoothed round-trip time to the client, in microseconds.
    pub client_rtt_us: u32,
    /// Smoothed round-trip time to the target, in microseconds.
    pub target_rtt_us: u32,
    /// Segments we sent to the client again.
    pub client_retransmits: u32,
    /// Segments we sent to the target again.
    pub target_retransmits: u32,
}
