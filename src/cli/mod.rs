//! The commands: one file each. Here alone something is printed.

mod arguments;
mod certificate;
mod completions;
mod demo;
mod doctor;
mod explain;
mod explain_code;
mod foreign_flags;
mod help;
mod import;
mod log;
mod man;
mod output;
mod run;
mod schema;
mod signals;
mod suggest_port;
mod validate;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};

use crate::plan::Sources;
use crate::units::quoted;
use arguments::{Cli, Command};
use output::{answer, code, colour, complain, refuse};
pub use validate::validate;

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
