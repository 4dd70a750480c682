//! The configuration an import builds up: routes, settings of the process, and notes.
//!
//! A setting is taken only if our configuration has its key; otherwise it is noted as not carried.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::link::Links;
use super::message::{At, Fate, Note};
pub(super) use super::setting::{RouteId, Setting, Toml};
use crate::config;

/// One target of a route.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    pub(super) address: String,
    pub(super) weight: Option<u64>,
    pub(super) backup: bool,
    pub(super) drain: bool,
    pub(super) max_connections: Option<u64>,
    pub(super) at: Option<At>,
}

/// A route of the draft.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) name: String,
    pub(super) at: At,
    pub(super) listen: Vec<String>,
    pub(super) targets: Vec<Target>,
    pub(super) settings: Vec<Setting>,
    /// Targets by the name a TLS client asks for.
    pub(super) names: Vec<(String, Vec<Target>)>,
    /// Targets by the protocol a TLS client offers.
    pub(super) alpn: Vec<(String, Vec<Target>)>,
    /// What was not carried over, for a comment beside the route.
    pub(super) lacks: Vec<String>,
}

impl Route {
    /// Its targets, those that clients choose by name or protocol included.
    pub(super) fn every_target(&mut self) -> impl Iterator<Item = &mut Target> {
        let chosen = self.names.iter_mut().chain(&mut self.alpn).flat_map(|(_, targets)| targets);
        self.targets.iter_mut().chain(chosen)
    }
}

/// Whether a route without this setting would accept more clients, or expose its bytes to more people, than before.
pub(super) fn guards(key: &str) -> bool {
    matches!(key, "allow" | "deny" | "accept_proxy")
        || key.starts_with("tls.")
        || key.starts_with("target_tls.")
}

/// Everything an import has collected.
#[derive(Debug)]
pub(super) struct Draft {
    known: BTreeSet<String>,
    routes: Vec<Option<Route>>,
    /// The names of the routes that were not left out.
    names: HashSet<String>,
    /// For each name that was wanted twice, the number at which the search for a free one goes on.
    numbers: HashMap<String, usize>,
    /// Settings of `[limits]` and `[log]`, with the table in the key.
    pub(super) process: Vec<Setting>,
    /// The tunnels, and this machine's end of them.
    pub(super) links: Links,
    pub(super) notes: Vec<Note>,
}

impl Draft {
    pub(super) fn new() -> Draft {
        let known = config::keys().into_iter().collect();
        let (routes, names, numbers, links) = Default::default();
        Draft { known, routes, names, numbers, process: Vec::new(), links, notes: Vec::new() }
    }

    /// Adds a route. Its name is changed, if needed, to one that the configuration accepts and no other route has.
    pub(super) fn open(&mut self, name: &str, at: At) -> RouteId {
        let name = self.free_name(name);
        self.names.insert(name.clone());
        let (listen, targets, settings, names, alpn, lacks) = Default::default();
        self.routes.push(Some(Route { name, at, listen, targets, settings, names, alpn, lacks }));
        RouteId(self.routes.len() - 1)
    }

    /// The routes that were not left out.
    pub(super) fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().flatten()
    }

    pub(super) fn ids(&self) -> Vec<RouteId> {
        (0..self.routes.len()).filter(|id| self.routes[*id].is_some()).map(RouteId).collect()
    }

    /// Whether the route was not left out.
    pub(super) fn has(&self, id: RouteId) -> bool {
        self.routes[id.0].is_some()
    }

    /// The route, unless it was left out.
    pub(super) fn route(&mut self, id: RouteId) -> Option<&mut Route> {
        self.routes[id.0].as_mut()
    }

    pub(super) fn listen(&mut self, id: RouteId, address: impl Into<String>) {
        let address = address.into();
        if let Some(route) = self.route(id) {
            route.listen.push(address);
        }
    }

    pub(super) fn target(&mut self, id: RouteId, target: Target) {
        if let Some(route) = self.route(id) {
            route.targets.push(target);
        }
    }

    /// Sets a key of a route. A second value replaces the first, which is noted.
    pub(super) fn set(&mut self, id: RouteId, at: &At, key: &'static str, value: Toml) {
        if !self.knows(key) {
            let why = format!("this version of Loopgate has no {key}");
            return if guards(key) { self.leave_out(id, at, why) } else { self.lost(Some(id), at, why) };
        }
        let Some(route) = self.route(id) else { return };
        let earlier = route.settings.iter().position(|setting| setting.key == key);
        let earlier = earlier.map(|earlier| route.settings.remove(earlier));
        let other = earlier.filter(|earlier| earlier.value != value && earlier.at != *at);
        route.settings.push(Setting { key, value, at: at.clone() });
        if let Some(other) = other {
            self.idle(&other.at, format!("a later {key} overrides it"));
        }
    }

    /// Sets a key of the process, such as `limits.connections`.
    pub(super) fn set_process(&mut self, at: &At, key: &'static str, value: Toml) {
        if self.known.contains(key) {
            self.process.retain(|setting| setting.key != key);
            self.process.push(Setting { key, value, at: at.clone() });
        } else {
            self.lost(None, at, format!("this version of Loopgate has no {key}"));
        }
    }

    /// Whether this version of the configuration has such a key in routes.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.known.contains(&format!("routes.NAME.{key}"))
    }

    /// Whether this version of the configuration has such a key in tunnels.
    pub(super) fn knows_of_link(&self, key: &str) -> bool {
        self.known.contains(&format!("tunnels.NAME.{key}"))
    }

    /// Notes words that are not carried over; `why` also says what to write instead, if anything.
    pub(super) fn lost(&mut self, id: Option<RouteId>, at: &At, why: impl AsRef<str>) {
        let note = Note::new(at, Fate::NotCarried, why);
        if let Some(route) = id.and_then(|id| self.route(id)) {
            let lack = format!("{}: {}", note.words, note.why);
            if !route.lacks.contains(&lack) {
                route.lacks.push(lack);
            }
        }
        self.notes.push(note);
    }

    /// Notes words that are carried over with a slightly different meaning.
    pub(super) fn differs(&mut self, at: &At, why: impl AsRef<str>) {
        self.notes.push(Note::new(at, Fate::Differs, why));
    }

    /// Notes words that need no counterpart.
    pub(super) fn idle(&mut self, at: &At, why: impl AsRef<str>) {
        self.notes.push(Note::new(at, Fate::NoEffect, why));
    }

    /// Leaves a route out, with a note.
    pub(super) fn leave_out(&mut self, id: RouteId, at: &At, why: impl AsRef<str>) {
        if let Some(route) = self.routes[id.0].take() {
            self.names.remove(&route.name);
            let why = format!("{}; the route from line {} is left out", why.as_ref(), route.at.line);
            let why = why.replace("the route from line 0", "the route");
            self.notes.push(Note::new(at, Fate::NotCarried, why));
        }
    }

    fn free_name(&mut self, wanted: &str) -> String {
        let legal = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
        let mut base: String = wanted.chars().map(legal).take(48).collect();
        if base.is_empty() {
            base.push_str("route");
        }
        if !self.names.contains(&base) {
            return base;
        }
        let number = self.numbers.entry(base.clone()).or_insert(1);
        loop {
            *number += 1;
            let name = format!("{base}-{number}");
            if !self.names.contains(&name) {
                return name;
            }
        }
    }
}
