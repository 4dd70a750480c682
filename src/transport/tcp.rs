//! A TCP socket in the poller of the current runtime.
//!
//! Not tokio's `TcpStream`, which the poller never tells of urgent data: at the urgent mark a read stops short although
//! more has arrived (tcp_recvmsg_locked in net/ipv4/tcp.c), so only where there is none does a short read mean that the
//! socket is empty. The poller says so at no cost (EPOLLPRI): a mark is older than the bytes behind it, whose arrival is
//! an event of its own.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use rustix::net::sockopt::socket_error;
use rustix::net::{getpeername, getsockname};
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};

use crate::sys;

/// What the poller is asked for.
const INTERESTS: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);

/// The longest time that an end waits with an acknowledgement, in milliseconds (TCP_DELACK_MAX of include/net/tcp.h, and
/// TCP_RTO_MIN, after which we would send again).
const LONGEST_DELAY_MS: u32 = 200;

/// A connected, or connecting, TCP socket.
pub struct Tcp(AsyncFd<OwnedFd>);

impl Tcp {
    /// Puts a non-blocking socket into the poller of the current runtime.
    ///
    /// # Errors
    /// The errno of epoll_ctl(2).
    pub(super) fn new(socket: OwnedFd) -> io::Result<Tcp> {
        sys::watched(socket, INTERESTS).map(Tcp)
    }

    /// Ready once a read is worth a try.
    #[inline]
    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.0.poll_read_ready(cx))?.retain_ready();
        Poll::Ready(Ok(()))
    }

    /// Ready once a write is worth a try.
    #[inline]
    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.0.poll_write_ready(cx))?.retain_ready();
        Poll::Ready(Ok(()))
    }

    /// Runs a call if the socket counts as ready; one that answers `WouldBlock` clears that.
    #[inline]
    pub(super) fn try_io<R>(
        &self,
        interest: Interest,
        call: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        self.0.try_io(interest, |_| call())
    }

    /// Waits for one of these states. Cancel safe.
    pub(super) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        Ok(self.0.ready(interest).await?.ready())
    }

    /// The error the socket has met and not reported yet (SO_ERROR).
    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(socket_error(&self.0)?.err().map(io::Error::from))
    }

    /// Whether the poller has reported urgent data since the socket was opened, or the other end's FIN.
    #[inline]
    pub(super) fn may_stop_short(&self) -> bool {
        // Never cleared: a client that has sent urgent data pays one more call for each of its messages.
        self.try_io(Interest::PRIORITY, || Ok(())).is_ok()
    }

    /// Whether what was sent and not acknowledged was with the other end all the same: it waits with an acknowledgement for
    /// [`LONGEST_DELAY_MS`], so what is older never arrived. On this machine what was sent has arrived; elsewhere it takes a
    /// round trip until it, or a reset that was sent after it, is known, and nothing that was sent again is.
    pub(super) fn had_arrived(&self) -> bool {
        let Ok(info) = sys::tcp_info(&self.0) else { return false };
        let is_recent = info.since_sent_ms < LONGEST_DELAY_MS;
        let local = getsockname(&self.0).ok().and_then(|it| SocketAddr::try_from(it).ok());
        let is_local = local.is_some_and(|it| it.ip().to_canonical().is_loopback());
        let was_long_enough = u64::from(info.since_sent_ms) * 1000 > u64::from(info.round_trip_us);
        is_recent && (is_local || was_long_enough && info.retransmits == 0)
    }

    /// Whether the other end is on this machine and no process has it any more. Costs a question to the kernel
    /// (NETLINK_SOCK_DIAG), some 10 us.
    pub(super) fn is_abandoned(&self) -> bool {
        let ends = || {
            let local = SocketAddr::try_from(getsockname(&self.0).ok()?).ok()?;
            let remote = SocketAddr::try_from(getpeername(&self.0).ok()??).ok()?;
            // Of the sockets of another machine, or namespace, the kernel knows nothing here.
            remote.ip().to_canonical().is_loopback().then_some((local, remote))
        };
        let Some((local, remote)) = ends() else { return false };
        sys::sock_diag::connection(remote, local).is_ok_and(|found| found.is_none_or(|it| it.inode == 0))
    }
}

impl AsFd for Tcp {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
