//! frpc: the tunnel to its server, and routes.

use super::known::{Client, is_template, strings};
use super::rest::{self, OF_BOTH, OF_CLIENT};
use super::{proxy, transport, visitor};
use crate::import::draft::Draft;
use crate::import::link::{CLIENT, PASTE};
use crate::import::message::At;
use crate::import::value::Fields;

/// frp's default.
const PORT: u64 = 7000;

pub(super) fn read(mut top: Fields, draft: &mut Draft) {
    let whole = At::new(1, "serverAddr");
    let address = top.text("serverAddr", draft);
    let port = top.number("serverPort", draft).map_or(PORT, |port| port.value);
    let at = address.as_ref().map_or(whole, |taken| taken.at.clone());
    // What frpc dials if nothing is written.
    let host = address.map_or_else(|| "127.0.0.1".to_owned(), |taken| taken.value);
    if is_template(&host) {
        draft.lost(None, &at, "a template is not filled in; write the server's address in connect");
    }
    let link = draft.dial_link(if is_template(&host) { "server" } else { &host }, &port.to_string(), &at);
    let tunnel = draft.link(link).name.clone();
    let start = top.node("start").map(|node| strings(&node)).filter(|start| !start.is_empty());
    let client = Client { tunnel, start };
    draft.then("On this machine, run loopgate tunnel key: it prints this machine's key.");
    draft.then(format!(
        "On the server, import its file of frp too, and put that key in place of {PASTE} in [tunnels.{CLIENT}]; each \
         further machine has its own [tunnels.NAME] there."
    ));
    rest::log(&mut top, &[OF_BOTH], draft);
    transport::of_client(link, &mut top, draft);
    for fields in top.tables("proxies", draft) {
        proxy::read(fields, &client, draft);
    }
    for fields in top.tables("visitors", draft) {
        visitor::read(fields, &client, draft);
    }
    rest::sweep("", top, &[OF_BOTH, OF_CLIENT], draft);
    draft.then(format!(
        "On the server, run loopgate tunnel key, and put its key here, in place of {PASTE} in [tunnels.{}].",
        client.tunnel
    ));
}
