//! The commands: one file each. Here alone something is printed.

mod certificate;
mod completions;
mod demo;
mod doctor;
mod explain;
mod explain_code;
mod foreign_flags;
mod import;
mod log;
mod man;
mod run;
mod schema;
mod signals;
mod suggest_port;
mod validate;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueHint};

use crate::address::{ListenAddress, Run};
use crate::config::Problems;
use crate::ledger::LogFormat;
use crate::plan::{self, Sources};
use crate::units::{Misread, quoted};
pub use validate::validate;

/// Forwards local ports to services on this machine, and says why when it cannot.
#[derive(Parser)]
#[command(name = "loopgate", version, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  loopgate 8080:3000               listen on 127.0.0.1:8080, forward to 127.0.0.1:3000
  loopgate 0.0.0.0:8080:db:5432    listen on every IPv4 address, forward to db:5432
  loopgate run -c loopgate.toml    run the routes of a file; edit it and they change
  loopgate explain 127.0.0.1:3000  why it does not answer, or how well it does
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
    #[command(flatten)]
    forwards: ForwardArgs,

    #[command(flatten)]
    log: LogArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Run the routes of a file, of the command line, or of both
    #[command(after_help = man::run_help())]
    Run {
        #[command(flatten)]
        routes: RouteArgs,
        #[command(flatten)]
        log: LogArgs,
    },
    /// Tell every problem of a configuration at once; start nothing
    #[command(after_help = man::validate_help())]
    Validate {
        #[command(flatten)]
        routes: RouteArgs,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Why an address cannot be reached or listened on, or what a code means
    #[command(after_help = man::explain_help())]
    Explain {
        #[command(flatten)]
        args: explain::ExplainArgs,
    },
    /// Look at every route and the machine at once; change nothing
    #[command(after_help = man::doctor_help())]
    Doctor {
        #[command(flatten)]
        routes: RouteArgs,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
        /// Let a warning be a fault: exit with 1
        #[arg(long)]
        strict: bool,
    },
    /// See it work: run a small built-in web page behind a route, nothing else needed
    Demo {
        /// Where the route listens
        #[arg(value_name = "[BIND:]PORT", default_value = demo::ADDRESS, value_parser = listen_address)]
        listen: ListenAddress,
        #[command(flatten)]
        log: LogArgs,
    },
    /// Make a configuration of another forwarder's file or command line
    #[command(after_help = import::HELP)]
    Import {
        #[command(flatten)]
        args: import::ImportArgs,
    },
    /// Make a self-signed certificate and its key, to try TLS with
    #[command(after_help = certificate::HELP)]
    Certificate {
        #[command(flatten)]
        args: certificate::CertificateArgs,
    },
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Print the completions of a shell
    #[command(after_help = man::COMPLETIONS_HELP)]
    Completions {
        /// The shell
        #[arg(value_name = "SHELL", value_parser = PossibleValuesParser::new(completions::SHELLS))]
        shell: String,
    },
    /// Print the manual page; read it with: loopgate man | man -l -
    Man,
}

#[derive(Args)]
struct RouteArgs {
    /// The configuration file [default: $LOOPGATE_CONFIG, ./loopgate.toml,
    /// $XDG_CONFIG_HOME/loopgate/loopgate.toml, /etc/loopgate/loopgate.toml, in that order]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,

    #[command(flatten)]
    forwards: ForwardArgs,
}

#[derive(Args)]
struct ForwardArgs {
    /// A route: listen on BIND:PORT (127.0.0.1 without BIND), forward to HOST:PORT (127.0.0.1 without HOST); several
    /// may be given
    #[arg(value_name = "[BIND:]PORT:[HOST:]PORT")]
    forwards: Vec<String>,

    /// The same, as ssh spells it
    #[arg(short = 'L', value_name = "[BIND:]PORT:[HOST:]PORT")]
    also: Vec<String>,
}

#[derive(Args)]
struct LogArgs {
    /// The form of records and lines [default: text, or what the file says]
    #[arg(long, value_name = "text|json", value_parser = log_format(), hide_possible_values = true)]
    log_format: Option<LogFormat>,
}

fn log_format() -> impl TypedValueParser<Value = LogFormat> {
    PossibleValuesParser::new(["text", "json"]).map(|word| match word.as_str() {
        "json" => LogFormat::Json,
        _ => LogFormat::Text,
    })
}

fn listen_address(text: &str) -> Result<ListenAddress, Misread> {
    let run: Run<ListenAddress> = text.parse()?;
    match run.first() {
        ListenAddress::Net(_) if run.count() == 1 => Ok(run.at(0)),
        _ => {
            Err(Misread::new(format!("{run} is not one address with a port"), "write one, as 127.0.0.1:8080"))
        }
    }
}

impl ForwardArgs {
    fn all(self) -> Vec<String> {
        [self.forwards, self.also].concat()
    }
}

impl RouteArgs {
    /// Which file is read: the one named; without one and without routes on the command line, the one found.
    fn sources(self) -> Result<Sources, Problems> {
        let forwards = self.forwards.all();
        let file = match self.config {
            None if forwards.is_empty() => Some(plan::default_file()?),
            named => named,
        };
        Ok(Sources { file, forwards })
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
            let _ = advised(told).print();
            return code;
        }
    };
    match cli.command {
        None => {
            let forwards = cli.short.forwards.all();
            match foreign_flags::command_of_another_program(&forwards).or_else(|| stray_word(&forwards)) {
                Some(told) => {
                    complain(&told);
                    code::CONFIG
                }
                None => run::run(Sources { file: None, forwards }, cli.short.log.log_format),
            }
        }
        Some(Command::Run { routes, log }) => match routes.sources() {
            Ok(sources) => run::run(sources, log.log_format),
            Err(problems) => refuse(&problems),
        },
        Some(Command::Validate { routes, json }) => match routes.sources() {
            Ok(sources) => answer(|out| validate(&sources, json, colour(&std::io::stdout()), out)),
            Err(problems) => refuse(&problems),
        },
        Some(Command::Explain { args }) => explain::explain(&args),
        Some(Command::Doctor { routes, json, strict }) => match routes.sources() {
            Ok(sources) => answer(|out| doctor::doctor(&sources, json, strict, out)),
            Err(problems) => refuse(&problems),
        },
        Some(Command::Demo { listen, log }) => demo::demo(&listen, log.log_format),
        Some(Command::Import { args }) => import::import(&args),
        Some(Command::Certificate { args }) => certificate::certificate(&args),
        Some(Command::Schema) => answer(|out| schema::schema(out)),
        Some(Command::Completions { shell }) => {
            answer(|out| completions::completions(completions::shell(&shell), out))
        }
        Some(Command::Man) => answer(|out| man::manual(out)),
    }
}

/// What clap tells about an unknown flag, with a proposal that helps: none of our routes begins with a dash, so its own,
/// to escape the flag, never does.
fn advised(mut told: clap::Error) -> clap::Error {
    if told.kind() != ErrorKind::UnknownArgument {
        return told;
    }
    let flag = told.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    told.remove(ContextKind::Suggested);
    if let Some(tip) = foreign_flags::instead_of_flag(&flag) {
        told.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    told
}

/// What to say about a word where a route should stand: a command that is misspelt or not in its place.
fn stray_word(forwards: &[String]) -> Option<String> {
    let is_word = |text: &&String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let word = forwards.iter().find(is_word)?;
    let cli = Cli::command();
    let commands: Vec<&str> = cli.get_subcommands().map(clap::Command::get_name).collect();
    if commands.contains(&word.as_str()) {
        let told = format!("error: the command {word} must come first");
        return Some(format!("{told}\n = help: write loopgate {word} and then the rest"));
    }
    let told = format!("error: {} is neither a command nor a route", quoted(word));
    if let Some(command) = foreign_flags::instead_of_word(word) {
        return Some(format!("{told}\n = help: here it is called {command}"));
    }
    let commands = commands.join(", ");
    Some(format!(
        "{told}\n = help: the commands are {commands}; a route is [bind:]port:[host:]port, as 8080:3000"
    ))
}

/// Prints an answer; where nobody reads it any more, as with `| head`, the code stays what it was.
fn answer(write: impl FnOnce(&mut dyn Write) -> std::io::Result<u8>) -> u8 {
    write(&mut std::io::stdout().lock()).unwrap_or(code::INTERNAL)
}

fn refuse(problems: &Problems) -> u8 {
    complain(&format!(
        "{}{}",
        problems.render(colour(&std::io::stderr())),
        foreign_flags::of_another_program(problems)
    ));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn told(arguments: &[&str]) -> String {
        let all = ["loopgate"].iter().chain(arguments);
        advised(Cli::try_parse_from(all).err().unwrap()).to_string()
    }

    #[test]
    fn both_spellings_of_a_route_add_up_in_every_command() {
        let cli = Cli::try_parse_from(["loopgate", "1:2", "-L", "3:4", "-L", "5:6"]).unwrap();

        assert_eq!(cli.short.forwards.all(), ["1:2", "3:4", "5:6"]);
        for command in ["run", "validate"] {
            assert!(Cli::try_parse_from(["loopgate", command, "1:2", "-L", "3:4"]).is_ok());
        }
    }

    #[test]
    fn an_unknown_flag_gets_no_proposal_that_does_not_help() {
        assert!(!told(&["8080:3000", "--frobnicate"]).contains("tip"));
    }

    #[test]
    fn who_writes_what_another_forwarder_takes_is_told_what_to_write() {
        assert!(
            told(&["-c", "loopgate.toml"]).contains("tip: a file is named with -c: loopgate run -c FILE")
        );
        assert!(told(&["-t"]).contains("tip: a file is checked with: loopgate validate -c FILE"));
        assert!(told(&["-D", "1080"]).contains("tip: no SOCKS is spoken"));
        assert!(stray_word(&["check".into()]).unwrap().ends_with("here it is called validate"));
    }

    #[test]
    fn a_word_is_taken_for_a_command() {
        let word = |text: &str| stray_word(&["1:2".into(), text.into()]);

        assert!(word("proxy").unwrap().contains("the commands are run, validate"));
        assert!(word("run").unwrap().starts_with("error: the command run must come first"));
        assert_eq!((word("8080"), word("db:1")), (None, None));
    }
}
