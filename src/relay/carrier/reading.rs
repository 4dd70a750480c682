//! What a carrier reads: the bytes of its session, and frames that nobody else reads.

use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use super::heard::Inlet;
use super::{CarrierHalf, FRAMES, MAX_READS};
use crate::relay::broken::Trouble;
use crate::transport::tunnel::carrier::{Broken, FrameLink};
use crate::transport::tunnel::frame::Reason;

impl CarrierHalf {
    /// Takes plain bytes that were read before; as many as fit into `room`.
    pub(super) fn take_unread(&mut self, room: &mut ReadBuf<'_>) {
        let CarrierHalf { link: FrameLink { decoder, unread, .. }, exchange, heard, side, .. } = self;
        let left = unread.left();
        let part = &left[..left.len().min(room.remaining())];
        Inlet { decoder, exchange, heard, side: *side }.take(part, &mut |bytes| room.put_slice(bytes));
        let rest = left.len() - part.len();
        unread.keep_last(rest);
        self.answer_breach();
    }

    /// Reads once, if the socket counts as readable; whether it had anything.
    pub(super) fn read_now(&mut self, limit: usize, body: &mut dyn FnMut(&[u8])) -> bool {
        let CarrierHalf { link: FrameLink { decoder, records, .. }, exchange, heard, side, .. } = self;
        let mut inlet = Inlet { decoder, exchange, heard, side: *side };
        let was_behind = records.is_behind();
        let read = records.read_now(limit, &mut |plain| inlet.take(plain, body));
        self.was_behind |= !was_behind && records.is_behind();
        let has_read = read.unwrap_or_else(|broken| {
            self.heard.lose(&broken);
            self.heard.closed = true;
            true
        });
        self.answer_breach();
        has_read
    }

    /// Tells an end that has broken the rules.
    fn answer_breach(&mut self) {
        if self.heard.takes_breach() {
            self.send_reset(Reason::Protocol);
        }
    }

    /// Reads to the end of the session, and throws away its bytes: ready once it is known how it ends. Behind END a body is out
    /// of turn.
    pub(super) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.heard.done || self.heard.end().is_some() {
                return Poll::Ready(());
            }
            if !self.link.unread.left().is_empty() {
                self.take_unread(&mut ReadBuf::new(&mut [0; FRAMES]));
                continue;
            }
            if ready!(self.link.records.poll_readable(cx)).is_err() {
                self.heard.lose(&Broken::Closed);
            }
            self.read_now(FRAMES, &mut |_| {});
        }
    }

    /// Reads what stands behind END on a connection that a write found broken: the other end closes with a reset if it has not
    /// read all that came, and its RESET with the reason is here before that.
    pub(super) fn poll_last_frames(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_read_here = self.heard.ended || self.ignores_rest;
        while is_read_here && self.heard.is_lost() && !self.heard.closed {
            if !self.link.unread.left().is_empty() {
                self.take_unread(&mut ReadBuf::new(&mut [0; FRAMES]));
            } else if ready!(self.link.records.poll_readable(cx)).is_err() {
                self.heard.closed = true;
            } else {
                self.read_now(FRAMES, &mut |_| {});
            }
        }
        Poll::Ready(())
    }

    /// Of a session that has ended on both sides, what the other end has said of it by now.
    pub(super) fn look(&mut self) -> Option<Trouble> {
        let is_read_here = self.heard.ended || self.ignores_rest;
        for _ in 0..MAX_READS {
            if !is_read_here || self.heard.done || self.heard.end().is_some() {
                break;
            }
            if !self.link.unread.left().is_empty() {
                self.take_unread(&mut ReadBuf::new(&mut [0; FRAMES]));
            } else if !self.link.records.counts_as_readable() || !self.read_now(FRAMES, &mut |_| {}) {
                break;
            }
        }
        self.heard.trouble().filter(|_| !self.heard.done)
    }
}
