//! A secured connection in no poller: as it waits for a session, on its way to the worker that carries one, or back.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

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
        if !self.unread.is_empty() || self.records.has_partial() || self.decoder.is_within_frame() {
            return true;
        }
        let peeked = rustix::io::retry_on_intr(|| {
            recv(&self.socket, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT)
        });
        !matches!(peeked, Err(Errno::AGAIN))
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
