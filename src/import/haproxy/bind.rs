//! `bind`: where a proxy listens, and how (configuration.txt, section 5.1).

use super::proxy::duration;
use crate::import::draft::{Draft, RouteId, Toml};
use crate::import::note::At;
use crate::import::realm::accept_all;
use crate::import::words::{bracketed, time};

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

/// One line of `bind`.
#[derive(Clone, Debug)]
pub(super) struct Bind {
    /// What our `listen` takes, or the word and why there is no such thing.
    pub(super) addresses: Vec<Result<String, (String, &'static str)>>,
    options: Vec<(String, Option<String>)>,
    at: At,
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

    /// Adds its addresses and what its options say to a route.
    pub(super) fn apply(&self, id: RouteId, is_only: bool, draft: &mut Draft) {
        for address in &self.addresses {
            match address {
                Ok(address) => draft.listen(id, address),
                Err((word, why)) => draft.lost(Some(id), &self.at.with(word), why),
            }
        }
        let has = |name: &str| self.options.iter().any(|(option, _)| option == name);
        if !has("ssl") {
            for (name, value) in &self.options {
                self.option(id, name, value.as_deref(), is_only, draft);
            }
            return;
        }
        let is_of_tls = |name: &str| matches!(name, "ssl" | "crt" | "ca-file" | "verify" | "alpn");
        for (name, value) in self.options.iter().filter(|(name, _)| !is_of_tls(name)) {
            self.option(id, name, value.as_deref(), is_only, draft);
        }
        self.tls(id, draft);
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(option, _)| option == name).and_then(|(_, value)| value.as_deref())
    }

    fn tls(&self, id: RouteId, draft: &mut Draft) {
        let Some(certificate) = self.value("crt").filter(|_| draft.knows("tls.certificate")) else {
            let why = "TLS is not ended without a certificate; write [routes.NAME.tls]";
            return draft.leave_out(id, &self.at.with("ssl"), why);
        };
        let at = self.at.with(format!("crt {certificate}"));
        draft.set(id, &at, "tls.certificate", Toml::text(certificate));
        draft.set(id, &at, "tls.key", Toml::text(certificate));
        if self.options.iter().filter(|(name, _)| name == "crt").count() > 1 {
            draft.lost(Some(id), &self.at.with("crt"), "there is one certificate to a route");
        }
        match (self.value("verify"), self.value("ca-file")) {
            (Some("required"), Some(ca)) => {
                draft.set(id, &self.at.with(format!("ca-file {ca}")), "tls.client_ca", Toml::text(ca));
            }
            (Some("required" | "optional"), _) => {
                let at = self.at.with(format!("verify {}", self.value("verify").unwrap_or_default()));
                draft.leave_out(id, &at, "clients are asked for a certificate of tls.client_ca, or for none");
            }
            (_, Some(ca)) => {
                draft.idle(&self.at.with(format!("ca-file {ca}")), "clients are not asked for a certificate")
            }
            (_, None) => {}
        }
        if let Some(alpn) = self.value("alpn") {
            let names = alpn.split(',').map(str::to_owned).collect();
            draft.set(id, &self.at.with(format!("alpn {alpn}")), "tls.alpn", Toml::List(names));
        }
    }

    fn option(&self, id: RouteId, name: &str, value: Option<&str>, is_only: bool, draft: &mut Draft) {
        let words = value.map_or(name.to_owned(), |value| format!("{name} {value}"));
        let at = &self.at.with(words);
        let text = || Toml::text(value.unwrap_or_default());
        match (name, value) {
            ("v4v6", _) => draft.set(id, at, "v6only", Toml::Truth(false)),
            ("v6only", _) => draft.set(id, at, "v6only", Toml::Truth(true)),
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
            (
                "ssl" | "crt-list" | "strict-sni" | "ssl-min-ver" | "ssl-max-ver" | "ciphers"
                | "ciphersuites" | "curves" | "ecdhe",
                _,
            ) => {
                draft.lost(Some(id), at, "TLS 1.2 and 1.3 with safe ciphers are what there is");
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

/// So many connections, and whoever comes when they are taken waits, as HAProxy leaves them in the accept queue.
pub(super) fn queued(id: RouteId, at: &At, count: u64, draft: &mut Draft) {
    draft.set(id, at, "max_connections", Toml::Number(count));
    if draft.knows("when_full") {
        draft.set(id, at, "when_full", Toml::text("queue"));
        draft.differs(
            at,
            "clients beyond it wait in a queue of their own, as long as queue and queue_timeout say",
        );
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
