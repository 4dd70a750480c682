//! What is known of a client before its proxies are read, and how their values are read.

use crate::import::draft::Draft;
use crate::import::message::At;
use crate::import::value::{Fields, Node, Value};

/// What is known once the head of the file is read.
pub(super) struct Client {
    /// The name of the tunnel to the server.
    pub(super) tunnel: String,
    /// The only proxies and visitors that are started, if `start` names any.
    pub(super) start: Option<Vec<String>>,
}

impl Client {
    /// Whether a proxy or visitor is not started, which is noted then.
    pub(super) fn is_off(&self, name: &str, fields: &mut Fields, at: &At, draft: &mut Draft) -> bool {
        let enabled = fields.truth("enabled", draft).is_none_or(|taken| taken.value);
        let is_listed = self.start.as_ref().is_none_or(|start| start.iter().any(|it| it == name));
        if !enabled || !is_listed {
            draft.idle(
                &at.with(format!("name = {name:?}")),
                "frp does not start it either: enabled or start says so",
            );
        }
        !enabled || !is_listed
    }
}

/// Whether a text is filled in from the environment when frp starts.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// The strings of a list, or the one string.
pub(super) fn strings(node: &Node) -> Vec<String> {
    match &node.value {
        Value::Text(text) => vec![text.clone()],
        Value::List(items) => items.iter().filter_map(|item| item.text().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}
