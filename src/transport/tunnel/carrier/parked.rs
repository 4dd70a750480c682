//! A secured connection that rests: as it waits for a session, or on its way to the worker that carries one.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::runtime::{self, Handle};

use super::link::FrameLink;
use super::records::RecordStream;
use crate::transport::Arrived;
use crate::transport::tls::Sealed;
use crate::transport::tunnel::frame::Decoder;

/// A [`FrameLink`] in no runtime's poller, between frames. Dropping it closes the connection.
pub struct Parked {
    socket: Arrived,
    records: Box<Sealed>,
    decoder: Decoder,
    /// Plain bytes that were read and belong to the next frame.
    unread: Vec<u8>,
    /// Records that the socket has not taken.
    unsent: Vec<u8>,
}

impl FrameLink {
    /// Takes the connection out of the poller. What was read and not taken, and what was queued and not sent, goes along.
    ///
    /// # Errors
    /// InvalidInput within a message, as the beginning of it would be lost; the errno of epoll_ctl(2).
    pub fn park(self) -> io::Result<Parked> {
        if self.is_within_message() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let FrameLink { records, decoder, unread, .. } = self;
        let (socket, records, unsent) = records.leave()?;
        let unread = unread.into_left();
        Ok(Parked { socket, records, decoder, unread, unsent })
    }
}

impl Parked {
    /// Puts the connection into the poller of the current runtime.
    ///
    /// # Errors
    /// The errno of epoll_ctl(2).
    pub fn open(self) -> io::Result<FrameLink> {
        let records = RecordStream::new(self.socket.open()?, self.records, self.unsent);
        Ok(FrameLink::resumed(records, self.decoder, self.unread))
    }

    /// Whether it is of no more use, as far as has arrived: its other end has closed it, it broke, or there are bytes that
    /// nobody has asked for. One call of recv(2) with MSG_PEEK, which takes nothing.
    pub fn is_gone(&self) -> bool {
        !self.unread.is_empty()
            || self.records.has_partial()
            || self.decoder.is_within_frame()
            || has_something(&self.socket)
    }
}

/// Whether there are bytes to be read, or an end, or an error.
fn has_something(socket: impl AsFd) -> bool {
    let peeked =
        rustix::io::retry_on_intr(|| recv(&socket, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT));
    !matches!(peeked, Err(Errno::AGAIN))
}

/// A [`FrameLink`] without a session. It stays in the poller that it is in, as most often its next session is carried there
/// too: to leave one and to enter one is a system call each. Dropping it closes the connection.
#[derive(Debug)]
pub enum Resting {
    /// In no poller.
    Parked(Parked),
    /// In the poller of this runtime.
    Watched(Box<FrameLink>, runtime::Id),
}

impl FrameLink {
    /// Leaves the connection in the poller of the current runtime.
    ///
    /// # Errors
    /// InvalidInput within a message, as of [`FrameLink::park`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn rest(self) -> io::Result<Resting> {
        if self.is_within_message() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(Resting::Watched(Box::new(self), Handle::current().id()))
    }
}

impl FrameLink {
    fn is_gone(&self) -> bool {
        !self.is_between_frames() || self.records.has_partial() || has_something(self)
    }
}

impl Resting {
    /// The connection in the poller of the current runtime: as it is, if it is there already.
    ///
    /// # Errors
    /// The errno of epoll_ctl(2).
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn open(self) -> io::Result<FrameLink> {
        match self {
            Resting::Watched(link, by) if by == Handle::current().id() => Ok(*link),
            Resting::Watched(link, _) => link.park()?.open(),
            Resting::Parked(parked) => parked.open(),
        }
    }

    /// See [`Parked::is_gone`].
    pub fn is_gone(&self) -> bool {
        match self {
            Resting::Parked(parked) => parked.is_gone(),
            Resting::Watched(link, _) => link.is_gone(),
        }
    }
}

impl From<Parked> for Resting {
    fn from(parked: Parked) -> Resting {
        Resting::Parked(parked)
    }
}

impl AsFd for Parked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl std::fmt::Debug for Parked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parked").field("socket", &self.socket).finish_non_exhaustive()
    }
}
