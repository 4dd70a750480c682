//! `loopgate man`: the manual page, generated from the definition of the arguments and the tables that `--help` shows.

use std::io::{self, Write};

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use super::arguments::Cli;
use super::help::{ENVIRONMENT, EXIT_CODES, FILES, Rows, SIGNALS};

const DESCRIPTION: &str = "Loopgate carries TCP connections and UDP datagrams from the ports you choose to services on \
    this machine. It applies an edited configuration without losing a connection, and writes one record for every \
    connection: who ended it, how, and what was delivered. If a port is taken or a target does not answer, it tells you \
    why, which process is responsible, and how to fix it. config.example.toml shows every configuration key.";

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
    for (name, sub) in commands(&command) {
        one_command(&name, sub, out)?;
    }
    for (name, text, rows) in [
        ("FILES", "The first of these that exists is used, unless -c names one.", FILES),
        ("ENVIRONMENT", "", ENVIRONMENT),
        ("SIGNALS", "These apply to run and demo.", SIGNALS),
        ("EXIT STATUS", "These are for run and demo; those of other commands are listed above.", EXIT_CODES),
    ] {
        table(name, text, rows).to_writer(&mut *out)?;
    }
    let mut examples = section("EXAMPLES", []);
    let listed = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    verbatim(&mut examples, listed.trim_start_matches("Examples:\n"));
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
    for (name, sub) in commands(command) {
        roff.control("br", []).text([bold(format!("loopgate {name}")), roman(operands(sub))]);
    }
    roff
}

/// The synopsis after a command's name: `[OPTIONS]` if it has any, then its arguments.
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

/// Every command with its name; one that only has commands of its own stands for those.
fn commands(of: &Command) -> Vec<(String, &Command)> {
    let mut all = Vec::new();
    for command in of.get_subcommands().filter(|it| it.get_name() != "help") {
        let name = command.get_name();
        match command.has_subcommands() {
            false => all.push((name.to_owned(), command)),
            true => all.extend(commands(command).into_iter().map(|(own, it)| (format!("{name} {own}"), it))),
        }
    }
    all
}

fn one_command(name: &str, command: &Command, out: &mut dyn Write) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SS", [name]);
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    roff.text([roman(format!("{about}."))]);
    roff.to_writer(&mut *out)?;
    out.write_all(options(command)?.trim_start_matches(".SH OPTIONS\n").as_bytes())?;
    let after_help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    if name == "run" || after_help.is_empty() {
        return Ok(());
    }
    let mut roff = Roff::new();
    verbatim(&mut roff, &after_help);
    roff.to_writer(&mut *out)
}

/// A command's options as clap_mangen renders them, without the help flag that every command has.
fn options(command: &Command) -> io::Result<String> {
    let has_help = command.get_arguments().any(|argument| argument.get_id() == "help");
    let bare = command.clone();
    let bare = if has_help { bare.mut_arg("help", |help| help.hide(true)) } else { bare };
    let mut bytes = Vec::new();
    if bare.get_arguments().any(|argument| !argument.is_hide_set()) {
        Man::new(bare).render_options_section(&mut bytes)?;
    }
    let text = String::from_utf8_lossy(&bytes);
    // A heading of the help would begin a section of the page, in the midst of a command.
    let is_heading = |line: &str| line.starts_with(".SH ") && line != ".SH OPTIONS";
    let is_kept = |line: &&str| !line.starts_with(".ie ") && !line.starts_with(".el ") && !is_heading(line);
    let kept = text.lines().filter(is_kept);
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

/// Adds a text whose line breaks are kept.
fn verbatim(roff: &mut Roff, text: &str) {
    roff.control("PP", []).control("nf", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}
