//! What people write who come from another forwarder, and what to write here.

use crate::config::Problems;
use crate::diagnosis::shell;
use crate::import::Program;
use crate::probe::printable;

/// Options of other programs that stand before a command, or where a command would.
const FLAGS: [(&[&str], &str); 10] = [
    (&["-c", "--config", "-f", "--file"], "a file is named with -c: loopgate run -c FILE"),
    (&["-t", "--test", "--check"], "a file is checked with: loopgate validate -c FILE"),
    (&["-R"], "the other end of ssh -R runs there: loopgate PORT:HOST:PORT on the machine that is to listen"),
    (&["-D"], "no SOCKS is spoken: each service has a route, as 8080:db:5432"),
    (
        &["-N", "-g", "-n", "-q"],
        "ssh is not needed: Loopgate forwards from where it runs, as loopgate 8080:db:5432",
    ),
    (
        &["-b", "-r", "--local", "--remote", "--target"],
        "both ends stand in one word: [bind:]port:[host:]port, as 8080:3000",
    ),
    (&["-l", "--listen"], "both ends stand in one word: [bind:]port:[host:]port, as 8080:3000"),
    (&["-d", "--daemon", "--background"], "it stays in the foreground: let a service manager keep it"),
    (&["-u", "--udp"], "datagrams: a route with /udp behind it, as 5353:53/udp, or explain --udp"),
    (
        &["-v", "--verbose"],
        "each connection is told as it is; more with level = \"debug\" under [log] in a file",
    ),
];

/// Commands of other programs.
const WORDS: [(&[&str], &str); 5] = [
    (&["check", "test", "lint", "verify"], "validate"),
    (&["start", "serve", "up", "forward"], "run"),
    (&["convert", "migrate"], "import"),
    (&["cert", "keygen"], "certificate"),
    (&["diagnose", "diag", "why"], "doctor, or explain for one address"),
];

/// What to write instead of an option that is not known.
pub(super) fn instead_of_flag(flag: &str) -> Option<&'static str> {
    find(&FLAGS, flag)
}

/// The command that does what this word does elsewhere.
pub(super) fn instead_of_word(word: &str) -> Option<&'static str> {
    find(&WORDS, word)
}

/// What to say where the file is another program's: that it can be had as a configuration.
pub(super) fn of_another_program(problems: &Problems) -> String {
    let Some(main) = problems.texts.main() else { return String::new() };
    // With routes of ours in it, it is ours.
    let is_ours = main.text.lines().any(|line| line.trim_start().starts_with("[routes"));
    let Some(program) = Program::guess(&main.text).filter(|_| !is_ours) else { return String::new() };
    let (name, file) = (program.name(), shell(&[printable(&main.name, 200)]));
    format!(
        "\nThis looks like a file of {name}. To make a configuration of it:\n  loopgate import {file} > loopgate.toml\n"
    )
}

/// What to say about a command line of socat where routes should stand.
pub(super) fn command_of_another_program(arguments: &[String]) -> Option<String> {
    let is_socat = |argument: &String| {
        let kind = argument.split(':').next().unwrap_or_default().to_ascii_uppercase();
        ["TCP-LISTEN", "TCP4-LISTEN", "TCP6-LISTEN", "TCP-L", "UDP-LISTEN", "UNIX-LISTEN"]
            .contains(&kind.as_str())
    };
    let socat = arguments.iter().any(is_socat);
    let words: Vec<String> = arguments.iter().map(|argument| printable(argument, 200)).collect();
    socat.then(|| {
        let told = "error: this is a command line of socat\n = help: a configuration of it:";
        format!("{told} loopgate import -- socat {} > loopgate.toml", shell(&words))
    })
}

fn find(habits: &[(&[&str], &'static str)], word: &str) -> Option<&'static str> {
    habits.iter().find(|(words, _)| words.contains(&word)).map(|(_, instead)| *instead)
}
