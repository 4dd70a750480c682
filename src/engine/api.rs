//! What a source declares, and what it is answered.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use super::service::{self, Owner, Service, ServiceId, Services};
use crate::address::{Address, ListenAddress, Protocol};
use crate::plan::{self, Change, Route, RouteId, RouteName, Routes, Source};
use crate::transport::Destination;

/// The whole set of what a source wants: what is not in it any more is retired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Declaration {
    /// The routes; none where the source goes away.
    pub routes: Routes,
    /// What else listens for it.
    pub services: Services,
    /// What becomes of the others where one of them cannot be had.
    pub on_failure: Policy,
}

/// What becomes of a declaration where one of its routes or services cannot be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Nothing changes: a file means all that it says.
    #[default]
    AllOrNothing,
    /// The others listen. One that was there before goes on as it was, as far as its place is still free; a new one is left
    /// out until it is declared again.
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

    /// The same with a service of this name, in the place of one that was called so.
    #[must_use]
    pub fn service(mut self, name: &str, service: Service) -> Declaration {
        self.services.insert(name.into(), Arc::new(service));
        self
    }
}

/// What became of one route or service that was declared.
#[derive(Debug)]
pub struct Answer {
    /// The route or the service.
    pub owner: Owner,
    /// Whether it listens as it was declared, or why not. (An address that its policy `bind = "retry"` leaves for later is
    /// among [`Declared::not_listening`].)
    pub listens: Result<(), Refused>,
}

/// An address that could not be bound.
#[derive(Debug)]
pub struct BindFailure {
    /// What wants it.
    pub owner: Owner,
    /// What it would carry.
    pub protocol: Protocol,
    /// The address as written.
    pub address: ListenAddress,
    /// What bind(2) or listen(2) said.
    pub error: io::Error,
}

/// Why a declaration changed nothing.
#[derive(Debug)]
pub enum Refused {
    /// Every address that could not be bound.
    Bind(Vec<BindFailure>),
    /// An address that another has, or one that overlaps with it; of several, the first.
    Conflict {
        /// The address as written.
        address: ListenAddress,
        /// What wants it.
        wanted_by: Box<Owner>,
        /// What keeps it.
        held_by: Box<Owner>,
    },
    /// Routes of several sources that lead back to where they began.
    Loop {
        /// Each route with the address it is reached by, in the order a connection goes; the first is of the source that
        /// declares.
        way: Vec<(RouteId, ListenAddress)>,
    },
    /// A route or a service that would be printed as one of another source is.
    SameName {
        /// What is declared.
        wanted_by: Box<Owner>,
        /// What is called so.
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
                write!(f, "{wanted_by} cannot listen on {address}: {held_by} listens there")
            }
            Refused::Loop { way } => {
                let names: Vec<_> =
                    way.iter().map(|(route, address)| format!("{route} ({address})")).collect();
                let first = way.first().map(|(route, _)| route.to_string()).unwrap_or_default();
                write!(f, "route {first} leads back to itself: {} -> {first}", names.join(" -> "))
            }
            Refused::SameName { wanted_by, held_by } => {
                let (new, old) = (wanted_by.source(), held_by.source());
                write!(f, "{wanted_by} of {new} is called as one of {old} is; call it otherwise")
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
    /// The address, with the port the kernel chose where 0 was written.
    pub address: Address,
    /// What the clients of a route are carried to, in the order written; of a service there is none.
    pub targets: Vec<Destination>,
}

/// An address with `bind = "retry"` that is not bound yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotListening {
    /// What wants it.
    pub owner: Owner,
    /// The address as written.
    pub address: ListenAddress,
    /// What bind(2) or listen(2) said last.
    pub why: String,
}

/// What a declaration did.
#[derive(Debug)]
pub struct Declared {
    /// The difference to the routes that the source wanted before.
    pub change: Change,
    /// Where all routes listen now, by route and in the order written, and then all services.
    pub listening: Vec<Listening>,
    /// What is left for later.
    pub not_listening: Vec<NotListening>,
    /// What became of each route that was declared, in the order of names, and of each service. None is refused but under
    /// [`Policy::WhatCan`].
    pub answers: Vec<Answer>,
}

/// A route that wants a port, and the place of the address among its own.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) id: RouteId,
    pub(crate) route: Arc<Route>,
    pub(crate) place: usize,
}

/// What one source has, or wants to have.
#[derive(Clone, Default)]
pub(super) struct Wants {
    pub(super) routes: Routes,
    pub(super) services: Services,
}

impl Wants {
    pub(super) fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.services.is_empty()
    }

    /// Each of them, routes first, in the order of names.
    pub(super) fn owners<'w>(&'w self, source: &'w Source) -> impl Iterator<Item = Owner> + 'w {
        let route = |name: &RouteName| RouteId { source: source.clone(), name: name.clone() };
        let service = |name: &Arc<str>| ServiceId { source: source.clone(), name: name.clone() };
        let routes = self.routes.keys().map(move |name| Owner::Route(route(name)));
        routes.chain(self.services.keys().map(move |name| Owner::Service(service(name))))
    }

    /// The same, with what is equal in `old` in the place of its equals.
    fn keeping(self, old: &Wants) -> Wants {
        Wants {
            routes: plan::keep_equal(&old.routes, self.routes),
            services: service::keep_equal(&old.services, self.services),
        }
    }

    /// Goes back to what this one was `before`, and where it is that already, leaves it out.
    fn go_back(&mut self, owner: &Owner, before: &Wants) {
        match owner {
            Owner::Route(RouteId { name, .. }) => back(&mut self.routes, name, &before.routes),
            Owner::Service(ServiceId { name, .. }) => back(&mut self.services, name, &before.services),
        }
    }
}

fn back<K: Ord + Clone, V>(wants: &mut BTreeMap<K, Arc<V>>, name: &K, before: &BTreeMap<K, Arc<V>>) {
    // Each step is taken once, so the tries come to an end.
    let tried = wants.remove(name);
    let before = before.get(name).filter(|before| !tried.is_some_and(|it| Arc::ptr_eq(before, &it)));
    wants.extend(before.map(|before| (name.clone(), before.clone())));
}

/// Why some of a declaration cannot be had.
pub(super) enum Rejected {
    /// They do not stand beside others.
    Beside(BTreeMap<Owner, Refused>),
    /// An address cannot be bound.
    Bind(Vec<BindFailure>),
}

impl Rejected {
    /// As the answer to the whole declaration.
    pub(super) fn whole(self) -> Refused {
        match self {
            // Every rejection has a reason; see where they are made.
            Rejected::Beside(owners) => owners.into_values().next().unwrap_or(Refused::Bind(Vec::new())),
            Rejected::Bind(failures) => Refused::Bind(failures),
        }
    }

    /// As the answers to what this source wants.
    fn by_owner(self, source: &Source) -> Result<BTreeMap<Owner, Refused>, Refused> {
        let failures = match self {
            Rejected::Beside(owners) => return Ok(owners),
            Rejected::Bind(failures) => failures,
        };
        // What fails on the way for another source is no fault of one of these.
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

/// A declaration on its way: what is tried, and why the rest was given up.
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

    /// Gives up what was rejected, so that the rest can be tried.
    ///
    /// # Errors
    /// What to answer, where there is nothing more to try.
    pub(super) fn give_up(&mut self, rejected: Rejected) -> Result<(), Refused> {
        if self.on_failure == Policy::AllOrNothing {
            return Err(rejected.whole());
        }
        for (owner, why) in rejected.by_owner(&self.source)? {
            // First back to what it was, then out.
            self.wants.go_back(&owner, &self.before);
            self.refused.entry(owner).or_insert(why);
        }
        Ok(())
    }

    /// What became of each.
    pub(super) fn answers(mut self) -> Vec<Answer> {
        let answer = |owner: Owner| {
            let listens = self.refused.remove(&owner).map_or(Ok(()), Err);
            Answer { owner, listens }
        };
        self.declared.into_iter().map(answer).collect()
    }
}
