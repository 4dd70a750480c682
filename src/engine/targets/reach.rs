//! Dials a target, over every address of its name.
//!
//! The result of a dial is recorded as evidence about the target; a local failure (no source port, no descriptor) is no
//! evidence about it and is reported as a local problem.

use std::io;
use std::net::SocketAddr;
use std::slice;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout_at};

use super::attempts::Attempts;
use super::health::Event;
use super::leads::LeadsBack;
use super::target::Target;
use crate::address::Address;
use crate::diagnosis::Verdict;
use crate::outcome::{Attempt, Cause, End};
use crate::transport::proxied::ProxyUrl;
use crate::transport::{self, Dial, Link, MAX_HOPS, Origin, Stream, Whereabouts};
use crate::units::shown;

/// A target that could not be dialled or greeted.
pub(crate) struct Unreached {
    /// The cause; with several addresses, that of the last one.
    pub(crate) cause: Cause,
    /// A description, if there is a better one than the cause's own.
    pub(crate) words: Option<Arc<str>>,
    /// The time spent in a handshake until then.
    pub(crate) handshake: Duration,
    /// The other end of a tunnel has found it so, and knows more.
    pub(crate) far: bool,
    /// How that end has ended the session, where it did not even dial.
    pub(crate) turned_away: Option<End>,
}

impl From<Cause> for Unreached {
    fn from(cause: Cause) -> Unreached {
        Unreached { cause, words: None, handshake: Duration::ZERO, far: false, turned_away: None }
    }
}

impl Unreached {
    /// How it ends the session, unless another target is reached.
    pub(crate) fn end(&self) -> End {
        self.turned_away.unwrap_or(End::NoTarget(self.cause))
    }

    /// Which of two failures to report: the later one, except that a failure that blames the target comes before any
    /// other.
    pub(crate) fn after(self, earlier: Option<Unreached>) -> Unreached {
        match earlier {
            Some(earlier) if earlier.cause.blames_target() && !self.cause.blames_target() => earlier,
            _ => self,
        }
    }
}

/// Asks through how many forwards the client has come; costs a call.
pub(crate) type CameThrough<'s> = &'s (dyn Fn() -> u8 + Sync);

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
        came_through: CameThrough<'_>,
        attempts: &mut Attempts,
    ) -> Result<(Link, Address), Unreached> {
        let deadline = Instant::now() + patience;
        if self.to.is_indirect() {
            return self.reach_indirect(&dial.from, came_through, deadline, attempts).await;
        }
        let answer = match &self.by_name {
            None => self.reach_at(dial, came_through, deadline, attempts).await,
            // Boxed, so that a session with an address has no space for it.
            Some((name, port)) => {
                Box::pin(self.reach_by_name(name, *port, dial, came_through, deadline, attempts)).await
            }
        };
        match &answer {
            Ok((_, address)) => self.remember(address),
            Err(failed) if failed.cause.blames_target() => {
                self.details().answer = failed.words.as_deref().map(str::to_owned);
                self.note(Event::Failed(failed.cause));
            }
            // A loop has its own line.
            Err(failed) if failed.words.is_some() => {}
            Err(failed) => self.local_errors.meet(&self.name, failed.cause, Instant::now()),
        }
        answer.map(|(stream, address)| (Link::Socket(stream), address))
    }

    /// The same for a target behind a proxy, or with a [`crate::transport::Reach`] of its own.
    async fn reach_indirect(
        self: &Arc<Self>,
        from: &Origin,
        came_through: CameThrough<'_>,
        deadline: Instant,
        attempts: &mut Attempts,
    ) -> Result<(Link, Address), Unreached> {
        let began = Instant::now();
        let answer = self.open_indirect(from, came_through, deadline).await;
        let address = Address::Named(self.name.clone());
        let cause = answer.as_ref().err().map(|failed| failed.cause);
        attempts.push(Attempt { address: address.clone(), took: began.elapsed(), cause });
        match &answer {
            Err(failed) if failed.cause.blames_target() => {
                self.details().answer = failed.words.as_deref().map(str::to_owned);
                self.note(Event::Failed(failed.cause));
                // Its proxy may have moved. This client is not led there: what it failed by may be the proxy's answer.
                self.by_name().into_iter().for_each(|name| name.look_up_soon());
            }
            // A loop has its own line.
            Err(failed) if failed.words.is_some() => {}
            Err(failed) => self.local_errors.meet(&self.name, failed.cause, Instant::now()),
            Ok(_) => {}
        }
        answer.map(|link| (link, address))
    }

    /// Connects to a target behind a proxy, or in its own way, until `deadline` at the latest.
    ///
    /// # Errors
    /// The cause, with the description of an error of its own.
    pub(crate) async fn open_indirect(
        &self,
        from: &Origin,
        came_through: CameThrough<'_>,
        deadline: Instant,
    ) -> Result<Link, Unreached> {
        let at = match self.to.proxy() {
            Some(proxy) => self.dialable(deadline).await.map_err(|failed| not_found(proxy, failed))?,
            None => Vec::new(),
        };
        // A route may be its own proxy, by a name or through others.
        let mark = self.state.leads.mark(&at, came_through, Instant::now());
        let mark = mark.map_err(|LeadsBack| self.leads_back())?;
        let reached = match timeout_at(deadline.into(), self.to.open(&at, from, mark, deadline)).await {
            Ok(reached) => reached,
            Err(_) => return Err(Cause::TimedOut.into()),
        };
        reached.map_err(|error| {
            // An error of the system has its own cause and description.
            let is_own = error.raw_os_error().is_none();
            let words = is_own.then(|| shown(&error.to_string(), MAX_QUOTED).into());
            Unreached { words, ..Cause::of_reach(&error).into() }
        })
    }

    /// Dials a target that needs no look-up.
    async fn reach_at(
        &self,
        dial: &Dial,
        came_through: CameThrough<'_>,
        deadline: Instant,
        attempts: &mut Attempts,
    ) -> Result<(Stream, Address), Unreached> {
        let place = self.to.place();
        let found;
        let addresses = match &place {
            // Without the list that a target with several needs.
            Some(only) => slice::from_ref(only),
            None => {
                found = self.places().map_err(|error| Unreached::from(Cause::of_dial(&error)))?;
                &found
            }
        };
        self.dial_each(addresses, dial, came_through, deadline, attempts).await
    }

    /// The addresses a query can check, as far as known without a look-up; none for a Unix socket.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.places().unwrap_or_default().iter().filter_map(Address::net).collect()
    }

    /// The addresses as far as known without a look-up, in the order to try them; none behind a proxy.
    fn places(&self) -> io::Result<Vec<Address>> {
        if self.to.is_proxied() { Ok(Vec::new()) } else { self.dialled() }
    }

    /// The same, of its proxy if it has one.
    pub(super) fn dialled(&self) -> io::Result<Vec<Address>> {
        if let Some((name, port)) = &self.by_name {
            return Ok(self.in_order(name.addresses(*port).into_iter().map(Address::Net).collect()));
        }
        if let Some(place) = self.to.place() {
            return Ok(vec![place]);
        }
        match self.to.dialled().map(transport::whereabouts).transpose()? {
            Some(Whereabouts::At(addresses)) => Ok(self.in_order(addresses)),
            // A name is above, and a custom destination has its own way.
            Some(Whereabouts::Name(..)) | None => Ok(Vec::new()),
        }
    }

    /// The address that answered last comes first.
    pub(super) fn in_order(&self, mut addresses: Vec<Address>) -> Vec<Address> {
        if addresses.len() > 1
            && let Some(front) = &*self.front()
        {
            addresses.sort_by_key(|address| address != front);
        }
        addresses
    }

    /// Reports a loop; what its clients are told.
    fn leads_back(&self) -> Unreached {
        self.local_errors.meet_loop(&self.name, Instant::now());
        let words = format!(
            "this target leads back to itself: the connection has come through {MAX_HOPS} forwards of Loopgate on this \
             machine; change the target of one of them [{}]",
            Verdict::ForwardLoop
        );
        Unreached { words: Some(words.into()), ..Cause::Denied.into() }
    }

    /// Dials until one address answers. Of several failures the last is reported, except that one that blames the target
    /// comes before any other: when 127.0.0.1 refuses, a missing [::1] explains nothing.
    pub(super) async fn dial_each(
        &self,
        addresses: &[Address],
        dial: &Dial,
        came_through: CameThrough<'_>,
        deadline: Instant,
        attempts: &mut Attempts,
    ) -> Result<(Stream, Address), Unreached> {
        let mut failure: Option<Unreached> = None;
        let mark = self.state.leads.mark(addresses, came_through, Instant::now());
        let mark = mark.map_err(|LeadsBack| self.leads_back())?;
        for (n, address) in addresses.iter().enumerate() {
            let began = Instant::now();
            let until = began + share(deadline.saturating_duration_since(began), addresses.len() - n);
            let answer =
                match timeout_at(until.into(), transport::dial_marked(address, &dial.from, mark)).await {
                    Ok(answer) => answer.map_err(|error| cause_of(address, &error)),
                    Err(_) => Err(Cause::TimedOut),
                };
            let (took, cause) = (began.elapsed(), answer.as_ref().err().copied());
            match cause {
                None if self.is_only_dial(address) => attempts.answered(address, took),
                _ => attempts.push(Attempt { address: address.clone(), took, cause }),
            }
            match answer {
                Ok(stream) => {
                    self.state.leads.look_at_peer(&stream, began);
                    return Ok((stream, address.clone()));
                }
                Err(cause) => failure = Some(Unreached::from(cause).after(failure)),
            }
        }
        Err(failure.unwrap_or(Unreached::from(Cause::NoAddress)))
    }

    /// Whether an answer from this address ends the search: it is the target's only one, and needs no greeting.
    fn is_only_dial(&self, address: &Address) -> bool {
        self.greeting.is_empty() && self.to.place().as_ref() == Some(address)
    }

    fn remember(&self, answered: &Address) {
        if self.to.is_looked_up() && self.front().as_ref() != Some(answered) {
            *self.front() = Some(answered.clone());
        }
    }

    fn front(&self) -> MutexGuard<'_, Option<Address>> {
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The failure to find the address of a proxy.
fn not_found(proxy: &ProxyUrl, failed: Unreached) -> Unreached {
    let what = match failed.cause {
        Cause::NoAddress => "has no address: its name is not known",
        Cause::TimedOut => {
            "has no address yet: the look-up of its name has no answer; check /etc/resolv.conf"
        }
        _ => return failed,
    };
    Unreached { words: Some(format!("the proxy {proxy} {what}").into()), ..failed }
}

/// The largest number of characters of a proxy's or an embedder's error that are quoted.
const MAX_QUOTED: usize = 240;

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
