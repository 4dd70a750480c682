//! `[tunnels.NAME]`: each tunnel with its name.

use toml::Spanned;
use toml::de::DeValue;

use super::keys::{TUNNEL_OF_NAME, TUNNELS, WrittenLink};
use super::problem::{Place, Problem, bare_or_quoted};
use super::table::Table;
use crate::address::TunnelName;
use crate::units::Misread;

/// `[tunnels.NAME]`
#[derive(Debug)]
pub(crate) struct WrittenTunnelOf {
    pub(crate) name: TunnelName,
    /// The place of its name.
    pub(crate) place: Place,
    /// Its path in the file, as `tunnels.home`.
    pub(crate) path: String,
    pub(crate) keys: WrittenLink,
}

/// Every tunnel, in the order of the file.
pub(super) fn tunnels(top: &mut Table<'_, '_>) -> Vec<WrittenTunnelOf> {
    let Some(value) = top.get(TUNNELS.name) else { return Vec::new() };
    let Some(entries) = value.get_ref().as_table() else {
        let help = "write [tunnels.NAME] for each, as [tunnels.home]";
        top.problem("tunnels", value, "tunnels have names", Some(help));
        return Vec::new();
    };
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
        .into_iter()
        .filter_map(|(key, value)| tunnel(top, top.at(key.span()), key.get_ref(), value))
        .collect()
}

fn tunnel<'t>(
    top: &mut Table<'t, '_>,
    place: Place,
    name: &str,
    value: &'t Spanned<DeValue<'t>>,
) -> Option<WrittenTunnelOf> {
    let path = format!("tunnels.{}", bare_or_quoted(name));
    if !value.get_ref().is_table() && TUNNEL_OF_NAME.key(name).is_some() {
        let problem = Problem::new(place, path, "a tunnel needs a name above its keys");
        top.problems.push(problem.help("write [tunnels.NAME] instead of [tunnels], as [tunnels.home]"));
        return None;
    }
    let read = name.parse::<TunnelName>();
    if let Err(Misread { what, instead }) = &read {
        top.problems.push(Problem::new(place.clone(), path.as_str(), what.as_str()).help(instead.as_str()));
    }
    let mut table = top.open_value("tunnels.NAME", path.clone(), value, Some(&TUNNEL_OF_NAME))?;
    if table.get("public_key").is_none() && table.get("invite").is_none() {
        table.missing("public_key", "ed25519:…");
    }
    let keys = WrittenLink::read(&mut table);
    Some(WrittenTunnelOf { name: read.ok()?, place, path, keys })
}
