//! The names, and the threads that look them up.
//!
//! The system's resolver blocks, and nothing ends a call of it. So each look-up has a thread of its own, which is left
//! behind when nobody waits any more; `places` bounds them. Names are dropped with the last target that has them, so the
//! table holds no more than the routes name.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::time::timeout_at;

use super::known::{Due, Known, News};
use super::places::{HANGS_AFTER, Places, Ticket};
use crate::outcome::Cause;
use crate::transport::{self, Destination, Whereabouts};

/// How long a look-up is waited for at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// Every name that a target has, and the look-ups under way.
#[derive(Default)]
pub(crate) struct Names {
    known: Mutex<HashMap<Arc<str>, Weak<Name>>>,
    places: Mutex<Places>,
    /// A look-up waits for a place.
    pub(super) wake: Notify,
    /// A look-up has ended, or a rule has changed, so that another may be due.
    pub(super) changed: Notify,
}

impl Names {
    /// The name and the port of a target of this route, or of its proxy, if that is a name that must be looked up.
    pub(crate) fn of_target(
        self: &Arc<Self>,
        to: &Destination,
        route: &Arc<str>,
    ) -> Option<(Arc<Name>, u16)> {
        match to.dialled().map(transport::whereabouts)? {
            Ok(Whereabouts::Name(name, port)) => Some((self.of(name, route), port)),
            _ => None,
        }
    }

    /// The name, for a target of this route. Names that differ in case alone are one.
    fn of(self: &Arc<Self>, name: &str, route: &Arc<str>) -> Arc<Name> {
        let text: Arc<str> = name.to_ascii_lowercase().into();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = known.get(&text).and_then(Weak::upgrade) {
            return name;
        }
        // Not for each of thousands.
        if known.len().is_power_of_two() {
            known.retain(|_, name| name.strong_count() > 0);
        }
        let name = Arc::new(Name::new(text.clone(), route.clone(), self.clone()));
        known.insert(text, Arc::downgrade(&name));
        name
    }

    /// Asks for a look-up, unless one is under way.
    fn ask(self: &Arc<Self>, name: &Name) -> Ticket {
        let ticket = self.places().ask(&name.text, &name.route, name.hung_before());
        self.start();
        ticket
    }

    /// Looks up what is due by the rules of the routes; returns when the next is.
    pub(super) fn look_up_due(self: &Arc<Self>, now: Instant) -> Option<Instant> {
        let mut next = None;
        for name in self.all() {
            let Some(every) = name.every() else { continue };
            // Apart, so that the lock ends here.
            let due = name.known().due(every, now);
            match due {
                Due::Now => drop(self.ask(&name)),
                Due::At(at) => next = Some(next.map_or(at, |next: Instant| next.min(at))),
                Due::Nothing => {}
            }
        }
        next
    }

    /// Looks up every name that was ever looked up, whatever its rule is.
    pub(crate) fn look_up_all(self: &Arc<Self>) {
        for name in self.all() {
            let is_wanted = name.known().ask_again();
            if is_wanted {
                self.ask(&name);
            }
        }
    }

    fn all(&self) -> Vec<Arc<Name>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().filter_map(Weak::upgrade).collect()
    }

    fn withdraw(&self, ticket: Ticket) {
        self.places().withdraw(ticket);
    }

    /// Starts the look-ups that have a place now.
    pub(super) fn start(self: &Arc<Self>) {
        let now = Instant::now();
        let (started, is_next) = {
            let mut places = self.places();
            (places.start(now), places.next(now).is_some())
        };
        if is_next {
            self.wake.notify_one();
        }
        for name in started {
            let (names, text) = (Arc::downgrade(self), name.clone());
            let look_up = move || {
                let found = transport::look_up(&text).map_err(|error| Cause::of_dial(&error));
                if let Some(names) = names.upgrade() {
                    names.ended(&text, found);
                    names.start();
                }
            };
            if let Err(error) = thread::Builder::new().name("lookup".into()).spawn(look_up) {
                let error = io::Error::new(io::ErrorKind::QuotaExceeded, error);
                self.ended(&name, Err(Cause::of_dial(&error)));
            }
        }
    }

    /// Hands an answer to all who wait for it.
    fn ended(&self, name: &Arc<str>, found: Result<Vec<SocketAddr>, Cause>) {
        let now = Instant::now();
        // Its place first: who asks from here on gets a look-up of its own, and not the end of this one.
        let took = self.places().ended(name, now).unwrap_or_default();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(name) = known.and_then(|name| name.upgrade()) {
            name.take(found, took >= HANGS_AFTER, now);
            self.changed.notify_one();
        }
    }

    pub(super) fn places(&self) -> MutexGuard<'_, Places> {
        // A panic cannot leave it half-changed, so a poisoned lock is as good as a clean one.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name that targets have.
pub(crate) struct Name {
    /// In lower case.
    text: Arc<str>,
    /// The first route that had it: its look-ups count on the share of this route.
    route: Arc<str>,
    names: Arc<Names>,
    known: Mutex<Known>,
    /// How often the routes that have it want it looked up again, and how many of them.
    rules: Mutex<BTreeMap<Duration, usize>>,
    /// Whether its last look-up hung.
    hung: AtomicBool,
    /// Changes with each look-up that ends.
    ended: watch::Sender<Answer>,
}

/// How a look-up ended.
type Answer = Result<(), Cause>;

impl Name {
    fn new(text: Arc<str>, route: Arc<str>, names: Arc<Names>) -> Name {
        let known = Mutex::new(Known::new(&text));
        Name {
            text,
            route,
            names,
            known,
            rules: Mutex::default(),
            hung: AtomicBool::new(false),
            ended: watch::Sender::new(Ok(())),
        }
    }

    /// Its addresses with this port, in the order to try them, as far as known.
    pub(crate) fn addresses(&self, port: u16) -> Vec<SocketAddr> {
        let mut addresses = self.known().addresses();
        addresses.iter_mut().for_each(|address| address.set_port(port));
        addresses
    }

    /// The same for a client, after a look-up if there was none yet. It waits a moment for a look-up, too, if the name was
    /// left alone for long, or has addresses in any case (one under `localhost`).
    ///
    /// # Errors
    /// As [`Name::look_up`]; then there is no address.
    pub(crate) async fn found(&self, port: u16, until: Instant) -> Result<Vec<SocketAddr>, Cause> {
        let (is_old, has_some) = {
            let mut known = self.known();
            (known.note_use(), !known.addresses().is_empty())
        };
        let mut answer = Ok(());
        if has_some && is_old {
            answer = self.look_up(until.min(Instant::now() + HANGS_AFTER)).await;
            self.known().make_do();
        } else if !has_some {
            answer = self.look_up(until).await;
        }
        let addresses = self.addresses(port);
        if addresses.is_empty() { Err(answer.err().unwrap_or(Cause::NoAddress)) } else { Ok(addresses) }
    }

    /// For a client that uses the addresses which were found before: how often they have changed by now. `None` if they
    /// are to be found again.
    pub(crate) fn note_use(&self) -> Option<u64> {
        let mut known = self.known();
        let is_old = known.note_use();
        (!is_old).then(|| known.moves())
    }

    /// How often its addresses have changed.
    pub(crate) fn moves(&self) -> u64 {
        self.known().moves()
    }

    /// Has it looked up again after `every`, until the answer is dropped.
    pub(crate) fn keep(self: &Arc<Name>, every: Duration) -> Kept {
        *self.rules().entry(every).or_default() += 1;
        self.names.changed.notify_one();
        Kept { name: self.clone(), every }
    }

    /// The shortest rule.
    fn every(&self) -> Option<Duration> {
        self.rules().keys().next().copied()
    }

    fn rules(&self) -> MutexGuard<'_, BTreeMap<Duration, usize>> {
        // A panic cannot leave it half-changed, so a poisoned lock is as good as a clean one.
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it has been looked up, at most until `until` and no longer than any look-up is waited for. An answer of
    /// just now is one.
    ///
    /// Cancel safe: the look-up goes on for the others.
    ///
    /// # Errors
    /// Why the look-up failed: `TimedOut` if it took too long.
    pub(crate) async fn look_up(&self, until: Instant) -> Answer {
        let now = Instant::now();
        if let Some(answer) = self.known().recent(now) {
            return answer;
        }
        let mut ended = self.ended.subscribe();
        let _waits = Waits { names: &self.names, ticket: self.names.ask(self) };
        match timeout_at(until.min(now + PATIENCE).into(), ended.changed()).await {
            // `self` owns the sender, so it is not gone.
            Ok(_) => *ended.borrow(),
            Err(_) => Err(Cause::TimedOut),
        }
    }

    /// Has it looked up for the next clients, unless it was just now.
    pub(crate) fn look_up_soon(&self) {
        let is_recent = self.known().recent(Instant::now()).is_some();
        if !is_recent {
            self.names.ask(self);
        }
    }

    /// Takes the answer of a look-up over, and passes it on.
    fn take(&self, answer: Result<Vec<SocketAddr>, Cause>, hung: bool, now: Instant) {
        let ended = answer.as_ref().map(drop).map_err(|cause| *cause);
        self.hung.store(hung, Relaxed);
        let news = match answer {
            // A failure of this machine says nothing about the name.
            Err(cause) if !cause.blames_target() => {
                self.known().postpone(cause, now);
                None
            }
            answer => self.known().take(answer, now),
        };
        if let Some(news) = news {
            log(&self.text, &news);
        }
        // The answer before is of no use to anyone.
        let _ = self.ended.send_replace(ended);
    }

    fn hung_before(&self) -> bool {
        self.hung.load(Relaxed)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A panic cannot leave it half-changed, so a poisoned lock is as good as a clean one.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that waits for a look-up.
struct Waits<'n> {
    names: &'n Names,
    ticket: Ticket,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.names.withdraw(self.ticket);
    }
}

/// A rule of a route for a name, in force while this lives.
pub(crate) struct Kept {
    name: Arc<Name>,
    every: Duration,
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut rules = self.name.rules();
        if let Some(count) = rules.get_mut(&self.every) {
            *count -= 1;
            if *count == 0 {
                rules.remove(&self.every);
            }
        }
    }
}

fn log(name: &str, news: &News) {
    let ips = |addresses: &[SocketAddr]| {
        let ips: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
        ips.join(", ")
    };
    match news {
        News::Moved { from, to } => {
            let (from, to) = (ips(from), ips(to));
            tracing::info!("target" = %name, from, to, "target {name}: {from} -> {to}");
        }
        News::Lost(cause) => {
            tracing::warn!("target" = %name, cause = %cause, "target {name} cannot be looked up again ({cause}) and keeps its addresses");
        }
        News::Back => tracing::info!("target" = %name, "target {name} can be looked up again"),
    }
}
