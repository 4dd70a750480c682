//! What people write first in `[tunnel]` and `[tunnels.NAME]`, answered with what was meant.

use super::problem::bare_or_quoted;

/// What is wrong with a key that these tables do not have, and what to do; `None` where nothing better can be said than of
/// any unknown key.
pub(super) fn instead(pattern: &str, key: &str, is_table: bool) -> Option<(String, String)> {
    if pattern == "tunnel" && is_table {
        let help = format!("write [tunnels.{}]", bare_or_quoted(key));
        return Some(("a tunnel stands under tunnels; [tunnel] is this machine's own end".to_owned(), help));
    }
    if pattern == "tunnels.NAME" && key == "datagrams" {
        let help = "write it in [tunnel]".to_owned();
        return Some(("what carries datagrams is the same for every tunnel".to_owned(), help));
    }
    None
}
