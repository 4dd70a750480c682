//! The tables and examples printed below the options of `--help`, and again in the manual page.
//!
//! Lines are at most 80 columns wide, since clap would wrap a longer one without its indentation.

/// Terms and their meanings, as a help page and the manual list them.
pub(super) type Rows = &'static [(&'static str, &'static str)];

pub(super) const SIGNALS: Rows = &[
    ("SIGHUP", "reload the file, and look names up again; without a file, stop"),
    ("SIGTERM, SIGINT, SIGQUIT", "wait for open sessions, then stop; a second one: at once"),
    ("SIGPWR, SIGXCPU", "stop, as SIGTERM does"),
    ("SIGUSR1, SIGUSR2", "nothing but a line in the log"),
];

pub(super) const EXIT_CODES: Rows = &[
    ("0", "stopped by a signal"),
    ("1", "a bug in Loopgate"),
    ("2", "the configuration or the command line has a problem"),
    ("4", "an address is taken by another program"),
    ("5", "already running: another loopgate holds the addresses"),
    ("6", "no permission to listen on an address"),
    ("7", "an address does not belong to this machine"),
    ("8", "out of descriptors, memory or ports"),
];

pub(super) const FILES: Rows = &[
    ("$LOOPGATE_CONFIG", "if the variable is set"),
    ("./loopgate.toml", "in the working directory"),
    ("$XDG_CONFIG_HOME/loopgate/loopgate.toml", "for this user; in ~/.config if the variable is not set"),
    ("/etc/loopgate/loopgate.toml", "for the whole machine"),
];

pub(super) const ENVIRONMENT: Rows = &[
    ("LOOPGATE_CONFIG", "the configuration file, unless -c names one"),
    ("XDG_CONFIG_HOME", "the directory of this user's configurations"),
    ("NO_COLOR", "if set and not empty, disables colours on a terminal too (no-color.org)"),
];

/// The text below the options of `run --help`.
pub(super) fn run_help() -> String {
    format!("Signals:\n{}\n{}", listed(SIGNALS), exit_codes(EXIT_CODES))
}

/// The text below the options of `validate --help`.
pub(super) fn validate_help() -> String {
    exit_codes(&[
        ("0", "the configuration is good"),
        ("2", "the configuration or the command line has a problem"),
    ])
}

/// The text below the options of `explain --help`.
pub(super) fn explain_help() -> String {
    let examples = "\
Examples:
  loopgate explain 3000            whether 127.0.0.1:3000 answers, or why not
  loopgate explain 62893 --listen  which process holds the port, and a free one
  loopgate explain tunnel:vps      whether a tunnel works, or why not
  loopgate explain port-held       what a code in a report or a record means

";
    examples.to_owned() + &exit_codes(DIAGNOSED)
}

/// The text below the options of `doctor --help`.
pub(super) fn doctor_help() -> String {
    exit_codes(DIAGNOSED)
}

const DIAGNOSED: Rows = &[
    ("0", "no fault was found; warnings count only with --strict"),
    ("1", "a fault was found"),
    ("2", "the configuration or the command line has a problem"),
    ("3", "the answer could not be determined"),
];

pub(super) const COMPLETIONS_HELP: &str = "\
Write the script where the shell looks for it:
  bash  ~/.local/share/bash-completion/completions/loopgate
  zsh   _loopgate, in a directory of $fpath
  fish  ~/.config/fish/completions/loopgate.fish

Example:
  loopgate completions fish > ~/.config/fish/completions/loopgate.fish";

fn exit_codes(rows: Rows) -> String {
    format!("Exit codes:\n{}", listed(rows).trim_end())
}

fn listed(rows: Rows) -> String {
    let width = rows.iter().map(|(word, _)| word.len()).max().unwrap_or(0);
    rows.iter().map(|(word, meaning)| format!("  {word:<width$}  {meaning}\n")).collect()
}
