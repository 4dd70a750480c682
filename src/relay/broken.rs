//! How a connection breaks, and how that ends its session.

use std::io;
use std::sync::Arc;

use crate::outcome::{End, Side};

/// Why a half broke.
#[derive(Debug)]
pub enum Trouble {
    /// An error of the kernel or the stream.
    Io(io::Error),
    /// It ended without an end of its protocol, such as a FIN without close_notify: the data may have been truncated.
    Cut,
    /// It ended inside a record of its protocol: the data was truncated.
    CutInRecord,
    /// A protocol error, or an alert from its other end: the end and the text for the record.
    Described(End, Arc<str>),
    /// How the other end of a tunnel says that the session ended, or that the tunnel's connection broke, and the text for the
    /// record if the end alone does not say it.
    Told(End, Option<Arc<str>>),
}

impl Trouble {
    fn is_cut(&self) -> bool {
        matches!(self, Trouble::Cut | Trouble::CutInRecord)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Io(error)
    }
}

/// Which half of a direction broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// Reading.
    Source,
    /// Writing.
    Sink,
}

impl At {
    /// Wraps an error of this half.
    pub(super) fn fault<E: Into<Trouble>>(self) -> impl Fn(E) -> Fault {
        move |error| Fault { at: self, trouble: error.into() }
    }
}

/// A direction that broke.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: At,
    pub(super) trouble: Trouble,
}

impl Fault {
    /// Whether reading broke it.
    pub(super) fn is_of_source(&self) -> bool {
        self.at == At::Source
    }

    /// Whether the source ended without an end of its protocol.
    pub(super) fn is_cut(&self) -> bool {
        self.at == At::Source && self.trouble.is_cut()
    }

    /// Converts it to a break of one side, in a direction that leads away from `source`.
    pub(super) fn of(self, source: Side) -> Broken {
        let side = match self.at {
            At::Source => source,
            At::Sink => source.other(),
        };
        Broken { side, trouble: self.trouble }
    }
}

/// A side that broke.
#[derive(Debug)]
pub(super) struct Broken {
    /// The side whose connection broke.
    pub(super) side: Side,
    /// What broke it.
    pub(super) trouble: Trouble,
}

impl Broken {
    /// Whether it ended without an end of its protocol.
    pub(super) fn is_cut(&self) -> bool {
        self.trouble.is_cut()
    }

    /// Whether its connection may be open all the same, so that it could be read forever: a breach of its protocol is
    /// ours to answer, and a refused system call is no end of the connection.
    pub(super) fn may_be_open(&self) -> bool {
        match &self.trouble {
            Trouble::Io(error) => !is_loss(error) && !is_reset(error),
            Trouble::Cut | Trouble::CutInRecord | Trouble::Described(..) => true,
            // Behind it, the half gives nothing more.
            Trouble::Told(..) => false,
        }
    }

    /// Whether its protocol is broken, which an alert has told its other end.
    pub(super) fn is_of_protocol(&self) -> bool {
        matches!(self.trouble, Trouble::Described(..))
    }

    /// Whether the side had closed altogether before, and answered what was written to it with a reset: then the kernel
    /// reports EPIPE instead of ECONNRESET (tcp_reset in net/ipv4/tcp_input.c).
    pub(super) fn is_refusal(&self) -> bool {
        matches!(&self.trouble, Trouble::Io(error) if error.raw_os_error() == Some(libc::EPIPE))
    }

    /// How that ends the session.
    pub(super) fn end(&self) -> End {
        match &self.trouble {
            Trouble::Io(error) if is_loss(error) => match self.side {
                Side::Client => End::ClientLost,
                Side::Target => End::TargetLost,
            },
            Trouble::Io(_) | Trouble::Cut | Trouble::CutInRecord => reset_by(self.side),
            Trouble::Described(end, _) | Trouble::Told(end, _) => *end,
        }
    }

    /// A description, if the code alone does not give it.
    pub(super) fn description(self) -> Option<Arc<str>> {
        match (self.trouble, self.side) {
            (Trouble::Io(_), _) => None,
            (Trouble::Cut, Side::Client) => Some(CLIENT_CUT.into()),
            (Trouble::Cut, Side::Target) => Some(TARGET_CUT.into()),
            (Trouble::CutInRecord, side) => {
                let who = side.code();
                Some(
                    format!("the {who} closed inside a TLS record: the end of what it sent is missing")
                        .into(),
                )
            }
            (Trouble::Described(_, description), _) => Some(description),
            (Trouble::Told(_, description), _) => description,
        }
    }
}

const CLIENT_CUT: &str = "the client closed without close_notify, so what it sent may have been cut";
const TARGET_CUT: &str = "the target closed without close_notify, so what it sent may have been cut";

/// The end of a session that this side reset.
pub(super) fn reset_by(side: Side) -> End {
    match side {
        Side::Client => End::ClientReset,
        Side::Target => End::TargetReset,
    }
}

/// Whether the kernel gave up the connection, rather than the other end.
fn is_loss(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ETIMEDOUT | libc::EHOSTUNREACH | libc::ENETUNREACH | libc::ENETDOWN)
    )
}

/// Whether the connection is gone, by its other end's doing.
fn is_reset(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ECONNRESET | libc::EPIPE))
}
