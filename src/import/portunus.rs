//! A standalone Portunus (docs/content/docs/standalone/configuration.mdx of version 3.1) → routes.

use super::draft::{Draft, RouteId, Target, Toml};
use super::message::At;
use super::shell::{bracketed, time};
use super::value::{self, Fields, Taken};
use std::time::Duration;

/// Portunus's defaults.
const MAX_FLOWS: u64 = 1024;
const FLOW_IDLE_SECS: u64 = 60;

/// `[defaults]`
#[derive(Default)]
struct Defaults {
    protocol: Option<Taken<String>>,
    max_flows: Option<Taken<u64>>,
    idle: Option<Taken<u64>>,
}

/// Imports the file.
///
/// # Errors
/// If it is not TOML.
pub(super) fn read(text: &str, draft: &mut Draft) -> Result<(), String> {
    let root = value::read(text)?;
    let Some(mut top) = Fields::of(root, "the file", draft) else { return Ok(()) };
    if let Some(global) = top.node("global").and_then(|node| Fields::of(node, "global", draft)) {
        read_global(global, draft);
    }
    let mut defaults = Defaults::default();
    if let Some(mut fields) = top.node("defaults").and_then(|node| Fields::of(node, "defaults", draft)) {
        defaults = Defaults {
            protocol: fields.text("protocol", draft),
            max_flows: fields.number("udp_max_flows", draft),
            idle: fields.number("udp_flow_idle_secs", draft),
        };
        prefer_ipv6(&mut fields, draft);
        unknown(fields, None, draft);
    }
    for rule in top.tables("rule", draft) {
        read_rule(rule, &defaults, draft);
    }
    for (key, at) in top.rest() {
        match key.as_str() {
            "stats" => draft.lost(
                None,
                &at,
                "there is no statistics socket; Loopgate writes a record of every connection",
            ),
            _ => draft.lost(None, &at, "Portunus has no such table"),
        }
    }
    Ok(())
}

fn read_global(mut fields: Fields, draft: &mut Draft) {
    if let Some(label) = fields.text("label", draft) {
        draft.idle(&label.at, "it is only a label");
    }
    if let Some(level) = fields.text("log_level", draft) {
        match level.value.as_str() {
            word @ ("error" | "warn" | "info" | "debug") => {
                draft.set_process(&level.at, "log.level", Toml::text(word));
            }
            "trace" => draft.set_process(&level.at, "log.level", Toml::text("debug")),
            _ => draft.lost(None, &level.at, "log.level must be error, warn, info or debug"),
        }
    }
    if let Some(format) = fields.text("log_format", draft) {
        match format.value.as_str() {
            "json" => draft.set_process(&format.at, "log.format", Toml::text("json")),
            "pretty" => draft.set_process(&format.at, "log.format", Toml::text("text")),
            _ => draft.lost(None, &format.at, "log.format must be text or json"),
        }
    }
    if let Some(drain) = fields.number("shutdown_drain_secs", draft) {
        draft.set_process(&drain.at, "limits.drain_timeout", time(Duration::from_secs(drain.value)));
    }
    unknown(fields, None, draft);
}

fn read_rule(mut fields: Fields, defaults: &Defaults, draft: &mut Draft) {
    let whole = At::new(fields.line, "[[rule]]");
    let name = fields.text("name", draft).map(|name| name.value).unwrap_or_default();
    let protocol = fields.text("protocol", draft).or_else(|| defaults.protocol.clone());
    let id = draft.open(&name, whole.clone());
    if let Some(ports) = ports(&mut fields, draft) {
        // Portunus listens on both address families, each with its own socket.
        draft.listen(id, format!("0.0.0.0:{ports}"));
        draft.listen(id, format!("[::]:{ports}"));
    }
    let is_udp = protocol.as_ref().is_some_and(|protocol| protocol.value == "udp");
    match protocol {
        Some(protocol) if is_udp => draft.set(id, &protocol.at, "protocol", Toml::text("udp")),
        Some(protocol) if protocol.value != "tcp" => {
            draft.leave_out(id, &protocol.at, "the protocol must be tcp or udp");
        }
        _ => {}
    }
    if let Some(target) = fields.text("target", draft) {
        let address = match target.value.rsplit_once(':') {
            Some((host, ports)) => format!("{}:{ports}", bracketed(host)),
            None => target.value,
        };
        draft.target(id, Target { address, at: Some(target.at), ..Target::default() });
    }
    targets(id, &mut fields, draft);
    prefer_ipv6(&mut fields, draft);
    let flows = fields.number("udp_max_flows", draft).or_else(|| defaults.max_flows.clone());
    let idle = fields.number("udp_flow_idle_secs", draft).or_else(|| defaults.idle.clone());
    if is_udp {
        let (flows_at, flows) = flows.map_or((whole.clone(), MAX_FLOWS), |taken| (taken.at, taken.value));
        let (idle_at, idle) = idle.map_or((whole, FLOW_IDLE_SECS), |taken| (taken.at, taken.value));
        draft.set(id, &flows_at, "max_flows", Toml::Number(flows));
        draft.set(id, &idle_at, "idle_timeout", time(Duration::from_secs(idle)));
    }
    unknown(fields, Some(id), draft);
}

/// `listen_port = 80` or `listen_ports = "80-89"`.
fn ports(fields: &mut Fields, draft: &mut Draft) -> Option<String> {
    let one = fields.number("listen_port", draft).map(|port| port.value.to_string());
    let several = fields.text("listen_ports", draft).map(|ports| ports.value.replace(' ', ""));
    one.or(several)
}

/// `targets = [{ host, port, priority, proxy_protocol }]`: Portunus uses the lowest priority, and the others if it
/// fails.
fn targets(id: RouteId, fields: &mut Fields, draft: &mut Draft) {
    let mut listed = Vec::new();
    let mut proxy: Vec<Option<Taken<String>>> = Vec::new();
    for mut fields in fields.tables("targets", draft) {
        let at = At::new(fields.line, "targets");
        let host = fields.text("host", draft).map(|host| host.value).unwrap_or_default();
        let port = fields.number("port", draft).map_or(0, |port| port.value);
        let priority = fields.number("priority", draft).map_or(0, |priority| priority.value);
        proxy.push(fields.text("proxy_protocol", draft));
        let address = format!("{}:{port}", bracketed(&host));
        listed.push((priority, Target { at: Some(at.with(address.clone())), address, ..Target::default() }));
        unknown(fields, Some(id), draft);
    }
    listed.sort_by_key(|(priority, _)| *priority);
    let first = listed.first().and_then(|(_, target)| target.at.clone());
    if let (Some(at), true) = (first, listed.len() > 1 && draft.knows("balance")) {
        draft.set(id, &at.with("priority"), "balance", Toml::text("first"));
    }
    for (_, target) in listed {
        draft.target(id, target);
    }
    let version = |taken: &Option<Taken<String>>| taken.as_ref().map(|taken| taken.value.clone());
    let same = proxy.iter().all(|other| version(other) == version(&proxy[0]));
    for taken in proxy.into_iter().flatten() {
        match (taken.value.as_str(), same) {
            ("v1" | "v2", true) => draft.set(id, &taken.at, "send_proxy", Toml::text(&taken.value)),
            ("v1" | "v2", false) => {
                draft.lost(
                    Some(id),
                    &taken.at,
                    "a route sends the PROXY header to all of its targets or to none",
                );
            }
            _ => draft.lost(Some(id), &taken.at, "the PROXY header version must be v1 or v2"),
        }
    }
}

fn prefer_ipv6(fields: &mut Fields, draft: &mut Draft) {
    if let Some(prefer) = fields.truth("prefer_ipv6", draft) {
        draft.idle(&prefer.at, "Loopgate tries every address of a name, and remembers which one answered");
    }
}

fn unknown(fields: Fields, id: Option<RouteId>, draft: &mut Draft) {
    for (_, at) in fields.rest() {
        draft.lost(id, &at, "Portunus has no such key in this place");
    }
}
