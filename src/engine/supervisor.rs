//! Owns every listener. A declaration is a transaction: bind what is new, then swap, then retire.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use super::context::Context;
use super::crowd::Crowd;
use super::opened::Opened;
use super::ports::{self, Bound, Holder, Port, Unbound};
use super::targets::Seconds;
use super::udp::UdpListener;
use super::{BindFailure, Declared, Listening, Refused, Source, drain};
use crate::address::Protocol;
use crate::diagnosis::{self, BindFinding};
use crate::plan::{Route, Routes, diff};
use crate::sys;

/// How often counts are settled and failed binds of `bind = "retry"` are tried again.
const TICK: Duration = Duration::from_secs(1);

/// How often a route that still does not listen says so.
const REMIND: Duration = Duration::from_secs(60);

/// What a [`super::Handle`] asks for.
pub(super) enum Order {
    Declare { source: Source, routes: Routes, reply: oneshot::Sender<Result<Declared, Refused>> },
    Stop { patience: Duration, reply: oneshot::Sender<usize> },
}

/// One task that owns its state; nobody else opens or closes a listener.
pub(super) struct Supervisor {
    cx: Arc<Context>,
    sources: BTreeMap<Source, Routes>,
    listeners: BTreeMap<Port, Opened>,
    /// Listeners that are retired and that flows still answer through.
    lingering: BTreeMap<Port, UdpListener>,
    retries: BTreeMap<Port, Retry>,
    crowd: Crowd,
    /// The worker whose turn it is to take a listener.
    turn: usize,
}

/// A port that its route's policy leaves for later.
struct Retry {
    route: Arc<Route>,
    why: String,
    since: Instant,
    told: Instant,
}

impl Supervisor {
    pub(super) fn new(cx: Arc<Context>) -> Supervisor {
        Supervisor {
            cx,
            sources: BTreeMap::new(),
            listeners: BTreeMap::new(),
            lingering: BTreeMap::new(),
            retries: BTreeMap::new(),
            crowd: Crowd::default(),
            turn: 0,
        }
    }

    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Order>) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let order = tokio::select! {
                order = inbox.recv() => order,
                _ = tick.tick() => {
                    self.tick();
                    self.close_what_lingered().await;
                    continue;
                }
            };
            match order {
                Some(Order::Declare { source, routes, reply }) => {
                    // Nobody waiting for the answer is no reason to undo it.
                    let _ = reply.send(self.declare(source, routes).await);
                }
                Some(Order::Stop { patience, reply }) => {
                    self.retire_all().await;
                    let _ = reply.send(drain::drain(&self.cx, patience).await);
                    return;
                }
                None => {
                    self.retire_all().await;
                    return drain::cut(&self.cx);
                }
            }
        }
    }

    fn tick(&mut self) {
        self.cx.ledger.settle(Instant::now());
        if self.crowd.has_left(self.cx.workers.sessions()) {
            sys::heap::give_back();
        }
        self.retry();
    }

    async fn declare(&mut self, source: Source, routes: Routes) -> Result<Declared, Refused> {
        let mut sources = self.sources.clone();
        let before = sources.insert(source, routes.clone()).unwrap_or_default();
        let wanted: BTreeMap<Port, Arc<Route>> = sources.values().flat_map(ports::wanted).collect();

        let is_held = |port: &Port| self.listeners.contains_key(port) || self.lingering.contains_key(port);
        let new = wanted.iter().filter(|(port, _)| !is_held(port));
        let new = new.map(|(port, route)| (port.clone(), route.clone())).collect();
        let (bound, unbound) = ports::bind_all(new, &self.leaving(&wanted)).map_err(Refused::Bind)?;
        let mut opened = self.open(bound).map_err(|failure| Refused::Bind(vec![failure]))?;

        // From here on nothing can fail.
        self.sources = sources;
        self.revive(&wanted);
        self.swap(&wanted);
        self.listeners.append(&mut opened);
        self.postpone(unbound, &wanted);
        self.retire_unwanted(&wanted).await;
        Ok(Declared {
            change: diff(&before, &routes),
            listening: self.listening(&wanted),
            not_listening: self.not_listening(),
        })
    }

    /// Every socket we hold that nobody wants any more.
    fn leaving(&self, wanted: &BTreeMap<Port, Arc<Route>>) -> Vec<Holder<'_>> {
        let is_unwanted = |port: &Port| !wanted.contains_key(port);
        let unwanted = self.listeners.iter().filter(|(port, _)| is_unwanted(port)).map(|(_, it)| it.holder());
        let lingering = self.lingering.iter().filter(|(port, _)| is_unwanted(port));
        unwanted.chain(lingering.map(|(_, it)| it.holder())).collect()
    }

    fn open(&mut self, bound: Vec<Bound>) -> Result<BTreeMap<Port, Opened>, BindFailure> {
        let mut opened = BTreeMap::new();
        let mut route_before = None;
        for it in bound {
            let (port, route) = (it.port.clone(), it.route.name.clone());
            // All listeners of a UDP route belong to one loop, so that they share one table of flows.
            if port.protocol == Protocol::Tcp || route_before.as_ref() != Some(&route) {
                self.turn = (self.turn + 1) % self.cx.workers.count();
            }
            route_before = Some(route.clone());
            let listener = Opened::start(it, &self.cx, self.turn).map_err(|error| BindFailure {
                route,
                protocol: port.protocol,
                address: port.address(),
                error,
            })?;
            opened.insert(port, listener);
        }
        Ok(opened)
    }

    /// A retired listener that is wanted again was never gone.
    fn revive(&mut self, wanted: &BTreeMap<Port, Arc<Route>>) {
        let back: Vec<Port> =
            self.lingering.keys().filter(|port| wanted.contains_key(port)).cloned().collect();
        for port in back {
            if let Some(listener) = self.lingering.remove(&port) {
                self.listeners.insert(port, Opened::Udp(listener));
            }
        }
    }

    async fn close_what_lingered(&mut self) {
        let over = |(_, listener): &(&Port, &UdpListener)| !listener.has_flows();
        let over: Vec<Port> = self.lingering.iter().filter(over).map(|(port, _)| port.clone()).collect();
        for port in over {
            if let Some(listener) = self.lingering.remove(&port) {
                listener.close().await;
            }
        }
    }

    /// Hands the listeners that stay to the routes that want them now.
    fn swap(&self, wanted: &BTreeMap<Port, Arc<Route>>) {
        for (port, listener) in &self.listeners {
            if let Some(route) = wanted.get(port) {
                listener.serve(route, &self.cx);
            }
        }
    }

    async fn retire_unwanted(&mut self, wanted: &BTreeMap<Port, Arc<Route>>) {
        let unwanted: Vec<Port> =
            self.listeners.keys().filter(|port| !wanted.contains_key(port)).cloned().collect();
        for port in unwanted {
            if let Some(listener) = self.listeners.remove(&port) {
                self.lingering.extend(listener.retire().await.map(|lingering| (port, lingering)));
            }
        }
    }

    async fn retire_all(&mut self) {
        self.retries.clear();
        while let Some((port, listener)) = self.listeners.pop_first() {
            self.lingering.extend(listener.retire().await.map(|lingering| (port, lingering)));
        }
    }

    fn postpone(&mut self, unbound: Vec<Unbound>, wanted: &BTreeMap<Port, Arc<Route>>) {
        self.retries.retain(|port, _| wanted.contains_key(port) && !self.listeners.contains_key(port));
        let now = Instant::now();
        for (Unbound { port, route, .. }, why) in explained(unbound) {
            let retry = self.retries.entry(port).or_insert(Retry {
                route: route.clone(),
                why: String::new(),
                since: now,
                told: now,
            });
            (retry.route, retry.why) = (route, why);
        }
    }

    fn retry(&mut self) {
        let due: Vec<_> =
            self.retries.iter().map(|(port, retry)| (port.clone(), retry.route.clone())).collect();
        if due.is_empty() {
            return;
        }
        // All of these routes have the policy Retry, so none of them can be a failure.
        let Ok((bound, unbound)) = ports::bind_all(due, &[]) else { return };
        for it in bound {
            let (port, route) = (it.port.clone(), it.route.clone());
            let since = self.retries.remove(&port).map_or_else(Instant::now, |retry| retry.since);
            match self.open(vec![it]) {
                Ok(mut opened) => {
                    let after = Seconds(since.elapsed());
                    tracing::info!("route {} listens on {} after {after}", route.name, port.address());
                    self.listeners.append(&mut opened);
                }
                Err(e) => {
                    tracing::error!("route {}: cannot serve {}: {}", route.name, port.address(), e.error)
                }
            }
        }
        self.remind(unbound);
    }

    fn remind(&mut self, mut unbound: Vec<Unbound>) {
        unbound.retain(|it| self.retries.get(&it.port).is_some_and(|retry| retry.told.elapsed() >= REMIND));
        for (Unbound { port, .. }, why) in explained(unbound) {
            let Some(retry) = self.retries.get_mut(&port) else { continue };
            let (name, address, for_) = (&retry.route.name, port.address(), Seconds(retry.since.elapsed()));
            tracing::warn!("route {name} does NOT listen on {address}, for {for_} now: {why}");
            (retry.told, retry.why) = (Instant::now(), why);
        }
    }

    fn listening(&self, wanted: &BTreeMap<Port, Arc<Route>>) -> Vec<Listening> {
        let mut all: Vec<(usize, Listening)> = Vec::new();
        for (port, listener) in &self.listeners {
            if let Some(route) = wanted.get(port) {
                let place = route.listen.iter().position(|address| *address == port.address());
                let listening = Listening { route: route.name.clone(), address: listener.address() };
                all.push((place.unwrap_or(0), listening));
            }
        }
        all.sort_by(|a, b| (&a.1.route, a.0).cmp(&(&b.1.route, b.0)));
        all.into_iter().map(|(_, listening)| listening).collect()
    }

    fn not_listening(&self) -> Vec<(Listening, String)> {
        let one = |(port, retry): (&Port, &Retry)| {
            (Listening { route: retry.route.name.clone(), address: port.address() }, retry.why.clone())
        };
        self.retries.iter().map(one).collect()
    }
}

/// Each with the reason it could not be bound, in words. That looks into /proc, so it is asked once a telling and not
/// once a try.
fn explained(unbound: Vec<Unbound>) -> Vec<(Unbound, String)> {
    let errors: Vec<_> =
        unbound.iter().map(|it| (it.port.address(), it.port.protocol.into(), &it.error)).collect();
    let why: Vec<String> = diagnosis::bind_failures(&errors).iter().map(BindFinding::summary).collect();
    unbound.into_iter().zip(why).collect()
}
