//! What people write who come from another forwarder, and what to write here.

/// Options of other programs that stand before a command, or where a command would.
const FLAGS: [(&[&str], &str); 8] = [
    (&["-c", "--config", "-f", "--file"], "a file is named with -c: loopgate run -c FILE"),
    (&["-t", "--test", "--check"], "a file is checked with: loopgate validate -c FILE"),
    (&["-R"], "the other end of ssh -R runs there: loopgate PORT:HOST:PORT on the machine that is to listen"),
    (&["-D"], "no SOCKS is spoken: each service has a route, as 8080:db:5432"),
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

fn find(habits: &[(&[&str], &'static str)], word: &str) -> Option<&'static str> {
    habits.iter().find(|(words, _)| words.contains(&word)).map(|(_, instead)| *instead)
}
