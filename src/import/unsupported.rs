//! Programs whose files cannot be imported, with what to write by hand instead.

/// One such program: its name, words that together identify its files or command lines, and what to write instead.
const PROGRAMS: [(&str, &[&str], &str); 4] = [
    (
        "nginx",
        &["proxy_pass", "{", "listen"],
        "write a route for each server of its stream block: listen is listen, proxy_pass is target (the servers of its \
         upstream as a list), proxy_timeout is idle_timeout, and allow and deny are lists",
    ),
    (
        "stunnel",
        &["accept", "connect", "="],
        "write a route for each service: accept is listen, connect is target, cert and key stand in [routes.NAME.tls]; \
         with client = yes its CAfile is ca in [routes.NAME.target_tls]",
    ),
    (
        "systemd-socket-proxyd",
        &["systemd-socket-proxyd"],
        "write ListenStream of its .socket unit as listen, and its argument as target",
    ),
    (
        "docker-proxy",
        &["docker-proxy", "-host-port"],
        "write -host-ip and -host-port as listen, -container-ip and -container-port as target",
    ),
];

/// The names of the programs.
pub const NAMES: [&str; PROGRAMS.len()] = {
    let mut names = [""; PROGRAMS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = PROGRAMS[at].0;
        at += 1;
    }
    names
};

/// The name of the program a text belongs to, judged by its words.
pub fn guess(text: &str) -> Option<&'static str> {
    PROGRAMS.iter().find(|(_, words, _)| words.iter().all(|word| text.contains(word))).map(|(name, ..)| *name)
}

/// What to write instead of importing a file of this program.
pub fn instead(name: &str) -> Option<&'static str> {
    PROGRAMS.iter().find(|(known, ..)| *known == name).map(|(.., instead)| *instead)
}
