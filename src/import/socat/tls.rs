//! `OPENSSL` and `OPENSSL-LISTEN`: TLS on either side.

use super::address::Address;
use crate::import::draft::{Draft, RouteId, Toml};
use crate::import::message::At;

pub(super) fn tls(id: RouteId, table: &str, address: &mut Address, at: &At, draft: &mut Draft) {
    let key = |name: &str| -> &'static str {
        match (table, name) {
            ("tls", "cert") => "tls.certificate",
            ("tls", "key") => "tls.key",
            ("tls", _) => "tls.client_ca",
            (_, "cert") => "target_tls.certificate",
            (_, "key") => "target_tls.key",
            (_, _) => "target_tls.ca",
        }
    };
    let cert = address.takes(&["cert", "certificate"]);
    let private = address.takes(&["key"]).or_else(|| cert.clone());
    for (name, value) in [("cert", cert), ("key", private)] {
        if let Some(value) = value {
            draft.set(id, &at.with(format!("{name}={value}")), key(name), Toml::text(value));
        }
    }
    let verify = address.takes(&["verify"]).is_none_or(|verify| verify != "0");
    let ca = address.takes(&["cafile", "ca"]);
    match (table, verify, ca) {
        // socat's listener requires a client certificate unless `verify=0` is given.
        ("tls", true, None) => draft.leave_out(
            id,
            &at.with("verify"),
            "socat requires a client certificate here; set tls.client_ca to its CA, or write verify=0",
        ),
        (_, true, Some(ca)) => draft.set(id, &at.with(format!("cafile={ca}")), key("ca"), Toml::text(ca)),
        (_, false, _) if table == "target_tls" => {
            draft.set(id, &at.with("verify=0"), "target_tls.verify", Toml::text("none"));
        }
        _ => {}
    }
    if let Some(name) = address.takes(&["commonname", "snihost", "openssl-commonname", "openssl-snihost"])
        && table == "target_tls"
    {
        draft.set(id, &at.with(&name), "target_tls.name", Toml::text(name));
    }
}
