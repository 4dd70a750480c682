//! Programs whose files are not read: what to write by hand instead.

/// Such a program: its name, words that only its files or command lines have together, what to write here.
const PROGRAMS: [(&str, &[&str], &str); 5] = [
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
    (
        "frp",
        &["localPort", "remotePort"],
        "there are no reverse tunnels; run Loopgate on the host that is to listen, remotePort is listen",
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

/// The name of the program a text is of, by the words in it.
pub fn guess(text: &str) -> Option<&'static str> {
    PROGRAMS.iter().find(|(_, words, _)| words.iter().all(|word| text.contains(word))).map(|(name, ..)| *name)
}

/// What to write in place of a file of this program.
pub fn instead(name: &str) -> Option<&'static str> {
    PROGRAMS.iter().find(|(known, ..)| *known == name).map(|(.., instead)| *instead)
}
