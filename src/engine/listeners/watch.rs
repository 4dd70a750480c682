//! Watches the files of Unix listeners: one that was removed (as cleaners of /tmp do) or replaced is told and made again.
//!
//! Which socket a file belongs to is asked by inode, never by name. A listener whose file is gone cannot be reached by
//! anybody, and a file cannot be bound twice, so a new socket takes its place. What somebody else holds there stays.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::any::AnyListener;
use super::bind::{self, Bound, Port, WantedBy};
use super::bind_error;
use crate::transport::FolderLocks;

/// How often the log repeats that a file cannot be made again.
const REMIND: Duration = Duration::from_secs(60);

/// How long a stop waits for a file that is just being made.
const LAST: Duration = Duration::from_millis(500);

/// What has become of a listener whose file was no longer in place: its successor, or why there is none.
pub(crate) type Found = (Port, WantedBy, Result<Bound, String>);

/// The watch of all files. One look at a time: where a file system hangs, only the watch stands still.
#[derive(Default)]
pub(crate) struct FileWatch {
    looking: Option<oneshot::Receiver<Vec<Found>>>,
    /// What was told about those that could not be made again, and when.
    told: BTreeMap<Port, (String, Instant)>,
}

impl FileWatch {
    /// Begins a look at every file, in a thread of its own, unless one is under way.
    pub(crate) fn look(
        &mut self,
        listeners: &BTreeMap<Port, AnyListener>,
        wanted: &BTreeMap<Port, WantedBy>,
    ) {
        let watched = |(port, listener): (&Port, &AnyListener)| {
            let is_in_place = listener.file_watch()?;
            Some((port.clone(), wanted.get(port)?.clone(), is_in_place))
        };
        let watched: Vec<_> = listeners.iter().filter_map(watched).collect();
        self.told.retain(|port, _| watched.iter().any(|(watched, ..)| watched == port));
        if watched.is_empty() || self.looking.is_some() {
            return;
        }
        let (done, looking) = oneshot::channel();
        let look = move || {
            let gone = watched.into_iter().filter(|(.., is_in_place)| !is_in_place());
            // If nobody waits any more, what was made is removed with it.
            let _ = done.send(gone.map(|(port, by, _)| made_again(port, by)).collect());
        };
        // Where no thread can be started, the next tick tries again.
        self.looking = thread::Builder::new().name("files".to_owned()).spawn(look).ok().map(|_| looking);
    }

    /// Resolves when a look is over; never if none is under way. Cancel safe.
    pub(crate) async fn found(&mut self) -> Vec<Found> {
        match &mut self.looking {
            Some(looking) => {
                let found = looking.await.unwrap_or_default();
                self.looking = None;
                self.told.retain(|port, _| found.iter().any(|(found, ..)| found == port));
                found
            }
            None => std::future::pending().await,
        }
    }

    /// Tells that a file cannot be made again: once, again if the reason changes, and from time to time.
    pub(crate) fn tell(&mut self, port: Port, by: &WantedBy, why: String) {
        let is_told = |(before, at): &(String, Instant)| *before == why && at.elapsed() < REMIND;
        if self.told.get(&port).is_some_and(is_told) {
            return;
        }
        let (owner, address) = (by.owner(), port.address());
        tracing::warn!(
            "the socket file of {owner} was removed or replaced, so no new client of {address} reaches it, and it \
             cannot be made again: {why}; it is tried every second"
        );
        self.told.insert(port, (why, Instant::now()));
    }

    /// Lets everything be told again: a reload asks for the present state.
    pub(crate) fn forget_told(&mut self) {
        self.told.clear();
    }

    /// Waits for the look under way, so that it leaves no file behind.
    pub(crate) async fn stop(&mut self) {
        if self.looking.is_some() {
            let _ = timeout(LAST, self.found()).await;
        }
    }
}

fn made_again(port: Port, by: WantedBy) -> Found {
    let _locked = FolderLocks::of_one(port.address());
    let made = bind::bind_one(&port, &by).map_err(|error| {
        let failed = [(port.protocol, port.address(), &error)];
        bind_error::summaries(&failed).pop().unwrap_or_else(|| error.to_string())
    });
    (port, by, made)
}
