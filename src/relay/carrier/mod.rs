//! A half whose connection is a carrier of a tunnel: the bytes of the session are bodies of frames, in TLS records.
//!
//! Its end is END, and the connection stays for the next session. What a reset is elsewhere is RESET with a reason, behind the
//! bytes that were read before it, so that it destroys none; a FIN, a close_notify or an error means that the tunnel is lost.
//! Behind both ENDs the end that did not open the session says DONE once its own side has everything. Until then the other
//! end's RESET belongs to this session, and after that the carrier is free: see [`CarrierHalf::settle`].
//!
//! A frame is sealed with what was read, in one go: its head is written before the bytes, where they stand.

mod as_half;
mod heard;
mod reading;
mod reason;
mod settle;
#[cfg(test)]
mod tests;

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Context;

use tokio::io::Ready;
use tokio::task::yield_now;

use heard::Heard;
pub use reason::{end_of, no_target, reason_of};

use super::broken::Trouble;
use super::carried::Carried;
use super::tls::share;
use crate::outcome::{End, Side};
use crate::transport::Stream;
use crate::transport::tls::Wire;
use crate::transport::tunnel::carrier::{Broken, FrameLink};
use crate::transport::tunnel::exchange::{Exchange, Role};
use crate::transport::tunnel::frame::{Frame, Reason};

/// The largest read for frames behind END, in bytes.
const FRAMES: usize = 4 << 10;

/// The most reads in one turn for what nobody wants any more.
const MAX_READS: usize = 64;

/// A carrier with a session on it.
///
/// Dropped before [`CarrierHalf::settle`] or a reset, it looks cut to the other end: the connection ends in a TCP reset.
pub struct CarrierHalf {
    link: FrameLink,
    side: Side,
    exchange: Exchange,
    heard: Heard,
    /// The number of bytes of the session in what the socket has not taken.
    plain_kept: usize,
    carried: Carried,
    sent_end: bool,
    /// The socket has not taken everything at once, so that the kernel may have been told to wait for its other end.
    was_behind: bool,
    /// What is kept for the socket waits for what is about to follow it, so that both go in one write: OPEN for the visitor's
    /// first bytes, the last END for DONE.
    held: bool,
    /// The poller has been asked since.
    has_waited: bool,
    /// The proof of the session's end has been asked for, so that the end does not wait for it.
    is_asked: bool,
    /// No bytes that still come are wanted.
    ignores_rest: bool,
    watch: Option<Watch>,
    cut: CutOnDrop,
}

/// Resolves when the socket has an error that no read or write would meet.
type Watch = Pin<Box<dyn Future<Output = io::Result<Ready>> + Send>>;

/// Has the drop of the connection be a TCP reset.
struct CutOnDrop(Option<Arc<Stream>>);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        if let Some(stream) = &self.0 {
            stream.reset_on_close();
        }
    }
}

impl CarrierHalf {
    /// A carrier on which OPEN has passed. As the target's connection it is ours: we have sent OPEN. As the client's it is the
    /// other end's, and OPENED is sent unless it was before.
    ///
    /// An OPEN that was queued and not flushed goes in one write with the visitor's first bytes, if they are there.
    pub fn new(link: FrameLink, side: Side) -> CarrierHalf {
        let mut half = CarrierHalf::unanswered(link, side);
        half.held = side == Side::Target && half.link.records.is_behind();
        half.answer();
        half
    }

    /// The same, of which OPENED is not sent yet. The first read sends it: its opener may hold back what the visitor has to say
    /// until then.
    pub fn unanswered(link: FrameLink, side: Side) -> CarrierHalf {
        let role = match side {
            Side::Target => Role::Opener,
            Side::Client => Role::Other,
        };
        let mut exchange = Exchange::asked(role);
        if link.is_opened() {
            // It begins before that, so it cannot be out of turn.
            let _ = match role {
                Role::Opener => exchange.received(&Frame::Opened).map(drop),
                Role::Other => exchange.sent(&Frame::Opened),
            };
        }
        let cut = CutOnDrop(Some(link.records.stream().clone()));
        CarrierHalf {
            exchange,
            link,
            side,
            heard: Heard::default(),
            plain_kept: 0,
            carried: Carried::default(),
            sent_end: false,
            was_behind: false,
            held: false,
            has_waited: false,
            is_asked: false,
            ignores_rest: false,
            watch: None,
            cut,
        }
    }

    /// Has the opener know that its session is carried, unless it knows. The relay, or what reads next, sends it.
    pub fn answer(&mut self) {
        if self.side == Side::Target || self.link.is_opened() || self.heard.end().is_some() {
            return;
        }
        if let Err(broken) = self.link.queue(&Frame::Opened) {
            self.heard.lose(&broken);
        }
        let _ = self.exchange.sent(&Frame::Opened);
    }

    /// The connection of an opener that is to be told that its session is not carried; `None` if it knows, or is gone.
    pub fn into_refused(self) -> Option<FrameLink> {
        let CarrierHalf { link, heard, watch, mut cut, .. } = self;
        drop(watch);
        if heard.is_lost() {
            return None;
        }
        cut.0 = None;
        (!heard.is_final()).then_some(link)
    }

    /// The carrier's socket: what the kernel knows of the connection is asked there. It is to be dropped before the carrier is
    /// free.
    pub fn socket(&self) -> Arc<Stream> {
        self.link.records.stream().clone()
    }

    /// The connection, once the session's both ENDs and DONE have passed and nothing is left over; `None` means that it is of no
    /// more use.
    pub fn into_link(self) -> Option<FrameLink> {
        let CarrierHalf { link, exchange, heard, was_behind, watch, mut cut, .. } = self;
        let is_clean = heard.done && heard.end().is_none() && exchange.is_free() && link.is_between_frames();
        if !is_clean || was_behind && link.watch_again().is_err() {
            return None;
        }
        // Both have the socket as well.
        cut.0 = None;
        drop((watch, cut));
        Some(link)
    }

    /// How the session ended otherwise than by both ENDs, as trouble.
    fn trouble(&self) -> Trouble {
        let unknown = || Trouble::Told(End::Internal, None);
        self.heard.trouble().unwrap_or_else(unknown)
    }

    /// Notes that the connection broke.
    fn lose(&mut self, broken: &Broken) -> Trouble {
        self.heard.lose(broken);
        self.trouble()
    }

    /// Writes records that carry `plain` bytes of the session; returns how many of those the socket has taken.
    fn send(&mut self, wire: &[u8], plain: usize) -> Result<usize, Trouble> {
        self.carried.add(plain, wire.len());
        let written = match std::mem::take(&mut self.held) {
            false => self.link.records.send(wire),
            true => {
                let before = self.link.records.backlog();
                self.link.records.keep(wire);
                self.link.records.flush_now().map(|written| written.saturating_sub(before))
            }
        };
        let written = written.map_err(|broken| self.lose(&broken))?;
        let taken = share(plain, written, wire.len());
        self.plain_kept += plain - taken;
        self.was_behind |= written < wire.len();
        Ok(taken)
    }

    fn hold(&mut self, wire: &[u8]) {
        self.carried.add(0, wire.len());
        self.link.records.keep(wire);
        self.held = true;
    }

    /// Sends what was held, as nothing has followed.
    fn release(&mut self) {
        if std::mem::take(&mut self.held)
            && let Err(broken) = self.link.records.flush_now()
        {
            self.heard.lose(&broken);
        }
    }

    /// Sends what was held once the poller was asked, which may not have told yet of what follows.
    fn release_in_turn(&mut self, cx: &mut Context<'_>) {
        if !self.held {
            return;
        }
        if std::mem::replace(&mut self.has_waited, true) {
            self.release();
            // What is left is flushed by the direction whose sink the half is.
            cx.waker().wake_by_ref();
        } else {
            // It wakes the task behind the poller's next turn, and needs no second poll for that.
            let _ = pin!(yield_now()).poll(cx);
        }
    }

    /// Sends a frame in turn, behind everything before; an error if it is out of turn, or the connection broke.
    fn send_frame(&mut self, frame: &Frame) -> Result<(), Trouble> {
        self.send_frame_with(frame, false)
    }

    /// The same, or holds it.
    fn send_frame_with(&mut self, frame: &Frame, holds: bool) -> Result<(), Trouble> {
        if self.exchange.sent(frame).is_err() {
            return Err(self.trouble());
        }
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        Wire::with(|Wire { sealed, .. }| {
            let filled = self.link.records.seal(&bytes, sealed).map_err(|broken| self.lose(&broken))?;
            match holds && !self.link.records.is_behind() {
                true => self.hold(&sealed[..filled]),
                false => drop(self.send(&sealed[..filled], 0)?),
            }
            Ok(())
        })
    }

    /// Cuts the session with this reason, unless it is over.
    fn cut(&mut self, reason: Reason) {
        match self.heard.is_final() {
            // The other end has cut it itself, or was told before.
            true => self.cut.0 = None,
            false => self.send_reset(reason),
        }
    }

    fn send_reset(&mut self, reason: Reason) {
        // Of a broken connection, or one that takes nothing, the drop is a reset.
        if self.send_frame(&Frame::Reset(reason)).is_ok() && !self.link.records.is_behind() {
            self.cut.0 = None;
        }
    }

    /// Sends END; the last one of a session that the other end opened is held.
    fn end(&mut self, is_last: bool) -> Result<(), Trouble> {
        self.send_frame_with(&Frame::End, is_last && self.side == Side::Client)
    }

    /// The bytes of the session in the last `wire` bytes that the socket took.
    fn plain(&self, wire: u32) -> u32 {
        self.carried.plain_of(wire.into(), self.link.records.backlog() as u64)
    }
}
