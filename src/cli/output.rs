//! How a command prints its answer or its errors, to which stream, and with which exit code.

use std::io::{self, IsTerminal, Write};

use super::foreign_flags;
use crate::config::Problems;

/// Exit codes of `run` that do not come from a diagnosis.
pub(super) mod code {
    pub(in crate::cli) const OK: u8 = 0;
    pub(in crate::cli) const INTERNAL: u8 = 1;
    pub(in crate::cli) const CONFIG: u8 = 2;
    /// It could not be found out.
    pub(in crate::cli) const UNKNOWN: u8 = 3;
    /// An address is taken.
    pub(in crate::cli) const TAKEN: u8 = 4;
    /// Not permitted.
    pub(in crate::cli) const DENIED: u8 = 6;
    /// An address does not belong to the machine.
    pub(in crate::cli) const NOT_HERE: u8 = 7;
}

/// Prints an answer to standard output and returns its exit code. If it cannot be written, as on a full disk, that is said
/// on standard error, and the exit code is [`code::INTERNAL`].
pub(super) fn answer(write: impl FnOnce(&mut dyn Write) -> io::Result<u8>) -> u8 {
    let mut out = io::stdout().lock();
    // What is buffered is written here: at the end of the process nobody would hear of an error.
    write(&mut out).and_then(|code| out.flush().map(|()| code)).unwrap_or_else(|error| unwritten(&error))
}

/// Complains about an answer that could not be written, unless its reader has had enough, such as head(1).
pub(super) fn unwritten(error: &io::Error) -> u8 {
    if error.kind() != io::ErrorKind::BrokenPipe {
        complain(&format!("error: cannot write to standard output: {error}"));
    }
    code::INTERNAL
}

/// Prints the problems of a configuration to standard error.
pub(super) fn refuse(problems: &Problems) -> u8 {
    complain(&format!(
        "{}{}",
        problems.render(colour(&std::io::stderr())),
        foreign_flags::of_another_program(problems)
    ));
    code::CONFIG
}

/// Prints to standard error why a command failed.
pub(super) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end());
}

/// Colour only on a terminal, and only if `NO_COLOR` is unset or empty (no-color.org).
pub(super) fn colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
