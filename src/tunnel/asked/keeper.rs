//! Carries out what the other end of one tunnel asks for, for as long as the tunnel runs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, sleep_until};

use super::dialled::{self, Dialled, Names};
use super::judge::own_addresses;
use super::lines::{self, Reasons};
use super::spots::Spots;
use super::{Asked, Inbox, Order, Wants, answers, forward, judge};
use crate::address::{ListenAddress, Protocol, TargetAddress, TargetThere, There};
use crate::engine::{Declaration, Declared, Policy};
use crate::outcome::Cause;
use crate::plan::{Route, RouteId, RouteName, Routes, Source, Target};
use crate::transport::BindPolicy;
use crate::transport::tunnel::message::{Fate, RefusedCode, RouteIs, WantedRoute};
use crate::tunnel::link::{Link, overlaps};
use crate::units::Seconds;

/// How patient a keeper is.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    /// How long what was asked for stays after the control that asked is gone.
    pub(super) linger: Duration,
    /// How often an address that could not be had is tried again.
    pub(super) retry: Duration,
}

impl Default for Times {
    fn default() -> Times {
        Times { linger: Duration::from_secs(60), retry: Duration::from_secs(10) }
    }
}

/// The most lines about one change of what is listened on.
const MAX_LINES: usize = 50;

/// Runs until the tunnel's future is dropped. What it has declared is then withdrawn by [`withdraw`].
pub(crate) async fn keep(link: Arc<Link>, inbox: Inbox, times: Times) {
    let Inbox { mut wants, mut orders } = inbox;
    let mut changes = link.changes();
    let mut keeper = Keeper::new(link, times);
    loop {
        let (retry, leave) = (keeper.may_retry(), keeper.leaves);
        tokio::select! {
            changed = wants.changed() => {
                let Ok(()) = changed else { return };
                let news = wants.borrow_and_update().clone();
                keeper.take(news).await;
            }
            changed = changes.changed() => {
                let Ok(()) = changed else { return };
                keeper.follow().await;
            }
            Some(order) = orders.recv() => keeper.obey(order).await,
            () = sleep(times.retry), if retry => keeper.ask().await,
            () = until(leave), if leave.is_some() => keeper.leave().await,
        }
    }
}

async fn until(at: Option<Instant>) {
    if let Some(at) = at {
        sleep_until(at.into()).await;
    }
}

struct Keeper {
    times: Times,
    link: Arc<Link>,
    source: Source,
    wanted: Arc<[WantedRoute]>,
    spots: Spots,
    dialled: Dialled,
    names: Names,
    /// What another source needs, and so is left alone until it is tried again.
    yielded: Vec<(Protocol, ListenAddress)>,
    /// When what was asked for is withdrawn, as nobody is there who asks for it.
    leaves: Option<Instant>,
    /// Why addresses could not be had, since the last lines.
    reasons: Reasons,
    told: BTreeMap<(String, Option<String>), Fate>,
    /// Whether the other end waits for an answer, news or not.
    is_asked: bool,
}

impl Keeper {
    fn new(link: Arc<Link>, times: Times) -> Keeper {
        Keeper {
            times,
            source: link.source.clone(),
            link,
            wanted: Arc::default(),
            spots: Spots::default(),
            dialled: Dialled::default(),
            names: Names::default(),
            yielded: Vec::new(),
            leaves: None,
            reasons: Reasons::default(),
            told: BTreeMap::new(),
            is_asked: false,
        }
    }

    async fn take(&mut self, news: Wants) {
        if !news.is_here {
            self.leaves = Some(Instant::now() + self.times.linger);
            return;
        }
        (self.wanted, self.leaves) = (news.routes, None);
        self.is_asked = true;
        self.ask().await;
    }

    /// A newer plan: what it no longer permits goes, what it newly permits comes. Sessions of listeners live on, as those of
    /// every route that is removed; sessions to an address that may no longer be dialled end.
    async fn follow(&mut self) {
        let terms = self.link.terms();
        let own = own_addresses();
        let is_own = |ip: IpAddr| own.contains(&ip);
        let permits =
            |written: &_, target: &_, protocol| forward::permits(&terms, written, target, protocol, &is_own);
        let gone = self.dialled.retain(permits);
        let id = |name: Arc<str>| RouteId { source: self.source.clone(), name: RouteName(name) }.shown();
        let gone: BTreeSet<Arc<str>> = gone.into_iter().map(id).collect();
        let link = self.link.clone();
        let sweep = || {
            if !gone.is_empty() {
                link.engine.revoke_where(|live| gone.contains(&live.route));
            }
        };
        sweep();
        self.ask().await;
        // What began on the way there.
        sweep();
    }

    /// Nobody has come back who asks for it.
    async fn leave(&mut self) {
        (self.leaves, self.wanted) = (None, Arc::default());
        tracing::info!(
            "tunnel={} has been away for {}: its listeners are closed",
            self.link.name,
            Seconds(self.times.linger)
        );
        self.ask().await;
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Dial { written, protocol, targets, reply } => {
                // Whoever asked may be gone.
                let _ = reply.send(self.dial(written, protocol, targets).await);
            }
            Order::Yield { addresses, reply } => {
                self.yielded = addresses;
                let is_held = self.holds_yielded();
                if is_held {
                    self.mark_yielded();
                    self.declare().await;
                    self.tell().await;
                }
                let _ = reply.send(is_held);
            }
        }
    }

    async fn dial(
        &mut self,
        written: TargetAddress,
        protocol: Protocol,
        targets: Vec<TargetAddress>,
    ) -> Result<RouteId, Cause> {
        let name = dialled::name(&written, protocol);
        // A newer plan may have come since they were found.
        let (terms, own) = (self.link.terms(), own_addresses());
        let is_own = |ip: IpAddr| own.contains(&ip);
        let may = targets.iter().all(|target| forward::permits(&terms, &written, target, protocol, &is_own));
        if !may || !self.names.may_use(&name) {
            return Err(Cause::TunnelRefused);
        }
        if self.dialled.note(&name, written, protocol, targets) {
            self.declare().await;
        }
        Ok(RouteId { source: self.source.clone(), name: RouteName(name) })
    }

    /// Judges what is wanted anew, and listens on what can be had.
    async fn ask(&mut self) {
        self.yielded.clear();
        judge::judge(&mut self.spots, &self.link.terms(), &self.wanted);
        for route in self.spots.wanted().into_keys().filter(|name| !self.names.may_use(name)) {
            self.spots.failed_whole(&route, RefusedCode::TooMany);
        }
        self.declare().await;
        self.tell().await;
    }

    fn may_retry(&self) -> bool {
        self.spots.is_worth_another_try()
    }

    fn holds_yielded(&self) -> bool {
        let wanted = self.spots.wanted();
        let held = |(protocol, needed): &(Protocol, ListenAddress)| {
            wanted.values().any(|(of, held)| of == protocol && held.iter().any(|held| overlaps(held, needed)))
        };
        self.yielded.iter().any(held)
    }

    /// Takes from the spots what was yielded. Where the choice of a port is ours, the next one may have been yielded too.
    fn mark_yielded(&mut self) {
        loop {
            let mut any = false;
            for (route, (protocol, held)) in self.spots.wanted() {
                let is_needed = |address: &&ListenAddress| {
                    self.yielded.iter().any(|(of, needed)| *of == protocol && overlaps(address, needed))
                };
                for address in held.iter().filter(is_needed) {
                    self.reasons.yielded(&route, address.clone());
                    any |= self.spots.failed(&route, address, RefusedCode::Taken);
                }
            }
            if !any {
                return;
            }
        }
    }

    /// Declares everything, again and again without what was refused.
    async fn declare(&mut self) {
        loop {
            let declaration = Declaration::from(self.routes()).on_failure(Policy::WhatCan);
            let any = match self.link.engine.declare(self.source.clone(), declaration).await {
                Ok(Declared { answers, .. }) => answers::take(&mut self.spots, answers, &mut self.reasons),
                // An address of another source fails meanwhile, or the engine has stopped.
                Err(_) => {
                    for route in self.spots.wanted().into_keys() {
                        self.spots.failed_whole(&route, RefusedCode::Other);
                    }
                    return;
                }
            };
            if !any {
                return;
            }
            self.mark_yielded();
        }
    }

    fn routes(&self) -> Routes {
        let terms = self.link.terms();
        let listening = self.spots.wanted().into_iter().map(|(name, (protocol, listen))| {
            let to = There::Service(name.clone());
            let target = TargetAddress::There(TargetThere { tunnel: self.link.name.clone(), to });
            let name = RouteName(name);
            let route = terms.tunnel.templates.route(name.clone(), protocol, listen, target.into());
            // What cannot be bound is told to the other end, and tried again here.
            (name, Route { bind: BindPolicy::Strict, ..route })
        });
        let dialled = self.dialled.iter().map(|(name, protocol, targets)| {
            let (name, mut targets) = (RouteName(name.clone()), targets.iter().cloned().map(Target::from));
            let first = targets.next();
            let of = |first| terms.tunnel.templates.route(name.clone(), protocol, Vec::new(), first);
            first.map(of).map(|mut route| {
                route.targets.extend(targets);
                (name, route)
            })
        });
        let all = listening.chain(dialled.flatten());
        all.map(|(name, route)| (name, Arc::new(route))).collect()
    }

    /// Tells the other end, and logs what has changed: here also who has what could not be had.
    async fn tell(&mut self) {
        let fates = self.spots.fates();
        let now: BTreeMap<_, _> =
            fates.iter().map(|it| ((it.name.clone(), it.asked.clone()), it.fate.clone())).collect();
        let is_new = |it: &&RouteIs| self.told.get(&(it.name.clone(), it.asked.clone())) != Some(&it.fate);
        let new: Vec<_> = fates.iter().filter(is_new).take(MAX_LINES).collect();
        let reasons = std::mem::take(&mut self.reasons);
        if !new.is_empty() {
            let reasons = reasons.explained().await;
            let protocol = |route: &str| self.spots.protocol(route);
            let may_listen = lines::may_listen(&self.link.terms().tunnel.may_listen, &fates, protocol);
            for it in new {
                lines::log(&self.link.name, it, protocol(&it.name), &reasons, &may_listen);
            }
        }
        let is_news = self.is_asked || now != self.told;
        (self.told, self.is_asked) = (now, false);
        if is_news {
            self.link.asked.publish(fates);
        }
    }
}

impl Asked {
    /// Tells the other end what became of its routes.
    fn publish(&self, fates: Vec<RouteIs>) {
        self.fates.send_replace(fates.into());
    }
}

/// Withdraws everything that a tunnel has declared.
pub(crate) async fn withdraw(link: &Link) {
    // It fails only if the engine has stopped, and then nothing is left of it.
    let _ = link.engine.declare(link.source.clone(), Routes::new()).await;
}
