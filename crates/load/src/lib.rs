//! Load generators and targets for measuring forwarders, and what a process costs meanwhile.
//!
//! Each is a function that a process of its own calls, so that its CPU is never counted for the forwarder: see
//! [`Player`]. All loads are bounded by a [`Span`], and no answer is waited for longer than [`PATIENCE`].

mod connects;
mod group;
mod hold;
mod iperf3;
pub mod measure;
mod player;
mod poll;
mod requests;
mod span;
mod streams;
mod target;
mod there_and_back;

use std::error::Error;
use std::io;
use std::time::Duration;

pub use connects::{Errand, connects};
pub use group::{Group, kill_all, spent};
pub use hold::{Held, hold, hold_each};
pub use iperf3::{Cookie, Direction, PARAMETERS, iperf3};
pub use player::{Player, end_with_standard_input, say};
pub use poll::Poll;
pub use requests::{ping_pong, requests};
pub use span::{Count, Span, Tally};
pub use streams::{give, give_to_unix, streams, take, take_from_unix};
pub use target::{Answer, listener, serve, serve_at, serve_unix};
pub use there_and_back::there_and_back;

/// What a step of a measurement returns: it has no caller that would do something different for different failures.
pub type Fallible<T> = Result<T, Box<dyn Error>>;

/// The size of a request and of its answer, in bytes.
pub const MESSAGE: usize = 64;

/// How long a load generator waits for an answer before it counts as lost.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// The error of a socket, with its time-out in words: the errno of one says "Resource temporarily unavailable".
pub(crate) fn in_words(error: io::Error, what: &str) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::Error::other(format!("{what} for {} s", PATIENCE.as_secs())),
        _ => error,
    }
}
