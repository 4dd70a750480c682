//! What to suggest for an unknown key.

use super::key::{Form, Key, Section};
use super::problem::{Place, Problem};
use super::spelling::{listed, nearest};

/// The key of `section` that `wrong` probably means, if any.
pub(super) fn meant(section: &Section, wrong: &str) -> Option<&'static str> {
    alias(section, wrong).or_else(|| nearest(wrong, &section.names()))
}

/// The key of `section` that another program calls `word`.
fn alias(section: &Section, word: &str) -> Option<&'static str> {
    section.keys().find(|key| key.aliases.contains(&word)).map(|key| key.name)
}

/// A table of the file: its keys, and its path with NAME for user-chosen names, as `routes.NAME`.
#[derive(Clone, Copy)]
pub(super) struct At<'p> {
    /// The file itself.
    pub(super) top: &'static Section,
    pub(super) section: &'static Section,
    /// Empty at the top.
    pub(super) pattern: &'p str,
}

/// The problem of a key that the table does not have; `path` names the key from the top of the file.
pub(super) fn unknown(at: At<'_>, place: Place, path: String, key: &str) -> Problem {
    let At { top, section, pattern } = at;
    let is_top = pattern.is_empty();
    if let Some(help) = of_another_program(key).filter(|_| is_top) {
        return Problem::new(place, path, "this belongs to no file of Loopgate").help(help);
    }
    // A key that another program calls so is suggested before a key of this name in another table.
    if let (None, Some(table)) = (alias(section, key), elsewhere(at, key)) {
        let message = match is_top {
            true => "a key cannot stand outside a table".into(),
            false => format!("this is not a key of [{pattern}]"),
        };
        return Problem::new(place, path, message).help(format!("it belongs in [{table}]"));
    }
    if !is_top && alias(section, key).is_none() && top.key(key).is_some_and(|key| !is_table(&key)) {
        let message = format!("this is not a key of [{pattern}]");
        return Problem::new(place, path, message)
            .help("it belongs at the top of the file, above the first table");
    }
    let word = if is_top { "table" } else { "key" };
    let help = match meant(section, key).and_then(|near| section.key(near)) {
        Some(near) if is_top => format!("did you mean {}?", shown(near)),
        Some(near) => format!("did you mean {}?", near.name),
        None if is_top => {
            let tables: Vec<String> = top.keys().filter(is_table).map(shown).collect();
            let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
            format!("the tables are {}", listed(&tables, "and"))
        }
        None => format!("the keys here are {}", listed(&section.names(), "and")),
    };
    Problem::new(place, path, format!("unknown {word}")).help(help)
}

/// What to write instead of a limit that several routes share by its name: as a key of a route, or as a table of
/// `[limits]`.
pub(super) fn shared_limit(pattern: &str, key: &str, is_table: bool) -> Option<&'static str> {
    const WORDS: [&str; 9] = [
        "limit",
        "limits",
        "limit_group",
        "limits_group",
        "limits_of",
        "limit_zone",
        "limit_conn_zone",
        "share_limits",
        "shared_limits",
    ];
    let is_meant = match pattern {
        "routes.NAME" | "defaults" => WORDS.contains(&key),
        "limits" => is_table,
        _ => false,
    };
    is_meant.then_some(
        "routes share no limits by name: one route with several addresses in listen shares its own, and max_connections of \
         a target counts the sessions of every route to it",
    )
}

/// How to convert the file of another program, told by a table or key that only such a file has at its top.
fn of_another_program(key: &str) -> Option<&'static str> {
    match key {
        "client" | "server" => Some("if this is a file of rathole: loopgate import --from rathole FILE"),
        "proxies" | "visitors" | "common" | "serverAddr" | "serverPort" | "bindAddr" | "bindPort"
        | "allowPorts" => Some("if this is a file of frp: loopgate import --from frp FILE"),
        "endpoints" => Some("if this is a file of realm: loopgate import --from realm FILE"),
        _ => None,
    }
}

/// The table that has the key; among several, one under this one, and one that is under the defaults if and only if this
/// one is.
fn elsewhere(at: At<'_>, key: &str) -> Option<String> {
    let of_defaults = |path: &str| path.split('.').next() == Some("defaults");
    let mut tables = at.top.tables();
    tables.retain(|(_, table)| table.key(key).is_some());
    let under = format!("{}.", at.pattern);
    tables.sort_by_key(|(path, _)| (!path.starts_with(&under), of_defaults(path) != of_defaults(at.pattern)));
    tables.into_iter().next().map(|(path, _)| path)
}

fn is_table(key: &&'static Key) -> bool {
    matches!(key.form, Form::Table(_) | Form::Named(_))
}

/// A top-level key as it is written.
fn shown(key: &'static Key) -> String {
    match key.form {
        Form::Named(_) => format!("[{}.NAME]", key.name),
        Form::Table(_) => format!("[{}]", key.name),
        _ => key.name.to_owned(),
    }
}
