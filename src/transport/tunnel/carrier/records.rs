//! A socket whose bytes are TLS records: read and written in the worker's buffers, so that an idle one keeps nothing but its
//! keys and the beginning of an incomplete record.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::broken::Broken;
use crate::transport::tls::{Sealed, Wire, sealed_room};
use crate::transport::try_io::{self, Moved};
use crate::transport::{Arrived, Stream};

/// A socket with TLS records.
pub(crate) struct RecordStream {
    /// Shared only with a watch for errors, which ends before the session does.
    stream: Arc<Stream>,
    records: Box<Sealed>,
    /// Records that the socket has not taken, from `sent` on. Without an allocation if there are none.
    unsent: Vec<u8>,
    sent: usize,
}

impl RecordStream {
    pub(super) fn new(stream: Stream, records: Box<Sealed>, unsent: Vec<u8>) -> RecordStream {
        RecordStream { stream: Arc::new(stream), records, unsent, sent: 0 }
    }

    /// The socket in no poller, the keys, and what the socket has not taken.
    ///
    /// # Errors
    /// The errno of epoll_ctl(2); ResourceBusy if a watch still has the socket.
    pub(super) fn leave(mut self) -> io::Result<(Arrived, Box<Sealed>, Vec<u8>)> {
        self.unsent.drain(..self.sent);
        let stream = Arc::try_unwrap(self.stream).map_err(|_| io::ErrorKind::ResourceBusy)?;
        Ok((Arrived::leaving(stream)?, self.records, self.unsent))
    }

    /// The socket, for who watches it.
    pub(crate) fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Ready once [`RecordStream::read_now`] is worth a try.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_answer() {
            return Poll::Ready(Ok(()));
        }
        self.stream.poll_read_ready(cx)
    }

    /// Whether a read is worth a try, as far as is known without asking.
    pub(crate) fn counts_as_readable(&self) -> bool {
        self.has_answer() || self.stream.counts_as_readable()
    }

    /// Whether a read has an answer without the socket.
    fn has_answer(&self) -> bool {
        self.records.has_early() || self.records.closed || self.records.broken().is_some()
    }

    /// Reads at most `limit` bytes from the socket, and passes what complete records hold to `plain`: at most `limit` and
    /// [`crate::transport::tls::MAX_UNREAD`] bytes. Whether the socket had anything; it is false too before the poller has
    /// reported it.
    ///
    /// # Errors
    /// What broke the connection; what came before has gone to `plain`.
    pub(crate) fn read_now(&mut self, limit: usize, plain: &mut dyn FnMut(&[u8])) -> Result<bool, Broken> {
        if self.records.has_early() {
            plain(&self.records.take_early());
            return Ok(true);
        }
        if let Some(error) = self.records.broken() {
            return Err(Broken::of_tls(error));
        }
        if self.records.closed {
            return Err(Broken::Closed);
        }
        Wire::with(|Wire { read: buffer, .. }| {
            let partial = self.records.take_partial();
            let kept = partial.len();
            buffer[..kept].copy_from_slice(&partial);
            let moved = try_io::read(&self.stream, &mut buffer[kept..kept + limit]);
            if let Ok(Moved::Bytes(n @ 1..)) = moved {
                self.open(&mut buffer[..kept + n], plain)?;
                return Ok(true);
            }
            self.records.put_back(partial);
            match moved? {
                Moved::NotReady => Ok(false),
                Moved::Bytes(_) => Err(Broken::Closed),
            }
        })
    }

    /// Reads once the socket has something; ready behind one read, whether or not that completed a record.
    ///
    /// # Errors
    /// As of [`RecordStream::read_now`].
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
        plain: &mut dyn FnMut(&[u8]),
    ) -> Poll<Result<(), Broken>> {
        loop {
            ready!(self.poll_readable(cx))?;
            if self.read_now(limit, plain)? {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn open(&mut self, buffer: &mut [u8], plain: &mut dyn FnMut(&[u8])) -> Result<(), Broken> {
        let mut answer = Vec::new();
        let opened = self.records.open(buffer, plain, &mut answer);
        let opened = opened.and_then(|used| self.records.keep_partial(&buffer[used..]));
        // What TLS itself has to send: an alert, or the answer to a change of keys.
        if !answer.is_empty() {
            self.send(&answer)?;
        }
        opened.map_err(|error| Broken::of_tls(&error))
    }

    /// Encrypts `plain` into `wire`, which has [`sealed_room`] for it; returns how many bytes of it that takes.
    ///
    /// # Errors
    /// The connection is broken.
    pub(crate) fn seal(&mut self, plain: &[u8], wire: &mut [u8]) -> Result<usize, Broken> {
        self.records.seal(plain, wire).map_err(|error| Broken::of_tls(&error))
    }

    /// Writes records as far as the socket takes them, and keeps the rest; returns how many bytes it took.
    ///
    /// # Errors
    /// What broke the connection.
    pub(crate) fn send(&mut self, wire: &[u8]) -> Result<usize, Broken> {
        let written = match self.is_behind() {
            true => 0,
            false => match try_io::write(&self.stream, wire)? {
                Moved::Bytes(n) => n,
                Moved::NotReady => 0,
            },
        };
        self.keep(&wire[written..]);
        Ok(written)
    }

    /// Encrypts `plain` and keeps it for [`RecordStream::poll_flush`], so that several pieces go in one write.
    ///
    /// # Errors
    /// The connection is broken.
    pub(crate) fn queue(&mut self, plain: &[u8]) -> Result<(), Broken> {
        let filled = self.unsent.len();
        self.unsent.resize(filled + sealed_room(plain.len()), 0);
        let sealed = self.records.seal(plain, &mut self.unsent[filled..]);
        self.unsent.truncate(filled + sealed.as_ref().copied().unwrap_or(0));
        sealed.map(drop).map_err(|error| Broken::of_tls(&error))
    }

    /// Whether the beginning of a record was read.
    pub(super) fn has_partial(&self) -> bool {
        self.records.has_partial()
    }

    /// The bytes that the socket has not taken.
    pub(crate) fn backlog(&self) -> usize {
        self.unsent.len() - self.sent
    }

    /// Whether there are any.
    pub(crate) fn is_behind(&self) -> bool {
        self.backlog() > 0
    }

    /// Writes what is kept, once; returns how many bytes the socket took.
    ///
    /// # Errors
    /// What broke the connection.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Broken>> {
        while self.is_behind() {
            ready!(self.stream.poll_write_ready(cx))?;
            if let n @ 1.. = self.flush_now()? {
                return Poll::Ready(Ok(n));
            }
        }
        Poll::Ready(Ok(0))
    }

    /// Writes what is kept, once, if the socket counts as writable; returns how many bytes it took.
    ///
    /// # Errors
    /// What broke the connection.
    pub(crate) fn flush_now(&mut self) -> Result<usize, Broken> {
        if !self.is_behind() {
            return Ok(0);
        }
        let Moved::Bytes(n) = try_io::write(&self.stream, &self.unsent[self.sent..])? else { return Ok(0) };
        self.sent += n;
        if !self.is_behind() {
            (self.unsent, self.sent) = (Vec::new(), 0);
        }
        Ok(n)
    }

    /// What broke TLS, if anything has.
    pub(super) fn tls_error(&self) -> Option<&rustls::Error> {
        self.records.broken()
    }

    /// Keeps records behind those that are kept.
    pub(crate) fn keep(&mut self, wire: &[u8]) {
        if !wire.is_empty() {
            self.unsent.drain(..self.sent);
            self.sent = 0;
            self.unsent.reserve_exact(wire.len());
            self.unsent.extend_from_slice(wire);
        }
    }
}

impl AsFd for RecordStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
