//! A key with its value, as an import collects it, and the number of the route that it is for.

use super::message::At;

/// A value of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Toml {
    Text(String),
    Number(u64),
    Truth(bool),
    List(Vec<String>),
}

impl Toml {
    pub(super) fn text(text: impl ToString) -> Toml {
        Toml::Text(text.to_string())
    }
}

/// A key with its value, and the words of the file it comes from.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// The key within its table, such as `connect_timeout` or `health.interval`.
    pub(super) key: &'static str,
    pub(super) value: Toml,
    pub(super) at: At,
}

/// The index of a route in its draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RouteId(pub(super) usize);
