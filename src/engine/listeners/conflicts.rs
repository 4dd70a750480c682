//! What the routes of all sources mean together. One source's plan has been checked by itself; what it does not know is
//! the others.

use std::cell::LazyCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::bind::{self, Port};
use crate::address::ListenAddress;
use crate::engine::api::{Refused, Wanted};
use crate::plan::{self, Listeners, Met, Route, RouteId, RouteName, Routes, Source};
use crate::probe::network::routing::addresses;

/// Where a port whose number the kernel chose really is, once it is open.
pub(crate) type Real<'f> = &'f dyn Fn(&Port) -> Option<ListenAddress>;

/// A declaration beside what all sources want so far.
pub(crate) struct Beside<'a> {
    pub(crate) source: &'a Source,
    pub(crate) routes: &'a Routes,
    pub(crate) sources: &'a BTreeMap<Source, Routes>,
    pub(crate) real: Real<'a>,
}

impl Beside<'_> {
    /// Why each route that cannot stand beside the others cannot. What is held stays with its holder, so it is always the
    /// new route that is refused.
    pub(crate) fn refused(&self) -> BTreeMap<RouteName, Refused> {
        let mut refused = BTreeMap::new();
        self.names(&mut refused);
        self.addresses(&mut refused);
        if refused.is_empty() && self.others().next().is_some() {
            self.loops(&mut refused);
        }
        refused
    }

    fn others(&self) -> impl Iterator<Item = (&Source, &Routes)> {
        self.sources.iter().filter(|(source, routes)| *source != self.source && !routes.is_empty())
    }

    fn id(&self, name: &RouteName) -> RouteId {
        RouteId { source: self.source.clone(), name: name.clone() }
    }

    /// Two routes that print alike could not be told apart in any record.
    fn names(&self, refused: &mut BTreeMap<RouteName, Refused>) {
        let ids = |(source, routes): (&Source, &Routes)| {
            let id = |name: &RouteName| RouteId { source: source.clone(), name: name.clone() };
            routes.keys().map(id).collect::<Vec<_>>()
        };
        let known: HashMap<Arc<str>, RouteId> =
            self.others().flat_map(ids).map(|id| (id.shown(), id)).collect();
        for name in self.routes.keys().filter(|_| !known.is_empty()) {
            let wanted_by = self.id(name);
            if let Some(held_by) = known.get(&wanted_by.shown()).cloned() {
                refused.insert(name.clone(), Refused::SameName { wanted_by, held_by });
            }
        }
    }

    fn addresses(&self, refused: &mut BTreeMap<RouteName, Refused>) {
        let mut listeners = Listeners::default();
        for (port, by) in self.others().flat_map(|(source, routes)| bind::wanted(source, routes)) {
            let address = (self.real)(&port).unwrap_or_else(|| port.address().clone());
            listeners.add(port.protocol, address, by.id);
        }
        let is_held = |by: &Wanted| {
            let before = self.sources.get(self.source).and_then(|routes| routes.get(&by.id.name));
            before.is_some_and(|before| Arc::ptr_eq(before, &by.route))
        };
        let (held, new): (Vec<_>, Vec<_>) =
            bind::wanted(self.source, self.routes).partition(|(_, by)| is_held(by));
        for (port, by) in held.into_iter().chain(new) {
            let address = port.address().clone();
            let met = listeners.add(port.protocol, address.clone(), by.id.clone());
            if let Some(Met { owner: held_by, .. }) = met {
                let conflict = || Refused::Conflict { address, wanted_by: by.id.clone(), held_by };
                refused.entry(by.id.name.clone()).or_insert_with(conflict);
            }
        }
    }

    fn loops(&self, refused: &mut BTreeMap<RouteName, Refused>) {
        let all: Vec<(RouteId, &Arc<Route>)> = self
            .others()
            .chain([(self.source, self.routes)])
            .flat_map(|(source, routes)| routes.iter().map(move |(name, route)| (source, name, route)))
            .map(|(source, name, route)| (RouteId { source: source.clone(), name: name.clone() }, route))
            .collect();
        let listens = |nth: usize| {
            let (id, route) = &all[nth];
            let ports = bind::of_route(id, route).map(|(port, _)| port);
            ports.map(|port| (self.real)(&port).unwrap_or_else(|| port.address().clone())).collect()
        };
        // Asked for once, and only where a target may be one of them.
        let own = LazyCell::new(|| addresses().unwrap_or_default());
        let is_here = |ip| own.iter().any(|address| address.ip == ip);
        let routes: Vec<&Route> = all.iter().map(|(_, route)| &***route).collect();
        for mut way in plan::loops(&routes, listens, &is_here) {
            let is_own = |(nth, _): &(usize, ListenAddress)| all[*nth].0.source == *self.source;
            let Some(first) = way.iter().position(is_own) else { continue };
            way.rotate_left(first);
            let names: Vec<_> = way.iter().filter(|step| is_own(step)).map(|(nth, _)| *nth).collect();
            let way: Vec<_> = way.into_iter().map(|(nth, address)| (all[nth].0.clone(), address)).collect();
            for nth in names {
                let one = || Refused::Loop { way: way.clone() };
                refused.entry(all[nth].0.name.clone()).or_insert_with(one);
            }
        }
    }
}
