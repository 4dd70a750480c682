//! The names, and the threads that look them up.
//!
//! The system's resolver blocks, and nothing ends a call of it. So each look-up has a thread of its own, which is left
//! behind when nobody waits any more; `places` bounds them. Names are dropped with the last target that has them, so the
//! table holds no more than the routes name.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::time::timeout_at;

use super::known::Known;
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
        known.retain(|_, name| name.strong_count() > 0);
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
        Name { text, route, names, known, hung: AtomicBool::new(false), ended: watch::Sender::new(Ok(())) }
    }

    /// Its addresses with this port, in the order to try them, as far as known.
    pub(crate) fn addresses(&self, port: u16) -> Vec<SocketAddr> {
        let mut addresses = self.known().addresses();
        addresses.iter_mut().for_each(|address| address.set_port(port));
        addresses
    }

    /// The same, after a look-up if there was none yet. A name that has addresses of its own (one under `localhost`) is not
    /// waited for any longer than others wait for it.
    ///
    /// # Errors
    /// As [`Name::look_up`]; then there is no address.
    pub(crate) async fn found(&self, port: u16, until: Instant) -> Result<Vec<SocketAddr>, Cause> {
        let (is_asked, has_some) = {
            let known = self.known();
            (known.was_looked_up(), !known.addresses().is_empty())
        };
        let until = if has_some { until.min(Instant::now() + HANGS_AFTER) } else { until };
        let answer = if is_asked && has_some { Ok(()) } else { self.look_up(until).await };
        let addresses = self.addresses(port);
        if addresses.is_empty() { Err(answer.err().unwrap_or(Cause::NoAddress)) } else { Ok(addresses) }
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

    /// Takes the answer of a look-up over, and passes it on.
    fn take(&self, answer: Result<Vec<SocketAddr>, Cause>, hung: bool, now: Instant) {
        let ended = answer.as_ref().map(drop).map_err(|cause| *cause);
        self.hung.store(hung, Relaxed);
        // A failure of this machine says nothing about the name.
        if answer.as_ref().err().is_none_or(|cause| cause.blames_target()) {
            self.known().take(answer, now);
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
