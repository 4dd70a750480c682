//! What the command line says about tunnels → the tunnels of the file, and one more for each that is named.

use std::collections::BTreeSet;

use super::draft::Draft;
use super::far_end::{FarEnd, key_needed, name_of};
use super::sources::{CommandTunnels, Secret};
use crate::address::{ListenAddress, TunnelName};
use crate::config::{Config, KeyText, Place, Problem, Written, WrittenLink, WrittenTunnelOf, bare_or_quoted};
use crate::transport::proxied::ProxyWord;
use crate::units::{Misread, OrOff};

/// The tunnels that the command line names, in its order.
pub(super) struct Named {
    tunnels: Vec<(TunnelName, Place)>,
    /// Whether each named one could be read.
    is_whole: bool,
}

/// Adds the tunnels of the command line to those of the file, with what the other end may ask for, and where others connect
/// to.
pub(super) fn add(command: &CommandTunnels, config: &mut Config, problems: &mut Vec<Problem>) -> Named {
    let mut named = Named { tunnels: Vec::new(), is_whole: true };
    for text in &command.tunnels {
        match tunnel(text, &named, config) {
            Ok(name) => named.tunnels.push((name, Place::Argument(text.clone()))),
            Err(problem) => {
                named.is_whole = false;
                problems.push(*problem);
            }
        }
    }
    let listen: Vec<_> = read(&command.listen, problems).collect();
    if !listen.is_empty() {
        config.tunnel.listen.get_or_insert_default().extend(listen);
    }
    permit(command, &named, config, problems);
    proxy(command, &named, config, problems);
    named
}

/// The name of one tunnel, which the configuration has then.
fn tunnel(text: &str, named: &Named, config: &mut Config) -> Result<TunnelName, Box<Problem>> {
    let place = || Place::Argument(text.to_owned());
    let failed = |what: String, help: String| Box::new(Problem::new(place(), "", what).help(help));
    let far_end = text.parse::<FarEnd>().map_err(|Misread { what, instead }| {
        Box::new(Problem::new(Place::Argument(without_key(text)), "", what).help(instead))
    })?;
    let (name, connect, key) = match far_end {
        FarEnd::Named(name) if !config.tunnels.iter().any(|of| of.name == name) => {
            let has = names(config);
            let has = if has.is_empty() { has } else { format!("; the file has {has}") };
            return Err(failed(format!("there is no tunnel {name}"), key_needed(text) + &has));
        }
        FarEnd::Named(name) => (name, None, None),
        FarEnd::LetIn(name, key) => match config.tunnels.iter().find(|of| of.name == name) {
            Some(of) if matches!(of.place, Place::Argument(_)) => {
                let help = "to let two keys in while one is changed, list both under public_key in a file";
                return Err(failed(format!("tunnel {name} is given twice"), help.into()));
            }
            Some(_) => {
                let help = format!("write --tunnel {name}, or another name");
                return Err(failed(format!("the file has a tunnel {name} already"), help));
            }
            None => (name, None, Some(key)),
        },
        FarEnd::Dialled(to, key) => {
            if let Some(name) = leads_there(config, key) {
                let what = format!("tunnel {name} leads to the holder of this key already");
                return Err(failed(what, format!("write --tunnel {name}")));
            }
            let is_taken = |name: &TunnelName| config.tunnels.iter().any(|of| of.name == *name);
            let Some(name) = name_of(to.first(), is_taken) else {
                let help = "give it a name in a file: [tunnels.NAME]";
                return Err(failed("no tunnel can be named for this".into(), help.into()));
            };
            (name, Some(to), Some(key))
        }
    };
    if named.tunnels.iter().any(|(known, _)| *known == name) {
        return Err(failed(format!("tunnel {name} is given twice"), "leave one of the two out".into()));
    }
    if let Some(key) = key {
        let written = |value| vec![Written { value, place: place() }];
        let keys = WrittenLink {
            place: Some(place()),
            connect: connect.map(|to| vec![Written { value: to, place: place() }]),
            public_key: Some(written(key)),
            ..WrittenLink::default()
        };
        let path = format!("tunnels.{}", bare_or_quoted(name.as_str()));
        config.tunnels.push(WrittenTunnelOf { name: name.clone(), place: place(), path, keys });
    }
    Ok(name)
}

/// An argument whose key cannot be read: it may be a private one, so it is not shown.
fn without_key(text: &str) -> String {
    match text.find("ed25519:").or_else(|| text.find(['#', '=']).map(|at| at + 1)) {
        Some(at) if text.len() > at => format!("{}***", &text[..at]),
        _ => text.to_owned(),
    }
}

/// The tunnel of the file that dials the holder of this key.
fn leads_there(config: &Config, key: KeyText) -> Option<&TunnelName> {
    let has_key = |of: &&WrittenTunnelOf| of.keys.public_key.iter().flatten().any(|it| it.value == key);
    config.tunnels.iter().filter(|of| of.keys.connect.is_some()).find(has_key).map(|of| &of.name)
}

fn names(config: &Config) -> String {
    let names: BTreeSet<&str> = config.tunnels.iter().map(|of| of.name.as_str()).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// `--may-listen` and `--may-dial` are for the one tunnel that is named.
fn permit(command: &CommandTunnels, named: &Named, config: &mut Config, problems: &mut Vec<Problem>) {
    let may_listen: Vec<_> = read(&command.may_listen, problems).collect();
    let may_dial: Vec<_> = read(&command.may_dial, problems).collect();
    let flags = [("--may-listen", &command.may_listen), ("--may-dial", &command.may_dial)];
    let Some((flag, first)) = flags.iter().find_map(|(flag, list)| Some((flag, list.first()?))) else {
        return;
    };
    let needed = ("permits the other end of a tunnel something", "add --tunnel NAME=KEY");
    let Some(of) = named.the_one(flag, first, needed, config, problems) else { return };
    let extend = |list: &mut Option<Vec<_>>, more: Vec<_>| {
        if !more.is_empty() {
            list.get_or_insert_default().extend(more);
        }
    };
    extend(&mut of.keys.may_listen, may_listen);
    extend(&mut of.keys.may_dial, may_dial);
}

/// `--proxy-url` is for the one tunnel that is named. It is not quoted: it may hold a password.
fn proxy(command: &CommandTunnels, named: &Named, config: &mut Config, problems: &mut Vec<Problem>) {
    let Some(Secret(text)) = &command.proxy_url else { return };
    let flag = "--proxy-url";
    let place = Place::Argument(flag.to_owned());
    let value = match text.as_str() {
        "off" => OrOff(None),
        _ => match ProxyWord::try_from(text.clone()) {
            Ok(word) => OrOff(Some(word)),
            Err(told) => {
                let (what, help) = told.split_once('\n').unwrap_or((&told, ""));
                return problems.push(Problem::new(place, "", what).help(help));
            }
        },
    };
    let needed = ("is the proxy on the way to the other end of a tunnel", "add --tunnel HOST#KEY");
    if let Some(of) = named.the_one(flag, flag, needed, config, problems) {
        of.keys.proxy_url = Some(Written { value, place });
    }
}

fn read<'t, T: std::str::FromStr<Err = Misread>>(
    texts: &'t [String],
    problems: &'t mut Vec<Problem>,
) -> impl Iterator<Item = Written<T>> + 't {
    texts.iter().filter_map(move |text| {
        let place = Place::Argument(text.clone());
        match text.parse() {
            Ok(value) => Some(Written { value, place }),
            Err(Misread { what, instead }) => {
                problems.push(Problem::new(place, "", what).help(instead));
                None
            }
        }
    })
}

impl Named {
    /// The one tunnel that this flag is for. Adds a problem at `argument` if there is none, or if there are several; `needed`
    /// is what the flag is for, and how a tunnel is named for it.
    fn the_one<'c>(
        &self,
        flag: &str,
        argument: &str,
        needed: (&str, &str),
        config: &'c mut Config,
        problems: &mut Vec<Problem>,
    ) -> Option<&'c mut WrittenTunnelOf> {
        let place = Place::Argument(argument.to_owned());
        match &self.tunnels[..] {
            [(name, _)] => return config.tunnels.iter_mut().find(|of| of.name == *name),
            // The tunnel that is meant has a problem of its own.
            [] if !self.is_whole => {}
            [] => {
                let what = format!("{flag} {}, and no tunnel is named", needed.0);
                problems.push(Problem::new(place, "", what).help(needed.1));
            }
            tunnels => {
                let what = format!("{flag} needs exactly one --tunnel, and there are {}", tunnels.len());
                let key = flag.trim_start_matches("--").replace('-', "_");
                let help = format!("write {key} under [tunnels.NAME] of a file, for each");
                problems.push(Problem::new(place, "", what).help(help));
            }
        }
        None
    }

    /// The tunnel of the routes of the command line; `None` if it names none. Adds a problem if it names several; `first` is
    /// the first of the routes.
    pub(super) fn of_routes(
        &self,
        first: Option<&String>,
        problems: &mut Vec<Problem>,
    ) -> Option<&TunnelName> {
        if let (Some(first), [_, _, ..]) = (first, &self.tunnels[..]) {
            let count = self.tunnels.len();
            let what = format!("the routes of the command line go through one tunnel, and there are {count}");
            let help =
                "in a file a route may have several: listen = [\"tunnel:eu/8080\", \"tunnel:us/8080\"]";
            problems.push(Problem::new(Place::Argument(first.clone()), "", what).help(help));
        }
        self.tunnels.first().map(|(name, _)| name)
    }

    /// Adds a problem for each tunnel by which nothing could go.
    pub(super) fn check_used(
        &self,
        drafts: &[Draft],
        tunnels: &[WrittenTunnelOf],
        problems: &mut Vec<Problem>,
    ) {
        for (name, place) in &self.tunnels {
            let Some(of) = tunnels.iter().find(|of| of.name == *name) else { continue };
            let is_of_file = !matches!(of.place, Place::Argument(_));
            let permits = |list: &Option<Vec<_>>| {
                list.iter()
                    .flatten()
                    .any(|it: &Written<_>| !is_of_file || matches!(it.place, Place::Argument(_)))
            };
            let is_permitted = permits(&of.keys.may_listen) || permits(&of.keys.may_dial);
            // A route of the file has the tunnel whether or not the command line names it.
            let uses = |draft: &&Draft| draft.path.is_empty() || !is_of_file;
            if is_permitted || drafts.iter().filter(uses).any(|draft| goes_through(draft, name)) {
                continue;
            }
            let (what, help) = match of.keys.connect {
                Some(_) => (
                    format!("nothing goes through tunnel {name}"),
                    "add -R 8080:3000 to listen there, or -L 5432:db.internal:5432 to dial there",
                ),
                None => (
                    format!("{name} may connect, and nothing more"),
                    "add --may-listen 0.0.0.0:8080, what it may have opened here, or --may-dial 10.0.0.5:5432",
                ),
            };
            problems.push(Problem::new(place.clone(), "", what).help(help));
        }
    }
}

fn goes_through(draft: &Draft, tunnel: &TunnelName) -> bool {
    let listens = draft.listen.iter().any(|listen| match listen.value.first() {
        ListenAddress::There(there) => there.tunnel == *tunnel,
        ListenAddress::Net(_) | ListenAddress::Unix(_) => false,
    });
    let mut dials = draft.targets.iter().filter_map(|target| target.address.value.first().there());
    listens || dials.any(|there| there.tunnel == *tunnel)
}

#[cfg(test)]
#[path = "command_line_tests.rs"]
mod tests;
