//! Conflicts between the routes and services of different sources. The plan of each source was checked by itself.

use std::cell::LazyCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::bind::{self, Port, WantedBy};
use crate::address::ListenAddress;
use crate::engine::api::{Refused, Wants};
use crate::engine::service::Owner;
use crate::plan::{self, Listeners, Met, Route, RouteId, Source};
use crate::probe::network::routing::addresses;

/// The real address of a port whose number the kernel chose, once it is open.
pub(crate) type Real<'f> = &'f dyn Fn(&Port) -> Option<ListenAddress>;

/// A declaration, and what all sources want so far.
pub(crate) struct Beside<'a> {
    pub(crate) source: &'a Source,
    pub(crate) wants: &'a Wants,
    pub(crate) sources: &'a BTreeMap<Source, Wants>,
    pub(crate) real: Real<'a>,
}

impl Beside<'_> {
    /// The entries that conflict with other sources, each with the reason. An address stays with its holder, so the new
    /// entry is always the one that is refused.
    pub(crate) fn refused(&self) -> BTreeMap<Owner, Refused> {
        let mut refused = BTreeMap::new();
        self.names(&mut refused);
        self.addresses(&mut refused);
        if refused.is_empty() && self.others().next().is_some() {
            self.loops(&mut refused);
        }
        refused
    }

    fn others(&self) -> impl Iterator<Item = (&Source, &Wants)> {
        self.sources.iter().filter(|(source, wants)| *source != self.source && !wants.is_empty())
    }

    /// Two routes with the same printed name could not be distinguished in records, nor two services in the log.
    fn names(&self, refused: &mut BTreeMap<Owner, Refused>) {
        let known: HashMap<String, Owner> = self
            .others()
            .flat_map(|(source, wants)| wants.owners(source))
            .map(|owner| (owner.to_string(), owner))
            .collect();
        for wanted_by in self.wants.owners(self.source).filter(|_| !known.is_empty()) {
            if let Some(held_by) = known.get(&wanted_by.to_string()).cloned() {
                let (owner, held_by) = (wanted_by.clone(), held_by.into());
                refused.insert(owner, Refused::SameName { wanted_by: wanted_by.into(), held_by });
            }
        }
    }

    fn addresses(&self, refused: &mut BTreeMap<Owner, Refused>) {
        let mut listeners = Listeners::default();
        for (port, by) in self.others().flat_map(|(source, wants)| bind::wanted(source, wants)) {
            let address = (self.real)(&port).unwrap_or_else(|| port.address().clone());
            listeners.add(port.protocol, address, by.owner());
        }
        let (held, new): (Vec<_>, Vec<_>) =
            bind::wanted(self.source, self.wants).partition(|(_, by)| self.is_held(by));
        for (port, by) in held.into_iter().chain(new) {
            let address = port.address().clone();
            let met = listeners.add(port.protocol, address.clone(), by.owner());
            if let Some(Met { owner: held_by, .. }) = met {
                let (wanted_by, held_by) = (by.owner().into(), held_by.into());
                let conflict = || Refused::Conflict { address, wanted_by, held_by };
                refused.entry(by.owner()).or_insert_with(conflict);
            }
        }
    }

    /// Whether the source already has it, unchanged.
    fn is_held(&self, by: &WantedBy) -> bool {
        let Some(before) = self.sources.get(self.source) else { return false };
        match by {
            WantedBy::Route(by) => {
                before.routes.get(&by.id.name).is_some_and(|it| Arc::ptr_eq(it, &by.route))
            }
            WantedBy::Service(by) => {
                before.services.get(&by.id.name).is_some_and(|it| Arc::ptr_eq(it, &by.service))
            }
        }
    }

    fn loops(&self, refused: &mut BTreeMap<Owner, Refused>) {
        let all: Vec<(RouteId, &Arc<Route>)> = self
            .others()
            .chain([(self.source, self.wants)])
            .flat_map(|(source, wants)| wants.routes.iter().map(move |(name, route)| (source, name, route)))
            .map(|(source, name, route)| (RouteId { source: source.clone(), name: name.clone() }, route))
            .collect();
        let listens = |nth: usize| {
            let (id, route) = &all[nth];
            let ports = bind::of_route(id, route).map(|(port, _)| port);
            ports.map(|port| (self.real)(&port).unwrap_or_else(|| port.address().clone())).collect()
        };
        // The kernel is asked once, and only if a target may be one of this machine's addresses.
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
                refused.entry(Owner::Route(all[nth].0.clone())).or_insert_with(one);
            }
        }
    }
}
