//! A carrier in a session: in the poller of the session's worker, and afterwards back where it came from.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::carrier::{Carrier, FrameLink, Home, Stay};

/// A carrier that a session has taken. Dropped, it is lost.
pub struct Engaged {
    /// The connection.
    pub link: FrameLink,
    /// The way back.
    pub back: WayBack,
}

/// Where a carrier goes after its session. Dropped, it tells the carrier's home that it is lost.
pub struct WayBack {
    peer: SocketAddr,
    carried: u32,
    home: Option<Arc<dyn Home>>,
}

impl Carrier {
    /// Puts it into the poller of the current runtime, if it is not there.
    ///
    /// # Errors
    /// The errno of epoll_ctl(2), if the poller cannot add it. The carrier is lost then.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn engage(self) -> io::Result<Engaged> {
        let Carrier { link, peer, carried, home } = self;
        home.taken();
        let back = WayBack { peer, carried, home: Some(home) };
        Ok(Engaged { link: link.open()?, back })
    }

    /// Closes it unused.
    pub fn discard(self) {
        self.home.lost();
    }
}

impl Engaged {
    /// Gives it back as it was taken: nothing was sent on it.
    pub fn give_back(self) {
        let Engaged { link, back } = self;
        let carried = back.carried;
        // Who takes carriers does not have them wait for anything.
        let _ = back.go_home(link, carried);
    }
}

impl WayBack {
    /// Frees the carrier: its session has come to a clean end, of which nothing is left in `link`. Returns what is to be run on
    /// this runtime once the session is over.
    pub fn free(self, link: FrameLink) -> Option<Stay> {
        let carried = self.carried.saturating_add(1);
        self.go_home(link, carried)
    }

    fn go_home(mut self, link: FrameLink, carried: u32) -> Option<Stay> {
        // One that is in the middle of something is lost with the drop.
        let link = link.rest().ok()?;
        let home = self.home.take()?;
        home.left();
        home.free(Carrier { link, peer: self.peer, carried, home: home.clone() })
    }
}

impl Drop for WayBack {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.left();
            home.lost();
        }
    }
}
