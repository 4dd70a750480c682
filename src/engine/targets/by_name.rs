//! Reaches a target by its name: looks it up, dials its addresses, and those that it has moved to meanwhile.

use std::time::Instant;

use super::attempts::Attempts;
use super::reach::{CameThrough, Unreached};
use super::target::Target;
use crate::address::Address;
use crate::engine::names::Name;
use crate::outcome::Cause;
use crate::transport::{Dial, Stream};
use crate::units::Seconds;

impl Target {
    /// Dials every address of its name in turn. If all of them fail, the name is looked up again, and new addresses are
    /// dialled.
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
        let failed = match self.dial_each(&tried, dial, came_through, deadline, attempts).await {
            Err(failed) if failed.cause.blames_target() => failed,
            answer => return answer,
        };
        // If it cannot be looked up now, what was dialled is all there is.
        let _ = name.look_up(deadline).await;
        let found = name.addresses(port).into_iter().map(Address::Net);
        let others: Vec<_> = found.filter(|address| !tried.contains(address)).collect();
        if others.is_empty() {
            return Err(failed);
        }
        self.dial_each(&others, dial, came_through, deadline, attempts).await
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
