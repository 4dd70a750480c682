//! `server` and `default-server`: what a proxy dials, and how (configuration.txt, section 5.2).

use super::proxy::duration;
use crate::address::{ListenAddress, Numbered, Run};
use crate::import::draft::{Draft, RouteId, Target, Toml};
use crate::import::note::At;
use crate::import::words::{bracketed, time};

/// Options that take a word.
const WITH_WORD: [&str; 52] = [
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
];

/// One server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    address: String,
    options: Vec<(String, Option<String>)>,
    at: At,
}

impl Server {
    /// A server with its options, those of `default-server` before its own.
    pub(super) fn new(address: &str, words: Vec<String>, at: &At) -> Server {
        let mut options = Vec::new();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let value = if WITH_WORD.contains(&word.as_str()) { words.next() } else { None };
            options.push((word, value));
        }
        Server { address: address.to_owned(), options, at: at.clone() }
    }

    /// Adds it to the targets of a route; `listen` are the route's addresses, whose port it may take over.
    pub(super) fn apply(&self, id: RouteId, listen: &[String], draft: &mut Draft) {
        let address = match self.dialled(listen) {
            Ok(address) => address,
            Err(why) => return draft.lost(Some(id), &self.at, why),
        };
        let mut target = Target { address, at: Some(self.at.clone()), ..Target::default() };
        for (name, value) in &self.options {
            if name == "ssl"
                || matches!(name.as_str(), "verify" | "ca-file" | "crt" | "sni" | "verifyhost" | "alpn")
            {
                continue;
            }
            self.option(id, name, value.as_deref(), &mut target, draft);
        }
        if self.options.iter().any(|(name, _)| name == "ssl") {
            self.tls(id, draft);
        }
        draft.target(id, target);
    }

    /// `10.0.0.1:80`, `db:+1000` (so much above the client's port), `db` (the client's port), `unix@/run/x`.
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
                None => Err("no port stands behind the address"),
            },
        }
    }

    /// What it says of an option; `None` where it does not have it.
    pub(super) fn says(&self, name: &str) -> Option<Option<&str>> {
        self.options.iter().rev().find(|(option, _)| option == name).map(|(_, value)| value.as_deref())
    }

    /// Whether anything stands behind its address.
    pub(super) fn has_options(&self) -> bool {
        !self.options.is_empty()
    }

    /// Its line.
    pub(super) fn at(&self) -> &At {
        &self.at
    }

    fn option(&self, id: RouteId, name: &str, value: Option<&str>, target: &mut Target, draft: &mut Draft) {
        let words = value.map_or(name.to_owned(), |value| format!("{name} {value}"));
        let at = &self.at.with(words);
        let number = value.and_then(|value| value.parse::<u64>().ok());
        let span = value.and_then(duration);
        match (name, number, span) {
            ("weight", Some(0), _) => target.drain = true,
            ("weight", Some(weight), _) => target.weight = Some(weight),
            ("backup", ..) => target.backup = true,
            ("disabled", ..) => {
                target.drain = true;
                draft.differs(at, "the target takes no new connections, as one that is drained");
            }
            ("check", ..) if draft.knows("health.check") => {
                draft.set(id, at, "health.check", Toml::text("connect"))
            }
            ("inter", _, Some(span)) => draft.set(id, at, "health.interval", time(span)),
            ("rise", Some(count), _) => draft.set(id, at, "health.rise", Toml::Number(count)),
            ("fall", Some(count), _) => draft.set(id, at, "health.fall", Toml::Number(count)),
            ("slowstart", _, Some(span)) => draft.set(id, at, "health.slow_start", time(span)),
            ("tcp-ut", _, Some(span)) => draft.set(id, at, "user_timeout", time(span)),
            ("send-proxy", ..) => draft.set(id, at, "send_proxy", Toml::text("v1")),
            ("send-proxy-v2", ..) => draft.set(id, at, "send_proxy", Toml::text("v2")),
            ("send-proxy-v2-ssl" | "send-proxy-v2-ssl-cn", ..) => {
                draft.set(id, at, "send_proxy", Toml::text("v2"));
                draft.differs(at, "the header says nothing of TLS");
            }
            ("source", ..) => source(id, value.unwrap_or_default(), at, draft),
            ("interface", ..) => draft.set(id, at, "interface", Toml::text(value.unwrap_or_default())),
            (
                "no-check" | "no-backup" | "no-ssl" | "no-send-proxy" | "enabled" | "id" | "init-addr"
                | "resolve-prefer" | "stick" | "non-stick" | "max-reuse" | "pool-max-conn" | "proto" | "tfo",
                ..,
            ) => {
                draft.idle(at, "it concerns how HAProxy itself runs");
            }
            ("resolvers" | "resolve-net" | "resolve-opts", ..) => {
                draft.differs(at, "a name is looked up at each dial, as this machine looks names up");
            }
            ("maxconn" | "minconn" | "maxqueue", ..) => {
                draft.lost(
                    Some(id),
                    at,
                    "a route has limits, its single targets have none; write max_connections",
                );
            }
            _ => draft.lost(Some(id), at, "this option has no counterpart"),
        }
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(option, _)| option == name).and_then(|(_, value)| value.as_deref())
    }

    fn tls(&self, id: RouteId, draft: &mut Draft) {
        if !draft.knows("target_tls.name") {
            return draft.leave_out(id, &self.at.with("ssl"), "this version of Loopgate dials without TLS");
        }
        let name = self
            .value("verifyhost")
            .or_else(|| self.value("sni").and_then(|sni| sni.strip_prefix("str(")?.strip_suffix(')')));
        if let Some(sni) = self.value("sni").filter(|_| name.is_none()) {
            draft.lost(
                Some(id),
                &self.at.with(format!("sni {sni}")),
                "the name is one for all; write it in target_tls.name",
            );
        }
        match (name, self.address.rsplit_once(':')) {
            (Some(name), _) => draft.set(id, &self.at.with(name), "target_tls.name", Toml::text(name)),
            (None, Some((host, _))) if host.parse::<std::net::IpAddr>().is_err() && !host.is_empty() => {
                draft.set(id, &self.at.with(host), "target_tls.name", Toml::text(host));
            }
            // The table has to stand there, be it with what is the default anyway.
            _ => draft.set(id, &self.at.with("ssl"), "target_tls.verify", Toml::text("full")),
        }
        for (option, key) in
            [("ca-file", "target_tls.ca"), ("crt", "target_tls.certificate"), ("crt", "target_tls.key")]
        {
            if let Some(file) = self.value(option) {
                draft.set(id, &self.at.with(format!("{option} {file}")), key, Toml::text(file));
            }
        }
        if let Some(alpn) = self.value("alpn") {
            let names = alpn.split(',').map(str::to_owned).collect();
            draft.set(id, &self.at.with(format!("alpn {alpn}")), "target_tls.alpn", Toml::List(names));
        }
        // HAProxy believes whoever answers, unless it is told to look.
        let verify = self.value("verify").unwrap_or("required");
        if verify == "none" {
            draft.set(id, &self.at.with("verify none"), "target_tls.verify", Toml::text("none"));
        }
    }
}

/// `source 10.0.0.1[:port]`
pub(super) fn source(id: RouteId, value: &str, at: &At, draft: &mut Draft) {
    let host = value.parse::<std::net::SocketAddr>().map_or_else(
        |_| value.strip_suffix(":0").unwrap_or(value).trim_matches(['[', ']']).to_owned(),
        |address| address.ip().to_string(),
    );
    match host.as_str() {
        "0.0.0.0" | "::" | "*" | "" => draft.idle(at, "any address is what the kernel chooses from anyway"),
        host => draft.set(id, at, "source", Toml::text(host)),
    }
}

/// The client's port and so much more or less, for the one address that is listened on.
fn shifted(host: &str, by: &str, listen: &[String]) -> Result<String, &'static str> {
    let runs: Vec<Run<ListenAddress>> = listen.iter().filter_map(|address| address.parse().ok()).collect();
    let Some(first) = runs.first().and_then(|run| run.first().port()) else {
        return Err("no port stands behind the address, and the listener has none either");
    };
    let count = runs.iter().map(Run::count).max().unwrap_or(1);
    if runs.iter().any(|run| run.first().port() != Some(first) || run.count() != count) {
        return Err("its port is the client's, and the listeners have several; write one route for each");
    }
    let shift: i64 = by.parse().map_err(|_| "this is no port")?;
    let begin = i64::from(first) + shift;
    let last = begin + i64::try_from(count).unwrap_or(i64::MAX) - 1;
    if begin < 1 || last > 65535 {
        return Err("its port is no port");
    }
    let host = bracketed(host);
    Ok(if count == 1 { format!("{host}:{begin}") } else { format!("{host}:{begin}-{last}") })
}
