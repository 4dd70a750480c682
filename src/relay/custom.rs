//! An embedder's own stream as a half.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use super::broken::Trouble;
use super::half::{Half, Input, Sent};
use crate::outcome::End;
use crate::transport::Custom;

/// A [`Custom`] stream. Dropped before its end was sent, it is reset, as every such stream is.
pub struct CustomHalf {
    custom: Custom,
    /// What the stream has not taken yet, from `written` on.
    backlog: Vec<u8>,
    written: usize,
    /// The stream has taken bytes that it may buffer until it is flushed.
    flushes: bool,
    /// A read has failed: the stream is not asked again, since nothing says that it would ever answer.
    failed: bool,
}

impl CustomHalf {
    /// This stream as a half.
    pub fn new(custom: Custom) -> CustomHalf {
        CustomHalf { custom, backlog: Vec::new(), written: 0, flushes: false, failed: false }
    }

    /// Writes once, at least one byte.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Trouble>> {
        let written = ready!(self.custom.stream().poll_write(cx, bytes))?;
        self.flushes = true;
        match written {
            0 => Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into())),
            n => Poll::Ready(Ok(n)),
        }
    }

    fn poll_flush_stream(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Trouble>> {
        if self.flushes {
            ready!(self.custom.stream().poll_flush(cx))?;
            self.flushes = false;
        }
        Poll::Ready(Ok(()))
    }
}

impl Half for CustomHalf {
    /// A stream does not report whether it is readable.
    fn poll_readable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
        limit: usize,
    ) -> Poll<Result<Input, Trouble>> {
        if self.failed {
            return Poll::Ready(Ok(Input::Ended));
        }
        let mut part = room.take(limit);
        let read = ready!(self.custom.stream().poll_read(cx, &mut part));
        let filled = part.filled().len();
        room.advance(filled);
        self.failed = read.is_err();
        Poll::Ready(match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Trouble::Cut),
            Err(error) => Err(error.into()),
            Ok(()) if filled == 0 => Ok(Input::Ended),
            Ok(()) => Ok(Input::Open),
        })
    }

    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Result<usize, Trouble> {
        let mut taken = 0;
        while self.backlog.is_empty() && taken < bytes.len() {
            match self.poll_write(cx, &bytes[taken..]) {
                Poll::Ready(written) => taken += written?,
                Poll::Pending => break,
            }
        }
        self.backlog.extend_from_slice(&bytes[taken..]);
        if self.backlog.is_empty()
            && let Poll::Ready(flushed) = self.poll_flush_stream(cx)
        {
            flushed?;
        }
        Ok(taken)
    }

    fn is_behind(&self) -> bool {
        self.flushes || !self.backlog.is_empty()
    }

    fn backlog(&self) -> usize {
        self.backlog.len() - self.written
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Trouble>> {
        if self.backlog.is_empty() {
            return self.poll_flush_stream(cx).map_ok(|()| 0);
        }
        // Taken out for the call, and put back unless all of it has been written.
        let backlog = std::mem::take(&mut self.backlog);
        let answer = self.poll_write(cx, &backlog[self.written..]);
        if let Poll::Ready(Ok(n)) = answer {
            self.written += n;
        }
        match self.written < backlog.len() {
            true => self.backlog = backlog,
            false => self.written = 0,
        }
        answer
    }

    fn poll_end(&mut self, cx: &mut Context<'_>, _: bool) -> Poll<Result<(), Trouble>> {
        ready!(self.custom.stream().poll_shutdown(cx))?;
        self.custom.disarm();
        Poll::Ready(Ok(()))
    }

    /// Only a read or a write reports a break.
    fn poll_broken(&mut self, _: &mut Context<'_>) -> Poll<Trouble> {
        Poll::Pending
    }

    fn poll_abandoned(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn take_error(&mut self) -> Option<Trouble> {
        None
    }

    fn in_flight(&mut self, _: bool) -> u32 {
        0
    }

    fn undelivered(&mut self, _: Sent) -> u32 {
        0
    }

    fn reset(&mut self, _: End) {
        self.custom.reset();
    }
}
