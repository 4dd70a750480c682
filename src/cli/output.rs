//! What a command prints, where, and the exit code that goes with it.

use std::io::{IsTerminal, Write};

use super::foreign_flags;
use crate::config::Problems;

/// Exit codes of `run` that no diagnosis gives.
pub(super) mod code {
    pub(in crate::cli) const OK: u8 = 0;
    pub(in crate::cli) const INTERNAL: u8 = 1;
    pub(in crate::cli) const CONFIG: u8 = 2;
}

/// Prints an answer; where nobody reads it any more, as with `| head`, the code stays what it was.
pub(super) fn answer(write: impl FnOnce(&mut dyn Write) -> std::io::Result<u8>) -> u8 {
    write(&mut std::io::stdout().lock()).unwrap_or(code::INTERNAL)
}

/// Tells the problems of a configuration.
pub(super) fn refuse(problems: &Problems) -> u8 {
    complain(&format!(
        "{}{}",
        problems.render(colour(&std::io::stderr())),
        foreign_flags::of_another_program(problems)
    ));
    code::CONFIG
}

/// Says why a command did not do what it was asked to.
pub(super) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end());
}

/// Colour only on a terminal, and not where it is refused (no-color.org).
pub(super) fn colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
