//! `[server]` → `[tunnel]`, the tunnel of its client, and a route that listens for each service.

use std::time::Duration;

use super::service::{open, rest_of_service, services, token, unknown};
use super::transport;
use crate::import::draft::{Draft, Target};
use crate::import::link::{CLIENT, LinkId, PASTE};
use crate::import::message::At;
use crate::import::shell::time;
use crate::import::value::Fields;

pub(super) fn read(mut fields: Fields, draft: &mut Draft) {
    let whole = At::new(fields.line, "[server]");
    let bind = fields.text("bind_addr", draft);
    if bind.is_none() {
        draft.lost(None, &whole, "it has no bind_addr, where clients connect");
    }
    let at = bind.as_ref().map_or(whole.clone(), |bind| bind.at.clone());
    let link = draft.accept_link(bind.map(|bind| bind.value).unwrap_or_default(), &at);
    token(&mut fields, "default_token", draft);
    heartbeat(link, &mut fields, draft);
    transport::read(None, "server", &mut fields, draft);
    for (name, fields) in services(&mut fields, "server", draft) {
        service(&name, fields, draft);
    }
    unknown(fields, None, draft);
    next(draft);
}

fn heartbeat(link: LinkId, fields: &mut Fields, draft: &mut Draft) {
    let Some(interval) = fields.number("heartbeat_interval", draft) else { return };
    match interval.value {
        0 => draft.lost_of_link(
            link,
            &interval.at,
            "a tunnel is always asked whether it lives; ping is at most 60s",
        ),
        seconds => draft.set_link(link, &interval.at, "ping", time(Duration::from_secs(seconds))),
    }
}

fn service(name: &str, mut fields: Fields, draft: &mut Draft) {
    let id = open(name, "server", &mut fields, draft);
    let dialled = draft.route(id).map(|route| route.name.clone()).unwrap_or_default();
    if let Some(bind) = fields.text("bind_addr", draft) {
        draft.listen(id, bind.value);
    }
    let at = Some(At::new(fields.line, format!("[server.services.{name}]")));
    draft.target(id, Target { address: format!("tunnel:{CLIENT}/{dialled}"), at, ..Target::default() });
    rest_of_service(id, fields, draft);
}

fn next(draft: &mut Draft) {
    draft.then("On this machine, run loopgate tunnel key: it prints this machine's key.");
    draft.then(format!(
        "On the client's machine, import its file of rathole too, run loopgate tunnel key, and put its key here, in \
         place of {PASTE} in [tunnels.{CLIENT}]."
    ));
    draft.then(format!(
        "If several machines connect, write a [tunnels.NAME] with its own key for each, and its NAME in place of \
         {CLIENT} in the targets of its services."
    ));
}
