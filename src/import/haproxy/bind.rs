//! `bind`: where a proxy listens, and how (configuration.txt, section 5.1).

use super::bind_tls;
use super::limits::queued;
use super::proxy::duration;
use crate::import::draft::{Draft, RouteId, Toml};
use crate::import::message::At;
use crate::import::realm::accept_all;
use crate::import::shell::{bracketed, time};

/// Options that take a word.
const WITH_WORD: [&str; 37] = [
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
];

/// Options that change who may connect, or what is said to whom: a route has the same for all its addresses.
const SAME: [&str; 9] =
    ["ssl", "crt", "crt-list", "ca-file", "verify", "alpn", "ssl-min-ver", "accept-proxy", "tcp-ut"];

/// Gives a route its addresses, and what their options say.
pub(super) fn apply(id: RouteId, binds: &[Bind], draft: &mut Draft) {
    for bind in binds {
        for address in &bind.addresses {
            match address {
                Ok(address) => draft.listen(id, address),
                Err((word, why)) => draft.lost(Some(id), &bind.at.with(word), why),
            }
        }
    }
    let Some((first, rest)) = binds.split_first() else { return };
    for name in SAME {
        let of = |bind: &Bind| (bind.has(name), bind.values(name));
        if let Some(other) = rest.iter().find(|other| of(other) != of(first)) {
            let why = "the addresses differ in it, and a route does the same on all of them; write a route for each";
            return draft.leave_out(id, &other.at.with(name), why);
        }
    }
    for bind in binds {
        bind.apply(id, binds.len() == 1 && bind.addresses.len() == 1, draft);
    }
    families(id, binds, draft);
}

/// HAProxy's `:::80` takes IPv4 as well, unless it is told not to or another listener has it.
fn families(id: RouteId, binds: &[Bind], draft: &mut Draft) {
    let mut of_six = binds.iter().filter(|bind| bind.is_every_six());
    let Some(first) = of_six.next() else { return };
    let only = |bind: &Bind| bind.has("v6only");
    for other in of_six.filter(|other| only(other) != only(first)) {
        let why = "v6only holds for all addresses of a route, and the first that is every IPv6 one says it";
        draft.lost(Some(id), &other.at, why);
    }
    let has_four = draft
        .route(id)
        .is_some_and(|route| route.listen.iter().any(|address| address.starts_with("0.0.0.0:")));
    if only(first) || !has_four {
        draft.set(id, &first.at, "v6only", Toml::Truth(only(first)));
    }
}

/// One line of `bind`.
#[derive(Clone, Debug)]
pub(super) struct Bind {
    /// What our `listen` takes, or the word and why there is no such thing.
    pub(super) addresses: Vec<Result<String, (String, &'static str)>>,
    pub(super) options: Vec<(String, Option<String>)>,
    pub(super) at: At,
}

impl Bind {
    /// Reads the words behind `bind`.
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

    /// Whether it has an address that is every IPv6 one.
    fn is_every_six(&self) -> bool {
        self.addresses.iter().flatten().any(|address| address.starts_with("[::]:"))
    }

    fn apply(&self, id: RouteId, is_only: bool, draft: &mut Draft) {
        for (name, value) in &self.options {
            if !(self.has("ssl") && bind_tls::is_of_it(name)) {
                self.option(id, name, value.as_deref(), is_only, draft);
            }
        }
        if self.has("ssl") {
            bind_tls::apply(id, self, draft);
        }
    }

    fn option(&self, id: RouteId, name: &str, value: Option<&str>, is_only: bool, draft: &mut Draft) {
        let words = value.map_or(name.to_owned(), |value| format!("{name} {value}"));
        let at = &self.at.with(words);
        let text = || Toml::text(value.unwrap_or_default());
        match (name, value) {
            ("v4v6" | "v6only", _) if self.is_every_six() => {}
            ("v4v6" | "v6only", _) => draft.idle(at, "it concerns a listener on [::] alone"),
            ("mode", Some(mode)) => draft.set(id, at, "socket_mode", Toml::text(format!("{mode:0>4}"))),
            ("user" | "uid", Some(_)) => draft.set(id, at, "socket_owner", text()),
            ("group" | "gid", Some(_)) => draft.set(id, at, "socket_group", text()),
            ("accept-proxy", _) => accept_all(id, at, draft),
            ("tcp-ut", Some(limit)) => match duration(limit) {
                Some(limit) => draft.set(id, at, "user_timeout", time(limit)),
                None => draft.lost(Some(id), at, "this is no time"),
            },
            ("maxconn", Some(count)) if is_only => match count.parse() {
                Ok(count) => queued(id, at, count, draft),
                Err(_) => draft.lost(Some(id), at, "this is no number"),
            },
            ("maxconn", _) => {
                draft.lost(Some(id), at, "a route has one max_connections over all its addresses")
            }
            ("interface", _) => {
                let why = "a listener is bound to an address, not to an interface; write the interface's address in listen";
                draft.leave_out(id, at, format!("{why}; without it more clients could connect"));
            }
            ("namespace", _) => {
                let why = "a route listens in the network namespace Loopgate runs in; start it there";
                draft.leave_out(id, at, format!("{why}; without it other clients could connect"));
            }
            ("crt" | "ca-file" | "verify" | "alpn" | "strict-sni", _) => {
                draft.idle(at, "without the word ssl HAProxy speaks no TLS");
            }
            (
                "name" | "id" | "nice" | "process" | "thread" | "shards" | "backlog" | "tfo" | "level"
                | "mss" | "guid-prefix" | "severity-output" | "defer-accept" | "expose-fd",
                _,
            ) => draft.idle(at, "it concerns how HAProxy itself runs"),
            (name, _) if name.starts_with("no-") => draft.idle(at, "it switches off what there is not"),
            _ => draft.lost(Some(id), at, "this option has no counterpart"),
        }
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
        _ => return refused("a route listens on an address and a port, or on a Unix socket"),
    }
    let Some((host, port)) = rest.rsplit_once(':') else {
        return refused("no port stands behind the address");
    };
    let every = if family.ends_with('6') { "[::]" } else { "0.0.0.0" };
    Ok(match host {
        "" | "*" => format!("{every}:{port}"),
        host => format!("{}:{port}", bracketed(host)),
    })
}
