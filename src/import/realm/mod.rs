//! realm's TOML or JSON (its readme and src/conf of version 2.9), and its old JSON format of four lists → routes.

mod endpoint;
mod legacy;
mod network;

use super::draft::{Draft, Toml};
use super::value::{self, Fields};
use endpoint::read_endpoint;
use legacy::legacy;
use network::{Network, network, unknown};

pub(super) use network::accept_all;

/// Imports the file.
///
/// # Errors
/// If it is neither TOML nor JSON.
pub(super) fn read(text: &str, draft: &mut Draft) -> Result<(), String> {
    let root = value::read(text)?;
    let Some(mut top) = Fields::of(root, "the file", draft) else { return Ok(()) };
    let global = match top.node("network").and_then(|node| Fields::of(node, "network", draft)) {
        Some(fields) => network(fields, draft),
        None => Network::default(),
    };
    if let Some(log) = top.node("log").and_then(|node| Fields::of(node, "log", draft)) {
        read_log(log, draft);
    }
    if let Some(dns) = top.node("dns").and_then(|node| Fields::of(node, "dns", draft)) {
        for (_, at) in dns.rest() {
            draft.lost(
                None,
                &at,
                "Loopgate resolves names as this machine does; see /etc/resolv.conf and /etc/hosts",
            );
        }
    }
    for endpoint in top.tables("endpoints", draft) {
        read_endpoint(endpoint, &global, draft);
    }
    legacy(&mut top, draft);
    unknown(top, None, draft);
    Ok(())
}

fn read_log(mut log: Fields, draft: &mut Draft) {
    if let Some(level) = log.text("level", draft) {
        match level.value.as_str() {
            word @ ("error" | "warn" | "info" | "debug") => {
                draft.set_process(&level.at, "log.level", Toml::text(word));
            }
            "trace" => draft.set_process(&level.at, "log.level", Toml::text("debug")),
            "off" => draft.set_process(&level.at, "log.level", Toml::text("error")),
            _ => draft.lost(None, &level.at, "log.level must be error, warn, info or debug"),
        }
    }
    if let Some(output) = log.text("output", draft) {
        draft.idle(&output.at, "Loopgate logs to standard error; let the service manager store the log");
    }
    unknown(log, None, draft);
}
