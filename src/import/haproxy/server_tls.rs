//! `ssl` of a server: TLS with targets (configuration.txt, section 5.2).

use super::server::Server;
use crate::import::draft::{Draft, RouteId, Toml};

/// Whether this file handles an option.
pub(super) fn is_of_it(name: &str) -> bool {
    matches!(
        name,
        "ssl" | "verify" | "ca-file" | "crt" | "sni" | "verifyhost" | "alpn" | "ssl-min-ver" | "force-tlsv13"
    )
}

/// Converts the TLS options of a server with `ssl`.
pub(super) fn apply(id: RouteId, server: &Server, draft: &mut Draft) {
    if !draft.knows("target_tls.name") {
        return draft.leave_out(
            id,
            &server.at().with("ssl"),
            "this version of Loopgate connects to targets without TLS",
        );
    }
    name(id, server, draft);
    for (option, key) in
        [("ca-file", "target_tls.ca"), ("crt", "target_tls.certificate"), ("crt", "target_tls.key")]
    {
        match server.says(option) {
            Some((Some("@system-ca"), at)) => draft.idle(at, "the system's CAs are the default"),
            Some((Some(file), at)) => draft.set(id, at, key, Toml::text(file)),
            _ => {}
        }
    }
    if let Some((Some(alpn), at)) = server.says("alpn") {
        let names = alpn.split(',').map(str::to_owned).collect();
        draft.set(id, at, "target_tls.alpn", Toml::List(names));
    }
    if let Some((_, at)) = server.says("force-tlsv13") {
        draft.set(id, at, "target_tls.min_version", Toml::text("1.3"));
    }
    match server.says("ssl-min-ver") {
        Some((Some("TLSv1.3"), at)) => draft.set(id, at, "target_tls.min_version", Toml::text("1.3")),
        Some((_, at)) => draft.idle(at, "Loopgate never uses TLS older than 1.2"),
        None => {}
    }
}

/// Notes the TLS options of a server without `ssl`, to which clients are carried without TLS.
pub(super) fn note_unused(id: RouteId, server: &Server, draft: &mut Draft) {
    let of_checks = server.says("check-ssl").is_some();
    for choice in server.choices.iter().filter(|choice| is_of_it(&choice.name)) {
        match of_checks {
            true => draft.lost(
                Some(id),
                &choice.at,
                "checks use TLS where sessions do: for both write it in target_tls, with ssl; without, checks only connect",
            ),
            false => {
                draft.idle(&choice.at, "without ssl, HAProxy connects without TLS; with TLS it stands in target_tls");
            }
        }
    }
}

/// Sets the name that the route asks for and verifies.
fn name(id: RouteId, server: &Server, draft: &mut Draft) {
    let fixed = server.value("sni").and_then(|sni| sni.strip_prefix("str(")?.strip_suffix(')'));
    let is_named = server.value("verifyhost").or(fixed);
    if let (None, Some((_, at))) = (is_named, server.says("sni")) {
        draft.lost(Some(id), at, "all targets have one name; write it in target_tls.name");
    }
    let ssl = server.at().with("ssl");
    let host = server.host();
    if let Some(name) = is_named {
        draft.set(id, &server.at().with(name), "target_tls.name", Toml::text(name));
    } else if host.parse::<std::net::IpAddr>().is_err() && !host.is_empty() && !host.starts_with(['/', '[']) {
        draft.set(id, &server.at().with(host), "target_tls.name", Toml::text(host));
    }
    if server.value("verify") == Some("none") {
        draft.set(id, &server.at().with("verify none"), "target_tls.verify", Toml::text("none"));
        return;
    }
    // The table switches TLS on, so it must exist, even if it contains only a default.
    draft.set(id, &ssl, "target_tls.verify", Toml::text("full"));
    if is_named.is_none() {
        draft.differs(
            &ssl,
            "the certificate must also match the target's name or address; HAProxy checks only its signature",
        );
    }
}
