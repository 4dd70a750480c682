//! HAProxy (configuration.txt of 2.6 to 3.0): `listen`, `frontend` and `backend` sections in `mode tcp` → routes.

mod access;
mod bind;
mod bind_tls;
mod global;
mod health;
mod join;
mod limits;
mod lines;
mod listen;
mod names;
mod option;
mod per_server;
mod proxy;
mod rates;
mod server;
mod server_tls;
mod target;

use std::collections::BTreeMap;

use super::draft::Draft;
use super::message::At;
use lines::{Section, sections};
use proxy::Proxy;

/// Whether a line begins a `listen` section; rinetd, nginx and prose have no such line.
pub(super) fn is_listen(line: &str) -> bool {
    line.strip_prefix("listen ")
        .is_some_and(|rest| rest.split_whitespace().count() <= 2 && !rest.contains(['=', ';']))
}

/// Imports the file.
pub(super) fn read(text: &str, draft: &mut Draft) {
    let mut defaults: BTreeMap<String, Proxy> = BTreeMap::new();
    let mut latest = Proxy::default();
    let mut proxies: Vec<Proxy> = Vec::new();
    for section in sections(text, draft) {
        match section.kind.as_str() {
            "global" => global::read(&section, draft),
            "defaults" => {
                let mut proxy = Proxy::begun(&section, &inherited(&section, &defaults, &Proxy::default()));
                proxy.read(&section, draft);
                defaults.insert(section.name.clone(), proxy.clone());
                latest = proxy;
            }
            "listen" | "frontend" | "backend" => {
                let mut proxy = Proxy::begun(&section, &inherited(&section, &defaults, &latest));
                proxy.read(&section, draft);
                proxies.push(proxy);
            }
            _ => whole_section(&section, draft),
        }
    }
    join::routes(&proxies, draft);
}

/// The settings a section inherits: the `defaults` section it names with `from`, or the one above it.
fn inherited(section: &Section, named: &BTreeMap<String, Proxy>, latest: &Proxy) -> Proxy {
    match &section.from {
        Some(name) => named.get(name).cloned().unwrap_or_default(),
        None => latest.clone(),
    }
}

fn whole_section(section: &Section, draft: &mut Draft) {
    let at = At::new(section.at.line, format!("{} {}", section.kind, section.name));
    let last = section.lines.last().map_or(section.at.line, |line| line.at.line);
    draft.lost(
        None,
        &at,
        format!("this kind of section has no counterpart; it is skipped down to line {last}"),
    );
}
