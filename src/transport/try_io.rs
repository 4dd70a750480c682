//! Reads and writes on shared references that keep tokio's readiness correct.
//!
//! With edge-triggered epoll, a short read or write means that the socket is drained or full (epoll(7), question 9).
//! tokio's `try_read` does not use that, so every message would cost one more call that ends in EAGAIN. Here a short
//! transfer clears the readiness at once, if the kind of socket allows it. Two system calls per message are the
//! minimum, which this reaches over TCP.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use super::Stream;

/// The result of one transfer.
pub(crate) enum Moved {
    /// This many bytes; zero from a read is the end of the stream.
    Bytes(usize),
    /// The socket was not ready after all, and its readiness is cleared.
    NotReady,
}

/// Reads once.
pub(crate) fn read(socket: &Stream, buffer: &mut [u8]) -> io::Result<Moved> {
    // If a short read does not mean an empty socket, no read counts as short.
    let length = if socket.short_read_empties() { buffer.len() } else { 0 };
    transfer(socket, Interest::READABLE, length, || {
        recv(socket, &mut *buffer, RecvFlags::empty()).map(|(_, n)| n)
    })
}

/// Writes once, without SIGPIPE.
pub(crate) fn write(socket: &Stream, bytes: &[u8]) -> io::Result<Moved> {
    transfer(socket, Interest::WRITABLE, bytes.len(), || send(socket, bytes, SendFlags::NOSIGNAL))
}

fn transfer(
    socket: &Stream,
    interest: Interest,
    length: usize,
    mut call: impl FnMut() -> Result<usize, Errno>,
) -> io::Result<Moved> {
    let mut short = 0;
    let answer = socket.try_io(interest, || {
        let moved = retry_on_intr(&mut call)?;
        if moved == 0 || moved >= length {
            return Ok(moved);
        }
        short = moved;
        Err(io::ErrorKind::WouldBlock.into())
    });
    match answer {
        Ok(moved) => Ok(Moved::Bytes(moved)),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock && short > 0 => Ok(Moved::Bytes(short)),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(Moved::NotReady),
        Err(e) => Err(e),
    }
}

/// Repeats a call that a signal interrupted.
pub(crate) fn retry_on_intr(mut call: impl FnMut() -> Result<usize, Errno>) -> io::Result<usize> {
    Ok(rustix::io::retry_on_intr(&mut call)?)
}

impl AsyncRead for &Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_read_ready(cx))?;
            if let Moved::Bytes(n) = read(&self, room.initialize_unfilled())? {
                room.advance(n);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for &Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_write_ready(cx))?;
            if let Moved::Bytes(n) = write(&self, bytes)? {
                return Poll::Ready(Ok(n));
            }
        }
    }

    /// A socket keeps nothing back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Says FIN; the other direction stays open.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut_write();
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_read(cx, room)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_shutdown(cx)
    }
}
