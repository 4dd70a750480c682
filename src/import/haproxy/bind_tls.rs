//! `ssl` of a listener: TLS with clients (configuration.txt, section 5.1).

use super::bind::Bind;
use crate::import::draft::{Draft, RouteId, Toml};

/// Whether this file handles an option, if its line has `ssl`.
pub(super) fn is_of_it(name: &str) -> bool {
    matches!(
        name,
        "ssl"
            | "crt"
            | "crt-list"
            | "ca-file"
            | "crl-file"
            | "verify"
            | "alpn"
            | "strict-sni"
            | "ssl-min-ver"
            | "ssl-max-ver"
            | "ciphers"
            | "ciphersuites"
            | "curves"
            | "ecdhe"
            | "sigalgs"
            | "client-sigalgs"
            | "npn"
    ) || name.starts_with("no-tlsv")
        || name.starts_with("force-")
}

/// Converts the TLS options of a line with `ssl`.
pub(super) fn apply(id: RouteId, bind: &Bind, draft: &mut Draft) {
    let certificates = bind.values("crt");
    if certificates.is_empty() || !draft.knows("tls.certificate") {
        let why = "terminating TLS needs a certificate; write [routes.NAME.tls]";
        return draft.leave_out(id, &bind.at.with("ssl"), why);
    }
    let at = bind.at.with(format!("crt {}", certificates.join(" crt ")));
    let value = match &certificates[..] {
        [only] => Toml::text(only),
        several => Toml::List(several.to_vec()),
    };
    draft.set(id, &at, "tls.certificate", value);
    clients(id, bind, draft);
    if let Some(alpn) = bind.value("alpn") {
        let names = alpn.split(',').map(str::to_owned).collect();
        draft.set(id, &bind.at.with(format!("alpn {alpn}")), "tls.alpn", Toml::List(names));
    }
    for (name, value) in &bind.options {
        version(id, bind, name, value.as_deref(), draft);
    }
}

/// Whether clients must present a certificate, and which CA must have signed it.
fn clients(id: RouteId, bind: &Bind, draft: &mut Draft) {
    let ca = bind.value("ca-file");
    let at = |name: &str| bind.at.with(format!("{name} {}", bind.value(name).unwrap_or_default()));
    match (bind.value("verify"), ca) {
        (Some("required"), Some(ca)) => draft.set(id, &at("ca-file"), "tls.client_ca", Toml::text(ca)),
        (Some("required" | "optional"), _) => {
            draft.leave_out(
                id,
                &at("verify"),
                "a client certificate is either required, from tls.client_ca, or not requested",
            );
        }
        (_, Some(_)) => draft.idle(&at("ca-file"), "no client certificate is requested"),
        (_, None) => {}
    }
    if bind.has("crl-file") {
        let why = "revocation lists are not supported; without it more clients could connect";
        draft.leave_out(id, &at("crl-file"), why);
    }
}

fn version(id: RouteId, bind: &Bind, name: &str, value: Option<&str>, draft: &mut Draft) {
    let at = &bind.at.with(value.map_or(name.to_owned(), |value| format!("{name} {value}")));
    match (name, value) {
        ("ssl-min-ver", Some("TLSv1.3")) | ("force-tlsv13" | "no-tlsv12", _) => {
            draft.set(id, at, "tls.min_version", Toml::text("1.3"));
        }
        ("ssl-min-ver" | "no-tlsv10" | "no-tlsv11", _) => {
            draft.idle(at, "Loopgate never uses TLS older than 1.2");
        }
        ("crt-list", _) => draft.lost(Some(id), at, "list its certificates in tls.certificate"),
        ("strict-sni", _) => {
            draft.lost(Some(id), at, "a client that asks for another name gets the first certificate");
        }
        (name, _)
            if is_of_it(name)
                && !matches!(name, "ssl" | "crt" | "ca-file" | "crl-file" | "verify" | "alpn") =>
        {
            draft.lost(Some(id), at, "Loopgate uses TLS 1.2 and 1.3 with safe ciphers");
        }
        _ => {}
    }
}
