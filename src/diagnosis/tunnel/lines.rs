//! Lines to paste into the file of the other end.

use std::collections::BTreeSet;

use super::facts::Offer;
use crate::address::Protocol;

/// A name as a key of TOML: bare, or in quotes.
pub(super) fn key_of(name: &str) -> String {
    let is_bare = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if is_bare { name.to_owned() } else { format!("\"{name}\"") }
}

/// What lets a machine in: `machine` is its table there, as a key of TOML.
pub fn let_in_lines(machine: &str, key: &str, offers: &[Offer]) -> Vec<String> {
    let mut lines = vec![format!("[tunnels.{machine}]"), format!("public_key = \"{key}\"")];
    lines.extend(may_listen_line(offers));
    lines
}

/// What permits all that these routes ask for, as a key stands once in a table; `None` if they ask for nothing.
pub fn may_listen_line(offers: &[Offer]) -> Option<String> {
    let of = |offer: &Offer| {
        let suffix = if offer.protocol == Protocol::Udp { "/udp" } else { "" };
        offer.listen.iter().map(move |address| format!("\"{address}{suffix}\"")).collect::<Vec<_>>()
    };
    let all: BTreeSet<String> = offers.iter().flat_map(of).collect();
    let all: Vec<String> = all.into_iter().collect();
    (!all.is_empty()).then(|| format!("may_listen = [{}]", all.join(", ")))
}
