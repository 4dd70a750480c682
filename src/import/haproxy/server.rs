//! Parses `server` and `default-server` (configuration.txt, section 5.2). `target.rs` converts them.

use crate::address::{ListenAddress, Numbered, Run};
use crate::import::message::At;
use crate::import::shell::bracketed;

/// Options that take a value.
const WITH_WORD: [&str; 54] = [
    "weight",
    "maxconn",
    "minconn",
    "maxqueue",
    "inter",
    "fastinter",
    "downinter",
    "rise",
    "fall",
    "port",
    "addr",
    "cookie",
    "id",
    "source",
    "interface",
    "slowstart",
    "track",
    "on-error",
    "on-marked-down",
    "on-marked-up",
    "observe",
    "error-limit",
    "ca-file",
    "crl-file",
    "crt",
    "sni",
    "verify",
    "verifyhost",
    "alpn",
    "npn",
    "ciphers",
    "ciphersuites",
    "ssl-min-ver",
    "ssl-max-ver",
    "check-sni",
    "check-alpn",
    "check-proto",
    "proto",
    "agent-port",
    "agent-inter",
    "agent-addr",
    "agent-send",
    "resolvers",
    "resolve-prefer",
    "resolve-net",
    "resolve-opts",
    "init-addr",
    "tcp-ut",
    "namespace",
    "max-reuse",
    "pool-max-conn",
    "set-proxy-v2-tlv-fmt",
    "usesrc",
    "cc",
];

/// An option, its value, and its place in the file.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) name: String,
    pub(super) value: Option<String>,
    pub(super) at: At,
}

/// One server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    address: String,
    pub(super) choices: Vec<Choice>,
    at: At,
}

impl Server {
    /// A server with its options: those of `default-server`, overridden by its own.
    pub(super) fn new(address: &str, defaults: &[(String, At)], own: &[String], at: &At) -> Server {
        let own = own.iter().map(|word| (word.clone(), at.clone()));
        let mut words = defaults.iter().cloned().chain(own);
        let mut choices: Vec<Choice> = Vec::new();
        while let Some((name, at)) = words.next() {
            let value =
                if WITH_WORD.contains(&name.as_str()) { words.next().map(|(word, _)| word) } else { None };
            let count = choices.len();
            choices.retain(|other| !goes_before(&name, &other.name));
            // A `no-check` that removed a `check` has no further effect.
            if choices.len() == count || !name.starts_with("no-") {
                let at = at.with(value.as_ref().map_or(name.clone(), |value| format!("{name} {value}")));
                choices.push(Choice { name, value, at });
            }
        }
        Server { address: address.to_owned(), choices, at: at.clone() }
    }

    /// Its address: `10.0.0.1:80`, `db:+1000` (the listener's port plus 1000), `db` (the listener's port) or
    /// `unix@/run/x`.
    pub(super) fn dialled(&self, listen: &[String]) -> Result<String, &'static str> {
        let (family, rest) = match self.address.split_once('@') {
            Some((family, rest)) => (family, rest),
            None if self.address.starts_with('/') => ("unix", self.address.as_str()),
            None => ("", self.address.as_str()),
        };
        match family {
            "unix" => return Ok(format!("unix:{rest}")),
            "abns" => return Ok(format!("unix:@{rest}")),
            "" | "ipv4" | "ipv6" | "tcp" | "tcp4" | "tcp6" => {}
            _ => return Err("a target is a host and a port, or a Unix socket"),
        }
        let split = rest
            .rsplit_once(':')
            .filter(|(host, _)| !host.contains(':') || host.ends_with(']') || rest.matches(':').count() == 8);
        match split {
            Some((host, port)) if port.starts_with(['+', '-']) => shifted(host, port, listen),
            Some((host, port)) => Ok(format!("{}:{port}", bracketed(host))),
            None if rest.parse::<std::net::Ipv6Addr>().is_ok() => shifted(rest, "+0", listen),
            None if !rest.contains(':') => shifted(rest, "+0", listen),
            None => match rest.rsplit_once(':') {
                Some((host, port)) => Ok(format!("{}:{port}", bracketed(host))),
                None => Err("the address has no port"),
            },
        }
    }

    /// The value of an option and its place in the file; `None` if the server does not have the option.
    pub(super) fn says(&self, name: &str) -> Option<(Option<&str>, &At)> {
        self.choice(name).map(|choice| (choice.value.as_deref(), &choice.at))
    }

    /// The value of an option.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.choice(name).and_then(|choice| choice.value.as_deref())
    }

    pub(super) fn choice(&self, name: &str) -> Option<&Choice> {
        self.choices.iter().find(|choice| choice.name == name)
    }

    /// Its line.
    pub(super) fn at(&self) -> &At {
        &self.at
    }

    /// The host of its address.
    pub(super) fn host(&self) -> &str {
        let rest = self.address.split_once('@').map_or(self.address.as_str(), |(_, rest)| rest);
        rest.rsplit_once(':').map_or(rest, |(host, _)| host)
    }
}

/// Whether an option replaces an earlier one.
fn goes_before(name: &str, earlier: &str) -> bool {
    let is_header = |name: &str| name.starts_with("send-proxy");
    name == earlier
        || name.strip_prefix("no-") == Some(earlier)
        || (name == "enabled" && earlier == "disabled")
        || (is_header(name) && is_header(earlier))
}

/// The listener's port plus or minus an offset, if there is exactly one listen address.
fn shifted(host: &str, by: &str, listen: &[String]) -> Result<String, &'static str> {
    let runs: Vec<Run<ListenAddress>> = listen.iter().filter_map(|address| address.parse().ok()).collect();
    let Some(first) = runs.first().and_then(|run| run.first().port()) else {
        return Err("neither this address nor the listener has a port");
    };
    let count = runs.iter().map(Run::count).max().unwrap_or(1);
    if runs.iter().any(|run| run.first().port() != Some(first) || run.count() != count) {
        return Err("it uses the listener's port, and there are several listeners; write a route for each");
    }
    let shift: i64 = by.parse().map_err(|_| "this is not a port")?;
    let begin = i64::from(first) + shift;
    let last = begin + i64::try_from(count).unwrap_or(i64::MAX) - 1;
    if begin < 1 || last > 65535 {
        return Err("the resulting port is out of range");
    }
    let host = bracketed(host);
    Ok(if count == 1 { format!("{host}:{begin}") } else { format!("{host}:{begin}-{last}") })
}
