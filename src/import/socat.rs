//! Command lines of socat (socat(1) 1.7.4) → routes.

use std::time::Duration;

use super::draft::{Draft, RouteId, Target, Toml};
use super::networks::{network, written};
use super::note::At;
use super::words::{bracketed, first_word, joined_lines, of_command, port, seconds, split, tell_shell, time};

/// Options of socat itself that take a word of their own.
const WITH_WORD: [&str; 9] = ["-b", "-t", "-T", "-lp", "-lf", "-lm", "-L", "-W", "-r"];

/// One of the two addresses: its keyword, what stands behind it, its options.
struct Address {
    keyword: String,
    parts: Vec<String>,
    options: Vec<(String, Option<String>)>,
}

/// What an address is to a forwarder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Listens,
    Dials,
}

/// The kind of an address that can be carried over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tcp,
    Udp,
    Unix,
    Abstract,
    Tls,
}

/// Reads a file of command lines.
pub(super) fn read(text: &str, draft: &mut Draft) {
    for (number, line) in joined_lines(text) {
        let line = line.trim();
        let at = At::new(number, line);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if first_word(line) != Some("socat") {
            draft.lost(None, &at, "this is no command line of socat");
            continue;
        }
        match split(line) {
            Ok(words) => read_words(number, &words, draft),
            Err(why) => draft.lost(None, &at, why),
        }
    }
}

/// Reads one command line, what starts socat included.
pub(super) fn read_words(line: usize, words: &[String], draft: &mut Draft) {
    let begin = words.iter().position(|word| word.rsplit('/').next() == Some("socat")).map_or(0, |at| at + 1);
    let at = At::new(line, words.join(" "));
    let (words, shell) = of_command(&words[begin..]);
    tell_shell(shell, &at, draft);
    let mut words = words.iter();
    let mut addresses = Vec::new();
    let mut own = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            option if option.starts_with('-') && option.len() > 1 && addresses.is_empty() => {
                let value = if WITH_WORD.contains(&option) { words.next().cloned() } else { None };
                own.push((option.to_owned(), value));
            }
            address => addresses.push(Address::read(address)),
        }
    }
    let addresses: [Address; 2] = match addresses.try_into() {
        Ok(two) => two,
        Err(_) => return draft.lost(None, &at, "socat joins two addresses, and these are not two"),
    };
    join(addresses, own, &at, draft);
}

/// A listener and what it is joined with, in either order.
fn join(addresses: [Address; 2], own: Vec<(String, Option<String>)>, at: &At, draft: &mut Draft) {
    let kinds = [addresses[0].kind(), addresses[1].kind()];
    let [first, second] = addresses;
    let ((listener, from), (target, to)) = match kinds {
        [Some((Role::Listens, from)), Some((Role::Dials, to))] => ((first, from), (second, to)),
        [Some((Role::Dials, to)), Some((Role::Listens, from))] => ((second, from), (first, to)),
        [a, b] => {
            let other = if a.is_none() { &first } else { &second };
            let why = match (a, b) {
                (None, _) | (_, None) => {
                    format!("{} is no socket that a route listens on or dials", other.keyword)
                }
                _ => "one address must listen and the other dial".to_owned(),
            };
            return draft.lost(None, at, why);
        }
    };
    if (from == Kind::Udp) != (to == Kind::Udp) {
        return draft.lost(
            None,
            at,
            "a route carries datagrams or connections, and does not turn one into the other",
        );
    }
    let name = match from {
        Kind::Udp => format!("port-{}-udp", listener.first()),
        Kind::Unix | Kind::Abstract => listener.first().rsplit('/').next().unwrap_or("unix").to_owned(),
        Kind::Tcp | Kind::Tls => format!("port-{}", listener.first()),
    };
    let id = draft.open(&name, at.clone());
    if from == Kind::Udp {
        draft.set(id, at, "protocol", Toml::text("udp"));
    }
    listens(id, listener, from, at, draft);
    dials(id, target, to, at, draft);
    for (option, value) in own {
        option_of_socat(id, &option, value.as_deref(), at, draft);
    }
}

fn option_of_socat(id: RouteId, option: &str, value: Option<&str>, at: &At, draft: &mut Draft) {
    let words = value.map_or(option.to_owned(), |value| format!("{option} {value}"));
    let at = at.with(words);
    // -T5 and -T 5 are the same.
    let (name, inside) = match option.get(..2) {
        Some(name @ ("-T" | "-t" | "-b")) if option.len() > 2 => (name, Some(&option[2..])),
        _ => (option, value),
    };
    match (name, inside.and_then(seconds)) {
        ("-T", Some(idle)) => draft.set(id, &at, "idle_timeout", time(idle)),
        ("-T", None) => draft.lost(Some(id), &at, "this is no time in seconds"),
        ("-t", _) => draft.differs(&at, "a half-closed connection stays open until its other half ends"),
        ("-u" | "-U", _) => draft.lost(Some(id), &at, "bytes are carried both ways"),
        ("-v" | "-x" | "-r" | "-R", _) => {
            draft.lost(Some(id), &at, "the bytes themselves are not shown; see tcpdump")
        }
        ("-L" | "-W", _) => draft.idle(&at, "a second start finds the address taken, and says so"),
        (_, _)
            if name.starts_with("-d")
                || name.starts_with("-l")
                || matches!(name, "-b" | "-s" | "-g" | "-4" | "-6" | "-D" | "-h") =>
        {
            draft.idle(&at, "it concerns socat itself");
        }
        _ => draft.lost(Some(id), &at, "this option of socat has no counterpart"),
    }
}

/// Where it listens. Without `bind` socat takes every address; without `fork` one connection alone.
fn listens(id: RouteId, mut listener: Address, kind: Kind, at: &At, draft: &mut Draft) {
    let six = listener.keyword.contains('6')
        || listener.takes(&["pf", "protocol-family"]).is_some_and(|pf| pf.contains('6'));
    let bind = listener.takes(&["bind"]);
    let first = listener.first().to_owned();
    let address = match kind {
        Kind::Unix => unix(&first),
        Kind::Abstract => format!("unix:@{first}"),
        Kind::Tcp | Kind::Udp | Kind::Tls => {
            let protocol = if kind == Kind::Udp { "udp" } else { "tcp" };
            let Some(port) = port(&first, protocol) else {
                return draft.leave_out(
                    id,
                    &at.with(&first),
                    "this machine does not know a port by that name",
                );
            };
            let every = if six { "[::]" } else { "0.0.0.0" };
            format!("{}:{port}", bind.map_or(every.to_owned(), |bind| bracketed(&bind)))
        }
    };
    draft.listen(id, address);
    if six && kind != Kind::Unix {
        let only = listener.takes(&["ipv6only", "ipv6-v6only", "v6only"]);
        // socat(1): the system's default, which is both families.
        draft.set(id, at, "v6only", Toml::Truth(only.is_some_and(|only| only != "0")));
    }
    if !listener.flag("fork") && kind != Kind::Udp {
        draft.differs(at, "without fork socat serves one connection and ends; a route serves all of them");
    }
    if kind == Kind::Tls {
        tls(id, "tls", &mut listener, at, draft);
    }
    for (option, value) in std::mem::take(&mut listener.options) {
        listener_option(id, &option, value.as_deref(), at, draft);
    }
}

fn listener_option(id: RouteId, option: &str, value: Option<&str>, at: &At, draft: &mut Draft) {
    let at = at.with(value.map_or(option.to_owned(), |value| format!("{option}={value}")));
    match (option, value) {
        ("reuseaddr" | "so-reuseaddr" | "unlink-early" | "unlink-close", _) => {
            draft.idle(&at, "a route can always listen again, and what a dead process left over gives way");
        }
        ("reuseport" | "so-reuseport", _) => {
            draft.idle(&at, "every worker has a listener of its own where that pays")
        }
        ("range", Some(range)) => match network(range.trim_matches(['[', ']'])) {
            Some(network) => draft.set(id, &at, "allow", Toml::List(written(&[network]))),
            None => draft.leave_out(id, &at, "this is no network; write allow as 10.0.0.0/8"),
        },
        ("max-children", Some(count)) => match count.parse() {
            Ok(count) => draft.set(id, &at, "max_connections", Toml::Number(count)),
            Err(_) => draft.lost(Some(id), &at, "this is no number"),
        },
        ("mode" | "perm", Some(mode)) => draft.set(id, &at, "socket_mode", Toml::text(format!("{mode:0>4}"))),
        ("user" | "uid" | "owner", Some(user)) => draft.set(id, &at, "socket_owner", Toml::text(user)),
        ("group" | "gid", Some(group)) => draft.set(id, &at, "socket_group", Toml::text(group)),
        ("su" | "setuid" | "setgid" | "su-d" | "substuser" | "chroot" | "chroot-early", _) => {
            draft.lost(
                Some(id),
                &at,
                "the process keeps its user; start it as the user it is to run as, in systemd with User=",
            );
        }
        ("tcpwrap" | "tcpwrapper" | "sourceport" | "sp" | "lowport", _) => {
            draft.leave_out(
                id,
                &at,
                "write the clients it lets through in allow; without it more could connect",
            );
        }
        ("interface" | "so-bindtodevice" | "if", _) => {
            draft.leave_out(id, &at, "a listener is bound to an address, not to an interface; write the interface's address in listen");
        }
        _ => common_option(id, option, value, &at, draft),
    }
}

/// What is dialled.
fn dials(id: RouteId, mut target: Address, kind: Kind, at: &At, draft: &mut Draft) {
    let first = target.first().to_owned();
    let address = match kind {
        Kind::Unix => unix(&first),
        Kind::Abstract => format!("unix:@{first}"),
        Kind::Tcp | Kind::Udp | Kind::Tls => {
            let protocol = if kind == Kind::Udp { "udp" } else { "tcp" };
            let named = target.parts.get(1).cloned().unwrap_or_default();
            let Some(port) = port(&named, protocol) else {
                return draft.leave_out(
                    id,
                    &at.with(named),
                    "this machine does not know a port by that name",
                );
            };
            format!("{}:{port}", bracketed(&first))
        }
    };
    draft.target(id, Target { address, at: Some(at.clone()), ..Target::default() });
    if kind == Kind::Tls {
        tls(id, "target_tls", &mut target, at, draft);
        if !first.contains(':')
            && first.parse::<std::net::IpAddr>().is_err()
            && draft.knows("target_tls.name")
        {
            draft.set(id, at, "target_tls.name", Toml::text(first));
        }
    }
    retries(id, &mut target, at, draft);
    for (option, value) in std::mem::take(&mut target.options) {
        let at = at.with(value.as_ref().map_or(option.clone(), |value| format!("{option}={value}")));
        match (option.as_str(), value.as_deref()) {
            ("bind", Some(bind)) => {
                let host =
                    bind.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
                let host = host.map_or(bind, |(host, _)| host).trim_matches(['[', ']']);
                draft.set(id, &at, "source", Toml::text(host));
            }
            ("sourceport" | "sp" | "lowport", _) => {
                draft.lost(Some(id), &at, "the source port is the kernel's choice")
            }
            ("connect-timeout", Some(limit)) => match seconds(limit).filter(|limit| !limit.is_zero()) {
                Some(limit) => draft.set(id, &at, "connect_timeout", time(limit)),
                None => draft.lost(Some(id), &at, "this is no time in seconds"),
            },
            ("interface" | "so-bindtodevice" | "if", Some(name)) => {
                draft.set(id, &at, "interface", Toml::text(name))
            }
            ("fork", _) => draft.idle(&at, "every client has a connection of its own"),
            (option, value) => common_option(id, option, value, &at, draft),
        }
    }
}

/// `retry=N,interval=S` and `forever` hold the client while the target is away.
fn retries(id: RouteId, target: &mut Address, at: &At, draft: &mut Draft) {
    let every = target
        .takes(&["interval", "intervall"])
        .and_then(|text| seconds(&text))
        .unwrap_or(Duration::from_secs(1));
    let hour = Duration::from_secs(3600);
    if target.flag("forever") {
        draft.set(id, &at.with("forever"), "wait_for_target", time(hour));
        draft.differs(&at.with("forever"), "a client is held for at most an hour");
    } else if let Some(count) = target.takes(&["retry"]).and_then(|count| count.parse::<u32>().ok()) {
        let whole = every.checked_mul(count).unwrap_or(hour).min(hour);
        draft.set(id, &at.with(format!("retry={count}")), "wait_for_target", time(whole));
    }
}

fn tls(id: RouteId, table: &str, address: &mut Address, at: &At, draft: &mut Draft) {
    let key = |name: &str| -> &'static str {
        match (table, name) {
            ("tls", "cert") => "tls.certificate",
            ("tls", "key") => "tls.key",
            ("tls", _) => "tls.client_ca",
            (_, "cert") => "target_tls.certificate",
            (_, "key") => "target_tls.key",
            (_, _) => "target_tls.ca",
        }
    };
    let cert = address.takes(&["cert", "certificate"]);
    let private = address.takes(&["key"]).or_else(|| cert.clone());
    for (name, value) in [("cert", cert), ("key", private)] {
        if let Some(value) = value {
            draft.set(id, &at.with(format!("{name}={value}")), key(name), Toml::text(value));
        }
    }
    let verify = address.takes(&["verify"]).is_none_or(|verify| verify != "0");
    let ca = address.takes(&["cafile", "ca"]);
    match (table, verify, ca) {
        // socat's listener asks clients for a certificate unless it is told not to.
        ("tls", true, None) => draft.leave_out(
            id,
            &at.with("verify"),
            "socat asks clients for a certificate here; write whose in tls.client_ca, or verify=0",
        ),
        (_, true, Some(ca)) => draft.set(id, &at.with(format!("cafile={ca}")), key("ca"), Toml::text(ca)),
        (_, false, _) if table == "target_tls" => {
            draft.set(id, &at.with("verify=0"), "target_tls.verify", Toml::text("none"));
        }
        _ => {}
    }
    if let Some(name) = address.takes(&["commonname", "snihost", "openssl-commonname", "openssl-snihost"])
        && table == "target_tls"
    {
        draft.set(id, &at.with(&name), "target_tls.name", Toml::text(name));
    }
}

/// Options that mean the same on both sides.
fn common_option(id: RouteId, option: &str, value: Option<&str>, at: &At, draft: &mut Draft) {
    match option {
        "nodelay" | "tcp-nodelay" | "keepalive" | "so-keepalive" | "backlog" | "shut-none" | "shut-down"
        | "crnl"
            if option != "crnl" =>
        {
            draft.idle(at, "it is so anyway");
        }
        "keepidle" | "tcp-keepidle" => match value.and_then(seconds) {
            Some(idle) => draft.set(id, at, "keepalive", time(idle)),
            None => draft.lost(Some(id), at, "this is no time in seconds"),
        },
        "linger" | "so-linger" | "rcvbuf" | "so-rcvbuf" | "sndbuf" | "so-sndbuf" | "rcvbuf-late"
        | "sndbuf-late" => {
            draft.idle(
                at,
                "the kernel sizes its buffers itself, and a reset waits for what is not acknowledged",
            );
        }
        "retry" | "interval" | "intervall" | "forever" => {
            draft.lost(Some(id), at, "a listener that fails is told; write bind = \"retry\" to keep trying")
        }
        _ => draft.lost(Some(id), at, "this option of socat has no counterpart"),
    }
}

fn unix(path: &str) -> String {
    format!("unix:{path}")
}

impl Address {
    /// `TCP-LISTEN:8080,fork,bind=127.0.0.1`
    fn read(text: &str) -> Address {
        let mut pieces = pieces(text, ',');
        let head = if pieces.is_empty() { String::new() } else { pieces.remove(0) };
        let mut parts = self::pieces(&head, ':');
        let keyword = if parts.is_empty() { String::new() } else { parts.remove(0) };
        let option = |text: String| match text.split_once('=') {
            Some((name, value)) => (name.to_ascii_lowercase(), Some(value.to_owned())),
            None => (text.to_ascii_lowercase(), None),
        };
        Address {
            keyword: keyword.to_ascii_uppercase(),
            parts,
            options: pieces.into_iter().map(option).collect(),
        }
    }

    fn first(&self) -> &str {
        self.parts.first().map_or("", String::as_str)
    }

    fn kind(&self) -> Option<(Role, Kind)> {
        Some(match self.keyword.as_str() {
            "TCP-LISTEN" | "TCP-L" | "TCP4-LISTEN" | "TCP4-L" | "TCP6-LISTEN" | "TCP6-L" => {
                (Role::Listens, Kind::Tcp)
            }
            "UDP-LISTEN" | "UDP-L" | "UDP4-LISTEN" | "UDP4-L" | "UDP6-LISTEN" | "UDP6-L" | "UDP-RECVFROM"
            | "UDP4-RECVFROM" | "UDP6-RECVFROM" => (Role::Listens, Kind::Udp),
            "UNIX-LISTEN" | "UNIX-L" => (Role::Listens, Kind::Unix),
            "ABSTRACT-LISTEN" => (Role::Listens, Kind::Abstract),
            "OPENSSL-LISTEN" | "SSL-LISTEN" | "SSL-L" => (Role::Listens, Kind::Tls),
            "TCP" | "TCP4" | "TCP6" | "TCP-CONNECT" | "TCP4-CONNECT" | "TCP6-CONNECT" => {
                (Role::Dials, Kind::Tcp)
            }
            "UDP" | "UDP4" | "UDP6" | "UDP-CONNECT" | "UDP4-CONNECT" | "UDP6-CONNECT" | "UDP-SENDTO"
            | "UDP4-SENDTO" | "UDP6-SENDTO" => (Role::Dials, Kind::Udp),
            "UNIX" | "UNIX-CONNECT" | "UNIX-CLIENT" => (Role::Dials, Kind::Unix),
            "ABSTRACT-CONNECT" | "ABSTRACT-CLIENT" | "ABSTRACT" => (Role::Dials, Kind::Abstract),
            "OPENSSL" | "OPENSSL-CONNECT" | "SSL" => (Role::Dials, Kind::Tls),
            _ => return None,
        })
    }

    /// The value of an option by any of its names, which is then gone.
    fn takes(&mut self, names: &[&str]) -> Option<String> {
        let found = self.options.iter().position(|(name, _)| names.contains(&name.as_str()))?;
        Some(self.options.remove(found).1.unwrap_or_default())
    }

    fn flag(&mut self, name: &str) -> bool {
        self.takes(&[name]).is_some_and(|value| value != "0")
    }
}

/// Cuts at a character outside brackets and behind no backslash.
fn pieces(text: &str, at: char) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut depth = 0_usize;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        let last = pieces.len() - 1;
        match c {
            '\\' => pieces[last].extend(characters.next()),
            c if c == at && depth == 0 => pieces.push(String::new()),
            c => {
                depth = match c {
                    '[' | '{' | '(' => depth + 1,
                    ']' | '}' | ')' => depth.saturating_sub(1),
                    _ => depth,
                };
                pieces[last].push(c);
            }
        }
    }
    pieces
}
