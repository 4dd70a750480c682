//! The targets at run time: where each was last reached, whether it is up, and how long it has been down.
//!
//! One state per target, shared by the routes that dial it. A change of state is one line; a failure of our own (no source
//! port, no descriptor) changes nothing.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::watcher;
use crate::address::{Address, Host, TargetAddress};
use crate::outcome::{Attempt, Cause};
use crate::transport::{self, Dial, Stream};

/// Every target that a route dials.
#[derive(Default)]
pub(super) struct Targets {
    known: Mutex<HashMap<TargetAddress, Weak<Target>>>,
}

impl Targets {
    /// The state of a target; a new one where no route dials it yet.
    pub(super) fn get(&self, address: &TargetAddress) -> Arc<Target> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, target| target.strong_count() > 0);
        if let Some(target) = known.get(address).and_then(Weak::upgrade) {
            return target;
        }
        let target = Arc::new(Target::new(address.clone()));
        known.insert(address.clone(), Arc::downgrade(&target));
        target
    }
}

/// One target's state.
pub(super) struct Target {
    address: TargetAddress,
    /// The addresses of its name, the one that answered last in front. Empty until the first look-up.
    resolved: Mutex<Vec<Address>>,
    health: watch::Sender<Health>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Health {
    /// Nothing said otherwise yet.
    Up,
    Down {
        since: Instant,
        failures: u64,
    },
}

/// A dial that failed.
pub(super) struct Unreached {
    /// Why; of several addresses, the last one's.
    pub(super) cause: Cause,
    /// The address dialled last.
    pub(super) address: Option<Address>,
}

impl Target {
    fn new(address: TargetAddress) -> Target {
        Target { address, resolved: Mutex::default(), health: watch::Sender::new(Health::Up) }
    }

    /// Dials the target, every address of its name in turn, and notes what that says about it. Each dial is added to
    /// `attempts`.
    ///
    /// Cancel safe.
    pub(super) async fn reach(
        self: &Arc<Self>,
        dial: &Dial,
        attempts: &mut Vec<Attempt>,
    ) -> Result<(Stream, Address), Unreached> {
        let answer = match self.remembered() {
            addresses if addresses.is_empty() => self.resolve_and_dial(dial, attempts).await,
            addresses => match dial_each(&addresses, dial, attempts).await {
                // A name may have moved since it was looked up.
                Err(failed) if failed.cause.blames_target() && self.has_name() => {
                    self.resolve_and_dial_others(&addresses, dial, attempts).await.unwrap_or(Err(failed))
                }
                answer => answer,
            },
        };
        match &answer {
            Ok((_, address)) => {
                self.remember(address);
                self.note_up();
            }
            Err(failed) if failed.cause.blames_target() => {
                self.forget();
                self.note_down(failed);
            }
            Err(_) => {}
        }
        answer
    }

    /// Resolves once the target is up, as far as is known.
    pub(super) async fn up(&self) {
        // The sender is ours, so this cannot fail while we are borrowed.
        let _ = self.health.subscribe().wait_for(|health| *health == Health::Up).await;
    }

    /// Whether the target is known to be down.
    pub(super) fn is_down(&self) -> bool {
        *self.health.borrow() != Health::Up
    }

    /// Notes that the target accepts again.
    pub(super) fn note_up(&self) {
        // Asked first without changing anything: this is on every session's path.
        if !self.is_down() {
            return;
        }
        let was = self.health.send_replace(Health::Up);
        if let Health::Down { since, failures } = was {
            let (after, dials) = (Seconds(since.elapsed()), if failures == 1 { "dial" } else { "dials" });
            tracing::info!("target {} UP after {after}, {failures} {dials} failed meanwhile", self.address);
        }
    }

    fn note_down(self: &Arc<Self>, failed: &Unreached) {
        let mut is_news = false;
        self.health.send_modify(|health| match health {
            Health::Down { failures, .. } => *failures += 1,
            Health::Up => {
                is_news = true;
                *health = Health::Down { since: Instant::now(), failures: 1 };
            }
        });
        if is_news {
            let cause = failed.cause;
            tracing::warn!("target {} DOWN {cause}: {}", self.address, cause.remedy());
            watcher::watch(Arc::downgrade(self), failed.address.clone(), cause);
        }
    }

    async fn resolve_and_dial(
        &self,
        dial: &Dial,
        attempts: &mut Vec<Attempt>,
    ) -> Result<(Stream, Address), Unreached> {
        let none = || Unreached { cause: Cause::NoAddress, address: None };
        let found = timeout(dial.connect_timeout, transport::resolve(&self.address)).await;
        let addresses = found.map_err(|_| none())?.map_err(|_| none())?;
        *self.resolved() = addresses.clone();
        dial_each(&addresses, dial, attempts).await
    }

    /// Looks the name up again and dials only what was not among `tried`; `None` where there is nothing new.
    async fn resolve_and_dial_others(
        &self,
        tried: &[Address],
        dial: &Dial,
        attempts: &mut Vec<Attempt>,
    ) -> Option<Result<(Stream, Address), Unreached>> {
        let found = timeout(dial.connect_timeout, transport::resolve(&self.address)).await.ok()?.ok()?;
        let others: Vec<_> = found.into_iter().filter(|address| !tried.contains(address)).collect();
        if others.is_empty() {
            return None;
        }
        *self.resolved() = others.clone();
        Some(dial_each(&others, dial, attempts).await)
    }

    fn has_name(&self) -> bool {
        matches!(self.address, TargetAddress::Net(Host::Name(_), _))
    }

    fn remembered(&self) -> Vec<Address> {
        match &self.address {
            TargetAddress::Net(Host::Ip(ip), port) => vec![SocketAddr::new(*ip, *port).into()],
            TargetAddress::Net(Host::Name(_), _) => self.resolved().clone(),
            TargetAddress::Unix(name) => vec![Address::Unix(name.clone())],
        }
    }

    /// Puts the address that answered in front.
    fn remember(&self, answered: &Address) {
        if self.has_name() {
            self.resolved().sort_by_key(|address| address != answered);
        }
    }

    fn forget(&self) {
        self.resolved().clear();
    }

    fn resolved(&self) -> MutexGuard<'_, Vec<Address>> {
        self.resolved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dials until one answers. Of several failures the last is told, but one that blames the target before any other: when
/// 127.0.0.1 refuses, that [::1] does not exist here explains nothing.
async fn dial_each(
    addresses: &[Address],
    dial: &Dial,
    attempts: &mut Vec<Attempt>,
) -> Result<(Stream, Address), Unreached> {
    let mut told: Option<Unreached> = None;
    for address in addresses {
        let began = Instant::now();
        let answer = match timeout(dial.connect_timeout, transport::dial(address, &dial.source)).await {
            Ok(answer) => answer.map_err(|error| Cause::of_dial(&error)),
            Err(_) => Err(Cause::TimedOut),
        };
        let cause = answer.as_ref().err().copied();
        attempts.push(Attempt { address: address.clone(), took: began.elapsed(), cause });
        match answer {
            Ok(stream) => return Ok((stream, address.clone())),
            Err(cause) => {
                if told.as_ref().is_none_or(|told| cause.blames_target() || !told.cause.blames_target()) {
                    told = Some(Unreached { cause, address: Some(address.clone()) });
                }
            }
        }
    }
    Err(told.unwrap_or(Unreached { cause: Cause::NoAddress, address: None }))
}

/// "3.1s", "30s", "250ms": a length of time in a line for people.
pub(super) struct Seconds(pub(super) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs_f64() {
            s if s < 1.0 => write!(f, "{:.0}ms", s * 1e3),
            s if (s - s.round()).abs() < 0.05 => write!(f, "{s:.0}s"),
            s => write!(f, "{s:.1}s"),
        }
    }
}

/// The pause between two dials of one waiting client, so that a target which flaps is not stormed.
pub(super) async fn breathe() {
    sleep(Duration::from_millis(50)).await;
}
