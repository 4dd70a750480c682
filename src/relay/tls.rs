//! A half whose connection uses TLS: records are decrypted and encrypted in the worker's buffers.
//!
//! Its end is close_notify followed by a FIN. After a FIN alone the data may have been truncated (RFC 8446, 6.1), and yet
//! many programs end so: Python's, wget, browsers. It is passed on as a FIN, without close_notify of ours, unless the
//! route requires it. What the kernel does not know is that close_notify carries nothing of the session: an end that
//! leaves it unread is no loss, though the kernel resets the connection.
//!
//! The connection may be a half of any kind, whose bytes the records are.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use super::broken::{Trouble, reset_by};
use super::carried::Carried;
use super::half::{HEADROOM, Half, Input, MAX_KEPT, Sent};
use crate::outcome::{End, Side};
use crate::transport::tls::{self, CloseNotify, Sealed, Wire};

/// Room for close_notify.
const END_ROOM: usize = 256;

/// A connection with TLS records.
pub struct TlsHalf<H> {
    inner: H,
    records: Box<Sealed>,
    side: Side,
    /// The number of plain bytes in what the connection keeps.
    plain_kept: usize,
    carried: Carried,
    /// Our end was sent; nothing may follow it.
    sent_end: bool,
    /// So was the FIN of it.
    sent_fin: bool,
    /// Our end is a FIN alone.
    ends_as_cut: bool,
    /// It has closed without close_notify.
    is_cut: bool,
    /// It was reset behind our end, and nothing was lost by that.
    is_over: bool,
}

impl<H: Half> TlsHalf<H> {
    /// The connection of `side`, whose handshake is over.
    pub fn new(mut inner: H, records: Box<Sealed>, side: Side) -> TlsHalf<H> {
        if records.closed {
            inner.ignore_rest();
        }
        TlsHalf {
            inner,
            records,
            side,
            plain_kept: 0,
            carried: Carried::default(),
            sent_end: false,
            sent_fin: false,
            ends_as_cut: false,
            is_cut: false,
            is_over: false,
        }
    }

    /// Writes the records behind the headroom of `wire`, which carry `plain` bytes of the session; returns how many of those the
    /// connection has taken.
    fn send(&mut self, cx: &mut Context<'_>, wire: &mut [u8], plain: usize) -> Result<usize, Trouble> {
        let length = wire.len() - HEADROOM;
        self.carried.add(plain, length);
        let written = self.inner.write_in_place(cx, wire)?;
        let taken = share(plain, written, length);
        self.plain_kept += plain - taken;
        Ok(taken)
    }

    /// The bytes of the session in the last `wire` bytes that the connection took.
    fn plain(&self, wire: u32) -> u32 {
        self.carried.plain_of(wire.into(), self.inner.backlog() as u64)
    }

    /// Sends what TLS itself has to send, unless close_notify was sent.
    fn answer(&mut self, cx: &mut Context<'_>, wire: &[u8]) -> Result<(), Trouble> {
        if wire.is_empty() || self.sent_end {
            return Ok(());
        }
        self.send(cx, &mut [&[0; HEADROOM], wire].concat(), 0)?;
        if self.is_behind() {
            // The other direction flushes it, and may have had its turn already.
            cx.waker().wake_by_ref();
        }
        Ok(())
    }

    /// Decrypts what `buffer` holds, and keeps the beginning of an incomplete record; also what `room` does not hold, as another
    /// connection's records may have been more than was asked for.
    fn open(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
        room: &mut ReadBuf<'_>,
    ) -> Result<(), Trouble> {
        let (mut answer, mut over) = (Vec::new(), Vec::new());
        let mut give = |plain: &[u8]| {
            let (fits, rest) = plain.split_at(plain.len().min(room.remaining()));
            room.put_slice(fits);
            over.extend_from_slice(rest);
        };
        let opened = self.records.open(buffer, &mut give, &mut answer);
        self.records.put_early(over);
        if self.records.closed {
            self.inner.ignore_rest();
        }
        let opened = opened.and_then(|used| self.records.keep_partial(&buffer[used..]));
        self.answer(cx, &answer)?;
        opened.map_err(|error| self.broken(&error))
    }

    fn broken(&self, error: &rustls::Error) -> Trouble {
        let (description, is_theirs) = tls::broken(error, self.side);
        let is_ours = self.side == Side::Client && !is_theirs;
        Trouble::Described(if is_ours { End::TlsFailed } else { reset_by(self.side) }, description.into())
    }
}

impl<H: Half> Half for TlsHalf<H> {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.records.has_early() || self.has_ended() {
            return Poll::Ready(Ok(()));
        }
        self.inner.poll_readable(cx)
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
        limit: usize,
    ) -> Poll<Result<Input, Trouble>> {
        if self.records.has_early() {
            let mut early = self.records.take_early();
            let fits = early.len().min(room.remaining());
            room.put_slice(&early[..fits]);
            self.records.put_early(early.split_off(fits));
        } else if !self.has_ended() {
            ready!(self.poll_records(cx, room, limit))?;
        }
        let is_last = self.has_ended() && !self.records.has_early();
        Poll::Ready(Ok(if is_last { Input::Ended } else { Input::Open }))
    }

    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Result<usize, Trouble> {
        Wire::with(|Wire { sealed, .. }| {
            let filled = self.records.seal(bytes, &mut sealed[HEADROOM..]);
            let filled = filled.map_err(|error| self.broken(&error))?;
            self.send(cx, &mut sealed[..HEADROOM + filled], bytes.len())
        })
    }

    fn is_behind(&self) -> bool {
        self.inner.is_behind()
    }

    fn backlog(&self) -> usize {
        self.plain_kept
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Trouble>> {
        let before = self.inner.backlog();
        let written = ready!(self.inner.poll_flush(cx))?;
        let taken = share(self.plain_kept, written, before);
        self.plain_kept -= taken;
        Poll::Ready(Ok(taken))
    }

    fn poll_end(&mut self, cx: &mut Context<'_>, is_last: bool) -> Poll<Result<(), Trouble>> {
        if !self.sent_end {
            self.sent_end = true;
            if !self.ends_as_cut {
                let mut room = [0; HEADROOM + END_ROOM];
                // A broken connection has nothing more to send.
                if let Ok(filled) = self.records.seal_end(&mut room[HEADROOM..]) {
                    self.send(cx, &mut room[..HEADROOM + filled], 0)?;
                }
            }
        }
        while self.is_behind() {
            ready!(self.poll_flush(cx))?;
        }
        self.sent_fin = !is_last;
        self.inner.poll_end(cx, is_last)
    }

    fn is_cut(&self) -> bool {
        self.is_cut
    }

    fn end_as_cut(&mut self) {
        self.ends_as_cut = true;
    }

    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<Trouble> {
        if self.is_over {
            return Poll::Pending;
        }
        let error = match ready!(self.inner.poll_broken(cx)) {
            Trouble::Io(error) => error,
            told => return Poll::Ready(told),
        };
        // What a client has sent before is read to its end all the same; whether that was a FIN is not known then.
        let may_close = self.side == Side::Client || self.has_ended();
        self.is_over = may_close && self.sent_end && self.lost_by(&error) == 0;
        if self.is_over { Poll::Pending } else { Poll::Ready(error.into()) }
    }

    fn poll_abandoned(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.poll_abandoned(cx)
    }

    fn refuses_by_close(&self) -> bool {
        self.inner.refuses_by_close()
    }

    /// One that met only what TLS itself has to send is none: many clients close without reading a close_notify. One that
    /// came before our end is a reset, as it is to [`Half::poll_broken`].
    fn take_error(&mut self) -> Option<Trouble> {
        match self.inner.take_error()? {
            Trouble::Io(error) => (!self.sent_end || self.lost_by(&error) > 0).then(|| error.into()),
            told => Some(told),
        }
    }

    fn told(&self) -> Option<Trouble> {
        self.inner.told()
    }

    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.poll_last_words(cx)
    }

    fn shut_read(&mut self) {
        self.inner.shut_read();
    }

    fn in_flight(&mut self, has_end: bool) -> u32 {
        let wire = self.inner.in_flight(has_end);
        // The alert behind them is in flight as well.
        if self.records.broken().is_some() { wire } else { self.plain(wire) }
    }

    fn undelivered(&mut self, sent: Sent) -> u32 {
        let wire = self.inner.undelivered(sent);
        self.plain(wire)
    }

    fn reset(&mut self, why: End) {
        self.inner.reset(why);
    }
}

impl<H: Half> TlsHalf<H> {
    /// Reads once from the connection, and decrypts complete records.
    fn poll_records(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
        limit: usize,
    ) -> Poll<Result<(), Trouble>> {
        // Nothing after it can be decrypted, and its other end may send nothing more.
        if let Some(error) = self.records.broken() {
            return Poll::Ready(Err(self.broken(error)));
        }
        ready!(self.inner.poll_readable(cx))?;
        let input = Wire::with(|Wire { read: buffer, .. }| {
            let partial = self.records.take_partial();
            let kept = partial.len();
            buffer[..kept].copy_from_slice(&partial);
            let mut wire = ReadBuf::new(&mut buffer[kept..kept + limit + MAX_KEPT]);
            let input = self.inner.poll_read(cx, &mut wire, limit);
            match wire.filled().len() {
                0 => self.records.put_back(partial),
                read => self.open(cx, &mut buffer[..kept + read], room)?,
            }
            Ok::<_, Trouble>(input)
        });
        Poll::Ready(match ready!(input?) {
            Ok(Input::Ended) if !self.has_ended() => self.ended_by_fin(),
            Ok(_) => Ok(()),
            Err(Trouble::Io(error)) => self.ended_by_error(error),
            Err(told) => Err(told),
        })
    }

    /// Whether it sends nothing more.
    fn has_ended(&self) -> bool {
        self.records.closed || self.is_cut
    }

    /// How many bytes of the session it did not get before this error.
    fn lost_by(&mut self, error: &io::Error) -> u32 {
        let is_refused = error.raw_os_error() == Some(libc::EPIPE);
        self.undelivered(Sent { has_end: self.sent_fin, is_refused })
    }

    /// A FIN that no close_notify precedes.
    fn ended_by_fin(&mut self) -> Result<(), Trouble> {
        self.is_cut = true;
        match self.records.close_notify {
            _ if self.records.has_partial() => Err(Trouble::CutInRecord),
            CloseNotify::Optional => Ok(()),
            CloseNotify::Require => Err(Trouble::Cut),
        }
    }

    /// A read that failed. A client that closes after the whole answer, and has not read our close_notify, resets the
    /// connection thereby (RFC 2525, 2.17): that is its way to close, as a FIN is. Whether it has acknowledged the last
    /// bytes is not known then, because the kernel does not look at the acknowledgement of a reset (tcp_input.c,
    /// tcp_validate_incoming); that they are on their way is.
    fn ended_by_error(&mut self, error: io::Error) -> Result<(), Trouble> {
        let is_reset = error.raw_os_error() == Some(libc::ECONNRESET);
        let has_all = self.sent_end && !self.is_behind() && self.lost_by(&error) == 0;
        if is_reset && has_all && self.side == Side::Client && !self.records.has_partial() {
            self.is_over = true;
            return self.ended_by_fin();
        }
        Err(error.into())
    }
}

/// Of `plain` bytes, the share that corresponds to `written` of the `sealed` bytes that carry them.
pub(super) fn share(plain: usize, written: usize, sealed: usize) -> usize {
    if written == sealed { plain } else { plain * written / sealed }
}
