//! `ssl` of a server: how it is dialled with TLS (configuration.txt, section 5.2).

use super::server::Server;
use crate::import::draft::{Draft, RouteId, Toml};

/// Whether an option is told here.
pub(super) fn is_of_it(name: &str) -> bool {
    matches!(
        name,
        "ssl" | "verify" | "ca-file" | "crt" | "sni" | "verifyhost" | "alpn" | "ssl-min-ver" | "force-tlsv13"
    )
}

/// What a server with `ssl` says of it.
pub(super) fn apply(id: RouteId, server: &Server, draft: &mut Draft) {
    if !draft.knows("target_tls.name") {
        return draft.leave_out(id, &server.at().with("ssl"), "this version of Loopgate dials without TLS");
    }
    name(id, server, draft);
    for (option, key) in
        [("ca-file", "target_tls.ca"), ("crt", "target_tls.certificate"), ("crt", "target_tls.key")]
    {
        match server.says(option) {
            Some((Some("@system-ca"), at)) => draft.idle(at, "whom the system trusts is asked anyway"),
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
        Some((_, at)) => draft.idle(at, "nothing older than TLS 1.2 is spoken anyway"),
        None => {}
    }
}

/// The name that is asked for and looked at.
fn name(id: RouteId, server: &Server, draft: &mut Draft) {
    let fixed = server.value("sni").and_then(|sni| sni.strip_prefix("str(")?.strip_suffix(')'));
    let is_named = server.value("verifyhost").or(fixed);
    if let (None, Some((_, at))) = (is_named, server.says("sni")) {
        draft.lost(Some(id), at, "the name is one for all; write it in target_tls.name");
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
    // The table has to stand there, be it with what is the default anyway.
    draft.set(id, &ssl, "target_tls.verify", Toml::text("full"));
    if is_named.is_none() {
        draft.differs(&ssl, "the certificate must have the name or address that is dialled as well; HAProxy looks at who signed it");
    }
}
