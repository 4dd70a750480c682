//! A secured connection in the poller: frames in, frames out.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll, ready};

use rustix::net::{getpeername, getsockname};

use super::broken::Broken;
use super::prepare::give_up_again;
use super::records::RecordStream;
use crate::transport::Stream;
use crate::transport::tls::Sealed;
use crate::transport::tunnel::frame::{Decoder, Event, Frame, MAX_BODY, head};

/// The most bytes that one [`FrameLink::receive`] reads at once. What it leaves in `unread` is at most that and what was kept
/// of an incomplete record.
const READ: usize = 16 << 10;

/// The most bytes of records that wait for the socket; a message of the longest kind, and some beside it.
pub const MAX_UNSENT: usize = 256 << 10;

/// What has arrived on a connection without a session.
#[derive(Debug, PartialEq)]
pub enum Received {
    /// A whole body.
    Message(Vec<u8>),
    /// A frame without a body.
    Frame(Frame),
}

/// Plain bytes that were read, from `taken` on. Without an allocation if there are none.
#[derive(Default)]
pub(crate) struct Unread {
    bytes: Vec<u8>,
    taken: usize,
}

impl Unread {
    fn new(bytes: Vec<u8>) -> Unread {
        Unread { bytes, taken: 0 }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What is left.
    pub(crate) fn left(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// Takes all but the last `left` bytes.
    pub(crate) fn keep_last(&mut self, left: usize) {
        match left {
            0 => *self = Unread::default(),
            left => self.taken = self.bytes.len() - left,
        }
    }

    pub(super) fn into_left(mut self) -> Vec<u8> {
        self.bytes.drain(..self.taken);
        self.bytes
    }
}

/// A secured connection in the poller of the current runtime.
///
/// Dropping it closes the connection, with whatever was queued and not flushed.
pub struct FrameLink {
    pub(crate) records: RecordStream,
    pub(crate) decoder: Decoder,
    /// Plain bytes that came behind what was taken.
    pub(crate) unread: Unread,
    /// The beginning of a message.
    message: Vec<u8>,
    /// Whether OPENED has passed since OPEN, either way.
    opened: bool,
}

impl FrameLink {
    /// A connection whose handshake is over, with nothing read since.
    pub fn new(stream: Stream, records: Box<Sealed>) -> FrameLink {
        FrameLink::resumed(RecordStream::new(stream, records, Vec::new()), Decoder::default(), Vec::new())
    }

    /// A connection of which something was read before, between frames.
    pub(super) fn resumed(records: RecordStream, decoder: Decoder, unread: Vec<u8>) -> FrameLink {
        FrameLink { records, decoder, unread: Unread::new(unread), message: Vec::new(), opened: false }
    }

    /// What broke TLS, if anything has: an alert of the other end, say.
    pub fn tls_error(&self) -> Option<&rustls::Error> {
        self.records.tls_error()
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// The errno of getpeername(2): ENOTCONN if the connection is gone. Unsupported of a socket without an address.
    pub fn peer(&self) -> io::Result<SocketAddr> {
        let address = getpeername(&self.records)?.and_then(|it| SocketAddr::try_from(it).ok());
        address.ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// The address of this end.
    ///
    /// # Errors
    /// The errno of getsockname(2). Unsupported of a socket without an address.
    pub fn local(&self) -> io::Result<SocketAddr> {
        SocketAddr::try_from(getsockname(&self.records)?).map_err(|_| io::ErrorKind::Unsupported.into())
    }

    /// Seals a frame, to be sent by [`FrameLink::flush`] or along with [`FrameLink::receive`].
    ///
    /// # Errors
    /// The connection is broken, or [`MAX_UNSENT`] bytes wait for an end that takes nothing.
    pub fn queue(&mut self, frame: &Frame) -> Result<(), Broken> {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.queue_bytes(&bytes)?;
        self.note(frame);
        Ok(())
    }

    /// Seals a message, of 1 to [`MAX_BODY`] bytes, in the same way.
    ///
    /// # Errors
    /// As of [`FrameLink::queue`]; InvalidInput of another length.
    pub fn queue_message(&mut self, json: &[u8]) -> Result<(), Broken> {
        if json.is_empty() || json.len() > MAX_BODY {
            return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
        }
        self.queue_bytes(&[&head(json.len()), json].concat())
    }

    fn queue_bytes(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        if self.records.backlog() + bytes.len() > MAX_UNSENT {
            return Err(io::Error::other("the other end takes nothing").into());
        }
        self.records.queue(bytes)
    }

    /// Sends what is queued. Cancel safe: what is left stays queued.
    ///
    /// # Errors
    /// What broke the connection.
    pub async fn flush(&mut self) -> Result<(), Broken> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        while self.records.is_behind() {
            ready!(self.records.poll_flush(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Waits for the next frame or whole message of at most `longest` bytes, and meanwhile sends what is queued.
    ///
    /// Cancel safe: what has arrived of a message stays here.
    ///
    /// # Errors
    /// What broke the connection; what had arrived whole was returned before. A longer body is [`Broken::Protocol`].
    pub async fn receive(&mut self, longest: usize) -> Result<Received, Broken> {
        poll_fn(|cx| self.poll_receive(cx, longest)).await
    }

    /// [`FrameLink::receive`] in one look.
    ///
    /// # Errors
    /// As of [`FrameLink::receive`].
    pub fn poll_receive(&mut self, cx: &mut Context<'_>, longest: usize) -> Poll<Result<Received, Broken>> {
        loop {
            if let Some(received) = self.take(longest)? {
                return Poll::Ready(Ok(received));
            }
            if let Poll::Ready(flushed) = self.poll_flush(cx) {
                flushed?;
            }
            let unread = &mut self.unread;
            ready!(self.records.poll_read(cx, READ, &mut |plain| unread.add(plain)))?;
        }
    }

    /// Waits for the next frame or whole body of at most `longest` bytes, and meanwhile sends what `more` gives: it is asked
    /// for frames whenever the socket has taken all that was there before, and registers the waker if it has none.
    ///
    /// # Errors
    /// As of [`FrameLink::receive`].
    pub(crate) fn poll_exchange(
        &mut self,
        cx: &mut Context<'_>,
        longest: usize,
        more: &mut dyn FnMut(&mut Context<'_>, &mut Vec<u8>),
    ) -> Poll<Result<Received, Broken>> {
        loop {
            if let Some(received) = self.take(longest)? {
                return Poll::Ready(Ok(received));
            }
            let mut plain = Vec::new();
            while let Poll::Ready(flushed) = self.poll_flush(cx) {
                flushed?;
                more(cx, &mut plain);
                if plain.is_empty() {
                    break;
                }
                self.records.queue(&plain)?;
                plain.clear();
            }
            let unread = &mut self.unread;
            ready!(self.records.poll_read(cx, READ, &mut |plain| unread.add(plain)))?;
        }
    }

    /// The next frame or message of what was read.
    fn take(&mut self, longest: usize) -> Result<Option<Received>, Broken> {
        let mut rest = self.unread.left();
        let mut received = None;
        while received.is_none() {
            match self.decoder.next(&mut rest)? {
                Some(Event::Body { bytes, is_last, .. }) => {
                    if self.message.len() + bytes.len() > longest {
                        return Err(Broken::Protocol(format!("a message of more than {longest} bytes")));
                    }
                    self.message.extend_from_slice(bytes);
                    received = is_last.then(|| Received::Message(std::mem::take(&mut self.message)));
                }
                Some(Event::Frame(frame)) => received = Some(Received::Frame(frame)),
                None => break,
            }
        }
        let left = rest.len();
        self.unread.keep_last(left);
        if let Some(Received::Frame(frame)) = &received {
            self.note(frame);
        }
        Ok(received)
    }

    fn note(&mut self, frame: &Frame) {
        match frame {
            Frame::Open(_) => self.opened = false,
            Frame::Opened => self.opened = true,
            _ => {}
        }
    }

    /// Has the kernel give a silent peer up once more, which it may have been told not to do.
    ///
    /// # Errors
    /// The errno of setsockopt(2).
    pub(crate) fn watch_again(&self) -> io::Result<()> {
        give_up_again(self)
    }

    /// Whether a part of a message was taken.
    pub(super) fn is_within_message(&self) -> bool {
        !self.message.is_empty()
    }

    /// Whether OPENED has passed since OPEN, either way.
    pub(crate) fn is_opened(&self) -> bool {
        self.opened
    }

    /// Whether nothing that was read is left, no frame has begun, and nothing waits for the socket.
    pub(crate) fn is_between_frames(&self) -> bool {
        self.unread.left().is_empty()
            && self.message.is_empty()
            && !self.decoder.is_within_frame()
            && !self.records.is_behind()
    }
}

impl AsFd for FrameLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.records.as_fd()
    }
}

impl std::fmt::Debug for FrameLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrameLink").field("peer", &self.peer().ok()).finish_non_exhaustive()
    }
}
