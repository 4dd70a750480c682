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

use rustix::net::sockopt::{socket_error, socket_recv_buffer_size};
use rustix::net::{getpeername, getsockname};
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};

use crate::sys;

/// What the poller is asked for.
const INTERESTS: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);

/// The longest time that an end waits with an acknowledgement, in milliseconds (TCP_DELACK_MAX of include/net/tcp.h, and
/// TCP_RTO_MIN, after which we would send again).
const LONGEST_DELAY_MS: u32 = 200;

/// The receive buffer of a stream on loopback, in bytes as the kernel counts them. With 1 MiB several streams lose.
const STREAM_BUFFER: i32 = 2 << 20;

/// What may be on its way to it, in bytes: with 128 KiB, 8 streams between senders that do not pace lose 3 to 5 per cent.
const STREAM_WINDOW: i32 = 512 << 10;

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

    /// Takes the socket out of the poller.
    pub(super) fn leave(self) -> OwnedFd {
        self.0.into_inner()
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

    /// Gives a stream from a peer on loopback a receive buffer of [`STREAM_BUFFER`], and keeps it there.
    ///
    /// Left to itself the kernel lets it grow up to tcp_rmem[2], 6 MiB and more, which is more than the caches of a
    /// processor hold: bytes are then written to memory, and read from there. No privilege is needed: the low mark raises the
    /// buffer (tcp_set_rcvlowat in net/ipv4/tcp.c) beyond net.core.rmem_max, to which SO_RCVBUF is cut, and SO_BUF_LOCK ends
    /// the growth. Between the calls the kernel holds an event back; the second makes up for it.
    ///
    /// If the kernel refuses, the buffer stays its affair, and only the stream is slower.
    pub(super) fn keep_stream_in_cache(&self) {
        let peer = getpeername(&self.0).ok().flatten().and_then(|it| SocketAddr::try_from(it).ok());
        // A distant peer needs all that the kernel gives.
        if !peer.is_some_and(|it| it.ip().to_canonical().is_loopback()) {
            return;
        }
        let _ = sys::set_receive_low_mark(&self.0, STREAM_BUFFER / 16 * 15);
        let _ = sys::set_receive_low_mark(&self.0, 1);
        // Where tcp_rmem[2] is small, the mark was cut, and growth is still wanted.
        if socket_recv_buffer_size(&self.0).is_ok_and(|bytes| bytes >= STREAM_BUFFER as usize / 16 * 15) {
            let is_locked = sys::lock_receive_buffer(&self.0).is_ok();
            // A buffer that grows would lift the clamp again (tcp_rcvbuf_grow in net/ipv4/tcp_input.c).
            let _ = is_locked.then(|| sys::clamp_window(&self.0, STREAM_WINDOW));
        }
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

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// A sender on loopback, and our end of its connection, prepared for a stream.
    fn stream() -> (TcpStream, Tcp) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        sender.set_nonblocking(true).unwrap();
        let ours = listener.accept().unwrap().0;
        ours.set_nonblocking(true).unwrap();
        let ours = Tcp::new(ours.into()).unwrap();
        ours.keep_stream_in_cache();
        (sender, ours)
    }

    /// Sends until the kernel takes nothing more; returns how much it took.
    fn fill(mut sender: &TcpStream) -> usize {
        let mut all = 0;
        loop {
            match sender.write(&[7; 64 << 10]) {
                Ok(bytes) => all += bytes,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return all,
                Err(e) => panic!("{e}"),
            }
        }
    }

    #[tokio::test]
    async fn the_kernel_keeps_a_bounded_part_of_a_stream_that_nobody_reads() {
        let (sender, ours) = stream();
        let mut reader = TcpStream::from(ours.as_fd().try_clone_to_owned().unwrap());
        let size = || socket_recv_buffer_size(&ours).unwrap();
        let before = size();
        let mut buffer = vec![0; 1 << 20];

        // Reading quickly is what would make it grow.
        for _ in 0..200 {
            let mut left = fill(&sender);
            while left > 0 {
                left -= reader.read(&mut buffer).map_or(0, |bytes| bytes);
            }
        }

        assert_eq!(size(), before);
        assert!((1_900_000..4_500_000).contains(&before), "{before}");
        fill(&sender);
        assert!(rustix::io::ioctl_fionread(&ours).unwrap() < 4_500_000);
    }

    #[tokio::test]
    async fn a_stream_is_readable_from_its_first_byte() {
        let (mut sender, ours) = stream();

        sender.write_all(b"x").unwrap();

        assert!(ours.ready(Interest::READABLE).await.unwrap().is_readable());
    }
}
