//! The commands, one file each. No other room prints anything.

mod arguments;
mod bench;
mod certificate;
mod completions;
mod demo;
mod demo_tunnel;
mod doctor;
mod explain;
mod explain_code;
mod explain_tunnel;
mod first_key;
mod foreign_flags;
mod help;
mod import;
mod in_vain;
mod invite;
mod join;
mod log;
mod man;
mod output;
mod own_key;
mod pairing;
mod run;
mod schema;
mod signals;
mod suggest_port;
mod tunnel;
mod validate;

use std::io::Write;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};

use crate::plan::Sources;
pub use crate::sys::blocks::Blocks;
use crate::units::quoted;
use arguments::{Cli, Command};
use output::{answer, code, colour, complain, refuse};
pub use validate::validate;

/// Parses the command line, runs the command, and returns the exit code.
pub fn main() -> u8 {
    signals::unblock();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers (exit 0, standard output); anything else is a usage error (exit 2, standard
            // error). clap chooses the stream.
            let code = error.exit_code().try_into().unwrap_or(code::CONFIG);
            let error = advised(error);
            return match error.print().and_then(|()| std::io::stdout().flush()) {
                Err(unwritten) if !error.use_stderr() => output::unwritten(&unwritten),
                _ => code,
            };
        }
    };
    match cli.command {
        None => {
            let sources = cli.short.forwards.sources(None);
            match refusal_of(&sources) {
                Some(message) => {
                    complain(&message);
                    code::CONFIG
                }
                None => run::run(sources, cli.short.log.log_format),
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
        Some(Command::Bench { args }) => bench::bench(args),
        Some(Command::Demo { listen, tunnel: false, log }) => demo::demo(&listen, log.log_format),
        Some(Command::Demo { listen, tunnel: true, log }) => demo_tunnel::demo(&listen, log.log_format),
        Some(Command::Import { args }) => import::import(&args),
        Some(Command::Certificate { args }) => certificate::certificate(&args),
        Some(Command::Tunnel { command }) => tunnel::tunnel(command),
        Some(Command::Schema) => answer(|out| schema::schema(out)),
        Some(Command::Completions { shell }) => {
            answer(|out| completions::completions(completions::shell(&shell), out))
        }
        Some(Command::Man) => answer(|out| man::manual(out)),
    }
}

/// clap's error for an unknown flag, with a useful tip in place of clap's own: no route begins with a dash, so escaping
/// the flag with `--` never helps.
fn advised(mut error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let flag = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    error.remove(ContextKind::Suggested);
    if let Some(tip) = foreign_flags::instead_of_flag(&flag) {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// The error for words that are no routes.
fn refusal_of(sources: &Sources) -> Option<String> {
    let forwards = &sources.forwards;
    // Behind -R, a word is rather the machine that ssh would log in to: the plan answers that.
    let is_machine = !sources.tunnels.reverse.is_empty() && sources.tunnels.tunnels.is_empty();
    let stray = || stray_word(forwards).filter(|_| !is_machine);
    foreign_flags::command_of_another_program(forwards).or_else(stray)
}

/// The error for a plain word in place of a route: a command that is misspelt or out of place.
fn stray_word(forwards: &[String]) -> Option<String> {
    let is_word = |text: &&String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let word = forwards.iter().find(is_word)?;
    let cli = Cli::command();
    let commands: Vec<&str> = cli.get_subcommands().map(clap::Command::get_name).collect();
    if commands.contains(&word.as_str()) {
        let error = format!("error: the command {word} must come first");
        return Some(format!("{error}\n = help: write loopgate {word} and then the rest"));
    }
    let error = format!("error: {} is neither a command nor a route", quoted(word));
    if let Some(command) = foreign_flags::instead_of_word(word) {
        return Some(format!("{error}\n = help: Loopgate calls it {command}"));
    }
    if let Some(instead) = foreign_flags::not_yet(word) {
        return Some(format!("error: {word} is not in this version\n = help: {instead}"));
    }
    let commands = commands.join(", ");
    Some(format!(
        "{error}\n = help: the commands are {commands}; a route is [bind:]port:[host:]port, such as 8080:3000"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_for(arguments: &[&str]) -> String {
        let all = ["loopgate"].iter().chain(arguments);
        advised(Cli::try_parse_from(all).err().unwrap()).to_string()
    }

    #[test]
    fn both_spellings_of_a_route_add_up_in_every_command() {
        let cli = Cli::try_parse_from(["loopgate", "1:2", "-L", "3:4", "-L", "5:6"]).unwrap();

        assert_eq!(cli.short.forwards.sources(None).forwards, ["1:2", "3:4", "5:6"]);
        for command in ["run", "validate"] {
            assert!(Cli::try_parse_from(["loopgate", command, "1:2", "-L", "3:4"]).is_ok());
        }
    }

    #[test]
    fn an_unknown_flag_gets_no_useless_tip() {
        assert!(!error_for(&["8080:3000", "--frobnicate"]).contains("tip"));
    }

    #[test]
    fn a_flag_or_command_of_another_forwarder_gets_a_tip_with_ours() {
        assert!(error_for(&["-c", "loopgate.toml"]).contains("tip: to use a file: loopgate run -c FILE"));
        assert!(error_for(&["-t"]).contains("tip: to check a file: loopgate validate -c FILE"));
        assert!(error_for(&["-D", "1080"]).contains("tip: Loopgate is no SOCKS proxy"));
        assert!(stray_word(&["speedtest".into()]).unwrap().ends_with("Loopgate calls it bench"));
        assert!(error_for(&["local", "3000", "--to", "vps"]).contains("-R PORT:PORT --tunnel HOST#KEY"));
        assert!(error_for(&["-R", "1:2", "--via", "vps"]).contains("tip: Loopgate calls it --tunnel"));
        assert!(error_for(&["--peer", "home=KEY"]).contains("tip: Loopgate calls it --tunnel NAME=KEY"));
        assert!(
            stray_word(&["http".into(), "3000".into()]).unwrap().contains("loopgate -R 8080:3000 --tunnel")
        );
        assert!(stray_word(&["join".into()]).unwrap().ends_with("Loopgate calls it tunnel join"));
        assert!(stray_word(&["share".into()]).unwrap().starts_with("error: share is not in this version"));
        assert!(stray_word(&["check".into()]).unwrap().ends_with("Loopgate calls it validate"));
    }

    #[test]
    fn a_plain_word_is_read_as_a_command() {
        let word = |text: &str| stray_word(&["1:2".into(), text.into()]);

        assert!(word("proxy").unwrap().contains("the commands are run, validate"));
        assert!(word("run").unwrap().starts_with("error: the command run must come first"));
        assert_eq!((word("8080"), word("db:1")), (None, None));
    }
}
