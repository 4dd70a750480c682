//! A process that plays a part of a measurement: a target, or a load generator.
//!
//! It is a process, not a thread, so that its CPU is never counted for a forwarder. It is the program of whoever measures,
//! started again with one JSON argument that says what to be; it answers in JSON lines, and ends when its standard input
//! does: it cannot outlive the measurement.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Fallible, Group};

/// A part being played, seen from the measurement.
pub struct Player {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// Its process.
    pub group: Group,
}

impl Player {
    /// Starts this program again with these arguments, the last of which is `part` as JSON. Its standard error goes to a
    /// file in `scratch`.
    ///
    /// # Errors
    /// If the process cannot be started.
    pub fn start(arguments: &[&str], part: &impl Serialize, scratch: &Path) -> Fallible<Player> {
        Player::with_errors(arguments, part, File::create(scratch.join("role.err"))?.into())
    }

    /// The same, with this as its standard error.
    ///
    /// # Errors
    /// If the process cannot be started.
    pub fn with_errors(arguments: &[&str], part: &impl Serialize, errors: Stdio) -> Fallible<Player> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).arg(serde_json::to_string(part)?);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut group = Group::spawn(&mut command)?;
        let (stdin, stdout) = (group.child().stdin.take(), group.child().stdout.take());
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else { return Err("no pipes to a process".into()) };
        Ok(Player { stdin, stdout: BufReader::new(stdout), group })
    }

    /// The next line it says. It waits for it without a deadline: a load is bounded by its own span.
    ///
    /// # Errors
    /// If the process has ended, or says something else.
    pub fn hear<T: DeserializeOwned>(&mut self) -> Fallible<T> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            return Err("a load generator ended without a word".into());
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// Tells it a line.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn tell(&mut self, line: &str) -> Fallible<()> {
        Ok(writeln!(self.stdin, "{line}")?)
    }
}

/// Says one thing to the measurement, from within a part.
///
/// # Errors
/// If standard output is closed.
pub fn say(what: &impl Serialize) -> Fallible<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    Ok(io::stdout().lock().write_all(&line)?)
}

/// Ends this process when its standard input ends, whatever it does then.
#[allow(clippy::disallowed_methods, reason = "a part has no main that could decide when it ends")]
pub fn end_with_standard_input() {
    std::thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}
