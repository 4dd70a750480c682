//! frps: where clients connect, and what they may ask for.

use super::rest::{self, OF_BOTH, OF_SERVER};
use super::transport;
use crate::import::draft::{Draft, Toml};
use crate::import::link::{CLIENT, LinkId, PASTE};
use crate::import::message::At;
use crate::import::shell::bracketed;
use crate::import::value::{Fields, Node};

/// frp's defaults.
const PORT: u64 = 7000;
const EVERY: &str = "0.0.0.0";

pub(super) fn read(mut top: Fields, draft: &mut Draft) {
    let address = top.text("bindAddr", draft).map(|taken| taken.value).filter(|text| !text.is_empty());
    let address = address.unwrap_or_else(|| EVERY.to_owned());
    let port = top.number("bindPort", draft);
    let at = port.as_ref().map_or(At::new(1, "bindPort"), |port| port.at.clone());
    let port = port.map_or(PORT, |port| port.value);
    let link = draft.accept_link(format!("{}:{port}", bracketed(&address)), &at);
    let proxies = top.text("proxyBindAddr", draft).filter(|taken| !taken.value.is_empty());
    let (proxies, at) = proxies.map_or((address, at), |taken| (taken.value, taken.at));
    if proxies != EVERY {
        draft.differs(
            &at,
            format!(
                "clients write the address as well, as listen = \"tunnel:NAME/{}:8080\"",
                bracketed(&proxies)
            ),
        );
    }
    ports(link, &proxies, &mut top, draft);
    if let Some(most) = top.number("maxPortsPerClient", draft) {
        match most.value {
            0 => draft.idle(&most.at, "max_listeners is 64 unless it is written"),
            count => draft.set_link(link, &most.at, "max_listeners", Toml::Number(count)),
        }
    }
    rest::log(&mut top, &[OF_BOTH], draft);
    transport::of_server(link, &mut top, draft);
    rest::sweep("", top, &[OF_BOTH, OF_SERVER], draft);
    next(draft);
}

/// `allowPorts = [{ start = 2000, end = 3000 }, { single = 3001 }]`, on which both protocols are allowed.
fn ports(link: LinkId, address: &str, top: &mut Fields, draft: &mut Draft) {
    let Some(node) = top.node("allowPorts") else {
        let at = draft.link(link).at.with("allowPorts");
        let why = "without it frp lets a client listen on every port; here list those that it may have in may_listen, as \
                   \"0.0.0.0:8080\"";
        return draft.lost_of_link(link, &at, why);
    };
    let line = node.line;
    let mut list = Fields::lone("allowPorts", node);
    for entry in list.tables("allowPorts", draft) {
        let line = if entry.line > 0 { entry.line } else { line };
        let Some(range) = range(entry, line, draft) else { continue };
        for udp in ["", "/udp"] {
            let may = format!("{}:{range}{udp}", bracketed(address));
            draft.link(link).may_listen.push((may, At::new(line, format!("allowPorts {range}{udp}"))));
        }
    }
}

fn range(mut entry: Fields, line: usize, draft: &mut Draft) -> Option<String> {
    let port =
        |node: Option<Node>| node.and_then(|node| node.shown().parse::<u16>().ok()).filter(|port| *port > 0);
    let (single, start, end) =
        (port(entry.node("single")), port(entry.node("start")), port(entry.node("end")));
    let range = match (single, start, end) {
        (Some(single), None, None) => Some(single.to_string()),
        (None, Some(start), Some(end)) if start < end => Some(format!("{start}-{end}")),
        (None, Some(start), Some(end)) if start == end => Some(start.to_string()),
        _ => None,
    };
    if range.is_none() {
        draft.lost(
            None,
            &At::new(line, "allowPorts"),
            "an entry is a single port, or has a start and an end",
        );
    }
    rest::sweep("allowPorts", entry, &[], draft);
    range
}

fn next(draft: &mut Draft) {
    draft.then("On this machine, run loopgate tunnel key: it prints this machine's key.");
    draft.then(format!(
        "On the client's machine, import its file of frp too, run loopgate tunnel key, and put its key here, in place of \
         {PASTE} in [tunnels.{CLIENT}]."
    ));
    draft.then(format!(
        "For each further machine that connects, write a [tunnels.NAME] as [tunnels.{CLIENT}], with its own key."
    ));
    draft.then(
        "The import of a client's file says which addresses it needs in may_listen, and which routes it needs here.",
    );
}
