//! One connection of a client or to a target, whatever it is made of.
//!
//! Just what a session and its relay need. An enum, not a trait object: on the plain path it costs one well-predicted
//! branch a call.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::io::ioctl_fionread;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{SendFlags, Shutdown, send};
use tokio::io::{Interest, Ready};
use tokio::net::{TcpStream, UnixStream};

use crate::sys;

/// A connected byte stream in the poller of the runtime it was made on.
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix stream socket.
    Unix(UnixStream),
}

/// Does the same with either kind.
macro_rules! either {
    ($stream:expr, $it:ident => $what:expr) => {
        match $stream {
            Stream::Tcp($it) => $what,
            Stream::Unix($it) => $what,
        }
    };
}

impl Stream {
    /// Ready once a read is worth a try.
    #[inline]
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, it => it.poll_read_ready(cx))
    }

    /// Ready once a write is worth a try.
    #[inline]
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, it => it.poll_write_ready(cx))
    }

    /// Runs a call if the socket counts as ready; one that answers `WouldBlock` clears that.
    #[inline]
    pub fn try_io<R>(&self, interest: Interest, call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        either!(self, it => it.try_io(interest, call))
    }

    /// Waits for one of these states. Cancel safe.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        either!(self, it => it.ready(interest).await)
    }

    /// Resolves once the socket reports an error, which no read or write needs to meet. Cancel safe.
    ///
    /// Boxed in place: what wraps it would be carried by every session that waits for a slow side.
    pub(crate) fn error_reported(&self) -> Pin<Box<dyn Future<Output = io::Result<Ready>> + Send + '_>> {
        either!(self, it => Box::pin(it.ready(Interest::ERROR)))
    }

    /// Writes all of it. Not cancel safe: given up, it has written some.
    ///
    /// # Errors
    /// The errno of send(2): EPIPE and ECONNRESET where the other end is gone.
    pub async fn send_all(&self, bytes: &[u8]) -> io::Result<()> {
        self.send_all_with(bytes, SendFlags::NOSIGNAL).await
    }

    /// The same with bytes that others follow at once: TCP may wait for them, a fifth of a second at most, and send them
    /// in the same segment (send(2), MSG_MORE).
    ///
    /// # Errors
    /// As of [`Stream::send_all`].
    pub async fn send_all_before_others(&self, bytes: &[u8]) -> io::Result<()> {
        self.send_all_with(bytes, SendFlags::NOSIGNAL | SendFlags::MORE).await
    }

    async fn send_all_with(&self, mut bytes: &[u8], flags: SendFlags) -> io::Result<()> {
        while !bytes.is_empty() {
            self.ready(Interest::WRITABLE).await?;
            let write = || Ok(rustix::io::retry_on_intr(|| send(self, bytes, flags))?);
            match self.try_io(Interest::WRITABLE, write) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Whether bytes have arrived that were not read yet.
    pub fn has_unread(&self) -> bool {
        // It fails only on a socket that is no stream.
        ioctl_fionread(self).is_ok_and(|unread| unread > 0)
    }

    /// The error the socket has met and not told yet (SO_ERROR).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        either!(self, it => it.take_error())
    }

    /// Whether a read that gives less than was asked for has emptied the socket.
    ///
    /// Not so on a Unix socket: a read stops behind bytes that came with descriptors, and before an urgent byte
    /// (net/unix/af_unix.c, unix_stream_read_generic).
    #[inline]
    pub(crate) fn short_read_empties(&self) -> bool {
        matches!(self, Stream::Tcp(_))
    }

    /// Says FIN: the other end reads to the end of what was written.
    pub(crate) fn shut_write(&self) {
        // ENOTCONN: the connection broke in the meantime; its own direction says how.
        let _ = rustix::net::shutdown(self, Shutdown::Write);
    }

    /// Makes the close that follows a reset, as far as the kernel has one.
    ///
    /// TCP answers with RST (socket(7), SO_LINGER with zero seconds). A Unix socket has no such thing: its other end
    /// reads whatever we have written, and then meets ECONNRESET if we leave something of its unread, an end of file if
    /// we do not (net/unix/af_unix.c, unix_release_sock); a write of its meets EPIPE. So nothing that waits is read any
    /// more, and a client which is cut while it only listens takes the end of file for an end. The record says better.
    pub(crate) fn reset_on_close(&self) {
        if let Stream::Tcp(it) = self {
            // It fails only on a dead socket, and then there is nobody to reset.
            let _ = set_socket_linger(it, Some(Duration::ZERO));
        }
    }

    /// Bytes written that a reset would destroy, as their other end has not taken them.
    ///
    /// None on a Unix socket: what is written lies in the other end's own queue and outlives us.
    ///
    /// # Errors
    /// On a socket that is dead already.
    pub(crate) fn unsent(&self) -> io::Result<u32> {
        match self {
            Stream::Tcp(it) => sys::unsent(it),
            Stream::Unix(_) => Ok(0),
        }
    }
}

impl AsFd for Stream {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        either!(self, it => it.as_fd())
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Stream::Tcp(stream)
    }
}
