//! A process that holds a socket, in the words of its own machine.
//!
//! Plain facts without a judgement: `probe` fills them, `diagnosis` judges, causes and reports name them.

use std::time::{Duration, SystemTime};

use serde::Serialize;

/// A process that holds a socket, or probably does. Its texts are fit for a terminal: control characters are escaped,
/// secrets are masked, lengths are bounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// Its process id, as this PID namespace counts.
    pub pid: u32,
    /// The process id of its parent; 0 where there is none here.
    pub parent: u32,
    /// Its short name, as `ps` shows it.
    pub comm: String,
    /// Its command line; empty where it has none or hides it.
    pub command: String,
    /// Its effective user.
    pub uid: u32,
    /// That user's name in /etc/passwd.
    pub user: Option<String>,
    /// When it started. Together with `pid` this is its identity: a process id alone may be used again.
    pub started: Option<SystemTime>,
    /// How long it had been running when it was looked at.
    pub age: Option<Duration>,
    /// Whether it runs the very program file this process runs.
    pub same_program: bool,
    /// Whether it is this process itself.
    pub this_process: bool,
    /// Whether it is stopped (Ctrl-Z, SIGSTOP): it holds on and never answers.
    pub suspended: bool,
    /// Whether its descriptor was seen. Otherwise it only fits what is known of the socket.
    pub proven: bool,
}
