//! The commands: one file each. Here alone something is printed.

mod demo;
mod log;
mod run;
mod signals;
mod validate;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Problems;
use crate::ledger::LogFormat;
use crate::plan::{self, Sources};
pub use validate::validate;

/// Forwards local ports to services on this machine, and says why when it cannot.
#[derive(Parser)]
#[command(name = "loopgate", version, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  loopgate 8080:3000               listen on 127.0.0.1:8080, forward to 127.0.0.1:3000
  loopgate 0.0.0.0:8080:db:5432    listen on every IPv4 address, forward to db:5432
  loopgate run -c loopgate.toml    run the routes of a file; edit it and they change
  loopgate demo                    see it work, nothing else needed")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    short: Short,
}

/// `loopgate 8080:3000`: short for `run -L 8080:3000`.
#[derive(Args)]
struct Short {
    /// A route, as ssh -L writes it; several may be given
    #[arg(value_name = "[BIND:]PORT:[HOST:]PORT")]
    forwards: Vec<String>,

    #[command(flatten)]
    log: LogArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Run the routes of a file, of the command line, or of both
    Run {
        #[command(flatten)]
        routes: RouteArgs,
        #[command(flatten)]
        log: LogArgs,
    },
    /// Tell every problem of a configuration at once; start nothing
    Validate {
        #[command(flatten)]
        routes: RouteArgs,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Run a small built-in web page behind 127.0.0.1:62893
    Demo {
        #[command(flatten)]
        log: LogArgs,
    },
}

#[derive(Args)]
struct RouteArgs {
    /// The configuration file [default: $LOOPGATE_CONFIG, ./loopgate.toml,
    /// $XDG_CONFIG_HOME/loopgate/loopgate.toml, /etc/loopgate/loopgate.toml, in that order]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// A route, as ssh -L writes it; may be repeated, and adds to the file's routes
    #[arg(short = 'L', value_name = "[BIND:]PORT:[HOST:]PORT")]
    forwards: Vec<String>,
}

#[derive(Args)]
struct LogArgs {
    /// The form of records and lines [default: text, or what the file says]
    #[arg(long, value_name = "text|json", value_parser = log_format)]
    log_format: Option<LogFormat>,
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("write text or json".into()),
    }
}

impl RouteArgs {
    /// Which file is read: the one named; without one and without routes on the command line, the one found.
    fn sources(self) -> Result<Sources, Problems> {
        let file = match self.config {
            None if self.forwards.is_empty() => Some(plan::default_file()?),
            named => named,
        };
        Ok(Sources { file, forwards: self.forwards })
    }
}

/// Exit codes of `run` that no diagnosis gives.
mod code {
    pub(super) const OK: u8 = 0;
    pub(super) const INTERNAL: u8 = 1;
    pub(super) const CONFIG: u8 = 2;
}

/// Reads the command line, does what it says, and gives the exit code.
pub fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => {
            // Help and version are answers (0), anything else is a wrong use (2); clap knows which goes where.
            let code = told.exit_code().try_into().unwrap_or(code::CONFIG);
            let _ = told.print();
            return code;
        }
    };
    match cli.command {
        None => run::run(Sources { file: None, forwards: cli.short.forwards }, cli.short.log.log_format),
        Some(Command::Run { routes, log }) => match routes.sources() {
            Ok(sources) => run::run(sources, log.log_format),
            Err(problems) => refuse(&problems),
        },
        Some(Command::Validate { routes, json }) => match routes.sources() {
            Ok(sources) => answer(|out| validate(&sources, json, colour(&std::io::stdout()), out)),
            Err(problems) => refuse(&problems),
        },
        Some(Command::Demo { log }) => demo::demo(log.log_format),
    }
}

/// Prints an answer; where nobody reads it any more, as with `| head`, the code stays what it was.
fn answer(write: impl FnOnce(&mut dyn Write) -> std::io::Result<u8>) -> u8 {
    write(&mut std::io::stdout().lock()).unwrap_or(code::INTERNAL)
}

fn refuse(problems: &Problems) -> u8 {
    complain(&problems.render(colour(&std::io::stderr())));
    code::CONFIG
}

/// Says why a command did not do what it was asked to.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end());
}

/// Colour only on a terminal, and not where it is refused (no-color.org).
fn colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
