//! `loopgate man`: the manual page, from the definition of the arguments and the tables that `--help` shows too.

use std::io::{self, Write};

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use super::arguments::Cli;
use super::help::{ENVIRONMENT, EXIT_CODES, FILES, Rows, SIGNALS};

const DESCRIPTION: &str = "Loopgate carries TCP connections and UDP datagrams from the ports you choose to services on \
    this machine. It takes over an edited configuration without losing a connection, and writes one record for every \
    connection: who ended it, how, and what was delivered. When a port cannot be had or a target does not answer, it \
    says why, who is in the way, and what to do. What the configuration holds is shown in config.example.toml.";

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
