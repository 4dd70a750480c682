//! Files of frp (its readme, conf and pkg/config at v0.70) → a tunnel, and a route for each proxy and each visitor. Both ends'
//! files are read, in TOML, JSON, and the INI of before version 0.52.

mod client;
mod health;
mod ini;
mod known;
mod proxy;
mod rest;
mod server;
mod transport;
mod visitor;

use super::draft::Draft;
use super::value::{self, Fields, Node};

/// Keys that only the file of a client has, and only that of a server.
const OF_CLIENT: [&str; 5] = ["serverAddr", "serverPort", "proxies", "visitors", "loginFailExit"];
const OF_SERVER: [&str; 9] = [
    "bindPort",
    "bindAddr",
    "kcpBindPort",
    "quicBindPort",
    "proxyBindAddr",
    "vhostHTTPPort",
    "vhostHTTPSPort",
    "allowPorts",
    "subDomainHost",
];

/// Whether a tree is a file of frp.
pub(super) fn is_of_it(has: impl Fn(&str) -> bool) -> bool {
    OF_CLIENT.iter().chain(&OF_SERVER).any(|key| has(key))
}

/// Whether a text that is neither TOML nor JSON is a file of frp.
pub(super) fn is_text_of_it(text: &str) -> bool {
    ini::is_ini(text) || is_yaml(text)
}

fn is_yaml(text: &str) -> bool {
    let begins = |line: &str| {
        OF_CLIENT
            .iter()
            .chain(&OF_SERVER)
            .any(|key| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))
    };
    text.lines().any(begins)
}

/// Imports the file.
///
/// # Errors
/// If it cannot be parsed; the message says why.
pub(super) fn read(text: &str, draft: &mut Draft) -> Result<(), String> {
    let Some(top) = Fields::of(tree(text)?, "the file", draft) else { return Ok(()) };
    if OF_CLIENT.iter().any(|key| top.has(key)) {
        client::read(top, draft);
    } else if OF_SERVER.iter().any(|key| top.has(key)) {
        server::read(top, draft);
    } else {
        rest::sweep("", top, &[], draft);
    }
    Ok(())
}

fn tree(text: &str) -> Result<Node, String> {
    if ini::is_ini(text) {
        return ini::read(text);
    }
    if !text.trim_start().starts_with('{') && is_yaml(text) {
        return Err(
            "this is YAML; convert it first, as yq -o json FILE > frp.json does, and import that".to_owned()
        );
    }
    value::read(text).map_err(|why| match text.contains("{{") {
        true => format!("{why}; a template, as {{{{ … }}}}, is not filled in: write what it stands for"),
        false => why,
    })
}
