//! What a source declares, and the engine's answer.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use super::service::{self, Owner, Service, ServiceId, Services};
use crate::address::{Address, ListenAddress, Protocol};
use crate::plan::{self, Change, Route, RouteId, RouteName, Routes, Source};
use crate::transport::Destination;

/// The complete set of what a source wants: anything that is no longer in it is retired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Declaration {
    /// The routes; none if the source goes away.
    pub routes: Routes,
    /// The services.
    pub services: Services,
    /// What happens to the others if one of them cannot listen.
    pub on_failure: Policy,
}

/// What happens to a declaration if one of its routes or services cannot listen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Nothing changes: a file is applied as a whole.
    #[default]
    AllOrNothing,
    /// The others listen. A route or service that existed before stays as it was, if its address is still free; a new
    /// one is left out until it is declared again.
    WhatCan,
}

impl From<Routes> for Declaration {
    fn from(routes: Routes) -> Declaration {
        Declaration { routes, ..Declaration::default() }
    }
}

impl Declaration {
    /// The same with this policy.
    #[must_use]
    pub fn on_failure(mut self, policy: Policy) -> Declaration {
        self.on_failure = policy;
        self
    }

    /// The same with this service, which replaces any other of the same name.
    #[must_use]
    pub fn service(mut self, name: &str, service: Service) -> Declaration {
        self.services.insert(name.into(), Arc::new(service));
        self
    }
}

/// The result for one route or service that was declared.
#[derive(Debug)]
pub struct Answer {
    /// The route or the service.
    pub owner: Owner,
    /// Whether it listens as declared, or why not. (An address that `bind = "retry"` leaves for later is in
    /// [`Declared::not_listening`].)
    pub listens: Result<(), Refused>,
}

/// An address that could not be bound.
#[derive(Debug)]
pub struct BindFailure {
    /// What wants it.
    pub owner: Owner,
    /// Its protocol.
    pub protocol: Protocol,
    /// The address as written.
    pub address: ListenAddress,
    /// The error of bind(2) or listen(2).
    pub error: io::Error,
}

/// Why a declaration changed nothing.
#[derive(Debug)]
pub enum Refused {
    /// Every address that could not be bound.
    Bind(Vec<BindFailure>),
    /// An address that is the same as, or overlaps with, that of another route or service; of several, the first.
    Conflict {
        /// The address as written.
        address: ListenAddress,
        /// What wants it.
        wanted_by: Box<Owner>,
        /// What holds it.
        held_by: Box<Owner>,
    },
    /// Routes of several sources that form a loop.
    Loop {
        /// Each route with the address through which it is reached, in the order of a connection; the first belongs to
        /// the declaring source.
        way: Vec<(RouteId, ListenAddress)>,
    },
    /// A route or a service that would be printed like one of another source.
    SameName {
        /// The one that is declared.
        wanted_by: Box<Owner>,
        /// The one that has the name.
        held_by: Box<Owner>,
    },
    /// The engine has stopped.
    Stopped,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Stopped => f.write_str("the engine has stopped"),
            Refused::Bind(failures) => {
                let mut lines =
                    failures.iter().map(|it| format!("{} ({}): {}", it.address, it.owner, it.error));
                write!(f, "cannot listen on {}", lines.by_ref().collect::<Vec<_>>().join("; "))
            }
            Refused::Conflict { address, wanted_by, held_by } => {
                write!(f, "{wanted_by} cannot listen on {address}: it belongs to {held_by}")
            }
            Refused::Loop { way } => {
                let names: Vec<_> =
                    way.iter().map(|(route, address)| format!("{route} ({address})")).collect();
                let first = way.first().map(|(route, _)| route.to_string()).unwrap_or_default();
                write!(f, "route {first} leads back to itself: {} -> {first}", names.join(" -> "))
            }
            Refused::SameName { wanted_by, held_by } => {
                let (new, old) = (wanted_by.source(), held_by.source());
                write!(f, "{wanted_by} of {new} has the name of one of {old}; give it another name")
            }
        }
    }
}

impl std::error::Error for Refused {}

/// Where a route or a service listens now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// What listens.
    pub owner: Owner,
    /// The address, with the port that the kernel chose in place of 0.
    pub address: Address,
    /// The targets of a route, in the order written; empty for a service.
    pub targets: Vec<Destination>,
}

/// An address with `bind = "retry"` that is not bound yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotListening {
    /// What wants it.
    pub owner: Owner,
    /// The address as written.
    pub address: ListenAddress,
    /// The last error of bind(2) or listen(2), explained.
    pub why: String,
}

/// What a declaration did.
#[derive(Debug)]
pub struct Declared {
    /// The difference from the routes that the source wanted before.
    pub change: Change,
    /// Where everything listens now: all routes, each in the order written, then all services.
    pub listening: Vec<Listening>,
    /// The addresses that are not bound yet.
    pub not_listening: Vec<NotListening>,
    /// The result for each declared route, in the order of names, then for each service. Only [`Policy::WhatCan`] gives
    /// refusals here.
    pub answers: Vec<Answer>,
}

/// A route that wants a port, and the index of the address among the route's own.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) id: RouteId,
    pub(crate) route: Arc<Route>,
    pub(crate) place: usize,
}

/// The routes and services that one source has, or wants.
#[derive(Clone, Default)]
pub(super) struct Wants {
    pub(super) routes: Routes,
    pub(super) services: Services,
}

impl Wants {
    pub(super) fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.services.is_empty()
    }

    /// Each of them as an owner, routes first, in the order of names.
    pub(super) fn owners<'w>(&'w self, source: &'w Source) -> impl Iterator<Item = Owner> + 'w {
        let route = |name: &RouteName| RouteId { source: source.clone(), name: name.clone() };
        let service = |name: &Arc<str>| ServiceId { source: source.clone(), name: name.clone() };
        let routes = self.routes.keys().map(move |name| Owner::Route(route(name)));
        routes.chain(self.services.keys().map(move |name| Owner::Service(service(name))))
    }

    /// The same, but each entry that equals one in `old` is that one.
    fn keeping(self, old: &Wants) -> Wants {
        Wants {
            routes: plan::keep_equal(&old.routes, self.routes),
            services: service::keep_equal(&old.services, self.services),
        }
    }

    /// Restores the entry from `before`; removes it if it already is that one.
    fn go_back(&mut self, owner: &Owner, before: &Wants) {
        match owner {
            Owner::Route(RouteId { name, .. }) => back(&mut self.routes, name, &before.routes),
            Owner::Service(ServiceId { name, .. }) => back(&mut self.services, name, &before.services),
        }
    }
}

fn back<K: Ord + Clone, V>(wants: &mut BTreeMap<K, Arc<V>>, name: &K, before: &BTreeMap<K, Arc<V>>) {
    // Each entry is restored once and then removed, so the attempts end.
    let tried = wants.remove(name);
    let before = before.get(name).filter(|before| !tried.is_some_and(|it| Arc::ptr_eq(before, &it)));
    wants.extend(before.map(|before| (name.clone(), before.clone())));
}

/// Why part of a declaration was rejected.
pub(super) enum Rejected {
    /// These conflict with others.
    Beside(BTreeMap<Owner, Refused>),
    /// An address cannot be bound.
    Bind(Vec<BindFailure>),
}

impl Rejected {
    /// As the answer to the whole declaration.
    pub(super) fn whole(self) -> Refused {
        match self {
            // Every rejection has at least one entry; see where it is constructed.
            Rejected::Beside(owners) => owners.into_values().next().unwrap_or(Refused::Bind(Vec::new())),
            Rejected::Bind(failures) => Refused::Bind(failures),
        }
    }

    /// As the answers to the single entries of this source.
    fn by_owner(self, source: &Source) -> Result<BTreeMap<Owner, Refused>, Refused> {
        let failures = match self {
            Rejected::Beside(owners) => return Ok(owners),
            Rejected::Bind(failures) => failures,
        };
        // If an address of another source fails meanwhile, no entry of this source is the cause.
        if failures.iter().any(|it| it.owner.source() != source) {
            return Err(Refused::Bind(failures));
        }
        let mut owners: BTreeMap<Owner, Vec<BindFailure>> = BTreeMap::new();
        for failure in failures {
            owners.entry(failure.owner.clone()).or_default().push(failure);
        }
        Ok(owners.into_iter().map(|(owner, failures)| (owner, Refused::Bind(failures))).collect())
    }
}

/// A declaration in progress: what is tried, and why the rest was refused.
pub(super) struct Attempt {
    pub(super) source: Source,
    /// What is tried now.
    pub(super) wants: Wants,
    /// What the source has now.
    pub(super) before: Wants,
    on_failure: Policy,
    declared: Vec<Owner>,
    refused: BTreeMap<Owner, Refused>,
}

impl Attempt {
    pub(super) fn new(source: Source, before: Wants, declaration: Declaration) -> Attempt {
        let Declaration { routes, services, on_failure } = declaration;
        let wants = Wants { routes, services }.keeping(&before);
        let declared = wants.owners(&source).collect();
        Attempt { source, wants, before, on_failure, declared, refused: BTreeMap::new() }
    }

    /// Drops what was rejected, so that the rest can be tried.
    ///
    /// # Errors
    /// The final answer, if nothing is left to try.
    pub(super) fn give_up(&mut self, rejected: Rejected) -> Result<(), Refused> {
        if self.on_failure == Policy::AllOrNothing {
            return Err(rejected.whole());
        }
        for (owner, why) in rejected.by_owner(&self.source)? {
            // First the entry from before is tried, then none.
            self.wants.go_back(&owner, &self.before);
            self.refused.entry(owner).or_insert(why);
        }
        Ok(())
    }

    /// The result for each declared entry.
    pub(super) fn answers(mut self) -> Vec<Answer> {
        let answer = |owner: Owner| {
            let listens = self.refused.remove(&owner).map_or(Ok(()), Err);
            Answer { owner, listens }
        };
        self.declared.into_iter().map(answer).collect()
    }
}
