//! A carrier as the pump uses it.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::{Interest, ReadBuf};

use super::CarrierHalf;
use super::reason::reason_of;
use crate::outcome::End;
use crate::relay::broken::Trouble;
use crate::relay::half::{HEADROOM, Half, Input, Sent};
use crate::relay::tls::share;
use crate::transport::tls::Wire;
use crate::transport::tunnel::carrier::Broken;
use crate::transport::tunnel::frame::{HEAD, MAX_BODY, head};

impl Half for CarrierHalf {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.release_in_turn(cx);
        if self.heard.is_final() || self.heard.ended || !self.link.unread.left().is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.link.records.poll_readable(cx)
    }

    fn has_input(&self) -> bool {
        // What is held is to be sent in a turn of this direction.
        self.held
            || self.heard.is_final()
            || !self.link.unread.left().is_empty()
            || self.link.records.counts_as_readable()
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
        limit: usize,
    ) -> Poll<Result<Input, Trouble>> {
        self.answer();
        self.release_in_turn(cx);
        let is_done = self.heard.is_final() || self.heard.ended;
        if !is_done && !self.link.unread.left().is_empty() {
            self.take_unread(room);
        } else if !is_done {
            let mut has_read = self.read_now(limit, &mut |bytes| room.put_slice(bytes));
            while !has_read && !self.heard.is_lost() {
                ready!(self.link.records.poll_readable(cx))?;
                has_read = self.read_now(limit, &mut |bytes| room.put_slice(bytes));
            }
            // Of a connection that a write found broken, all that has arrived is read.
            if has_read && self.heard.is_lost() && !self.heard.closed {
                return Poll::Ready(Ok(Input::Open));
            }
            if self.is_behind() {
                // The other direction flushes what TLS itself has to send, and may have had its turn already.
                cx.waker().wake_by_ref();
            }
        }
        match self.heard.trouble() {
            Some(trouble) => Poll::Ready(Err(trouble)),
            None if self.heard.ended => Poll::Ready(Ok(Input::Ended)),
            None => Poll::Ready(Ok(Input::Open)),
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Result<usize, Trouble> {
        self.write_in_place(cx, &mut [&[0; HEADROOM], bytes].concat())
    }

    fn write_in_place(&mut self, _: &mut Context<'_>, buffer: &mut [u8]) -> Result<usize, Trouble> {
        if self.exchange.sent_body().is_err() {
            return Err(self.trouble());
        }
        Wire::with(|Wire { sealed, .. }| {
            let (mut filled, mut at) = (0, HEADROOM);
            while at < buffer.len() {
                let end = buffer.len().min(at + MAX_BODY);
                // What stands there was sealed with the frame before.
                buffer[at - HEAD..at].copy_from_slice(&head(end - at));
                let wire = &mut sealed[filled..];
                let frame = self.link.records.seal(&buffer[at - HEAD..end], wire);
                filled += frame.map_err(|broken| self.lose(&broken))?;
                at = end;
            }
            self.send(&sealed[..filled], buffer.len() - HEADROOM)
        })
    }

    fn is_behind(&self) -> bool {
        self.link.records.is_behind() && !self.held
    }

    fn backlog(&self) -> usize {
        self.plain_kept
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Trouble>> {
        let before = self.link.records.backlog();
        let written = ready!(self.link.records.poll_flush(cx)).map_err(|broken| self.lose(&broken))?;
        let taken = share(self.plain_kept, written, before.max(1));
        self.plain_kept -= taken;
        Poll::Ready(Ok(taken))
    }

    /// The last END waits for DONE, which follows it at once where the other side is known to have everything.
    fn poll_end(&mut self, cx: &mut Context<'_>, is_last: bool) -> Poll<Result<(), Trouble>> {
        if !self.sent_end {
            self.sent_end = true;
            self.end(is_last)?;
        } else if !is_last {
            self.release();
        }
        while self.is_behind() {
            ready!(self.poll_flush(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Behind END only frames can come, and what nobody wants is thrown away, so it is read on; before, a connection that is not read is watched for an error.
    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<Trouble> {
        self.release_in_turn(cx);
        if self.heard.ended || self.ignores_rest {
            ready!(self.poll_rest(cx));
        } else if self.heard.end().is_none() {
            let stream = self.link.records.stream();
            let watch = self.watch.get_or_insert_with(|| {
                let stream = stream.clone();
                Box::pin(async move { stream.ready(Interest::ERROR).await })
            });
            // Ready either way means that there is one.
            let _ = ready!(watch.as_mut().poll(cx));
            let reset = || io::Error::from_raw_os_error(libc::ECONNRESET);
            let error = self.link.records.stream().take_error().ok().flatten().unwrap_or_else(reset);
            self.heard.lose(&Broken::Io(error));
        }
        self.heard.trouble().map_or(Poll::Pending, Poll::Ready)
    }

    fn poll_abandoned(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    /// The carrier is not closed, and the other end of the session may be a network away: many services close altogether behind
    /// their answer, and many visitors behind it, and both are an end like any other.
    fn refuses_by_close(&self) -> bool {
        false
    }

    fn take_error(&mut self) -> Option<Trouble> {
        if std::mem::replace(&mut self.is_asked, true) {
            self.release();
        }
        self.look()
    }

    fn told(&self) -> Option<Trouble> {
        self.heard.told()
    }

    /// Before END that is done by the direction whose source the half is, which has bytes to pass on.
    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_last_frames(cx)
    }

    fn ignore_rest(&mut self) {
        self.ignores_rest = true;
    }

    /// RESET goes behind what the kernel has, and destroys none of it.
    fn in_flight(&mut self, _: bool) -> u32 {
        if self.heard.end().is_some() { 0 } else { self.plain_kept.try_into().unwrap_or(u32::MAX) }
    }

    /// Without room for RESET the connection is reset, with all that the other end's kernel has not got.
    fn undelivered(&mut self, sent: Sent) -> u32 {
        if self.heard.end().is_none() && !self.is_behind() {
            return 0;
        }
        let wire = self.link.records.stream().undelivered(false, sent.is_refused);
        self.plain(wire)
    }

    fn reset(&mut self, why: End) {
        if !self.heard.done {
            self.cut(reason_of(why));
        }
    }
}
