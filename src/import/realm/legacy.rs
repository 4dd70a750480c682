//! realm's old JSON format of four parallel lists → a route for each port.

use super::network::{Network, apply};
use crate::import::draft::{Draft, Target};
use crate::import::message::At;
use crate::import::shell::bracketed;
use crate::import::value::{Fields, Taken};

/// The most listeners that a list of ports may become.
const MAX_LEGACY: usize = 1024;

/// Imports `listening_addresses`, `listening_ports`, `remote_addresses` and `remote_ports`. Where a list is too short,
/// its first entry is used.
pub(super) fn legacy(top: &mut Fields, draft: &mut Draft) {
    let keys = ["listening_addresses", "listening_ports", "remote_addresses", "remote_ports"];
    let lists: Vec<Taken<Vec<String>>> = keys.iter().filter_map(|key| top.texts(key, draft)).collect();
    let [addresses, ports, remotes, remote_ports] = &lists[..] else {
        for list in lists {
            draft.lost(None, &list.at, "the old format needs all four lists");
        }
        return;
    };
    let (listen, dial) = (flat(ports, draft), flat(remote_ports, draft));
    let at = |n: usize, list: &[String]| list.get(n).or_else(|| list.first()).cloned().unwrap_or_default();
    for (n, port) in listen.iter().enumerate() {
        let id =
            draft.open(&format!("port-{port}"), At::new(ports.at.line, format!("listening_ports {port}")));
        draft.listen(id, format!("{}:{port}", bracketed(&at(n, &addresses.value))));
        let remote = dial.get(n).or_else(|| dial.first()).copied().unwrap_or_default();
        let address = format!("{}:{remote}", bracketed(&at(n, &remotes.value)));
        draft.target(id, Target { at: Some(remotes.at.clone()), address, ..Target::default() });
        apply(id, false, &Network::default(), "", &ports.at, draft);
    }
}

/// Every port of `["8080-8088", "90"]`.
fn flat(ports: &Taken<Vec<String>>, draft: &mut Draft) -> Vec<u16> {
    let mut all = Vec::new();
    for text in &ports.value {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
            (Ok(first), Ok(last)) if first <= last && all.len() + usize::from(last - first) < MAX_LEGACY => {
                all.extend(first..=last);
            }
            (Ok(_), Ok(_)) => draft.lost(
                None,
                &ports.at.with(text),
                "write this range as one route, listen = \"8000-8010\"",
            ),
            _ => draft.lost(None, &ports.at.with(text), "this is not a port"),
        }
    }
    all
}
