//! A connection from a client or to a target, over TCP or a Unix socket.
//!
//! It has exactly the operations that a session and its relay need. It is an enum, not a trait object: on the plain
//! path that costs one well-predicted branch per call.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{SendFlags, Shutdown, send};
use tokio::io::{Interest, Ready};
use tokio::net::UnixStream;

use super::tcp::Tcp;
use crate::sys;

/// A connected byte stream in the poller of the runtime it was made on.
pub enum Stream {
    /// TCP.
    Tcp(Tcp),
    /// A Unix stream socket.
    Unix(UnixStream),
}

/// Evaluates the same expression for either kind.
macro_rules! either {
    ($stream:expr, $it:ident => $what:expr) => {
        match $stream {
            Stream::Tcp($it) => $what,
            Stream::Unix($it) => $what,
        }
    };
}

impl Stream {
    /// Resolves once a read may succeed.
    #[inline]
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, it => it.poll_read_ready(cx))
    }

    /// Whether a read may succeed, as far as the poller has said.
    #[inline]
    pub(crate) fn counts_as_readable(&self) -> bool {
        self.try_io(Interest::READABLE, || Ok(())).is_ok()
    }

    /// Resolves once a write may succeed.
    #[inline]
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, it => it.poll_write_ready(cx))
    }

    /// Runs a call if the socket counts as ready; `WouldBlock` from the call clears the readiness.
    #[inline]
    pub fn try_io<R>(&self, interest: Interest, call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        either!(self, it => it.try_io(interest, call))
    }

    /// Waits for one of these states. Cancel safe.
    ///
    /// # Errors
    /// As of [`Stream::poll_read_ready`].
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        either!(self, it => it.ready(interest).await)
    }

    /// Resolves once the socket reports an error, even if no read or write meets it. Cancel safe.
    ///
    /// Boxed here: otherwise every session that waits for a slow side would hold the wrapper of this future.
    pub(crate) fn error_reported(&self) -> Pin<Box<dyn Future<Output = io::Result<Ready>> + Send + '_>> {
        either!(self, it => Box::pin(it.ready(Interest::ERROR)))
    }

    /// Writes all bytes. Not cancel safe: if it is dropped, a part may have been written.
    ///
    /// # Errors
    /// The errno of send(2): EPIPE and ECONNRESET if the peer is gone.
    pub async fn send_all(&self, bytes: &[u8]) -> io::Result<()> {
        self.send_all_with(bytes, SendFlags::NOSIGNAL).await
    }

    /// The same for bytes that others follow at once: TCP may wait for those, at most a fifth of a second, and send all
    /// in one segment (send(2), MSG_MORE).
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
        // It fails only on a socket that is not a stream.
        ioctl_fionread(self).is_ok_and(|unread| unread > 0)
    }

    /// The pending error of the socket (SO_ERROR), which is cleared by this.
    ///
    /// # Errors
    /// The errno of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        either!(self, it => it.take_error())
    }

    /// Whether one of these sockets may have a pending error (SO_ERROR): one call for both, which takes none of the errors.
    pub(crate) fn have_errors(sockets: [&Stream; 2]) -> bool {
        // POLLERR is reported whether or not it is asked for.
        let mut asked = sockets.map(|socket| PollFd::new(socket, PollFlags::empty()));
        let is_answered = poll(&mut asked, Some(&Timespec::default())).is_ok();
        !is_answered || asked.iter().any(|it| it.revents().contains(PollFlags::ERR))
    }

    /// Whether a read of fewer bytes than requested has emptied the socket.
    ///
    /// Not on a TCP socket with urgent data, and never on a Unix socket: a read stops after bytes that came with
    /// descriptors, and before an urgent byte (net/unix/af_unix.c, unix_stream_read_generic).
    #[inline]
    pub(crate) fn short_read_empties(&self) -> bool {
        matches!(self, Stream::Tcp(it) if !it.may_stop_short())
    }

    /// Sends FIN: the peer reads to the end of what was written.
    pub(crate) fn shut_write(&self) {
        // ENOTCONN: the connection broke in the meantime; the other direction will report how.
        let _ = rustix::net::shutdown(self, Shutdown::Write);
    }

    /// Has reads end behind what has arrived (net/ipv4/tcp.c, tcp_recvmsg_locked; net/unix/af_unix.c,
    /// unix_stream_read_generic: RCV_SHUTDOWN is looked at once the queue is empty).
    pub(crate) fn shut_read(&self) {
        // ENOTCONN: the connection is gone, and reads end all the same.
        let _ = rustix::net::shutdown(self, Shutdown::Read);
    }

    /// Makes the following close a reset, as far as the kernel has one.
    ///
    /// TCP sends RST (socket(7), SO_LINGER with zero seconds). A Unix socket has no reset: its peer reads all that was
    /// written, and then meets ECONNRESET if some of its own bytes were left unread, or an end of file if not
    /// (net/unix/af_unix.c, unix_release_sock); its writes meet EPIPE. So waiting bytes are not read any more, and a
    /// client that is cut while it only reads takes the end of file for a normal end. The record has the real cause.
    pub(crate) fn reset_on_close(&self) {
        if let Stream::Tcp(it) = self {
            // It fails only on a dead socket, whose peer is already gone.
            let _ = set_socket_linger(it, Some(Duration::ZERO));
        }
    }

    /// Prepares a socket from which a stream is about to be read. See [`Tcp::keep_stream_in_cache`].
    pub(crate) fn keep_stream_in_cache(&self) {
        if let Stream::Tcp(it) = self {
            it.keep_stream_in_cache();
        }
    }

    /// Whether the other end, which has ended its direction, has closed the connection altogether: what is written to it
    /// would reach nobody. Known of ends on this machine alone.
    pub(crate) fn is_abandoned(&self) -> bool {
        match self {
            Stream::Tcp(it) => it.is_abandoned(),
            // Its close ends both directions of ours, unlike its shutdown(2) (net/unix/af_unix.c, unix_release_sock).
            Stream::Unix(it) => {
                let mut ours = [PollFd::new(it, PollFlags::empty())];
                poll(&mut ours, Some(&Timespec::default())).is_ok()
                    && ours[0].revents().contains(PollFlags::HUP)
            }
        }
    }

    /// Bytes written that their other end has not acknowledged. `has_end` if we have said FIN, which the kernel counts as
    /// one byte more (tcp_ioctl in net/ipv4/tcp.c) and which is none.
    ///
    /// None on a Unix socket: what is written lies in the other end's own queue and outlives us.
    pub(crate) fn unacknowledged(&self, has_end: bool) -> u32 {
        match self {
            // It fails only on a listening socket.
            Stream::Tcp(it) => sys::unacknowledged(it).unwrap_or(0).saturating_sub(has_end.into()),
            Stream::Unix(_) => 0,
        }
    }

    /// Of those, the bytes that the other end's kernel has not taken, now that a reset ends the connection: which side sent
    /// it makes no difference, but whether it answered these bytes does (`is_refused`).
    ///
    /// A reset acknowledges nothing (tcp_validate_incoming in net/ipv4/tcp_input.c drops its acknowledgement), so what was
    /// received just before it is not acknowledged either. See [`Tcp::had_arrived`].
    pub(crate) fn undelivered(&self, has_end: bool, is_refused: bool) -> u32 {
        match (self, self.unacknowledged(has_end)) {
            (Stream::Tcp(it), 1..) if !is_refused && it.had_arrived() => {
                sys::unsent(it).unwrap_or(0).saturating_sub(has_end.into())
            }
            (_, bytes) => bytes,
        }
    }
}

impl AsFd for Stream {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        either!(self, it => it.as_fd())
    }
}
