//! `[[proxies]]`: a service beside the client → a route that listens on the server.

use super::health;
use super::known::{Client, is_template, strings};
use super::rest::{self, Rule};
use crate::import::draft::{Draft, RouteId, Target, Toml};
use crate::import::link::{CLIENT, service_name};
use crate::import::message::{At, Fate};
use crate::import::shell::bracketed;
use crate::import::value::{Fields, Node};

/// What stands for the server's `subDomainHost`, which the file of a client does not have.
const SUBDOMAIN_HOST: &str = "DOMAIN";

const OTHERS: &[Rule] = &[
    ("multiplexer", Fate::NoEffect, "Loopgate is no HTTP proxy"),
    ("metadatas", Fate::NoEffect, "only plugins of frps read it"),
    ("annotations", Fate::NoEffect, "only the page of frps shows it"),
    (
        "secretKey",
        Fate::Differs,
        "what a machine may dial is written on the server, and its key says which one it is",
    ),
    ("allowUsers", Fate::Differs, "the route on the server says which machine may dial this service"),
    ("natTraversal", Fate::NoEffect, "everything goes by the server"),
    ("loadBalancer.groupKey", Fate::NoEffect, "the route on the server lists the machines"),
    ("transport.useEncryption", Fate::NoEffect, "a tunnel is always encrypted"),
    ("httpUser", Fate::NotCarried, "Loopgate reads no HTTP"),
    ("httpPassword", Fate::NotCarried, "Loopgate reads no HTTP"),
    ("locations", Fate::NotCarried, "Loopgate reads no HTTP"),
    ("hostHeaderRewrite", Fate::NotCarried, "Loopgate reads no HTTP"),
    ("requestHeaders", Fate::NotCarried, "Loopgate reads no HTTP"),
    ("responseHeaders", Fate::NotCarried, "Loopgate reads no HTTP"),
    ("routeByHTTPUser", Fate::NotCarried, "Loopgate reads no HTTP"),
];

pub(super) fn read(mut fields: Fields, client: &Client, draft: &mut Draft) {
    let whole = At::new(fields.line, "[[proxies]]");
    let name = fields.text("name", draft).map(|name| name.value).unwrap_or_default();
    if client.is_off(&name, &mut fields, &whole, draft) {
        return;
    }
    let kind = fields.text("type", draft);
    let (kind, kind_at) = kind.map_or(("tcp".to_owned(), whole.clone()), |kind| (kind.value, kind.at));
    let id = draft.open(&service_name(&name), whole.clone());
    target(id, &mut fields, draft);
    listen(id, &kind, &kind_at, &mut fields, client, draft);
    health::read(id, &mut fields, draft);
    transport(id, &mut fields, draft);
    rest::sweep_of(Some(id), "", fields, &[OTHERS], draft);
}

/// The service: an address, or the Unix socket of a plugin.
fn target(id: RouteId, fields: &mut Fields, draft: &mut Draft) {
    let host = fields.text("localIP", draft);
    let port = fields.number("localPort", draft);
    if let Some(mut plugin) = fields.node("plugin").and_then(|node| Fields::of(node, "plugin", draft)) {
        let kind = plugin.text("type", draft);
        let path = plugin.text("unixPath", draft);
        match (kind, path) {
            (Some(kind), Some(path)) if kind.value == "unix_domain_socket" => {
                let address = format!("unix:{}", path.value);
                draft.target(id, Target { address, at: Some(path.at), ..Target::default() });
            }
            (Some(kind), _) => draft.leave_out(id, &kind.at, instead(&kind.value)),
            (None, _) => draft.leave_out(id, &At::new(plugin.line, "plugin"), "a plugin has a type"),
        }
        return;
    }
    let Some(port) = port else { return };
    let host = host.map(|host| (host.value, host.at)).filter(|(host, _)| !host.is_empty());
    let (host, at) = host.unwrap_or_else(|| ("127.0.0.1".to_owned(), port.at.clone()));
    if is_template(&host) {
        return draft.leave_out(id, &at, "a template is not filled in; write the address of the service");
    }
    let address = format!("{}:{}", bracketed(&host), port.value);
    draft.target(id, Target { address, at: Some(port.at), ..Target::default() });
}

/// What to do in place of a plugin.
fn instead(plugin: &str) -> &'static str {
    match plugin {
        "http_proxy" | "socks5" => {
            "Loopgate is no proxy of this kind; run one, and write its address as target"
        }
        "static_file" => "Loopgate serves no files; run a web server, and write its address as target",
        "https2http" | "https2https" | "http2https" | "http2http" => {
            "Loopgate reads no HTTP; run a web server, and write its address as target"
        }
        "tls2raw" => {
            "have the server end TLS: a route there with [routes.NAME.tls], and tunnel:client/SERVICE as its target"
        }
        "virtual_net" => "there is no virtual network; write a route for each service",
        _ => "there is no such plugin; run the program itself, and write its address as target",
    }
}

/// Where its visitors come in.
fn listen(id: RouteId, kind: &str, at: &At, fields: &mut Fields, client: &Client, draft: &mut Draft) {
    let port = fields.node("remotePort");
    let group = group(fields, draft);
    let mut domains = fields.node("customDomains").map(|node| strings(&node)).unwrap_or_default();
    let subdomain = fields.text("subdomain", draft).filter(|taken| !taken.value.is_empty());
    domains.extend(subdomain.map(|taken| format!("{}.{SUBDOMAIN_HOST}", taken.value)));
    let is_udp = matches!(kind, "udp" | "sudp");
    if is_udp {
        draft.set(id, at, "protocol", Toml::text("udp"));
    }
    let Some(name) = draft.route(id).map(|route| route.name.clone()) else { return };
    let by_name = format!("tunnel:{}", client.tunnel);
    match kind {
        "tcp" | "udp" => at_port(id, at, port.as_ref(), group.as_deref(), client, draft),
        "https" => {
            draft.listen(id, by_name);
            draft.differs(at, "the route on the server chooses by the name that the browser asks for");
            let names: Vec<String> =
                domains.iter().map(|domain| format!("{domain:?} = \"tunnel:{CLIENT}/{name}\"")).collect();
            draft.then_for(id, format!(
                "On the server, add a route that listens on its vhostHTTPSPort, with {} in its names \
                 ({SUBDOMAIN_HOST} is what subDomainHost is there).",
                names.join(", ")
            ));
        }
        "stcp" | "sudp" | "xtcp" => {
            draft.listen(id, by_name);
            if kind == "xtcp" {
                draft.differs(at, "everything goes by the server, none of it directly between the two machines");
            }
            draft.then_for(id, format!(
                "On the server, add [routes.{name}] with listen = \"tunnel:VISITOR\"{} and target = \
                 \"tunnel:{CLIENT}/{name}\", for the tunnel of each machine that may dial it.",
                if is_udp { ", protocol = \"udp\"" } else { "" }
            ));
        }
        "http" => draft.leave_out(
            id,
            at,
            "Loopgate reads no HTTP: let a web server on the server choose by Host, and give this one a port there that only \
             it reaches, as listen = \"tunnel:NAME/127.0.0.1:8081\"",
        ),
        "tcpmux" => draft.leave_out(id, at, "Loopgate is no HTTP proxy; give the service a port of its own there"),
        _ => draft.leave_out(id, at, "frp has no such type"),
    }
}

/// A port of the server, which the machines of a group share there.
fn at_port(
    id: RouteId,
    at: &At,
    port: Option<&Node>,
    group: Option<&str>,
    client: &Client,
    draft: &mut Draft,
) {
    let number = match port.map(|node| node.shown().parse::<u16>()) {
        None => 0,
        Some(Ok(number)) => number,
        Some(Err(_)) => return draft.leave_out(id, at, "remotePort must be a port"),
    };
    let Some(route) = draft.route(id) else { return };
    let name = route.name.clone();
    let is_udp = route.settings.iter().any(|setting| setting.key == "protocol");
    let by_name = format!("tunnel:{}", client.tunnel);
    if let Some(group) = group {
        draft.listen(id, by_name);
        let protocol = if is_udp { ", protocol = \"udp\"" } else { "" };
        return draft.then_for(
            id,
            format!(
                "On the server, add [routes.{name}] with listen = \"0.0.0.0:{number}\"{protocol} and in its target \
                 \"tunnel:NAME/{name}\" for each machine of the group {group}, as \"tunnel:{CLIENT}/{name}\"."
            ),
        );
    }
    draft.listen(id, format!("{by_name}/0.0.0.0:{number}"));
    match number {
        0 => {
            let why = "the server takes a free port of those that may_listen there has, the same each time";
            draft.differs(at, why);
        }
        _ => draft.permit(id, format!("0.0.0.0:{number}{}", if is_udp { "/udp" } else { "" })),
    }
}

/// The group by which several machines share a port.
fn group(fields: &mut Fields, draft: &mut Draft) -> Option<String> {
    let mut balancer = Fields::of(fields.node("loadBalancer")?, "loadBalancer", draft)?;
    let group = balancer.text("group", draft);
    rest::sweep("loadBalancer", balancer, &[OTHERS], draft);
    let group = group.filter(|group| !group.value.is_empty())?;
    draft.differs(
        &group.at,
        "the route on the server has the port, and the machines of the group as its targets",
    );
    Some(group.value)
}

fn transport(id: RouteId, fields: &mut Fields, draft: &mut Draft) {
    let Some(node) = fields.node("transport") else { return };
    let Some(mut inner) = Fields::of(node, "transport", draft) else { return };
    if let Some(limit) = inner.text("bandwidthLimit", draft) {
        match bits(&limit.value) {
            Some(bits) => {
                draft.set(id, &limit.at, "bandwidth", Toml::text(format!("{bits}bit")));
                draft.differs(&limit.at, "it holds for each direction by itself; frp counts both together");
            }
            None => draft.lost(Some(id), &limit.at, "this is a number with KB or MB"),
        }
    }
    if let Some(mode) = inner.text("bandwidthLimitMode", draft) {
        match mode.value.as_str() {
            "client" => draft.idle(&mode.at, "it is this end that limits"),
            _ => draft.differs(&mode.at, "it is this end that limits, and not the server"),
        }
    }
    if let Some(version) = inner.text("proxyProtocolVersion", draft).filter(|taken| !taken.value.is_empty()) {
        draft.set(id, &version.at, "send_proxy", Toml::text(&version.value));
    }
    compression(Some(id), &mut inner, draft);
    rest::sweep_of(Some(id), "transport", inner, &[OTHERS], draft);
}

/// `transport.useCompression`
pub(super) fn compression(id: Option<RouteId>, transport: &mut Fields, draft: &mut Draft) {
    if let Some(compress) = transport.truth("useCompression", draft) {
        match compress.value {
            true => draft.lost(id, &compress.at, "Loopgate does not compress"),
            false => draft.idle(&compress.at, "Loopgate does not compress"),
        }
    }
}

/// Bits per second of `1MB` or `512KB`, which are powers of two in frp.
fn bits(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = match text.strip_suffix("MB") {
        Some(number) => (number, 1024.0 * 1024.0),
        None => (text.strip_suffix("KB")?, 1024.0),
    };
    let bits = number.trim().parse::<f64>().ok()? * unit * 8.0;
    (8.0..1e15).contains(&bits).then_some(bits as u64)
}
