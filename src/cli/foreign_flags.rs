//! Flags, commands and files of other forwarders, each with what to write instead.

use crate::config::Problems;
use crate::diagnosis::process_text::shell;
use crate::import::Program;
use crate::units::shown;

/// Options of other programs, written where Loopgate takes a route or a command.
const FLAGS: [(&[&str], &str); 17] = [
    (&["-c", "--config", "-f", "--file"], "to use a file: loopgate run -c FILE"),
    (&["-t", "--test", "--check"], "to check a file: loopgate validate -c FILE"),
    (&["-R"], "for ssh -R: loopgate -R [BIND:]PORT:[HOST:]PORT --tunnel HOST#KEY"),
    (&["--to"], "to listen on another machine: loopgate -R PORT:PORT --tunnel HOST#KEY, with Loopgate there"),
    (&["--via"], "Loopgate calls it --tunnel"),
    (&["--peer"], "Loopgate calls it --tunnel NAME=KEY"),
    (
        &["--server", "--hub", "--relay", "--endpoint"],
        "the other end of a tunnel is named by --tunnel HOST#KEY",
    ),
    (
        &["--key", "--public-key", "--token", "--secret", "--fingerprint", "-i"],
        "a key stands in --tunnel, as HOST#KEY or NAME=KEY; this machine's own is made by: loopgate tunnel key",
    ),
    (&["-p", "--publish", "--port"], "write the route without it, as in 127.0.0.1:8080:3000"),
    (&["-D"], "Loopgate is no SOCKS proxy: write a route for each service, such as 8080:db:5432"),
    (
        &["-N", "-g", "-n", "-q"],
        "ssh is not needed: Loopgate forwards from the machine it runs on, as in loopgate 8080:db:5432",
    ),
    (
        &["-b", "-r", "--local", "--remote", "--target"],
        "write both ends in one argument: [bind:]port:[host:]port, such as 8080:3000",
    ),
    (&["-l", "--listen"], "write both ends in one argument: [bind:]port:[host:]port, such as 8080:3000"),
    (
        &["-d", "--daemon", "--background"],
        "Loopgate stays in the foreground: run it under a service manager, such as systemd",
    ),
    (&["--public"], "to print the public key of this machine: loopgate tunnel key --public"),
    (&["-u", "--udp"], "for UDP, end the route with /udp, as in 5353:53/udp; or use explain --udp"),
    (
        &["-v", "--verbose"],
        "every connection is logged already; for more, set level = \"debug\" under [log] in a file",
    ),
];

/// Commands of other programs.
const WORDS: [(&[&str], &str); 12] = [
    (&["check", "test", "lint", "verify"], "validate"),
    (&["start", "serve", "up", "forward"], "run"),
    (&["convert", "migrate"], "import"),
    (&["cert"], "certificate"),
    (&["key", "keys", "keygen", "genkey", "pubkey"], "tunnel key, or certificate for a pair of TLS"),
    (&["invite", "pair"], "tunnel invite"),
    (&["join"], "tunnel join"),
    (&["benchmark", "speedtest", "speed", "perf", "iperf", "iperf3", "measure"], "bench"),
    (&["diagnose", "diag", "why"], "doctor, or explain for one address"),
    (
        &["local", "http", "tcp", "expose"],
        "-R, as in loopgate -R 8080:3000 --tunnel HOST#KEY, with Loopgate on a server of yours",
    ),
    (
        &["server", "listen"],
        "run, as in loopgate run --tunnel-listen 0.0.0.0:4433 --tunnel NAME=KEY --may-listen 0.0.0.0:8080",
    ),
    (&["client", "connect"], "--tunnel, as in loopgate -R 8080:3000 --tunnel HOST#KEY"),
];

/// Commands that are to come, and what does the same until then.
const NOT_YET: [(&[&str], &str); 1] = [(
    &["share"],
    "to show a local service elsewhere: loopgate -R 8080:3000 --tunnel HOST#KEY, or 0.0.0.0:8080:3000",
)];

/// What to do instead of a command that is to come.
pub(super) fn not_yet(word: &str) -> Option<&'static str> {
    find(&NOT_YET, word)
}

/// What to write instead of an unknown option.
pub(super) fn instead_of_flag(flag: &str) -> Option<&'static str> {
    find(&FLAGS, flag)
}

/// Our command for another program's command.
pub(super) fn instead_of_word(word: &str) -> Option<&'static str> {
    find(&WORDS, word)
}

/// If the file is another program's, how to convert it with `loopgate import`; else nothing.
pub(super) fn of_another_program(problems: &Problems) -> String {
    let Some(main) = problems.texts.main() else { return String::new() };
    // A file with a `[routes…]` table is meant for Loopgate, whatever else it contains.
    let is_ours = main.text.lines().any(|line| line.trim_start().starts_with("[routes"));
    let Some(program) = Program::guess(&main.text).filter(|_| !is_ours) else { return String::new() };
    let (name, file) = (program.name(), shell(&[shown(&main.name, 200)]));
    format!("\nThis looks like a file of {name}. To convert it:\n  loopgate import {file} > loopgate.toml\n")
}

/// The error for a command line of socat in place of routes, with the command that imports it.
pub(super) fn command_of_another_program(arguments: &[String]) -> Option<String> {
    let is_socat = |argument: &String| {
        let kind = argument.split(':').next().unwrap_or_default().to_ascii_uppercase();
        ["TCP-LISTEN", "TCP4-LISTEN", "TCP6-LISTEN", "TCP-L", "UDP-LISTEN", "UNIX-LISTEN"]
            .contains(&kind.as_str())
    };
    let socat = arguments.iter().any(is_socat);
    let words: Vec<String> = arguments.iter().map(|argument| shown(argument, 200)).collect();
    socat.then(|| {
        let error = "error: this is a command line of socat\n = help: to convert it:";
        format!("{error} loopgate import -- socat {} > loopgate.toml", shell(&words))
    })
}

fn find(table: &[(&[&str], &'static str)], word: &str) -> Option<&'static str> {
    table.iter().find(|(words, _)| words.contains(&word)).map(|(_, instead)| *instead)
}
