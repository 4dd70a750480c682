//! What people write first in `[tunnel]` and `[tunnels.NAME]`, answered with what was meant.

use super::problem::bare_or_quoted;

/// What is wrong with a key that these tables do not have, and what to do; `None` where nothing better can be said than of
/// any unknown key.
pub(super) fn instead(pattern: &str, key: &str, is_table: bool) -> Option<(String, String)> {
    if pattern == "tunnel" && is_table {
        let help = format!("write [tunnels.{}]", bare_or_quoted(key));
        return Some(("a tunnel stands under tunnels; [tunnel] is this machine's own end".to_owned(), help));
    }
    if !matches!(pattern, "tunnel" | "tunnels.NAME") {
        return None;
    }
    let help = match key {
        "datagrams" | "max_flows" | "flows" | "udp" | "quic" => {
            "a tunnel carries datagrams without it: leave this out, and write protocol = \"udp\" in the route"
        }
        _ => return None,
    };
    Some((format!("not in this version: {key}"), help.to_owned()))
}
