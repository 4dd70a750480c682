//! `[routes.NAME]`, and the settings it shares with `[defaults]`.
//!
//! One route at a time: how routes affect each other is checked in [`crate::plan`].

use toml::Spanned;
use toml::de::DeValue;

use super::keys::{ROUTE, ROUTES, Settings};
use super::kind::is_address;
use super::problem::{Place, Problem, bare_or_quoted};
use super::table::Table;
use super::written::{Written, WrittenHello, WrittenTarget};
use super::{hello, target};
use crate::address::{ListenAddress, Run};

/// `[routes.NAME]`
#[derive(Debug)]
pub(crate) struct WrittenRoute {
    pub(crate) name: String,
    /// The place of its name.
    pub(crate) place: Place,
    pub(crate) listen: Vec<Written<Run<ListenAddress>>>,
    pub(crate) targets: Vec<WrittenTarget>,
    pub(crate) hello: WrittenHello,
    pub(crate) settings: Settings,
}

/// The longest name of a route, in characters.
const MAX_NAME: usize = 64;

/// Every route, in the order of the file.
pub(super) fn routes(top: &mut Table<'_, '_>) -> Vec<WrittenRoute> {
    let Some(value) = top.get(ROUTES.name) else { return Vec::new() };
    let Some(entries) = value.get_ref().as_table() else {
        top.problem(
            "routes",
            value,
            "routes have names",
            Some("write [routes.NAME] for each, as [routes.web]"),
        );
        return Vec::new();
    };
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
        .into_iter()
        .filter_map(|(key, value)| route(top, top.at(key.span()), key.get_ref(), value))
        .collect()
}

fn route<'t>(
    top: &mut Table<'t, '_>,
    place: Place,
    name: &str,
    value: &'t Spanned<DeValue<'t>>,
) -> Option<WrittenRoute> {
    let path = format!("routes.{}", bare_or_quoted(name));
    if !value.get_ref().is_table() && ROUTE.key(name).is_some() {
        let problem = Problem::new(place, path, "a route needs a name above its keys");
        top.problems.push(problem.help("write [routes.NAME] instead of [routes], as [routes.web]"));
        return None;
    }
    if let Some(wrong) = wrong_name(name) {
        let help = "a name has letters, digits, - and _, and at most 64 of them";
        top.problems.push(Problem::new(place.clone(), path.as_str(), wrong).help(help));
    }
    let mut table = top.open_value("routes.NAME", path, value, Some(&ROUTE))?;
    let listen = table.list("listen").unwrap_or_default();
    if table.get("listen").is_none() && !table.get("bind").is_some_and(|bind| is_address(bind.get_ref())) {
        table.missing("listen", "127.0.0.1:8080");
    }
    let hello = hello::hello(&mut table);
    let targets = match table.get("target") {
        Some(value) => target::targets(&mut table, "target", value),
        None => {
            // With names alone, a client that asks for no listed name has no target.
            if table.get("names").is_none() && table.get("alpn").is_none() {
                table.missing("target", "127.0.0.1:3000");
            }
            Vec::new()
        }
    };
    Some(WrittenRoute {
        name: name.to_owned(),
        place,
        listen,
        targets,
        hello,
        settings: Settings::read(&mut table),
    })
}

fn wrong_name(name: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() {
        return Some("the name of this route is empty".into());
    }
    if let Some(wrong) = name.chars().find(|c| !legal(*c)) {
        return Some(format!("a name cannot have {wrong:?} in it"));
    }
    (name.len() > MAX_NAME).then(|| format!("this name has {} characters", name.len()))
}
