//! `loopgate import`: another forwarder's file or command line as our configuration, with a word about what is not in it.

use std::io::{self, Read, Write};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueHint};

use super::output::{answer, code, complain};
use crate::config;
use crate::import::{self, Imported, Program, unsupported};
use crate::units::quoted;

pub(super) const HELP: &str = "\
Programs: realm (TOML or JSON), rinetd, portunus, haproxy (mode tcp), socat, ssh

The configuration goes to standard output and loads as it is; what is not simply the same goes to
standard error, line by line, and what is not carried stands beside its route as a comment too.

Examples:
  loopgate import /etc/rinetd.conf > loopgate.toml
  loopgate import --from haproxy - < haproxy.cfg
  loopgate import -- ssh -N -L 8080:db:5432 host

Exit codes:
  0  everything is carried over, or has no effect
  1  something is not carried over, or a route is left out
  2  it cannot be read, or no route is in it";

/// Something could not be carried over.
const NOT_WHOLE: u8 = 1;

/// What is read, and as what.
#[derive(Args)]
pub(super) struct ImportArgs {
    /// The file to read; - is standard input
    #[arg(value_name = "FILE", required_unless_present = "command", value_hint = ValueHint::FilePath)]
    file: Option<String>,

    /// The program it is of [default: guessed from the text, and told]
    #[arg(long, value_name = "PROGRAM", value_parser = program(), hide_possible_values = true)]
    from: Option<Named>,

    /// A command line of ssh or socat, in place of a file
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "file")]
    command: Vec<String>,
}

/// A program as it is named on the command line.
#[derive(Clone, Copy, Debug)]
enum Named {
    Read(Program),
    /// One whose files are not read, which is told.
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
    format!("files of {name} are not read\n = help: {instead}")
}

/// Prints the configuration on standard output and what there is to say on standard error. The exit code is 0 where all
/// was carried over, 1 where something was not, 2 where nothing could be read.
pub(super) fn import(args: &ImportArgs) -> u8 {
    let read = match (args.from, &args.file) {
        (Some(Named::Unread(name)), _) => Err(not_read(name)),
        (from, Some(file)) => from_file(file, from.and_then(Named::read)),
        (from, None) => from_words(&args.command, from.and_then(Named::read)),
    };
    match read {
        Ok((name, imported)) => tell(&name, &imported),
        Err(why) => {
            complain(&format!("error: {why}"));
            code::CONFIG
        }
    }
}

fn from_file(file: &str, from: Option<Program>) -> Result<(String, Imported), String> {
    let (name, text) = match file {
        "-" => ("standard input".to_owned(), standard_input()?),
        path => (path.to_owned(), config::read_file(path.as_ref()).map_err(|problem| told(path, &problem))?),
    };
    let program = match from {
        Some(program) => program,
        None => {
            let guess = Program::guess(&text);
            let known = Program::ALL.map(Program::name).join("|");
            let program = guess.ok_or_else(|| match unsupported::guess(&text) {
                Some(other) => format!("{name}: {}", not_read(other)),
                None => format!(
                    "{name} looks like no file of another forwarder\n = help: say which it is with --from {known}"
                ),
            })?;
            complain(&format!("{name}: read as a file of {}", program.name()));
            program
        }
    };
    let imported = import::import(program, &name, &text).map_err(|why| format!("{name}: {why}"))?;
    Ok((name, imported))
}

fn told(path: &str, problem: &config::Problem) -> String {
    let help = problem.help.as_ref().map(|help| format!("\n = help: {help}")).unwrap_or_default();
    format!("{}: {}{help}", quoted(path).trim_matches('"'), problem.message)
}

fn standard_input() -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(config::MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("standard input cannot be read: {error}"))?;
    if bytes.len() as u64 > config::MAX_BYTES {
        return Err("standard input is longer than 1 MiB, and no configuration is".to_owned());
    }
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
    let program = program.ok_or("say which program it is of with --from ssh|socat")?;
    Ok(("command line".to_owned(), import::import_words(program, words)?))
}

fn tell(name: &str, imported: &Imported) -> u8 {
    let lines: Vec<String> = imported.notes.iter().map(|note| note.told(name)).collect();
    if !lines.is_empty() {
        complain(&lines.join("\n"));
    }
    let Some(toml) = &imported.toml else {
        complain(&format!("error: {name}: no route could be carried over"));
        return code::CONFIG;
    };
    answer(|out: &mut dyn Write| {
        out.write_all(toml.as_bytes())?;
        Ok(if imported.is_whole() { code::OK } else { NOT_WHOLE })
    })
}
