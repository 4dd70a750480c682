//! How a session ends: End × Phase, with traffic and timing; and why the system refused a dial.
//!
//! Plain values: nothing here waits, logs or uses a socket.

mod agreed;
mod cause;
mod client;
mod datagrams;
mod holder;
mod meaning;
mod refusal;
mod session_id;
mod sides;

use std::sync::Arc;
use std::time::Duration;

use crate::address::Address;
pub use agreed::Agreed;
pub use cause::Cause;
pub use client::Client;
pub use datagrams::{Datagrams, DropReason, Drops};
pub use holder::{Ancestor, Container, Engine, HeldSocket, Holder, Unit};
pub use refusal::{Denial, Limit};
pub use session_id::SessionId;
pub use sides::{Side, Sides};

/// How a session ended. A connection cannot fail; it ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Who ended it, and how.
    pub end: End,
    /// The step it ended in.
    pub phase: Phase,
    /// The side that sent FIN first; `None` if neither did.
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
    /// What the kernel measured on the two connections; read only if the record shows it.
    pub kernel: Option<Kernel>,
    /// The result of a diagnosis, if there was one by then; a session never waits for one.
    pub hint: Option<Arc<str>>,
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
    /// The kernel gave up the client's connection: no acknowledgement, or no route.
    ClientLost,
    /// The kernel gave up the target's connection.
    TargetLost,
    /// The target could not be reached; the client got a reset.
    NoTarget(Cause),
    /// The client's address may not connect; it got a reset.
    Denied(Denial),
    /// A limit rejected the client; it got a reset.
    Limited(Limit),
    /// The client went away before the target answered.
    ClientGone,
    /// A client that must begin with a PROXY header did not, or not in time; it got a reset.
    BadHeader,
    /// The client did not send in time what the route waits for: any byte (`client_timeout`), or a whole ClientHello
    /// (`hello_timeout`); the target was not dialled.
    SlowClient,
    /// TLS with the client failed or took too long, or later bytes were not TLS; the client got an alert, then a reset.
    TlsFailed,
    /// A TLS client requested a name for which the route has no target; it got an alert, then a reset.
    NoName,
    /// Nothing moved either way for the route's `idle_timeout`.
    Idle,
    /// It was as old as the route's `max_session_age` allows.
    Expired,
    /// It was idle longest when a new client needed its place.
    Evicted,
    /// The tunnel's connection that carried it broke; both sides got a reset.
    TunnelLost,
    /// The key, or the permission, by which it came through a tunnel was withdrawn; both sides got a reset.
    Revoked,
    /// It was ended by [`crate::engine::Handle::kill`]; both sides got a reset.
    Killed,
    /// The stop's `drain_timeout` was over, and both sides got a reset; or a flow was quiet while the stop waited.
    Drained,
    /// A bug in Loopgate ended it; both sides got a reset.
    Internal,
}

impl End {
    /// One of each code, in the order of the reference. (The values that some carry stand for any.)
    pub const ALL: [End; 21] = [
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
        End::Expired,
        End::Evicted,
        End::TunnelLost,
        End::Revoked,
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
            End::Expired => "expired",
            End::Evicted => "evicted",
            End::TunnelLost => "tunnel_lost",
            End::Revoked => "revoked",
            End::Killed => "killed",
            End::Drained => "drained",
            End::Internal => "internal",
        }
    }

    /// Whether the client was rejected before it was served. Such ends may come by the thousand, so identical ones
    /// share one line with a count.
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

    /// How the close looked on the wire to the side that did not initiate it.
    pub fn how(self) -> &'static str {
        if self == End::Done { "fin" } else { "rst" }
    }

    /// The corresponding termination state of HAProxy (HAProxy manual, 8.5).
    pub fn haproxy(self) -> &'static str {
        match self {
            End::Done => "--",
            End::ClientReset => "CD",
            End::TargetReset => "SD",
            End::ClientLost => "cD",
            End::TargetLost => "sD",
            End::NoTarget(Cause::TimedOut) => "sC",
            End::NoTarget(
                Cause::NoSourcePort
                | Cause::NoSourceAddress
                | Cause::NoDescriptor
                | Cause::NoMemory
                | Cause::NoThread,
            ) => "RC",
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
            End::Expired => "KD",
            End::Evicted => "RD",
            End::TunnelLost => "SD",
            End::Revoked => "KD",
            End::Killed => "KD",
            End::Drained => "KD",
            End::Internal => "ID",
        }
    }
}

/// The steps of a session, in order: the path of `engine/session/carry.rs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Determining who the client is.
    #[default]
    Identify,
    /// Deciding whether it may enter, and when.
    Admit,
    /// Negotiating TLS with it, or reading which name it requests.
    Secure,
    /// Connecting to the target.
    Connect,
    /// Sending the target what precedes the client's bytes.
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
    /// Decrypted and encrypted on the way, as one or both connections use TLS.
    Tls,
    /// Datagrams in a QUIC connection of a tunnel, which encrypts them.
    Quic,
}

impl Way {
    /// The word in records.
    pub fn code(self) -> &'static str {
        match self {
            Way::None => "none",
            Way::Copy => "copy",
            Way::Splice => "splice",
            Way::Tls => "tls",
            Way::Quic => "quic",
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
    /// Why it failed; `None` if it succeeded.
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
    /// Bytes the destination's kernel accepted, minus those that a reset of ours destroyed.
    pub delivered: u64,
}

impl Flow {
    /// Bytes read but not delivered.
    pub fn lost(self) -> u64 {
        self.read.saturating_sub(self.delivered)
    }
}

/// How long each part of a session took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// From the first dial to the answer, including waits for a target that restarts.
    pub connect: Option<Duration>,
    /// From accept to the first byte read from the target.
    pub first_byte: Option<Duration>,
    /// From accept to the end.
    pub total: Duration,
}

/// Values of TCP_INFO at the end of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// Smoothed round-trip time to the client, in microseconds.
    pub client_rtt_us: u32,
    /// Smoothed round-trip time to the target, in microseconds.
    pub target_rtt_us: u32,
    /// Segments retransmitted to the client.
    pub client_retransmits: u32,
    /// Segments retransmitted to the target.
    pub target_retransmits: u32,
}
