//! Owns every listener. A declaration is a transaction: bind what is new, then swap, then retire.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use super::any::AnyListener;
use super::bind::{self, Bound, Leaving, Port, WantedBy};
use super::conflicts::Beside;
use super::files;
use super::leaving;
use super::lingering::Lingering;
use super::report;
use super::retries::Retries;
use super::route_runtimes::RouteRuntimes;
use super::watch::{FileWatch, Found};
use crate::address::{ListenAddress, Protocol};
use crate::engine::api::{Attempt, BindFailure, Declaration, Declared, Refused, Rejected, Wanted, Wants};
use crate::engine::runtime::context::Context;
use crate::engine::runtime::drain;
use crate::engine::runtime::heap_trim::HeapTrim;
use crate::plan::{Route, RouteId, Source, diff};
use crate::sys;
use crate::transport::FolderLocks;
use crate::units::Seconds;

/// How often counters are settled, and failed binds with `bind = "retry"` are tried again.
const TICK: Duration = Duration::from_secs(1);

/// A request of a [`crate::engine::Handle`].
pub(crate) enum Request {
    Declare { source: Source, declaration: Declaration, reply: oneshot::Sender<Result<Declared, Refused>> },
    Stop { patience: Duration, reply: oneshot::Sender<usize> },
}

/// A task that owns its state; no other code opens or closes a listener.
pub(crate) struct Supervisor {
    cx: Arc<Context>,
    sources: BTreeMap<Source, Wants>,
    /// Every port that the sources want, bound or not.
    wanted: BTreeMap<Port, WantedBy>,
    runtimes: RouteRuntimes,
    listeners: BTreeMap<Port, AnyListener>,
    lingering: Lingering,
    files: FileWatch,
    retries: Retries,
    heap_trim: HeapTrim,
    /// The worker that gets the next listener.
    turn: usize,
}

impl Supervisor {
    pub(crate) fn new(cx: Arc<Context>) -> Supervisor {
        Supervisor {
            cx,
            sources: BTreeMap::new(),
            wanted: BTreeMap::new(),
            runtimes: RouteRuntimes::default(),
            listeners: BTreeMap::new(),
            lingering: Lingering::default(),
            files: FileWatch::default(),
            retries: Retries::default(),
            heap_trim: HeapTrim::default(),
            turn: 0,
        }
    }

    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let request = tokio::select! {
                request = inbox.recv() => request,
                found = self.files.found() => {
                    self.renew_files(found).await;
                    continue;
                }
                _ = tick.tick() => {
                    self.tick().await;
                    self.lingering.close_unused(&self.cx).await;
                    continue;
                }
            };
            match request {
                Some(Request::Declare { source, declaration, reply }) => {
                    // A declaration is not undone if its caller no longer waits for the answer.
                    let _ = reply.send(self.declare(source, declaration).await);
                }
                Some(Request::Stop { patience, mut reply }) => {
                    self.retire_all().await;
                    // If the caller no longer waits for the answer, the drain ends at once.
                    let cut_off = drain::drain(&self.cx, patience, reply.closed()).await;
                    let _ = reply.send(cut_off);
                    return;
                }
                None => {
                    self.retire_all().await;
                    return drain::cut(&self.cx);
                }
            }
        }
    }

    async fn tick(&mut self) {
        self.cx.ledger.settle(Instant::now());
        self.cx.admissions.settle(Instant::now());
        if self.heap_trim.has_left(self.cx.workers.sessions()) {
            sys::heap::give_back();
        }
        self.retry().await;
        self.files.look(&self.listeners, &self.wanted);
    }

    async fn declare(&mut self, source: Source, declaration: Declaration) -> Result<Declared, Refused> {
        let before = self.sources.get(&source).cloned().unwrap_or_default();
        let mut attempt = Attempt::new(source, before, declaration);
        self.files.forget_told();
        while let Err(rejected) = self.attempt(&attempt.source, &attempt.wants).await {
            attempt.give_up(rejected)?;
        }
        Ok(Declared {
            change: diff(&attempt.before.routes, &attempt.wants.routes),
            listening: report::listening(&self.listeners, &self.wanted),
            not_listening: self.retries.not_listening(),
            answers: attempt.answers(),
        })
    }

    /// One transaction: either the source has all of `wants` afterwards, or nothing has changed.
    async fn attempt(&mut self, source: &Source, wants: &Wants) -> Result<(), Rejected> {
        self.check(source, wants)?;
        let mut sources = self.sources.clone();
        sources.remove(source);
        if !wants.is_empty() {
            sources.insert(source.clone(), wants.clone());
        }
        let wanted: BTreeMap<Port, WantedBy> =
            sources.iter().flat_map(|(source, wants)| bind::wanted(source, wants)).collect();

        let is_held = |port: &Port| self.listeners.contains_key(port) || self.lingering.contains(port);
        let new = wanted.iter().filter(|(port, _)| !is_held(port));
        let new: Vec<_> = new.map(|(port, by)| (port.clone(), by.clone())).collect();
        let locks = FolderLocks::of(new.iter().map(|(port, _)| port.address())).await;
        let (bound, unbound) = bind::bind_all(new, &self.leaving(&wanted)).map_err(Rejected::Bind)?;
        drop(locks);
        let _admissions = self.cx.admissions.open(source, &wants.routes, &self.cx.ledger);
        let mut opened = BTreeMap::new();
        let opening = self.open(bound, &mut opened).and_then(|()| files::change(&self.listeners, &wanted));
        if let Err(failure) = opening {
            close(opened).await;
            return Err(Rejected::Bind(vec![failure]));
        }

        // From here on, nothing can fail.
        self.sources = sources;
        self.cx.admissions.adopt(source, &wants.routes);
        // Put back into service with the others.
        self.listeners.extend(self.lingering.take_wanted(&wanted));
        let wanted_before = std::mem::replace(&mut self.wanted, wanted);
        self.swap(&wanted_before);
        self.listeners.append(&mut opened);
        let is_awaited = |port: &Port| self.wanted.contains_key(port) && !self.listeners.contains_key(port);
        self.retries.postpone(unbound, is_awaited);
        self.retire_unwanted().await;
        Ok(())
    }

    /// Checks what this source wants for conflicts with the other sources.
    fn check(&self, source: &Source, wants: &Wants) -> Result<(), Rejected> {
        let real = |port: &Port| {
            let listener = self.listeners.get(port).filter(|_| port.is_chosen())?;
            port.numbered(listener.address().net()?.port()).map(ListenAddress::Net)
        };
        let refused = Beside { source, wants, sources: &self.sources, real: &real }.refused();
        if refused.is_empty() { Ok(()) } else { Err(Rejected::Beside(refused)) }
    }

    /// Every socket whose port is held and no longer wanted.
    fn leaving(&self, wanted: &BTreeMap<Port, WantedBy>) -> Leaving<'_> {
        let mut leaving = Leaving::new();
        let listeners = self.listeners.iter().filter_map(|(port, it)| {
            let number = it.address().net()?.port();
            Some((port, number, it.socket()))
        });
        let all = listeners.chain(self.lingering.sockets());
        for (port, number, socket) in all.filter(|(port, ..)| !wanted.contains_key(port)) {
            if let Some(held) = port.numbered(number) {
                leaving.entry((port.protocol, held.port)).or_default().push((held, socket));
            }
        }
        leaving
    }

    /// Starts to accept from each. If one fails, the caller must close those in `opened`.
    fn open(
        &mut self,
        bound: Vec<Bound>,
        opened: &mut BTreeMap<Port, AnyListener>,
    ) -> Result<(), BindFailure> {
        let mut route_before = None;
        for it in bound {
            let (port, by) = (it.port.clone(), it.by.clone());
            // All listeners of a UDP route belong to one worker, so that they share one table of flows.
            if port.protocol == Protocol::Tcp || route_before.as_ref() != Some(&by.owner()) {
                self.turn = (self.turn + 1) % self.cx.workers.count();
            }
            route_before = Some(by.owner());
            let listener = AnyListener::start(it, &mut self.runtimes, &self.cx, self.turn);
            opened.insert(port.clone(), listener.map_err(|error| bind::failure(&port, &by, error))?);
        }
        Ok(())
    }

    /// Hands the listeners that stay to the routes and services that want them now. A listener whose owner is unchanged
    /// keeps its state, such as the turn of its targets.
    fn swap(&mut self, before: &BTreeMap<Port, WantedBy>) {
        for (port, listener) in &self.listeners {
            let Some(by) = self.wanted.get(port) else { continue };
            if !before.get(port).is_some_and(|before| before.is_same(by)) {
                listener.serve(by, &mut self.runtimes, &self.cx);
            }
            listener.follow_control();
        }
        self.list_routes();
        self.runtimes.forget_unused();
    }

    /// Publishes the routes along which handed-over connections and the flows of tunnels may be carried.
    fn list_routes(&mut self) {
        let (runtimes, cx) = (&mut self.runtimes, &self.cx);
        let of_source = |(source, wants): (&Source, &Wants)| {
            let wanted = |route: &Arc<Route>| {
                let id = RouteId { source: source.clone(), name: route.name.clone() };
                Wanted { id, route: route.clone(), place: 0 }
            };
            wants.routes.values().map(wanted).collect::<Vec<_>>()
        };
        let all = self.sources.iter().flat_map(of_source);
        let is_tcp = |by: &Wanted| by.route.carries.protocol() == Protocol::Tcp;
        let (tcp, udp): (Vec<_>, Vec<_>) = all.partition(is_tcp);
        cx.udp.list(udp);
        let listed = tcp.into_iter().map(|by| (by.id.clone(), runtimes.of(&by, cx))).collect();
        *self.cx.routes.lock().unwrap_or_else(PoisonError::into_inner) = listed;
    }

    async fn retire_unwanted(&mut self) {
        let wanted = &self.wanted;
        let unwanted = self.listeners.extract_if(.., |port, _| !wanted.contains_key(port)).collect();
        self.lingering.follow(wanted, &self.cx).await;
        let unwanted = self.lingering.keep_aliases(unwanted, wanted, &self.cx);
        self.lingering.extend(leaving::retire(unwanted).await);
        self.lingering.give_way(&self.wanted).await;
    }

    /// Replaces listeners whose socket file is gone by those with a new one.
    async fn renew_files(&mut self, found: Vec<Found>) {
        let mut old = Vec::new();
        for (port, by, made) in found {
            // What a reload has changed meanwhile is removed again, and the next look decides.
            if !self.wanted.get(&port).is_some_and(|now| now.is_same(&by)) {
                continue;
            }
            let mut opened = BTreeMap::new();
            let made = made.map(|bound| self.open(vec![bound], &mut opened));
            match made {
                Ok(Ok(())) => {
                    let (owner, address) = (by.owner(), port.address());
                    tracing::warn!(
                        "the socket file of {owner} was removed or replaced: {address} is made again"
                    );
                    old.extend(opened.into_iter().filter_map(|(port, new)| {
                        self.listeners.insert(port.clone(), new).map(|old| (port, old))
                    }));
                }
                Ok(Err(failure)) => self.files.tell(port, &by, failure.error.to_string()),
                Err(why) => self.files.tell(port, &by, why),
            }
        }
        leaving::retire(old).await;
    }

    async fn retire_all(&mut self) {
        self.files.stop().await;
        self.retries.clear();
        self.lingering.follow(&BTreeMap::new(), &self.cx).await;
        let all = std::mem::take(&mut self.listeners).into_iter().collect();
        self.lingering.extend(leaving::retire(all).await);
    }

    async fn retry(&mut self) {
        let due = self.retries.due();
        if due.is_empty() {
            return;
        }
        let _locks = FolderLocks::of(due.iter().map(|(port, _)| port.address())).await;
        // All of these have the policy `retry`, so a failed bind is not an error.
        let Ok((bound, unbound)) = bind::bind_all(due, &Leaving::new()) else { return };
        for it in bound {
            let (port, owner) = (it.port.clone(), it.by.owner());
            let mut opened = BTreeMap::new();
            match self.open(vec![it], &mut opened) {
                Ok(()) => {
                    let after = Seconds(self.retries.end(&port).elapsed());
                    tracing::info!("{owner} listens on {} after {after}", port.address());
                    self.listeners.append(&mut opened);
                }
                // A lack of descriptors may pass, so the port stays among those that are tried again.
                Err(e) => {
                    tracing::error!("{owner}: cannot serve {}: {}; tried again", port.address(), e.error)
                }
            }
        }
        self.retries.remind(unbound);
    }
}

/// Undoes an opening. Clients that have connected meanwhile are served: the route existed for a moment.
async fn close(opened: BTreeMap<Port, AnyListener>) {
    for (_, with_flows) in leaving::retire(opened.into_iter().collect()).await {
        with_flows.close().await;
    }
}
