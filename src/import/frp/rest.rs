//! Keys that need no reader of their own: for each, what becomes of it.

use crate::import::draft::{Draft, RouteId, Toml};
use crate::import::message::{At, Fate};
use crate::import::value::{Fields, Node, Value};

/// A key by its path within its table, what becomes of it, and why. A table stands for everything in it.
pub(super) type Rule = (&'static str, Fate, &'static str);

pub(super) const KEYS: &str = "a tunnel is always TLS 1.3, and each end knows the key of the other";
const MACHINE: &str = "the key of a machine says which one it is";

/// Keys that the files of both ends have.
pub(super) const OF_BOTH: &[Rule] = &[
    (
        "auth",
        Fate::Differs,
        "each machine has a key of its own in place of a token or a login: loopgate tunnel key makes it",
    ),
    ("webServer", Fate::NotCarried, "there is no page for it"),
    ("udpPacketSize", Fate::NoEffect, "datagrams of every size are carried whole"),
    ("log.to", Fate::NoEffect, "Loopgate logs to standard error; let the service manager store the log"),
    ("log.maxDays", Fate::NoEffect, "Loopgate logs to standard error; let the service manager store the log"),
    ("log.disablePrintColor", Fate::NoEffect, "only a terminal gets colours"),
    ("transport.tcpMux", Fate::NoEffect, "each session has a connection of its own, which is used again"),
    ("transport.tcpMuxKeepaliveInterval", Fate::NoEffect, "a tunnel probes its connections by itself"),
    ("transport.tcpKeepalive", Fate::NoEffect, "a tunnel probes its connections by itself"),
    ("transport.dialServerKeepalive", Fate::NoEffect, "a tunnel probes its connections by itself"),
    ("transport.quic", Fate::NoEffect, "there is nothing of it to set"),
    ("transport.tls", Fate::NoEffect, KEYS),
    ("transport.wireProtocol", Fate::NoEffect, "Loopgate has a protocol of its own"),
];

/// Keys of clients.
pub(super) const OF_CLIENT: &[Rule] = &[
    ("clientID", Fate::NoEffect, MACHINE),
    ("user", Fate::NoEffect, MACHINE),
    ("metadatas", Fate::NoEffect, MACHINE),
    ("natHoleStunServer", Fate::NoEffect, "everything goes by the server"),
    ("loginFailExit", Fate::NoEffect, "the server is dialled again until it answers"),
    ("dnsServer", Fate::NotCarried, "Loopgate resolves names as this machine does; see /etc/resolv.conf"),
    ("includes", Fate::NotCarried, "other files are not read; import each of them"),
    (
        "store",
        Fate::NotCarried,
        "there is no store; routes stand in the file, which is read again when it changes",
    ),
    ("featureGates", Fate::NoEffect, "there are none"),
    ("virtualNet", Fate::NotCarried, "there is no virtual network; write a route for each service"),
    ("transport.dialServerTimeout", Fate::NoEffect, "each address of the server is tried for 2 s"),
    (
        "transport.connectServerLocalIP",
        Fate::NotCarried,
        "a tunnel connects from the address that the routing of this machine says",
    ),
];

/// Keys of servers.
pub(super) const OF_SERVER: &[Rule] = &[
    ("kcpBindPort", Fate::NoEffect, "there is no KCP; a tunnel has one port"),
    ("quicBindPort", Fate::NoEffect, "a tunnel has one port"),
    (
        "vhostHTTPPort",
        Fate::NotCarried,
        "Loopgate reads no HTTP: let a web server here choose by Host, and have each service listen on a loopback port \
         here, as tunnel:NAME/127.0.0.1:8081",
    ),
    (
        "vhostHTTPSPort",
        Fate::NotCarried,
        "write a route that listens there, with \"NAME OF THE SITE\" = \"tunnel:client/SERVICE\" for each in \
         [routes.NAME.names]; the service keeps its certificate",
    ),
    ("vhostHTTPTimeout", Fate::NoEffect, "Loopgate reads no HTTP"),
    ("tcpmuxHTTPConnectPort", Fate::NotCarried, "Loopgate is no HTTP proxy; give each service a port"),
    ("tcpmuxPassthrough", Fate::NoEffect, "Loopgate is no HTTP proxy"),
    ("subDomainHost", Fate::NotCarried, "write the whole name of each site in [routes.NAME.names]"),
    ("custom404Page", Fate::NotCarried, "Loopgate reads no HTTP"),
    ("sshTunnelGateway", Fate::NotCarried, "clients of ssh are not let in; run Loopgate beside the service"),
    (
        "enablePrometheus",
        Fate::NotCarried,
        "there are no metrics; Loopgate writes a record of every connection",
    ),
    ("detailedErrorsToClient", Fate::NoEffect, "the other end is told why, and never who holds a port"),
    ("userConnTimeout", Fate::NoEffect, "connect_timeout of a route says how long a visitor waits"),
    ("natholeAnalysisDataReserveHours", Fate::NoEffect, "everything goes by the server"),
    (
        "httpPlugins",
        Fate::NotCarried,
        "there are no plugins; what a machine may do stands in its [tunnels.NAME]",
    ),
    (
        "transport.maxPoolCount",
        Fate::NoEffect,
        "pool of the tunnel at the other end says how many wait, at most 64",
    ),
];

/// Notes everything that is left of a table whose path is `under`.
pub(super) fn sweep(under: &str, fields: Fields, rules: &[&[Rule]], draft: &mut Draft) {
    sweep_of(None, under, fields, rules, draft);
}

/// As [`sweep`], for a table of a route.
pub(super) fn sweep_of(
    id: Option<RouteId>,
    under: &str,
    fields: Fields,
    rules: &[&[Rule]],
    draft: &mut Draft,
) {
    walk(id, under, fields.entries(), rules, draft);
}

fn walk(
    id: Option<RouteId>,
    under: &str,
    entries: Vec<(String, Node)>,
    rules: &[&[Rule]],
    draft: &mut Draft,
) {
    for (key, node) in entries {
        let path = if under.is_empty() { key } else { format!("{under}.{key}") };
        let at = At::new(node.line, path.as_str());
        let all = || rules.iter().copied().flatten();
        let inside = format!("{path}.");
        match (all().find(|(known, ..)| *known == path), node.value) {
            (Some((_, Fate::NotCarried, why)), _) => draft.lost(id, &at, why),
            (Some((_, Fate::Differs, why)), _) => draft.differs(&at, why),
            (Some((_, Fate::NoEffect, why)), _) => draft.idle(&at, why),
            (None, Value::Table(inner)) if all().any(|(known, ..)| known.starts_with(&inside)) => {
                walk(id, &path, inner, rules, draft);
            }
            (None, _) => draft.lost(id, &at, "frp has no such key in this place"),
        }
    }
}

/// `log.level`
pub(super) fn log(top: &mut Fields, rules: &[&[Rule]], draft: &mut Draft) {
    let Some(mut log) = top.node("log").and_then(|node| Fields::of(node, "log", draft)) else { return };
    if let Some(level) = log.text("level", draft) {
        match level.value.as_str() {
            word @ ("error" | "warn" | "info" | "debug") => {
                draft.set_process(&level.at, "log.level", Toml::text(word));
            }
            "trace" => draft.set_process(&level.at, "log.level", Toml::text("debug")),
            _ => draft.lost(None, &level.at, "log.level must be error, warn, info or debug"),
        }
    }
    sweep("log", log, rules, draft);
}
