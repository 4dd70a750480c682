//! The other processes of the bench: targets and load generators, played by the bench's own program.
//!
//! The bench tells a role what to be in one JSON argument; see [`Player`], which also says why each is a process.

mod datagrams;
mod says;
mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use loopgate_load::{
    Answer, Errand, Fallible, Player, Span, Tally, connects, end_with_standard_input, give, give_to_unix,
    hold, measure, ping_pong, requests, say, serve, serve_unix, streams, take, take_from_unix,
};
use serde::{Deserialize, Serialize};

pub(crate) use datagrams::{Pace, Traffic};
pub(crate) use says::Says;
pub(crate) use tls::{config as tls_config, connect as tls_connect};

const ARGUMENT: &str = "--role";

#[derive(Serialize, Deserialize)]
pub(crate) enum Role {
    /// A target that answers.
    Target { listen: SocketAddr, answer: Answer },
    /// The same at a Unix socket.
    UnixTarget { listen: PathBuf, answer: Answer },
    /// Reads from `streams` connections as much as comes, after a hello if there is to be one.
    Streams { to: SocketAddr, hello: bool, streams: usize, span: Span },
    /// Writes into `streams` connections as much as is taken.
    GivingStreams { to: SocketAddr, streams: usize, span: Span },
    /// Reads from Unix sockets or writes into them.
    UnixStreams { to: PathBuf, way: Way, streams: usize, span: Span },
    /// Keeps `pipeline` requests under way on each connection.
    Requests { to: SocketAddr, connections: usize, pipeline: usize, span: Span },
    /// Connects, exchanges one message, closes; `at_once` at a time, `at_most` in all.
    Connects { to: SocketAddr, says: Says, at_once: usize, at_most: u64, span: Span },
    /// The same with TLS: a full handshake before the message.
    Handshakes { to: SocketAddr, at_once: usize, at_most: u64, span: Span },
    /// Reads and deciphers from `streams` connections as much as comes.
    TlsStreams { to: SocketAddr, streams: usize, span: Span },
    /// Holds as many connections as each line of standard input says.
    Hold { to: SocketAddr },
    /// Both ends of datagrams.
    Datagrams { listen: SocketAddr, traffic: Traffic },
}

/// What a load generator says at its end.
#[derive(Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) tally: Tally,
    /// CPU seconds it took, from its start.
    pub(crate) cpu: f64,
}

fn report(tally: Tally) -> Fallible<()> {
    say(&Report { tally, cpu: measure::own_cpu_seconds() })
}

/// Which way bulk goes.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Way {
    /// From the client to the target.
    Up,
    /// From the target to the client.
    Down,
}

/// The role this process was started for, if it was.
pub(crate) fn asked_for() -> Option<Fallible<Role>> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != ARGUMENT {
        return None;
    }
    let role = arguments.next().unwrap_or_default();
    Some(serde_json::from_str(&role).map_err(Into::into))
}

impl Role {
    pub(crate) fn play(self) -> Fallible<()> {
        if !matches!(self, Role::Hold { .. } | Role::Datagrams { .. }) {
            end_with_standard_input();
        }
        match self {
            Role::Target { listen, answer } => serve(listen, answer),
            Role::Streams { to, hello, streams: count, span } => {
                let first = if hello { Says::Hello.first()?.0 } else { Vec::new() };
                report(streams(count, span, |count| take(to, &first, count)))
            }
            Role::GivingStreams { to, streams: count, span } => {
                report(streams(count, span, |count| give(to, count)))
            }
            Role::UnixTarget { listen, answer } => {
                // That of the turn before may be there.
                let _ = std::fs::remove_file(&listen);
                serve_unix(&listen, answer)
            }
            Role::UnixStreams { to, way, streams: count, span } => {
                report(streams(count, span, |count| match way {
                    Way::Up => give_to_unix(&to, count),
                    Way::Down => take_from_unix(&to, count),
                }))
            }
            Role::Requests { to, connections: 1, pipeline: 1, span } => report(ping_pong(to, span)?),
            Role::Requests { to, connections, pipeline, span } => {
                report(requests(to, connections, pipeline, span)?)
            }
            Role::Connects { to, says, at_once, at_most, span } => {
                let (first, answer) = says.first()?;
                report(connects(&Errand { to, first, answer }, at_once, at_most, span)?)
            }
            Role::Handshakes { to, at_once, at_most, span } => {
                report(tls::handshakes(to, at_once, at_most, span)?)
            }
            Role::TlsStreams { to, streams: count, span } => {
                report(streams(count, span, |count| tls::take(to, count)))
            }
            Role::Hold { to } => hold(to),
            Role::Datagrams { listen, traffic } => datagrams::play(listen, traffic),
        }
    }

    /// Starts a process that plays this role.
    pub(crate) fn start(&self, scratch: &Path) -> Fallible<Player> {
        Player::start(&[ARGUMENT], self, scratch)
    }
}
