//! `loopgate man`: the manual page, from the definition of the arguments and the tables here; `run --help` has the same.

use std::io::{self, Write};

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use super::Cli;

/// Words and what they mean, as a help page and the manual list them.
type Rows = &'static [(&'static str, &'static str)];

const SIGNALS: Rows = &[
    ("SIGHUP", "reload the file (a saved file is reloaded by itself)"),
    ("SIGTERM, SIGINT", "stop accepting, wait for the sessions, stop; a second one stops at once"),
];

const EXIT_CODES: Rows = &[
    ("0", "stopped by a signal"),
    ("1", "a bug"),
    ("2", "the configuration or the usage"),
    ("4", "an address is taken"),
    ("5", "already running: another loopgate holds the addresses"),
    ("6", "an address needs a permission"),
    ("7", "an address is not of this machine"),
    ("8", "out of descriptors, memory or ports"),
];

const FILES: Rows = &[
    ("$LOOPGATE_CONFIG", "where the variable is set"),
    ("./loopgate.toml", "in the working directory"),
    ("$XDG_CONFIG_HOME/loopgate/loopgate.toml", "of this user; ~/.config where the variable is not set"),
    ("/etc/loopgate/loopgate.toml", "of the machine"),
];

const ENVIRONMENT: Rows = &[
    ("LOOPGATE_CONFIG", "the configuration file, where -c names none"),
    ("XDG_CONFIG_HOME", "the directory of this user's configurations"),
    ("NO_COLOR", "set and not empty: no colours, not even on a terminal (no-color.org)"),
];

const DESCRIPTION: &str = "Loopgate carries TCP connections and UDP datagrams from the ports you choose to services on \
    this machine. It takes over an edited configuration without losing a connection, and writes one record for every \
    connection: who ended it, how, and what was delivered. When a port cannot be had or a target does not answer, it \
    says why, who is in the way, and what to do. What the configuration holds is shown in config.example.toml.";

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

/// Writes the page; the exit code is 0.
pub(super) fn manual(out: &mut dyn Write) -> io::Result<u8> {
    let mut command = Cli::command();
    command.build();
    let page = Man::new(command.clone()).manual("Loopgate");
    page.render_title(&mut *out)?;
    page.render_name_section(&mut *out)?;
    synopsis(&command).to_writer(&mut *out)?;
    section("DESCRIPTION", [roman(DESCRIPTION)]).to_writer(&mut *out)?;
    out.write_all(options(&command)?.as_bytes())?;
    section("COMMANDS", []).to_writer(&mut *out)?;
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        one_command(sub, out)?;
    }
    for (name, text, rows) in [
        ("FILES", "The first of these there is; -c names another.", FILES),
        ("ENVIRONMENT", "", ENVIRONMENT),
        ("SIGNALS", "What run and demo do.", SIGNALS),
        ("EXIT STATUS", "That of run; the other commands tell theirs above.", EXIT_CODES),
    ] {
        table(name, text, rows).to_writer(&mut *out)?;
    }
    let mut examples = section("EXAMPLES", []);
    let told = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    verbatim(&mut examples, told.trim_start_matches("Examples:\n"));
    examples.to_writer(&mut *out)?;
    section(
        "SEE ALSO",
        [bold("ssh"), roman("(1), "), bold("socat"), roman("(1), "), bold("ss"), roman("(8)")],
    )
    .to_writer(&mut *out)?;
    Ok(0)
}

fn section<const N: usize>(name: &str, text: [Inline; N]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [name]);
    if N > 0 {
        roff.text(text);
    }
    roff
}

fn synopsis(command: &Command) -> Roff {
    let mut roff = section("SYNOPSIS", []);
    roff.text([bold("loopgate"), roman(" [OPTIONS] [[BIND:]PORT:[HOST:]PORT]...")]);
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        roff.control("br", []).text([bold(format!("loopgate {}", sub.get_name())), roman(operands(sub))]);
    }
    roff
}

/// What stands behind a command: its options in one word, and its arguments.
fn operands(command: &Command) -> String {
    let mut words = String::new();
    if command.get_opts().next().is_some() {
        words.push_str(" [OPTIONS]");
    }
    for argument in command.get_positionals() {
        let names: Vec<&str> =
            argument.get_value_names().into_iter().flatten().map(|name| name.as_str()).collect();
        let dots =
            if argument.get_num_args().is_some_and(|range| range.max_values() > 1) { "..." } else { "" };
        let dashes = if argument.is_last_set() { "-- " } else { "" };
        let name = names.concat();
        words.push_str(&match argument.is_required_set() {
            true => format!(" {name}{dots}"),
            false => format!(" [{dashes}{name}]{dots}"),
        });
    }
    words
}

fn one_command(command: &Command, out: &mut dyn Write) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SS", [command.get_name()]);
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    roff.text([roman(format!("{about}."))]);
    roff.to_writer(&mut *out)?;
    out.write_all(options(command)?.trim_start_matches(".SH OPTIONS\n").as_bytes())?;
    let told = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    if command.get_name() == "run" || told.is_empty() {
        return Ok(());
    }
    let mut roff = Roff::new();
    verbatim(&mut roff, &told);
    roff.to_writer(&mut *out)
}

/// The options of a command as clap writes them, without the help flag that every one has.
fn options(command: &Command) -> io::Result<String> {
    let has_help = command.get_arguments().any(|argument| argument.get_id() == "help");
    let bare = command.clone();
    let bare = if has_help { bare.mut_arg("help", |help| help.hide(true)) } else { bare };
    let mut bytes = Vec::new();
    if bare.get_arguments().any(|argument| !argument.is_hide_set()) {
        Man::new(bare).render_options_section(&mut bytes)?;
    }
    let text = String::from_utf8_lossy(&bytes);
    let kept = text.lines().filter(|line| !line.starts_with(".ie ") && !line.starts_with(".el "));
    Ok(kept.map(|line| format!("{line}\n")).collect())
}

fn table(name: &str, text: &str, rows: Rows) -> Roff {
    let mut roff = section(name, []);
    if !text.is_empty() {
        roff.text([roman(text)]);
    }
    for (word, meaning) in rows {
        roff.control("TP", []).text([bold(*word)]).text([roman(*meaning)]);
    }
    roff
}

/// A text whose lines stay as they are.
fn verbatim(roff: &mut Roff, text: &str) {
    roff.control("PP", []).control("nf", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}
