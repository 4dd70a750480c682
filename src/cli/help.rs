//! What stands below the options of a command's `--help`, and in the manual page too.

/// Words and what they mean, as a help page and the manual list them.
pub(super) type Rows = &'static [(&'static str, &'static str)];

pub(super) const SIGNALS: Rows = &[
    ("SIGHUP", "reload the file (a saved file is reloaded by itself)"),
    ("SIGTERM, SIGINT", "stop accepting, wait for the sessions, stop; a second one stops at once"),
];

pub(super) const EXIT_CODES: Rows = &[
    ("0", "stopped by a signal"),
    ("1", "a bug"),
    ("2", "the configuration or the usage"),
    ("4", "an address is taken"),
    ("5", "already running: another loopgate holds the addresses"),
    ("6", "an address needs a permission"),
    ("7", "an address is not of this machine"),
    ("8", "out of descriptors, memory or ports"),
];

pub(super) const FILES: Rows = &[
    ("$LOOPGATE_CONFIG", "where the variable is set"),
    ("./loopgate.toml", "in the working directory"),
    ("$XDG_CONFIG_HOME/loopgate/loopgate.toml", "of this user; ~/.config where the variable is not set"),
    ("/etc/loopgate/loopgate.toml", "of the machine"),
];

pub(super) const ENVIRONMENT: Rows = &[
    ("LOOPGATE_CONFIG", "the configuration file, where -c names none"),
    ("XDG_CONFIG_HOME", "the directory of this user's configurations"),
    ("NO_COLOR", "set and not empty: no colours, not even on a terminal (no-color.org)"),
];

/// What stands below the options of `run --help`.
pub(super) fn run_help() -> String {
    format!("Signals:\n{}\n{}", listed(SIGNALS), exit_codes(EXIT_CODES))
}

/// What stands below the options of `validate --help`.
pub(super) fn validate_help() -> String {
    exit_codes(&[("0", "the configuration is good"), ("2", "it has a problem, or the usage has")])
}

/// What stands below the options of `explain --help`.
pub(super) fn explain_help() -> String {
    let examples = "\
Examples:
  loopgate explain 3000                why 127.0.0.1:3000 does not answer, or how well it does
  loopgate explain 62893 --listen      who holds the port, and which one is free
  loopgate explain port-held           what a code of a report or a record means

";
    examples.to_owned() + &exit_codes(DIAGNOSED)
}

/// What stands below the options of `doctor --help`.
pub(super) fn doctor_help() -> String {
    exit_codes(DIAGNOSED)
}

const DIAGNOSED: Rows = &[
    ("0", "nothing is wrong; warnings do not count, unless --strict is given"),
    ("1", "a fault was found"),
    ("2", "the configuration or the usage"),
    ("3", "it could not be found out"),
];

pub(super) const COMPLETIONS_HELP: &str = "\
Where they belong:
  bash  loopgate completions bash > ~/.local/share/bash-completion/completions/loopgate
  zsh   loopgate completions zsh > a directory of $fpath, as _loopgate
  fish  loopgate completions fish > ~/.config/fish/completions/loopgate.fish";

fn exit_codes(rows: Rows) -> String {
    format!("Exit codes:\n{}", listed(rows).trim_end())
}

fn listed(rows: Rows) -> String {
    let width = rows.iter().map(|(word, _)| word.len()).max().unwrap_or(0);
    rows.iter().map(|(word, meaning)| format!("  {word:<width$}  {meaning}\n")).collect()
}
