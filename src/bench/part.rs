//! The other processes of a bench: this program again, with one hidden argument that says what to be.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;

use loopgate_load::{
    Answer, Direction, Errand, Fallible, Player, Span, Tally, connects, end_with_standard_input, give,
    iperf3, listener, ping_pong, requests, say, serve_at, streams, take, there_and_back,
};
use serde::{Deserialize, Serialize};

/// The command and the hidden argument before a part's JSON.
const ARGUMENTS: [&str; 2] = ["bench", "--part"];

/// What a process of a bench does. It ends when its standard input does, whatever it does then, so it cannot outlive the
/// bench.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Part {
    /// Runs these routes as `loopgate run` does, and says where they listen; the caller's part.
    Forward(Vec<String>),
    /// A target that sends as many bytes as the client takes, or that echoes; it says where it listens.
    Target { bytes: bool },
    /// Reads from streams as much as comes.
    Take { to: SocketAddr, streams: usize, span: Span },
    /// Writes to streams as much as is taken.
    Give { to: SocketAddr, streams: usize, span: Span },
    /// Both, at an echo.
    ThereAndBack { to: SocketAddr, streams: usize, span: Span },
    /// Small requests and their answers.
    Requests { to: SocketAddr, connections: usize, span: Span },
    /// Connects, sends so many bytes, waits for as many or for the service's end, closes.
    Connects { to: SocketAddr, message: usize, answers: bool, at_once: usize, at_most: u64, span: Span },
    /// A test of an iperf3 server.
    Iperf3 { to: SocketAddr, direction: Direction, streams: usize, span: Span },
}

impl Part {
    /// Starts a process that plays this part. Without a pipe for them, its errors are lost.
    pub(super) fn start(&self, errors: Stdio) -> Fallible<Player> {
        Player::with_errors(&ARGUMENTS, self, errors)
    }

    /// Plays it, in a process that was started for it. [`Part::Forward`] is the caller's.
    ///
    /// # Errors
    /// If standard output is closed, or a target cannot listen.
    pub(crate) fn play(self) -> Fallible<()> {
        end_with_standard_input();
        match self {
            Part::Forward(_) => Err("a forward is run, not played".into()),
            Part::Target { bytes } => {
                let listener = listener((Ipv4Addr::LOCALHOST, 0).into())?;
                say(&listener.local_addr()?)?;
                serve_at(&listener, if bytes { Answer::Bytes } else { Answer::Echo })
            }
            load => Ok(say(&load.load().map_err(|error| error.to_string()))?),
        }
    }

    fn load(self) -> Fallible<Tally> {
        match self {
            Part::Forward(_) | Part::Target { .. } => Err("no load".into()),
            Part::Take { to, streams: count, span } => Ok(streams(count, span, |count| take(to, &[], count))),
            Part::Give { to, streams: count, span } => Ok(streams(count, span, |count| give(to, count))),
            Part::ThereAndBack { to, streams: count, span } => {
                Ok(streams(count, span, |count| there_and_back(to, count)))
            }
            Part::Requests { to, connections: 1, span } => ping_pong(to, span),
            Part::Requests { to, connections, span } => requests(to, connections, 1, span),
            Part::Connects { to, message, answers, at_once, at_most, span } => {
                let first = vec![b'?'; message];
                let answer = if answers { message } else { 0 };
                connects(&Errand { to, first, answer }, at_once, at_most, span)
            }
            Part::Iperf3 { to, direction, streams, span } => iperf3(to, direction, streams, span),
        }
    }
}

/// A listener of [`Part::Forward`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Forwarding {
    /// Where it listens.
    pub(crate) listen: String,
    /// The first target of its route.
    pub(crate) target: String,
}

/// Says where the routes of [`Part::Forward`] listen, once they do.
///
/// # Errors
/// If standard output is closed.
pub(crate) fn announce(forwarding: &[Forwarding]) -> Fallible<()> {
    say(&forwarding)
}

/// A part that its caller plays ends as the others do: with its standard input.
pub(crate) fn end_with_the_bench() {
    end_with_standard_input();
}
