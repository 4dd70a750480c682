//! A half whose first bytes are looked at before the session begins, as those of a socket are with MSG_PEEK: they are read, and
//! given to whoever reads it afterwards.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::broken::Trouble;
use super::buffer::{self, BUFFER};
use super::half::{HEADROOM, Half, Input, Sent};
use crate::outcome::End;
use crate::transport::Undecided;

/// How much is read at once of what shows that the other end has spoken, in bytes.
const FIRST_WORDS: usize = 4 << 10;

/// A half, and what was read of it. It is also a stream, for a handshake of TLS.
///
/// It holds no more than it was asked to look at, and one read of the half.
pub struct Ahead<H: ?Sized> {
    /// What was read and is to be given first, from `given` on. Without an allocation if there is nothing.
    seen: Vec<u8>,
    given: usize,
    /// What follows it: the end, or what broke the half.
    last: Option<Result<(), Trouble>>,
    half: H,
}

impl<H: Half> Ahead<H> {
    /// This half, of which nothing was looked at.
    pub fn new(half: H) -> Ahead<H> {
        Ahead { seen: Vec::new(), given: 0, last: None, half }
    }

    /// The half. What was looked at and not read is lost.
    pub fn into_half(self) -> H {
        self.half
    }

    /// The same, while it is used.
    pub fn half(&mut self) -> &mut H {
        &mut self.half
    }
}

impl<H: Half + ?Sized> Ahead<H> {
    /// What was looked at and not read.
    pub fn seen(&self) -> &[u8] {
        &self.seen[self.given..]
    }

    /// What broke the half, once that is known.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.last.as_ref()?.as_ref().err()
    }

    /// Calls `judge` with all bytes that have arrived, at most the first `most`, again after each arrival, until it returns an
    /// answer, as [`crate::transport::peek`] does. All of them are still to be read.
    ///
    /// Each byte is copied once, so that an other end that sends them one by one costs no more than it would in a session.
    ///
    /// # Errors
    /// See [`Undecided`]. Cancel safe: what has arrived stays here.
    pub async fn look<T>(
        &mut self,
        most: usize,
        mut judge: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<T, Undecided> {
        let mut judged = 0;
        loop {
            let seen = self.seen().len();
            if seen > judged {
                judged = seen;
                if let Some(answer) = judge(&self.seen()[..seen.min(most)]) {
                    return Ok(answer);
                }
            }
            match &self.last {
                _ if seen >= most => return Err(Undecided::Full),
                Some(Ok(())) => return Err(Undecided::Ended),
                Some(Err(_)) => return Err(Undecided::Broken(io::ErrorKind::ConnectionReset.into())),
                None => {}
            }
            poll_fn(|cx| self.poll_more(cx, most - seen)).await;
        }
    }

    /// Resolves once it has sent something, or its end; false if it broke. Cancel safe.
    pub async fn has_spoken(&mut self) -> bool {
        // One byte is enough, and is read with what came along: a whole record is deciphered, or nothing of it.
        !matches!(self.look(FIRST_WORDS, |_| Some(())).await, Err(Undecided::Broken(_)))
    }

    /// Takes the first `count` of the seen bytes: nobody else reads them.
    pub fn take_seen(&mut self, count: usize) {
        self.given += count;
        if self.given >= self.seen.len() {
            (self.seen, self.given) = (Vec::new(), 0);
        }
    }

    /// Reads once, at most `limit` bytes and what the half kept before, behind what was seen. Ready too with nothing, if the half
    /// had something that is none of the session's bytes.
    fn poll_more(&mut self, cx: &mut Context<'_>, limit: usize) -> Poll<()> {
        if self.last.is_some() {
            return Poll::Ready(());
        }
        let input = buffer::with(|buffer| {
            let mut room = ReadBuf::new(&mut buffer[HEADROOM..]);
            let input = self.half.poll_read(cx, &mut room, limit.clamp(1, BUFFER));
            self.seen.extend_from_slice(room.filled());
            input
        });
        // What the half has to say by itself; nobody else does that yet.
        if let Poll::Ready(Err(trouble)) = self.poll_flush_half(cx) {
            self.last = Some(Err(trouble));
            return Poll::Ready(());
        }
        match ready!(input) {
            Ok(Input::Open) => {}
            Ok(Input::Ended) => self.last = Some(Ok(())),
            Err(trouble) => self.last = Some(Err(trouble)),
        }
        Poll::Ready(())
    }

    /// Gives what was seen, at most as much as `room` holds and `limit` says.
    fn give(&mut self, room: &mut ReadBuf<'_>, limit: usize) {
        let count = self.seen().len().min(room.remaining()).min(limit);
        room.put_slice(&self.seen()[..count]);
        self.take_seen(count);
    }

    fn poll_flush_half(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Trouble>> {
        while self.half.is_behind() {
            ready!(self.half.poll_flush(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Notes what broke it, and says it as an error of a stream.
    fn broke(&mut self, trouble: Trouble) -> io::Error {
        self.last = Some(Err(trouble));
        io::ErrorKind::ConnectionReset.into()
    }
}

/// Behind an error [`Ahead::trouble`] says what it was.
impl<H: Half + ?Sized> AsyncRead for Ahead<H> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let ahead = self.get_mut();
        while ahead.seen().is_empty() {
            match &ahead.last {
                Some(Ok(())) => return Poll::Ready(Ok(())),
                Some(Err(_)) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                None => ready!(ahead.poll_more(cx, room.remaining())),
            }
        }
        let all = room.remaining();
        ahead.give(room, all);
        Poll::Ready(Ok(()))
    }
}

/// The half keeps what its connection does not take, so a write waits until it has taken what was written before.
impl<H: Half + ?Sized> AsyncWrite for Ahead<H> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let ahead = self.get_mut();
        let flushed = ready!(ahead.poll_flush_half(cx));
        let written = flushed.and_then(|()| ahead.half.write(cx, bytes));
        Poll::Ready(written.map(|_| bytes.len()).map_err(|trouble| ahead.broke(trouble)))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ahead = self.get_mut();
        let flushed = ready!(ahead.poll_flush_half(cx));
        Poll::Ready(flushed.map_err(|trouble| ahead.broke(trouble)))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ahead = self.get_mut();
        let ended = ready!(ahead.half.poll_end(cx, false));
        Poll::Ready(ended.map_err(|trouble| ahead.broke(trouble)))
    }
}

/// The half itself, behind what was seen. Its bytes are not the kernel's to move until that is given.
impl<H: Half + ?Sized> Half for Ahead<H> {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.seen().is_empty() || self.last.is_some() {
            return Poll::Ready(Ok(()));
        }
        self.half.poll_readable(cx)
    }

    fn has_input(&self) -> bool {
        !self.seen().is_empty() || self.last.is_some() || self.half.has_input()
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
        limit: usize,
    ) -> Poll<Result<Input, Trouble>> {
        if !self.seen().is_empty() {
            self.give(room, limit);
            return Poll::Ready(Ok(Input::Open));
        }
        match self.last.take() {
            None => self.half.poll_read(cx, room, limit),
            Some(Err(trouble)) => Poll::Ready(Err(trouble)),
            Some(Ok(())) => {
                self.last = Some(Ok(()));
                Poll::Ready(Ok(Input::Ended))
            }
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Result<usize, Trouble> {
        self.half.write(cx, bytes)
    }

    fn write_in_place(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Result<usize, Trouble> {
        self.half.write_in_place(cx, buffer)
    }

    fn is_behind(&self) -> bool {
        self.half.is_behind()
    }

    fn backlog(&self) -> usize {
        self.half.backlog()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Trouble>> {
        self.half.poll_flush(cx)
    }

    fn poll_end(&mut self, cx: &mut Context<'_>, is_last: bool) -> Poll<Result<(), Trouble>> {
        self.half.poll_end(cx, is_last)
    }

    fn is_cut(&self) -> bool {
        self.half.is_cut()
    }

    fn end_as_cut(&mut self) {
        self.half.end_as_cut();
    }

    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<Trouble> {
        self.half.poll_broken(cx)
    }

    fn poll_abandoned(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.half.poll_abandoned(cx)
    }

    fn refuses_by_close(&self) -> bool {
        self.half.refuses_by_close()
    }

    fn take_error(&mut self) -> Option<Trouble> {
        self.half.take_error()
    }

    fn told(&self) -> Option<Trouble> {
        self.half.told()
    }

    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.half.poll_last_words(cx)
    }

    fn shut_read(&mut self) {
        self.half.shut_read();
    }

    fn ignore_rest(&mut self) {
        self.half.ignore_rest();
    }

    fn in_flight(&mut self, has_end: bool) -> u32 {
        self.half.in_flight(has_end)
    }

    fn undelivered(&mut self, sent: Sent) -> u32 {
        self.half.undelivered(sent)
    }

    fn reset(&mut self, why: End) {
        self.half.reset(why);
    }
}

#[cfg(test)]
#[path = "ahead_tests.rs"]
mod tests;
