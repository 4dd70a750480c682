//! One epoll set: enough for fifty connections in one thread.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// An epoll set; a key is the caller's number for a descriptor.
pub struct Poll {
    set: OwnedFd,
    events: Vec<Event>,
}

impl Poll {
    /// An empty set.
    ///
    /// # Errors
    /// The errno of epoll_create1(2).
    pub fn new() -> io::Result<Poll> {
        Ok(Poll { set: epoll::create(CreateFlags::CLOEXEC)?, events: Vec::with_capacity(256) })
    }

    /// Level-triggered: one read per event is enough, what is left is told again.
    ///
    /// # Errors
    /// The errno of epoll_ctl(2).
    pub fn add(&self, socket: impl AsFd, key: usize, flags: EventFlags) -> io::Result<()> {
        Ok(epoll::add(&self.set, socket, EventData::new_u64(key as u64), flags)?)
    }

    /// Changes what is waited for.
    ///
    /// # Errors
    /// The errno of epoll_ctl(2).
    pub fn change(&self, socket: impl AsFd, key: usize, flags: EventFlags) -> io::Result<()> {
        Ok(epoll::modify(&self.set, socket, EventData::new_u64(key as u64), flags)?)
    }

    /// The keys of what is ready; none when `patience` is over.
    ///
    /// # Errors
    /// The errno of epoll_pwait2(2).
    pub fn wait(&mut self, patience: Option<Duration>) -> io::Result<impl Iterator<Item = usize> + use<>> {
        let timeout = patience.and_then(|patience| Timespec::try_from(patience).ok());
        self.events.clear();
        match epoll::wait(&self.set, spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let keys: Vec<usize> = self.events.iter().map(|event| event.data.u64() as usize).collect();
        Ok(keys.into_iter())
    }
}
