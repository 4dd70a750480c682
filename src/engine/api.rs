//! What a source declares, and what it is answered.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::address::{Address, ListenAddress, Protocol, TargetAddress};
use crate::plan::{Change, Route, RouteId, RouteName, Routes, Source};

/// The whole set of what a source wants: what is not in it any more is retired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Declaration {
    /// The routes; none where the source goes away.
    pub routes: Routes,
    /// What becomes of the others where one of them cannot be had.
    pub on_failure: Policy,
}

/// What becomes of a declaration where one of its routes cannot be had.
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
}

/// What became of one route that was declared.
#[derive(Debug)]
pub struct Answer {
    /// The route.
    pub route: RouteId,
    /// Whether it listens as it was declared, or why not. (An address that its policy `bind = "retry"` leaves for later is
    /// among [`Declared::not_listening`].)
    pub listens: Result<(), Refused>,
}

/// An address that could not be bound.
#[derive(Debug)]
pub struct BindFailure {
    /// The route that wants it.
    pub route: RouteId,
    /// What it carries.
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
    /// An address that another route has, or one that overlaps with it; of several, the first.
    Conflict {
        /// The address as written.
        address: ListenAddress,
        /// The route that wants it.
        wanted_by: RouteId,
        /// The route that keeps it.
        held_by: RouteId,
    },
    /// Routes of several sources that lead back to where they began.
    Loop {
        /// Each route with the address it is reached by, in the order a connection goes; the first is of the source that
        /// declares.
        way: Vec<(RouteId, ListenAddress)>,
    },
    /// A route that would be printed as one of another source is.
    SameName {
        /// The route that is declared.
        wanted_by: RouteId,
        /// The route that is called so.
        held_by: RouteId,
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
                    failures.iter().map(|it| format!("{} (route {}): {}", it.address, it.route, it.error));
                write!(f, "cannot listen on {}", lines.by_ref().collect::<Vec<_>>().join("; "))
            }
            Refused::Conflict { address, wanted_by, held_by } => {
                write!(f, "route {wanted_by} cannot listen on {address}: route {held_by} listens there")
            }
            Refused::Loop { way } => {
                let names: Vec<_> =
                    way.iter().map(|(route, address)| format!("{route} ({address})")).collect();
                let first = way.first().map(|(route, _)| route.to_string()).unwrap_or_default();
                write!(f, "route {first} leads back to itself: {} -> {first}", names.join(" -> "))
            }
            Refused::SameName { wanted_by, held_by } => {
                let (new, old) = (&wanted_by.source, &held_by.source);
                write!(f, "route {wanted_by} of {new} is called as one of {old} is; call it otherwise")
            }
        }
    }
}

impl std::error::Error for Refused {}

/// Where a route listens now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The route.
    pub route: RouteId,
    /// The address, with the port the kernel chose where 0 was written.
    pub address: Address,
    /// What its clients are carried to, in the order written.
    pub targets: Vec<TargetAddress>,
}

/// An address of a route with `bind = "retry"` that is not bound yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotListening {
    /// The route.
    pub route: RouteId,
    /// The address as written.
    pub address: ListenAddress,
    /// What bind(2) or listen(2) said last.
    pub why: String,
}

/// What a declaration did.
#[derive(Debug)]
pub struct Declared {
    /// The difference to what the source wanted before.
    pub change: Change,
    /// Where all routes listen now, by route and in the order written.
    pub listening: Vec<Listening>,
    /// What is left for later.
    pub not_listening: Vec<NotListening>,
    /// What became of each route that was declared, in the order of names. None is refused but under
    /// [`Policy::WhatCan`].
    pub answers: Vec<Answer>,
}

/// Who wants a port: a route, and the place of the address among its own.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) id: RouteId,
    pub(crate) route: Arc<Route>,
    pub(crate) place: usize,
}

impl Wanted {
    /// Whether nothing has changed from one declaration to the next: equal routes are one object (see
    /// [`crate::plan::keep_equal`]).
    pub(crate) fn is_same(&self, next: &Wanted) -> bool {
        self.id == next.id && self.place == next.place && Arc::ptr_eq(&self.route, &next.route)
    }
}

/// Why routes of a declaration cannot be had.
pub(super) enum Rejected {
    /// They do not stand beside others.
    Beside(BTreeMap<RouteName, Refused>),
    /// An address cannot be bound.
    Bind(Vec<BindFailure>),
}

impl Rejected {
    /// As the answer to the whole declaration.
    pub(super) fn whole(self) -> Refused {
        match self {
            // Every rejection has a reason; see where they are made.
            Rejected::Beside(routes) => routes.into_values().next().unwrap_or(Refused::Bind(Vec::new())),
            Rejected::Bind(failures) => Refused::Bind(failures),
        }
    }

    /// As the answers to the routes of this source.
    fn by_route(self, source: &Source) -> Result<BTreeMap<RouteName, Refused>, Refused> {
        let failures = match self {
            Rejected::Beside(routes) => return Ok(routes),
            Rejected::Bind(failures) => failures,
        };
        // A route of another source that fails on the way is no fault of one of these.
        if failures.iter().any(|it| it.route.source != *source) {
            return Err(Refused::Bind(failures));
        }
        let mut routes: BTreeMap<RouteName, Vec<BindFailure>> = BTreeMap::new();
        for failure in failures {
            routes.entry(failure.route.name.clone()).or_default().push(failure);
        }
        Ok(routes.into_iter().map(|(name, failures)| (name, Refused::Bind(failures))).collect())
    }
}

/// A declaration on its way: what is tried, and why the rest was given up.
pub(super) struct Attempt {
    pub(super) source: Source,
    /// What is tried now.
    pub(super) routes: Routes,
    /// What the source has now.
    pub(super) before: Routes,
    on_failure: Policy,
    declared: Vec<RouteName>,
    refused: BTreeMap<RouteName, Refused>,
}

impl Attempt {
    pub(super) fn new(source: Source, before: Routes, declaration: Declaration) -> Attempt {
        let Declaration { routes, on_failure } = declaration;
        let declared = routes.keys().cloned().collect();
        Attempt { source, routes, before, on_failure, declared, refused: BTreeMap::new() }
    }

    /// Gives up what was rejected, so that the rest can be tried.
    ///
    /// # Errors
    /// What to answer, where there is nothing more to try.
    pub(super) fn give_up(&mut self, rejected: Rejected) -> Result<(), Refused> {
        if self.on_failure == Policy::AllOrNothing {
            return Err(rejected.whole());
        }
        for (name, why) in rejected.by_route(&self.source)? {
            // First back to what it was, then out: each step is taken once, so the tries come to an end.
            let tried = self.routes.remove(&name);
            let before =
                self.before.get(&name).filter(|before| !tried.is_some_and(|it| Arc::ptr_eq(before, &it)));
            self.routes.extend(before.map(|before| (name.clone(), before.clone())));
            self.refused.entry(name).or_insert(why);
        }
        Ok(())
    }

    /// What became of each route, in the order of names.
    pub(super) fn answers(mut self) -> Vec<Answer> {
        let answer = |name: RouteName| {
            let listens = self.refused.remove(&name).map_or(Ok(()), Err);
            Answer { route: RouteId { source: self.source.clone(), name }, listens }
        };
        self.declared.into_iter().map(answer).collect()
    }
}
