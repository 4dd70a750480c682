//! `loopgate completions SHELL`: the script with which a shell completes our commands and options.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::arguments::Cli;

/// The shell with this name, which is one of `arguments::SHELLS`.
pub(super) fn shell(name: &str) -> Shell {
    match name {
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        _ => Shell::Bash,
    }
}

/// Writes the script; the exit code is 0.
pub(super) fn completions(shell: Shell, out: &mut dyn Write) -> io::Result<u8> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "loopgate", &mut script);
    out.write_all(&script)?;
    Ok(0)
}
