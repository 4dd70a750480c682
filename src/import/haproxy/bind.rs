//! Parses `bind`: addresses and options (configuration.txt, section 5.1). `listen.rs` converts them.

use crate::import::message::At;
use crate::import::shell::bracketed;

/// Options that take a value.
const WITH_WORD: [&str; 38] = [
    "name",
    "crt",
    "ca-file",
    "crl-file",
    "verify",
    "alpn",
    "npn",
    "ciphers",
    "ciphersuites",
    "mode",
    "user",
    "uid",
    "group",
    "gid",
    "interface",
    "maxconn",
    "backlog",
    "id",
    "nice",
    "process",
    "thread",
    "shards",
    "tcp-ut",
    "level",
    "severity-output",
    "ssl-min-ver",
    "ssl-max-ver",
    "curves",
    "ecdhe",
    "namespace",
    "mss",
    "proto",
    "crt-list",
    "tls-ticket-keys",
    "ca-ignore-err",
    "crt-ignore-err",
    "guid-prefix",
    "cc",
];

/// One line of `bind`.
#[derive(Clone, Debug)]
pub(super) struct Bind {
    /// Each address in the form of our `listen`, or the word and why it has no counterpart.
    pub(super) addresses: Vec<Result<String, (String, &'static str)>>,
    pub(super) options: Vec<(String, Option<String>)>,
    pub(super) at: At,
}

impl Bind {
    /// Parses the words after `bind`.
    pub(super) fn read(words: &[String], at: &At) -> Bind {
        let addresses = words.first().map_or("", String::as_str).split(',').map(address).collect();
        let mut options = Vec::new();
        let mut rest = words.iter().skip(1);
        while let Some(word) = rest.next() {
            let value = if WITH_WORD.contains(&word.as_str()) { rest.next().cloned() } else { None };
            options.push((word.clone(), value));
        }
        Bind { addresses, options, at: at.clone() }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(option, _)| option == name)
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(option, _)| option == name).and_then(|(_, value)| value.as_deref())
    }

    pub(super) fn values(&self, name: &str) -> Vec<String> {
        self.options
            .iter()
            .filter(|(option, _)| option == name)
            .filter_map(|(_, value)| value.clone())
            .collect()
    }

    /// Whether it listens on every IPv6 address.
    pub(super) fn is_every_six(&self) -> bool {
        self.addresses.iter().flatten().any(|address| address.starts_with("[::]:"))
    }
}

/// One address: `:80`, `*:80-90`, `10.0.0.1:80`, `:::80`, `unix@/run/x`, `/run/x`, `abns@x`, `ipv6@:80`.
fn address(text: &str) -> Result<String, (String, &'static str)> {
    let refused = |why| Err((text.to_owned(), why));
    let (family, rest) = match text.split_once('@') {
        Some((family, rest)) => (family, rest),
        None if text.starts_with('/') => ("unix", text),
        None => ("", text),
    };
    match family {
        "unix" => return Ok(format!("unix:{rest}")),
        "abns" => return Ok(format!("unix:@{rest}")),
        "" | "ipv4" | "ipv6" | "tcp" | "tcp4" | "tcp6" => {}
        _ => return refused("a route listens on an address with a port, or on a Unix socket"),
    }
    let Some((host, port)) = rest.rsplit_once(':') else {
        return refused("the address has no port");
    };
    let every = if family.ends_with('6') { "[::]" } else { "0.0.0.0" };
    Ok(match host {
        "" | "*" => format!("{every}:{port}"),
        host => format!("{}:{port}", bracketed(host)),
    })
}
