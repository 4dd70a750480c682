//! `[client]` → the tunnel to its server, and routes that are offered there by name.

use std::time::Duration;

use super::service::{open, rest_of_service, services, token, unknown};
use super::transport;
use crate::import::draft::{Draft, Target};
use crate::import::link::{CLIENT, LinkId, PASTE};
use crate::import::message::At;
use crate::import::shell::time;
use crate::import::value::Fields;

/// How many pings without an answer end a tunnel.
const PINGS: u64 = 3;

/// The range of `ping`, in seconds.
const LEAST_PING: u64 = 1;
const LONGEST_PING: u64 = 60;

pub(super) fn read(mut fields: Fields, draft: &mut Draft) {
    let whole = At::new(fields.line, "[client]");
    let (remote, at) = match fields.text("remote_addr", draft) {
        Some(remote) => (remote.value, remote.at),
        None => (String::new(), whole.with("remote_addr")),
    };
    let (host, port) = remote.rsplit_once(':').unwrap_or((&remote, ""));
    let link = draft.dial_link(host, port, &at);
    token(&mut fields, "default_token", draft);
    heartbeat(link, &mut fields, draft);
    for key in ["retry_interval", "prefer_ipv6"] {
        dialling(key, &mut fields, draft);
    }
    transport::read(Some(link), "client", &mut fields, draft);
    for (name, fields) in services(&mut fields, "client", draft) {
        service(&name, fields, link, draft);
    }
    unknown(fields, None, draft);
    next(link, draft);
}

/// `heartbeat_timeout`, after which a silent server is given up.
fn heartbeat(link: LinkId, fields: &mut Fields, draft: &mut Draft) {
    let Some(timeout) = fields.number("heartbeat_timeout", draft) else { return };
    if timeout.value == 0 {
        let why = "a tunnel whose other end is silent always ends; ping is at most 60s";
        return draft.lost_of_link(link, &timeout.at, why);
    }
    let ping = timeout.value.div_ceil(PINGS).clamp(LEAST_PING, LONGEST_PING);
    draft.set_link(link, &timeout.at, "ping", time(Duration::from_secs(ping)));
    draft.differs(
        &timeout.at,
        format!(
            "ping is {ping}s, and {PINGS} pings without an answer end the tunnel, so after {}s",
            PINGS * ping
        ),
    );
}

/// How the server is dialled.
fn dialling(key: &str, fields: &mut Fields, draft: &mut Draft) {
    let taken = match key {
        "prefer_ipv6" => fields.truth(key, draft).map(|taken| taken.at),
        _ => fields.number(key, draft).map(|taken| taken.at),
    };
    let Some(at) = taken else { return };
    match key {
        "prefer_ipv6" => draft.idle(&at, "Loopgate tries every address of a name"),
        _ => draft.idle(&at, "the other end is dialled again after 0.2 s, 0.4 s and so on, up to 30 s"),
    }
}

fn service(name: &str, mut fields: Fields, link: LinkId, draft: &mut Draft) {
    let id = open(name, "client", &mut fields, draft);
    let tunnel = draft.link(link).name.clone();
    draft.listen(id, format!("tunnel:{tunnel}"));
    if let Some(local) = fields.text("local_addr", draft) {
        draft.target(id, Target { address: local.value, at: Some(local.at), ..Target::default() });
    }
    for key in ["retry_interval", "prefer_ipv6"] {
        dialling(key, &mut fields, draft);
    }
    rest_of_service(id, fields, draft);
}

fn next(link: LinkId, draft: &mut Draft) {
    let tunnel = draft.link(link).name.clone();
    draft.then("On this machine, run loopgate tunnel key: it prints this machine's key.");
    draft.then(format!(
        "On the server, import its file of rathole too, and put that key in place of {PASTE} in [tunnels.{CLIENT}]."
    ));
    draft.then(format!(
        "On the server, run loopgate tunnel key, and put its key here, in place of {PASTE} in [tunnels.{tunnel}]."
    ));
}
