//! The other processes of the bench: targets and load generators, played by the bench's own program.
//!
//! They are processes, not threads, so that their CPU is never counted for a forwarder. The bench tells a role what to
//! be in one JSON argument; a role answers in JSON lines, and ends when its standard input does: it cannot outlive the
//! bench.

mod connects;
mod datagrams;
mod hold;
mod poll;
mod requests;
mod says;
mod span;
mod streams;
mod target;
mod tls;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Fallible;
use crate::group::Group;

pub(crate) use datagrams::{Pace, Traffic};
pub(crate) use hold::Held;
pub(crate) use says::Says;
pub(crate) use span::{Span, Tally};
pub(crate) use target::Answer;
pub(crate) use tls::{config as tls_config, connect as tls_connect};

/// The size of a request and of its answer.
pub(crate) const MESSAGE: usize = 64;

const ARGUMENT: &str = "--role";

#[derive(Serialize, Deserialize)]
pub(crate) enum Role {
    /// A target that answers.
    Target { listen: SocketAddr, answer: Answer },
    /// Reads from `streams` connections as much as comes, after a hello if there is to be one.
    Streams { to: SocketAddr, hello: bool, streams: usize, span: Span },
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
            Role::Target { listen, answer } => target::serve(listen, answer),
            Role::Streams { to, hello, streams, span } => {
                let first = if hello { Says::Hello.first()?.0 } else { Vec::new() };
                say(&streams::load(streams, span, |count| streams::take(to, &first, count))?)
            }
            Role::Requests { to, connections: 1, pipeline: 1, span } => say(&requests::ping_pong(to, span)?),
            Role::Requests { to, connections, pipeline, span } => {
                say(&requests::load(to, connections, pipeline, span)?)
            }
            Role::Connects { to, says, at_once, at_most, span } => {
                say(&connects::load(to, says, at_once, at_most, span)?)
            }
            Role::Handshakes { to, at_once, at_most, span } => {
                say(&tls::handshakes(to, at_once, at_most, span)?)
            }
            Role::TlsStreams { to, streams, span } => {
                say(&streams::load(streams, span, |count| tls::take(to, count))?)
            }
            Role::Hold { to } => hold::obey(to),
            Role::Datagrams { listen, traffic } => datagrams::play(listen, traffic),
        }
    }

    /// Starts a process that plays this role.
    pub(crate) fn start(&self, scratch: &Path) -> Fallible<Player> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(ARGUMENT).arg(serde_json::to_string(self)?);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut group = Group::start(&mut command, &scratch.join("role.err"))?;
        let stdin = group.child().stdin.take().expect("standard input is piped");
        let stdout = BufReader::new(group.child().stdout.take().expect("standard output is piped"));
        Ok(Player { stdin, stdout, group })
    }
}

/// A role being played, seen from the bench.
pub(crate) struct Player {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    pub(crate) group: Group,
}

impl Player {
    /// The next line it says.
    pub(crate) fn hear<T: DeserializeOwned>(&mut self) -> Fallible<T> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            return Err("a load generator ended without a word".into());
        }
        Ok(serde_json::from_str(&line)?)
    }

    pub(crate) fn tell(&mut self, line: &str) -> Fallible<()> {
        Ok(writeln!(self.stdin, "{line}")?)
    }
}

/// Says one thing to the bench.
fn say(what: &impl Serialize) -> Fallible<()> {
    println!("{}", serde_json::to_string(what)?);
    Ok(())
}

fn end_with_standard_input() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}

/// How long a load generator waits for an answer before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(3);
