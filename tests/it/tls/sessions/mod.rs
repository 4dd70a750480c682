//! TLS with clients and with targets: what arrives, how it ends, and what is reported when it fails.

mod bytes;
mod clients;
mod closes;
mod targets;

use loopgate::outcome::{End, Phase};

use crate::harness::tls::Authority;
use crate::harness::{Proxy, Target};

fn authority() -> Authority {
    let authority = Authority::new();
    authority.issue("web", &["localhost", "127.0.0.1"]);
    authority
}

/// A proxy that speaks TLS with clients, with more keys of `[routes.test.tls]`.
fn terminating(authority: &Authority, target: &Target, more: &str) -> Proxy {
    let tls = authority.tls("web");
    Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', tls = {{{tls}{more}}}}}",
        target.address
    ))
}

/// A proxy that speaks TLS with the target alone.
fn originating(target: &Target, target_tls: &str) -> Proxy {
    Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', target_tls = {{{target_tls}}}}}",
        target.address
    ))
}

fn ca(authority: &Authority) -> String {
    format!("ca = '{}'", authority.file("ca.pem").display())
}

fn hint(proxy: &Proxy) -> (End, Phase, String) {
    let outcome = proxy.record().outcome;
    (outcome.end, outcome.phase, outcome.hint.as_deref().unwrap_or_default().to_owned())
}
