//! `loopgate import`: converts another forwarder's file or command line to a configuration, and reports what it could
//! not carry over.

use std::io::{self, Read, Write};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueHint};

use super::output::{answer, code, complain};
use crate::config;
use crate::import::{self, Imported, Program, unsupported};
use crate::units::quoted;

pub(super) const HELP: &str = "\
Programs: realm (TOML or JSON), rinetd, portunus, haproxy (mode tcp), socat,
ssh, rathole and frp (both ends)

The configuration goes to standard output and loads as it is, but for the keys
of tunnels: what to do about them is reported, in order. Each setting that is
not carried over, or works differently, is reported on standard error; one
that is not carried over is also a comment beside its route.

Examples:
  loopgate import /etc/rinetd.conf > loopgate.toml
  loopgate import --from haproxy - < haproxy.cfg
  loopgate import --from frp frpc.toml > loopgate.toml
  loopgate import -- ssh -N -L 8080:db:5432 host

Exit codes:
  0  everything is carried over, or has no effect
  1  a setting is not carried over, or a route is left out
  2  the input cannot be read, or contains no route";

/// The exit code if something could not be carried over.
const INCOMPLETE: u8 = 1;

/// What to read, and as which program's.
#[derive(Args)]
pub(super) struct ImportArgs {
    /// The file to read; - is standard input
    #[arg(value_name = "FILE", required_unless_present = "command", value_hint = ValueHint::FilePath)]
    file: Option<String>,

    /// The program it was written for [default: guessed from the text, and reported]
    #[arg(long, value_name = "PROGRAM", value_parser = program(), hide_possible_values = true)]
    from: Option<Named>,

    /// A command line of ssh or socat, instead of a file
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "file")]
    command: Vec<String>,
}

/// A program named on the command line.
#[derive(Clone, Copy, Debug)]
enum Named {
    Read(Program),
    /// A program whose files cannot be imported; the error says what to do instead.
    Unread(&'static str),
}

fn program() -> impl TypedValueParser<Value = Named> {
    let of = |name: String| {
        let known = Program::ALL.into_iter().find(|program| program.name() == name).map(Named::Read);
        let other = unsupported::NAMES.into_iter().find(|other| *other == name).map(Named::Unread);
        known.or(other).expect("no other word is possible")
    };
    let read = Program::ALL.map(|program| PossibleValue::new(program.name()));
    let unread = unsupported::NAMES.map(|name| PossibleValue::new(name).hide(true));
    PossibleValuesParser::new(read.into_iter().chain(unread)).map(of)
}

impl Named {
    fn read(self) -> Option<Program> {
        match self {
            Named::Read(program) => Some(program),
            Named::Unread(_) => None,
        }
    }
}

fn not_read(name: &str) -> String {
    let instead = unsupported::instead(name).unwrap_or_default();
    format!("files of {name} cannot be imported\n = help: {instead}")
}

/// Prints the configuration to standard output and the notes to standard error. The exit code is 0 if everything was
/// carried over, 1 if something was not, 2 if nothing could be read.
pub(super) fn import(args: &ImportArgs) -> u8 {
    let read = match (args.from, &args.file) {
        (Some(Named::Unread(name)), _) => Err(not_read(name)),
        (from, Some(file)) => from_file(file, from.and_then(Named::read)),
        (from, None) => from_words(&args.command, from.and_then(Named::read)),
    };
    match read {
        Ok((name, imported)) => print(&name, &imported),
        Err(why) => {
            complain(&format!("error: {why}"));
            code::CONFIG
        }
    }
}

fn from_file(file: &str, from: Option<Program>) -> Result<(String, Imported), String> {
    let (name, text) = match file {
        "-" => ("standard input".to_owned(), standard_input()?),
        path => {
            (path.to_owned(), config::read_file(path.as_ref()).map_err(|problem| unreadable(path, &problem))?)
        }
    };
    if config::is_pem(&text) {
        return Err(format!("{name}: this holds a certificate or a key\n = help: is this the right file?"));
    }
    let program = match from {
        Some(program) => program,
        None => {
            let guess = Program::guess(&text);
            let known = Program::ALL.map(Program::name).join("|");
            let program = guess.ok_or_else(|| match unsupported::guess(&text) {
                Some(other) => format!("{name}: {}", not_read(other)),
                None => format!(
                    "{name}: cannot tell which program this file is for\n = help: name it with --from {known}"
                ),
            })?;
            complain(&format!("{name}: read as a file of {}", program.name()));
            program
        }
    };
    let imported = import::import(program, &name, &text).map_err(|why| format!("{name}: {why}"))?;
    Ok((name, imported))
}

fn unreadable(path: &str, problem: &config::Problem) -> String {
    let help = problem.help.as_ref().map(|help| format!("\n = help: {help}")).unwrap_or_default();
    format!("{}: {}{help}", quoted(path).trim_matches('"'), problem.message)
}

fn standard_input() -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(config::LIMIT.bytes() + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("standard input cannot be read: {error}"))?;
    if bytes.len() as u64 > config::LIMIT.bytes() {
        return Err("standard input is longer than 1 MiB, too long for a configuration".to_owned());
    }
    config::skip_mark(&mut bytes);
    String::from_utf8(bytes).map_err(|_| "standard input is not UTF-8 text".to_owned())
}

fn from_words(words: &[String], from: Option<Program>) -> Result<(String, Imported), String> {
    let first = words.first().and_then(|word| word.rsplit('/').next());
    if let (None, Some(other)) = (from, unsupported::NAMES.into_iter().find(|name| Some(*name) == first)) {
        return Err(not_read(other));
    }
    let program = from.or(match first {
        Some("socat") => Some(Program::Socat),
        Some("ssh" | "autossh") => Some(Program::Ssh),
        _ => None,
    });
    let program = program.ok_or("name the program with --from ssh|socat")?;
    Ok(("command line".to_owned(), import::import_words(program, words)?))
}

fn print(name: &str, imported: &Imported) -> u8 {
    let lines: Vec<String> = imported.notes.iter().map(|note| note.render(name)).collect();
    if !lines.is_empty() {
        complain(&lines.join("\n"));
    }
    let Some(toml) = &imported.toml else {
        complain(&format!("error: {name}: no route could be carried over"));
        return code::CONFIG;
    };
    if !imported.next.is_empty() {
        let steps: Vec<String> = (1..).zip(&imported.next).map(|(n, step)| format!("{n}. {step}")).collect();
        complain(&format!("next:\n{}", steps.join("\n")));
    }
    answer(|out: &mut dyn Write| {
        out.write_all(toml.as_bytes())?;
        Ok(if imported.is_whole() { code::OK } else { INCOMPLETE })
    })
}
