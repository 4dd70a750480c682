//! Every table and key there is, and the right word for a wrong one.
//!
//! It knows names alone: what a key holds is its type's, what it means is the plan's.

use super::problem::{Place, Problem};

/// A kind of table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// The file itself.
    Top,
    /// `[defaults]`
    Defaults,
    /// `[routes.NAME]`
    Route,
    /// `[limits]`
    Limits,
    /// `[log]`
    Log,
    /// `[[routes.NAME.target]]`, one of several targets, mostly written in one line.
    Target,
    /// `[routes.NAME.names]` and `[routes.NAME.alpn]`, whose keys are the user's own words.
    Words,
    /// `[routes.NAME.health]`, `[defaults.health]` and the like: settings that stand in a table of their own.
    Under(Owner, Group),
}

/// Whose table it stands under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// `[defaults]`
    Defaults,
    /// `[routes.NAME]`
    Route,
}

/// Settings of a route that belong together. The word of each stands among the keys of the tables that take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// `health`
    Health,
    /// `tls`: with the clients
    Tls,
    /// `target_tls`
    TlsOrigination,
}

/// A route's own keys first, then its settings, which `[defaults]` takes as well; tables come last of each.
const ROUTE: &[&str] = &[
    "listen",
    "target",
    "names",
    "alpn",
    "not_tls",
    "protocol",
    "connect_timeout",
    "wait_for_target",
    "source",
    "interface",
    "bind",
    "v6only",
    "socket_mode",
    "socket_owner",
    "socket_group",
    "reset_linger",
    "allow",
    "deny",
    "max_connections",
    "max_connections_per_client",
    "connection_rate",
    "connection_rate_per_client",
    "when_full",
    "queue",
    "queue_timeout",
    "client_timeout",
    "keepalive",
    "user_timeout",
    "bandwidth",
    "bandwidth_per_connection",
    "preset",
    "max_flows",
    "flows_full",
    "idle_timeout",
    "answers",
    "max_amplification",
    "balance",
    "accept_proxy",
    "accept_proxy_timeout",
    "send_proxy",
    "hello_timeout",
    "health",
    "tls",
    "target_tls",
];
const DEFAULTS: &[&str] = ROUTE.split_at(5).1;

/// The words of other programs for a key of ours.
const ALIASES: &[(&[&str], &str)] = &[
    (
        &[
            "remote",
            "upstream",
            "backend",
            "server",
            "to",
            "forward",
            "dest",
            "destination",
            "default",
            "default_backend",
            "proxy_pass",
            "connect",
            "endpoint",
        ],
        "target",
    ),
    (&["local", "from", "address", "listen_addr", "port", "accept", "bind_addr"], "listen"),
    (&["host", "server", "addr", "url", "target"], "address"),
    (&["algorithm", "lb_algorithm", "strategy", "policy", "load_balancing"], "balance"),
    (&["inter", "period", "every"], "interval"),
    (&["fails", "max_fails", "failures", "unhealthy_threshold"], "fall"),
    (&["passes", "successes", "healthy_threshold"], "rise"),
    (&["timeout", "dial_timeout", "proxy_connect_timeout"], "connect_timeout"),
    (&["maxconn", "max_connections"], "connections"),
    (&["maxconn", "max_conns", "connections", "connection_limit"], "max_connections"),
    (&["limit_conn", "max_connections_per_ip", "connections_per_ip", "per_ip"], "max_connections_per_client"),
    (&["rate_limit", "ratelimit", "connections_per_second"], "connection_rate"),
    (&["whitelist", "allowlist", "allowed", "allow_from", "sourcerange", "permit"], "allow"),
    (&["blacklist", "blocklist", "denylist", "denied", "deny_from", "block", "reject"], "deny"),
    (&["maxqueue", "queue_length", "backlog"], "queue"),
    (&["timeout_queue", "queue_deadline"], "queue_timeout"),
    (
        &["udp_timeout", "proxy_timeout", "session_timeout", "ttl", "timeout_client", "timeout_server"],
        "idle_timeout",
    ),
    (&["first_byte_timeout", "preread_timeout", "slow_client", "defer_accept"], "client_timeout"),
    (&["tcp_keepalive", "keepalive_secs", "so_keepalive", "tcpka"], "keepalive"),
    (&["tcp_user_timeout", "tcp_timeout", "tcp-ut"], "user_timeout"),
    (&["rate", "rate_limit", "limit_rate", "bwlim", "speed", "throughput"], "bandwidth"),
    (&["proxy_upload_rate", "proxy_download_rate", "rate_per_connection"], "bandwidth_per_connection"),
    (&["max_sessions", "udp_max_connections"], "max_flows"),
    (&["proxy_responses", "responses"], "answers"),
    (&["set_real_ip_from", "expect_proxy", "trusted_proxies"], "accept_proxy"),
    (&["proxy_protocol_timeout"], "accept_proxy_timeout"),
    (&["proxy_protocol", "send_proxy_v2", "send_proxy_protocol"], "send_proxy"),
    (&["ssl", "https", "starttls", "listen_transport"], "tls"),
    (&["proxy_ssl", "target_ssl", "remote_transport"], "target_tls"),
    (&["cert", "crt", "ssl_certificate", "certfile", "chain", "pem"], "certificate"),
    (&["private_key", "ssl_certificate_key", "keyfile"], "key"),
    (&["ca_file", "cafile", "client_ca_file", "ssl_client_certificate", "verify_client"], "client_ca"),
    (&["ca_file", "cafile", "trusted_root", "ssl_trusted_certificate", "roots"], "ca"),
    (&["sni", "server_name", "hostname", "verifyhost", "check_host"], "name"),
    (&["ssl_min_ver", "ssl_protocols", "tls_min", "version"], "min_version"),
    (&["sni", "server_name", "server_names", "hosts", "hostnames", "domains"], "names"),
    (&["protocols", "alpn_protocols"], "alpn"),
    (&["plain", "no_tls", "non_tls", "fallback", "ssh"], "not_tls"),
    (&["inspect_delay", "preread_timeout", "sni_timeout"], "hello_timeout"),
];

impl Owner {
    fn section(self) -> Section {
        match self {
            Owner::Defaults => Section::Defaults,
            Owner::Route => Section::Route,
        }
    }
}

impl Group {
    const ALL: [Group; 3] = [Group::Health, Group::Tls, Group::TlsOrigination];

    /// The key it stands under.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Group::Health => "health",
            Group::Tls => "tls",
            Group::TlsOrigination => "target_tls",
        }
    }

    const fn keys(self) -> &'static [&'static str] {
        match self {
            Group::Health => {
                &["check", "send", "expect", "interval", "timeout", "rise", "fall", "slow_start"]
            }
            Group::Tls => &[
                "certificate",
                "key",
                "client_ca",
                "client_names",
                "alpn",
                "min_version",
                "handshake_timeout",
            ],
            Group::TlsOrigination => {
                &["name", "ca", "verify", "certificate", "key", "alpn", "min_version", "handshake_timeout"]
            }
        }
    }
}

impl Section {
    /// Every table whose keys are leaves, those of a route before the defaults'.
    fn tables() -> impl Iterator<Item = Section> {
        let flat = [Section::Route, Section::Defaults, Section::Limits, Section::Log, Section::Target];
        let of = |owner: Owner| {
            let taken =
                Group::ALL.into_iter().filter(move |group| owner.section().keys().contains(&group.key()));
            taken.map(move |group| Section::Under(owner, group))
        };
        flat.into_iter().chain(of(Owner::Route)).chain(of(Owner::Defaults))
    }

    pub(super) const fn keys(self) -> &'static [&'static str] {
        match self {
            Section::Top => &["defaults", "routes", "limits", "log"],
            Section::Defaults => DEFAULTS,
            Section::Route => ROUTE,
            Section::Limits => &["connections", "flows", "handshakes", "drain_timeout"],
            Section::Log => &["format", "level"],
            Section::Target => &["address", "weight", "backup", "drain"],
            Section::Words => &[],
            Section::Under(_, group) => group.keys(),
        }
    }

    pub(super) fn path(self) -> String {
        match self {
            Section::Top => String::new(),
            Section::Defaults => "defaults".into(),
            Section::Route => "routes.NAME".into(),
            Section::Limits => "limits".into(),
            Section::Log => "log".into(),
            Section::Target => "routes.NAME.target".into(),
            Section::Words => "routes.NAME.names".into(),
            Section::Under(owner, group) => format!("{}.{}", owner.section().path(), group.key()),
        }
    }

    /// The table that stands under one of its keys, or may.
    pub(super) fn under(self, key: &str) -> Option<Section> {
        let owner = match self {
            Section::Defaults => Owner::Defaults,
            Section::Route if matches!(key, "target" | "not_tls") => return Some(Section::Target),
            Section::Route if matches!(key, "names" | "alpn") => return Some(Section::Words),
            Section::Route => Owner::Route,
            _ => return None,
        };
        Group::ALL.into_iter().find(|group| group.key() == key).map(|group| Section::Under(owner, group))
    }

    /// Whether both stand under the defaults, or neither does.
    fn is_akin(self, other: Section) -> bool {
        let of_defaults = |section| matches!(section, Section::Defaults | Section::Under(Owner::Defaults, _));
        of_defaults(self) == of_defaults(other)
    }
}

/// Every key there is by its path, as `routes.NAME.listen`.
pub fn keys() -> Vec<String> {
    let is_table = |key: &str| Group::ALL.iter().any(|group| group.key() == key);
    let of = |section: Section| {
        let leaves = section.keys().iter().filter(move |key| !is_table(key));
        leaves.map(move |key| format!("{}.{key}", section.path()))
    };
    Section::tables().flat_map(of).collect()
}

/// The key of `section` that `wrong` was meant to be, if that can be told.
pub(super) fn meant(section: Section, wrong: &str) -> Option<&'static str> {
    alias(section, wrong).or_else(|| nearest(wrong, section.keys()))
}

/// The key of `section` that another program calls `word`.
fn alias(section: Section, word: &str) -> Option<&'static str> {
    let found = ALIASES.iter().find(|(words, ours)| words.contains(&word) && section.keys().contains(ours));
    found.map(|(_, ours)| *ours)
}

/// The problem of a key that `section` does not have; `path` names the key from the top of the file.
pub(super) fn unknown(section: Section, place: Place, path: String, key: &str) -> Problem {
    let elsewhere = || {
        let mut tables: Vec<_> = Section::tables().filter(|table| table.keys().contains(&key)).collect();
        tables.sort_by_key(|table| !table.is_akin(section));
        tables.first().copied()
    };
    // What another program calls so is meant before what another table of ours has.
    if let (None, Some(table)) = (alias(section, key), elsewhere()) {
        let message = match section {
            Section::Top => "a key cannot stand outside a table".into(),
            _ => format!("this is not a key of [{}]", section.path()),
        };
        return Problem::new(place, path, message).help(format!("it belongs in [{}]", table.path()));
    }
    let word = if section == Section::Top { "table" } else { "key" };
    let help = match (meant(section, key), section) {
        (Some("routes"), Section::Top) => "did you mean [routes.NAME]?".into(),
        (Some(near), Section::Top) => format!("did you mean [{near}]?"),
        (Some(near), _) => format!("did you mean {near}?"),
        (None, Section::Top) => "the tables are [defaults], [routes.NAME], [limits] and [log]".into(),
        (None, _) => format!("the keys here are {}", listed(section.keys(), "and")),
    };
    Problem::new(place, path, format!("unknown {word}")).help(help)
}

/// The word nearest to `wrong`, if one is near enough to be meant.
pub(super) fn nearest<'w>(wrong: &str, words: &[&'w str]) -> Option<&'w str> {
    // Longer texts are never typing slips, and comparing them costs their length squared.
    if wrong.len() > 64 {
        return None;
    }
    // "warning" for "warn", "connect" for "connect_timeout": the beginning says it.
    let wrong = wrong.to_lowercase();
    let begins = |word: &&&'w str| {
        word.len().min(wrong.len()) >= 3 && (wrong.starts_with(**word) || word.starts_with(&wrong))
    };
    if let Some(word) = words.iter().find(begins) {
        return Some(word);
    }
    // Comparing lengths first spares most of the work: the distance is never smaller than their difference.
    let length = wrong.chars().count();
    let slips = |word: &str| word.len().max(3) / 3;
    let near = words.iter().copied().filter(|word| word.len().abs_diff(length) <= slips(word));
    let measured = near.map(|word| (strsim::damerau_levenshtein(&wrong, word), word));
    measured.filter(|(distance, word)| *distance <= slips(word)).min().map(|(_, word)| word)
}

/// `"a, b and c"`
pub(super) fn listed(words: &[&str], and: &str) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} {and} {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        assert_eq!(nearest("listn", ROUTE), Some("listen"));
        assert_eq!(nearest("conect_timout", ROUTE), Some("connect_timeout"));
        assert_eq!(nearest("Target", ROUTE), Some("target"));
        assert_eq!(nearest("connect", ROUTE), Some("connect_timeout"));
        assert_eq!(nearest("targets", ROUTE), Some("target"));
        assert_eq!(nearest("colour", ROUTE), None);
        assert_eq!(nearest(&"listen".repeat(100_000), ROUTE), None);
    }
}
