//! Dials a target, over every address of its name.
//!
//! The result of a dial is recorded as evidence about the target; a local failure (no source port, no descriptor) is no
//! evidence about it and is reported as a local problem.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout_at};

use super::attempts::Attempts;
use super::health::Event;
use super::target::Target;
use crate::address::{Address, Host, TargetAddress, is_localhost};
use crate::outcome::{Attempt, Cause};
use crate::transport::{self, Dial, Link, Origin, Reach, Stream, Unopened};
use crate::units::shown;

/// A target that could not be dialled or greeted.
pub(crate) struct Unreached {
    /// The cause; with several addresses, that of the last one.
    pub(crate) cause: Cause,
    /// A description, if there is a better one than the cause's own.
    pub(crate) words: Option<Arc<str>>,
    /// The time spent in a handshake until then.
    pub(crate) handshake: Duration,
}

impl From<Cause> for Unreached {
    fn from(cause: Cause) -> Unreached {
        Unreached { cause, words: None, handshake: Duration::ZERO }
    }
}

impl Unreached {
    /// Which of two failures to report: the later one, except that a failure that blames the target comes before any
    /// other.
    pub(crate) fn after(self, earlier: Option<Unreached>) -> Unreached {
        match earlier {
            Some(earlier) if earlier.cause.blames_target() && !self.cause.blames_target() => earlier,
            _ => self,
        }
    }
}

impl Target {
    /// Dials the target, every address of its name in turn, and records a failure. The caller records success, once the
    /// target is greeted. Each dial is added to `attempts`. Lookups and dials together take at most `patience`.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// The failure to report, if no address accepted the connection in time.
    pub(crate) async fn reach(
        self: &Arc<Self>,
        dial: &Dial,
        patience: Duration,
        attempts: &mut Attempts,
    ) -> Result<(Link, Address), Unreached> {
        let deadline = Instant::now() + patience;
        if let Some(reach) = self.to.reach() {
            return self.reach_custom(&**reach, &dial.from, deadline, attempts).await;
        }
        let answer = match self.remembered() {
            addresses if addresses.is_empty() => self.resolve_and_dial(dial, deadline, attempts).await,
            addresses => match dial_each(&addresses, dial, deadline, attempts).await {
                // The name may point elsewhere since it was looked up.
                Err(failed) if failed.cause.blames_target() && self.has_name() => self
                    .resolve_and_dial_others(&addresses, dial, deadline, attempts)
                    .await
                    .unwrap_or(Err(failed)),
                answer => answer,
            },
        };
        match &answer {
            Ok((_, address)) => self.remember(address),
            Err(failed) if failed.cause.blames_target() => {
                self.forget();
                self.note(Event::Failed(failed.cause));
            }
            Err(failed) => self.local_errors.meet(&self.name, failed.cause, Instant::now()),
        }
        answer.map(|(stream, address)| (Link::Socket(stream), address))
    }

    /// The same for a target with a [`Reach`] of its own.
    async fn reach_custom(
        self: &Arc<Self>,
        reach: &dyn Reach,
        from: &Origin,
        deadline: Instant,
        attempts: &mut Attempts,
    ) -> Result<(Link, Address), Unreached> {
        let began = Instant::now();
        let answer = reach_custom(reach, from, deadline).await;
        let address = Address::Named(self.name.clone());
        let cause = answer.as_ref().err().map(|failed| failed.cause);
        attempts.push(Attempt { address: address.clone(), took: began.elapsed(), cause });
        match &answer {
            Err(failed) if failed.cause.blames_target() => {
                self.details().answer = failed.words.as_deref().map(str::to_owned);
                self.note(Event::Failed(failed.cause));
            }
            Err(failed) => self.local_errors.meet(&self.name, failed.cause, Instant::now()),
            Ok(_) => {}
        }
        answer.map(|link| (link, address))
    }

    /// The addresses a query can check, as far as known without a name lookup; none for a Unix socket.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let known: Vec<_> = self.remembered().iter().filter_map(Address::net).collect();
        match self.to.written().and_then(TargetAddress::net) {
            Some((Host::Name(name), port)) if known.is_empty() && is_localhost(name) => {
                let both = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
                both.map(|ip| SocketAddr::new(ip, port)).into()
            }
            _ => known,
        }
    }

    /// The addresses it can be dialled at; resolves a name if needed.
    pub(crate) async fn dialable(&self) -> Vec<Address> {
        let known = self.remembered();
        if known.is_empty() { self.resolve().await.unwrap_or_default() } else { known }
    }

    async fn resolve_and_dial(
        &self,
        dial: &Dial,
        deadline: Instant,
        attempts: &mut Attempts,
    ) -> Result<(Stream, Address), Unreached> {
        let none = || Unreached::from(Cause::NoAddress);
        let found = timeout_at(deadline.into(), self.resolve()).await;
        let why = |error: io::Error| Unreached::from(Cause::of_dial(&error));
        let addresses = found.map_err(|_| none())?.map_err(why)?;
        *self.resolved() = addresses.clone();
        dial_each(&addresses, dial, deadline, attempts).await
    }

    /// Looks the name up again and dials only addresses that were not in `tried`; `None` if there is no new one.
    async fn resolve_and_dial_others(
        &self,
        tried: &[Address],
        dial: &Dial,
        deadline: Instant,
        attempts: &mut Attempts,
    ) -> Option<Result<(Stream, Address), Unreached>> {
        let found = timeout_at(deadline.into(), self.resolve()).await.ok()?.ok()?;
        let others: Vec<_> = found.into_iter().filter(|address| !tried.contains(address)).collect();
        if others.is_empty() {
            return None;
        }
        *self.resolved() = others.clone();
        Some(dial_each(&others, dial, deadline, attempts).await)
    }

    async fn resolve(&self) -> io::Result<Vec<Address>> {
        match self.to.written() {
            Some(written) => transport::resolve(written).await,
            None => Ok(self.remembered()),
        }
    }

    fn has_name(&self) -> bool {
        self.to.is_looked_up()
    }

    fn remembered(&self) -> Vec<Address> {
        self.to.place().map_or_else(|| self.resolved().clone(), |place| vec![place])
    }

    /// Moves the address that answered to the front.
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

/// Reaches a target through its own [`Reach`], until `deadline` at the latest.
///
/// # Errors
/// The cause, with the description of an error of its own.
pub(crate) async fn reach_custom(
    reach: &dyn Reach,
    from: &Origin,
    deadline: Instant,
) -> Result<Link, Unreached> {
    let reached = match timeout_at(deadline.into(), reach.reach(from, deadline)).await {
        Ok(reached) => reached.and_then(Unopened::open),
        Err(_) => return Err(Cause::TimedOut.into()),
    };
    reached.map_err(|error| {
        // An error of the system has its own cause and description.
        let is_own = error.raw_os_error().is_none();
        let words = is_own.then(|| shown(&error.to_string(), MAX_QUOTED).into());
        Unreached { words, ..Cause::of_reach(&error).into() }
    })
}

/// The largest number of characters of an embedder's own error that are quoted.
const MAX_QUOTED: usize = 120;

/// Dials until one address answers. Of several failures the last is reported, except that one that blames the target
/// comes before any other: when 127.0.0.1 refuses, a missing [::1] explains nothing.
async fn dial_each(
    addresses: &[Address],
    dial: &Dial,
    deadline: Instant,
    attempts: &mut Attempts,
) -> Result<(Stream, Address), Unreached> {
    let mut failure: Option<Unreached> = None;
    for (n, address) in addresses.iter().enumerate() {
        let began = Instant::now();
        let until = began + share(deadline.saturating_duration_since(began), addresses.len() - n);
        let answer = match timeout_at(until.into(), transport::dial(address, &dial.from)).await {
            Ok(answer) => answer.map_err(|error| cause_of(address, &error)),
            Err(_) => Err(Cause::TimedOut),
        };
        let cause = answer.as_ref().err().copied();
        attempts.push(Attempt { address: address.clone(), took: began.elapsed(), cause });
        match answer {
            Ok(stream) => return Ok((stream, address.clone())),
            Err(cause) => failure = Some(Unreached::from(cause).after(failure)),
        }
    }
    Err(failure.unwrap_or(Unreached::from(Cause::NoAddress)))
}

/// The cause of a failed dial to this address.
pub(crate) fn cause_of(address: &Address, error: &io::Error) -> Cause {
    match address {
        Address::Net(_) | Address::Named(_) => Cause::of_dial(error),
        Address::Unix(_) => Cause::of_unix_dial(error),
    }
}

/// The share of the `left` time that the next of `addresses` remaining addresses gets: an equal part, so that an
/// address that drops every packet leaves time for the others. Unused time goes to the remaining addresses.
fn share(left: Duration, addresses: usize) -> Duration {
    left / addresses.clamp(1, u32::MAX as usize) as u32
}

/// The pause between two dials of one waiting client, so that a flapping target is not flooded.
pub(crate) async fn breathe() {
    sleep(Duration::from_millis(50)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_a_name_share_one_connect_timeout() {
        let mut left = Duration::from_secs(2);
        for addresses in (1..=4).rev() {
            left -= share(left, addresses);
        }
        assert_eq!((left, share(Duration::from_secs(2), 4)), (Duration::ZERO, Duration::from_millis(500)));
    }
}
