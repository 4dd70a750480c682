//! A socket as a half: its bytes are the session's.
//!
//! An idle socket is a reference and an empty pointer. What only few sockets need, bytes not taken yet and a watch for
//! errors, is in a box.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::getpeername;
use tokio::io::{ReadBuf, Ready};
use tokio::time::{Instant, Sleep, sleep};

use super::broken::Trouble;
use super::half::{Half, Input, Sent};
use crate::outcome::End;
use crate::transport::Stream;
use crate::transport::try_io::{self, Moved};

/// A TCP or Unix socket.
///
/// Dropping it closes nothing: the owner of the stream closes it, with a reset if the session was aborted.
pub struct Socket<'a> {
    stream: &'a Stream,
    extra: Option<Box<Extra<'a>>>,
}

/// The pauses before the looks for an other end that has ended: whether it has closed altogether. The first is longer than
/// most need for the close that follows; after the last it is taken to listen on.
const BEFORE_LOOKS: [Duration; 3] =
    [Duration::from_millis(2), Duration::from_millis(20), Duration::from_millis(200)];

/// What an idle socket does not need.
#[derive(Default)]
struct Extra<'a> {
    backlog: Option<Box<Backlog>>,
    watch: Option<Watch<'a>>,
    looks: Option<Looks>,
}

/// The looks for an other end that has ended.
struct Looks {
    pause: Pin<Box<Sleep>>,
    /// How many were made.
    made: usize,
    /// Whether the pause before the first was polled since the last [`Looks::cover`].
    is_polled: bool,
}

impl Looks {
    fn begin() -> Looks {
        Looks { pause: Box::pin(sleep(BEFORE_LOOKS[0])), made: 0, is_polled: false }
    }

    /// Ready, once, when a look has found the other end closed.
    fn poll(&mut self, cx: &mut Context<'_>, stream: &Stream) -> Poll<()> {
        self.is_polled = true;
        while self.made < BEFORE_LOOKS.len() {
            ready!(self.pause.as_mut().poll(cx));
            if stream.is_abandoned() {
                self.made = BEFORE_LOOKS.len();
                return Poll::Ready(());
            }
            self.made += 1;
            if let Some(next) = BEFORE_LOOKS.get(self.made) {
                self.pause.as_mut().reset(Instant::now() + *next);
            }
        }
        Poll::Pending
    }

    /// Whether the task is woken for the first look anyway, so that a watch can begin then: the poller keeps an error until
    /// it is asked for, and most sessions are over before that.
    fn cover(&mut self) -> bool {
        std::mem::take(&mut self.is_polled) && self.made == 0
    }
}

/// What the socket has not taken yet, at least one byte: `bytes` from `written` on.
struct Backlog {
    bytes: Box<[u8]>,
    written: usize,
}

/// Resolves when the socket has an error that no read or write would meet.
type Watch<'a> = Pin<Box<dyn Future<Output = io::Result<Ready>> + Send + 'a>>;

impl<'a> Socket<'a> {
    /// This stream as a half.
    pub fn new(stream: &'a Stream) -> Socket<'a> {
        Socket { stream, extra: None }
    }

    #[inline]
    fn kept(&self) -> Option<&[u8]> {
        let backlog = self.extra.as_ref()?.backlog.as_ref()?;
        Some(&backlog.bytes[backlog.written..])
    }

    /// Appends to the kept bytes, in an allocation of exactly that size.
    fn keep(&mut self, bytes: &[u8]) {
        let bytes = [self.kept().unwrap_or_default(), bytes].concat().into_boxed_slice();
        self.extra.get_or_insert_default().backlog = Some(Box::new(Backlog { bytes, written: 0 }));
    }

    /// The error that no call has met yet.
    #[inline]
    fn error(&self) -> Option<io::Error> {
        self.stream.take_error().ok().flatten()
    }

    /// Ready once there is one.
    fn poll_error(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let stream = self.stream;
        let Extra { watch, looks, .. } = &mut **self.extra.get_or_insert_default();
        if watch.is_none() && looks.as_mut().is_some_and(Looks::cover) {
            return Poll::Pending;
        }
        let watch = watch.get_or_insert_with(|| stream.error_reported());
        let reset = || io::Error::from_raw_os_error(libc::ECONNRESET);
        watch.as_mut().poll(cx).map(|_| self.error().unwrap_or_else(reset))
    }

    /// Removes `n` kept bytes that were taken.
    fn taken(&mut self, n: usize) {
        let Some(extra) = &mut self.extra else { return };
        let Some(backlog) = &mut extra.backlog else { return };
        backlog.written += n;
        if backlog.written == backlog.bytes.len() {
            extra.backlog = None;
            if extra.watch.is_none() && extra.looks.is_none() {
                self.extra = None;
            }
        }
    }
}

impl Half for Socket<'_> {
    #[inline]
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_read_ready(cx)
    }

    #[inline]
    fn has_input(&self) -> bool {
        self.stream.counts_as_readable()
    }

    #[inline]
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
        limit: usize,
    ) -> Poll<Result<Input, Trouble>> {
        loop {
            // Tried first: readiness is looked at there too, and only a socket without it has to register.
            match try_io::read(self.stream, room.initialize_unfilled_to(limit))? {
                Moved::NotReady => ready!(self.stream.poll_read_ready(cx))?,
                Moved::Bytes(0) => return Poll::Ready(Ok(Input::Ended)),
                Moved::Bytes(n) => {
                    room.advance(n);
                    return Poll::Ready(Ok(Input::Open));
                }
            }
        }
    }

    #[inline]
    fn write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Result<usize, Trouble> {
        let written = match self.is_behind() {
            true => 0,
            false => match try_io::write(self.stream, bytes)? {
                Moved::Bytes(n) => n,
                Moved::NotReady => 0,
            },
        };
        if written < bytes.len() {
            self.keep(&bytes[written..]);
        }
        Ok(written)
    }

    #[inline]
    fn is_behind(&self) -> bool {
        self.kept().is_some()
    }

    #[inline]
    fn backlog(&self) -> usize {
        self.kept().map_or(0, <[u8]>::len)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Trouble>> {
        while let Some(kept) = self.kept() {
            ready!(self.stream.poll_write_ready(cx))?;
            if let Moved::Bytes(n) = try_io::write(self.stream, kept)? {
                self.taken(n);
                return Poll::Ready(Ok(n));
            }
        }
        Poll::Ready(Ok(0))
    }

    /// The last FIN is left to close(2), which follows at once and saves the call.
    #[inline]
    fn poll_end(&mut self, _: &mut Context<'_>, is_last: bool) -> Poll<Result<(), Trouble>> {
        if !is_last {
            self.stream.shut_write();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<Trouble> {
        self.poll_error(cx).map(Trouble::from)
    }

    fn poll_abandoned(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let stream = self.stream;
        let looks = &mut self.extra.get_or_insert_default().looks;
        looks.get_or_insert_with(Looks::begin).poll(cx, stream)
    }

    #[inline]
    fn take_error(&mut self) -> Option<Trouble> {
        self.error().map(Trouble::from)
    }

    /// A connection that is gone acknowledges nothing more, and has no peer (ENOTCONN).
    #[inline]
    fn in_flight(&mut self, has_end: bool) -> u32 {
        match self.stream.unacknowledged(has_end) {
            bytes @ 1.. if getpeername(self.stream).is_ok() => bytes,
            _ => 0,
        }
    }

    fn shut_read(&mut self) {
        self.stream.shut_read();
    }

    fn undelivered(&mut self, sent: Sent) -> u32 {
        self.stream.undelivered(sent.has_end, sent.is_refused)
    }

    fn reset(&mut self, _: End) {
        self.stream.reset_on_close();
    }

    #[inline]
    fn spliceable(&self) -> Option<&Stream> {
        Some(self.stream)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::{Shutdown, TcpListener, TcpStream};

    use tokio::time::timeout;

    use super::*;
    use crate::transport::{Incoming, Unopened, Via};

    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_reset_after_a_fin_is_seen_though_the_watch_for_it_begins_with_the_first_look() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let accepted = Incoming::tcp(listener.accept().unwrap().0, Via::HandedOver("test".into())).unwrap();
        let Unopened::Socket(socket) = accepted.stream else { panic!("no socket") };
        let stream = socket.open().unwrap();
        let mut half = Socket::new(&stream);
        other.shutdown(Shutdown::Write).unwrap();

        let mut polls = 0;
        let begins = poll_fn(|cx| {
            polls += 1;
            assert!(half.poll_abandoned(cx).is_pending() && half.poll_broken(cx).is_pending());
            let watches = half.extra.as_ref().is_some_and(|extra| extra.watch.is_some());
            if watches { Poll::Ready(()) } else { Poll::Pending }
        });
        timeout(PATIENCE, begins).await.unwrap();
        rustix::net::sockopt::set_socket_linger(&other, Some(Duration::ZERO)).unwrap();
        drop(other);
        let broken = timeout(PATIENCE, poll_fn(|cx| half.poll_error(cx))).await.unwrap();

        // In CLOSE_WAIT a reset is this error (tcp_reset in net/ipv4/tcp_input.c).
        assert_eq!(broken.raw_os_error(), Some(libc::EPIPE));
        assert!(polls > 1, "the watch began before the first look");
    }
}
