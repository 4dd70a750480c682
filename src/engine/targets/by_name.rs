//! Reaches a target by its name: looks it up, dials its addresses, and those that it has moved to meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use tokio::time::sleep_until;

use super::attempts::Attempts;
use super::health::Health;
use super::reach::{CameThrough, Unreached};
use super::state::Details;
use super::target::Target;
use crate::address::Address;
use crate::engine::names::Name;
use crate::outcome::{Attempt, Cause};
use crate::transport::{Dial, Stream};
use crate::units::Seconds;

/// The name is looked up again once its addresses have not answered for this part of the time, so that most of it is left
/// for new ones.
const LOOK_AGAIN_AFTER: u32 = 3;

/// The addresses of the name that were not tried.
fn others(name: &Name, port: u16, tried: &[Address]) -> Vec<Address> {
    let found = name.addresses(port).into_iter().map(Address::Net);
    found.filter(|address| !tried.contains(address)).collect()
}

impl Target {
    /// Dials every address of its name in turn. If all of them fail, or none answers for a while, the name is looked up
    /// again, and new addresses are dialled.
    pub(super) async fn reach_by_name(
        &self,
        name: &Name,
        port: u16,
        dial: &Dial,
        came_through: CameThrough<'_>,
        deadline: Instant,
        attempts: &mut Attempts,
    ) -> Result<(Stream, Address), Unreached> {
        let tried = self.dialable(deadline).await?;
        self.notice_move();
        let (begun, known) = (Instant::now(), attempts.count());
        // Of several, the first that failed may have been forgotten.
        let under_way = |attempts: &Attempts| {
            let nth = attempts.count().saturating_sub(known).min(tried.len().saturating_sub(1));
            tried.get(nth).cloned()
        };
        let answer = tokio::select! {
            biased;
            answer = self.dial_each(&tried, dial, came_through, deadline, attempts) => Some(answer),
            () = self.has_moved(name, port, &tried, begun, deadline) => None,
        };
        let failed = match answer {
            Some(Err(failed)) if failed.cause.blames_target() => failed,
            Some(answer) => return answer,
            None => {
                let cause = Cause::TimedOut;
                let took = begun.elapsed().saturating_sub(attempts.took_since(known));
                let given_up =
                    under_way(attempts).map(|address| Attempt { address, took, cause: Some(cause) });
                given_up.into_iter().for_each(|attempt| attempts.push(attempt));
                cause.into()
            }
        };
        // If it cannot be looked up now, what was dialled is all there is.
        let _ = name.look_up(deadline).await;
        self.notice_move();
        let others = others(name, port, &tried);
        if others.is_empty() {
            return Err(failed);
        }
        self.dial_each(&others, dial, came_through, deadline, attempts).await
    }

    /// Resolves if the name has other addresses than those that are being dialled and do not answer: an address that a
    /// service has left often answers nothing at all.
    async fn has_moved(&self, name: &Name, port: u16, tried: &[Address], begun: Instant, deadline: Instant) {
        sleep_until((begun + deadline.saturating_duration_since(begun) / LOOK_AGAIN_AFTER).into()).await;
        // If it cannot be looked up now, it stays where it was.
        let _ = name.look_up(deadline).await;
        if others(name, port, tried).is_empty() {
            std::future::pending().await
        }
    }

    /// Forgets what was known of the addresses its name had, if they have changed. Sessions with them live on.
    pub(crate) fn notice_move(&self) {
        let Some((name, _)) = &self.by_name else { return };
        let moves = name.moves();
        if self.moves.swap(moves, Relaxed) == moves {
            return;
        }
        {
            let mut details = self.details();
            let (dialling, blind) = (details.dialling, details.blind);
            *details = Details { dialling, blind, ..Details::default() };
        }
        self.state.died.store(false, Relaxed);
        // Whether the new ones take clients is not known; a return of the target is told all the same.
        self.state
            .health
            .send_modify(|health| *health = Health::new(&self.rules, Instant::now()).after(health));
        self.monitor.wake();
    }

    /// Its name, if it must be looked up.
    pub(crate) fn by_name(&self) -> Option<&Arc<Name>> {
        self.by_name.as_ref().map(|(name, _)| name)
    }

    /// The addresses it, or its proxy, can be dialled at; looks the name up if none is known.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn dialable(&self, until: Instant) -> Result<Vec<Address>, Unreached> {
        let Some((name, port)) = &self.by_name else {
            return self.dialled().map_err(|error| Cause::of_dial(&error).into());
        };
        let begun = Instant::now();
        let found = name.found(*port, until).await.map_err(|cause| {
            let words = (cause == Cause::TimedOut).then(|| {
                let after = Seconds(begun.elapsed());
                let what = format!("the look-up of its name has no answer after {after}");
                format!("{what}: check the name servers in /etc/resolv.conf, or write an address").into()
            });
            Unreached { words, ..cause.into() }
        })?;
        Ok(self.in_order(found.into_iter().map(Address::Net).collect()))
    }
}
