//! One of the two connections of a session, as the pump uses it.

use std::io;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;

use super::broken::Trouble;
use crate::outcome::End;
use crate::transport::Stream;

/// The result of a read besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// There may be more.
    Open,
    /// The other end sends nothing more.
    Ended,
}

/// What a half cannot know by itself of the bytes it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The end was sent after them.
    pub has_end: bool,
    /// The other end had ended before, and answered them with a reset.
    pub is_refused: bool,
}

/// One of the two connections of a session: bytes, an end of each direction, and a reset.
///
/// Its two directions end independently: after [`Half::poll_end`] it is still read, and after [`Input::Ended`] still
/// written. It keeps what it was given to write and could not pass on; meanwhile the pump reads nothing more for it, so
/// it never keeps much more than one read.
///
/// No method waits: `Pending` means that the task of `cx` will be woken. Each is cancel safe; what was read belongs to
/// the caller, and what is kept stays until the half is dropped. A half that is dropped before [`Half::poll_end`] was
/// ready must look truncated to its other end, not ended, as far as its kind can express that.
pub trait Half: Send + Unpin {
    /// Ready once a read is worth trying. A kind that cannot know this without reading is always ready.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether a read is worth trying; asks without registering for a wake-up, and so costs next to nothing. A kind that
    /// cannot know this always says so.
    fn has_input(&self) -> bool {
        true
    }

    /// Reads once. It takes at most `limit` bytes from its connection, and may add some that it kept before: `room` has
    /// space for [`MAX_KEPT`] more.
    ///
    /// # Errors
    /// What broke the connection. Bytes that arrived before are in `room` all the same.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
        limit: usize,
    ) -> Poll<Result<Input, Trouble>>;

    /// Takes all of `bytes`; returns how many of them the connection has taken at once. The rest is kept for
    /// [`Half::poll_flush`].
    ///
    /// # Errors
    /// What broke the connection.
    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Result<usize, Trouble>;

    /// The same for the bytes of `buffer` behind its first [`HEADROOM`] ones, which are the half's: what it puts before bytes
    /// needs no copy of them. The bytes may be overwritten too.
    ///
    /// # Errors
    /// As of [`Half::write`].
    fn write_in_place(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Result<usize, Trouble> {
        self.write(cx, &buffer[HEADROOM..])
    }

    /// Whether something is kept for the connection.
    fn is_behind(&self) -> bool;

    /// How many of the bytes it was given it keeps.
    fn backlog(&self) -> usize;

    /// Continues to write what is kept; returns how many bytes of [`Half::write`] the connection has taken. Call it
    /// until [`Half::is_behind`] is false.
    ///
    /// # Errors
    /// What broke the connection.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Trouble>>;

    /// Signals that nothing more will be written. Everything written before has been flushed. Called until it is ready,
    /// and not again. With `is_last`, the other direction has ended too, and the drop that follows may send the signal; if
    /// it does not follow at once, this is called again without.
    ///
    /// # Errors
    /// What broke the connection.
    fn poll_end(&mut self, cx: &mut Context<'_>, is_last: bool) -> Poll<Result<(), Trouble>>;

    /// Whether its other end has ended without the end of its protocol, such as by a FIN without close_notify.
    fn is_cut(&self) -> bool {
        false
    }

    /// Has the end that follows look like that too, where the kind can do that.
    fn end_as_cut(&mut self) {}

    /// Ready once the connection is broken, even if it is neither read nor written.
    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<Trouble>;

    /// Ready once the other end, whose own direction has ended, is known to have closed the connection altogether: nothing
    /// that is written will reach anybody. Ready once; a kind that cannot know is never ready.
    fn poll_abandoned(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Whether the close of the connection has its other end refuse at once what is written to it. Else a session goes on
    /// though the side opposite has closed altogether, until one writes to it.
    fn refuses_by_close(&self) -> bool {
        true
    }

    /// The error that the connection has met and that no read, write or watch has reported, if bytes of the session were
    /// lost with it or the other end should learn of it.
    fn take_error(&mut self) -> Option<Trouble>;

    /// What its other end has said of how the session ended, if it was read only after the connection broke: it says more than
    /// the break.
    fn told(&self) -> Option<Trouble> {
        None
    }

    /// Reads what has arrived behind the end of a connection that a write found broken, for [`Half::told`].
    fn poll_last_words(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    /// Has reads end once they have given what has arrived by now, where the kind can do that.
    fn shut_read(&mut self) {}

    /// Nothing that still comes is wanted: the protocol that its bytes are of has ended. A kind whose connection says more than
    /// bytes is read on by [`Half::poll_broken`].
    fn ignore_rest(&mut self) {}

    /// Bytes in transit that a reset now would destroy; `has_end` if they are followed by the end. Zero if they are beyond
    /// its reach, or if no peer is left to receive them.
    fn in_flight(&mut self, has_end: bool) -> u32;

    /// Bytes that the connection took and that do not arrive, now that a reset ends it.
    fn undelivered(&mut self, sent: Sent) -> u32;

    /// Makes the drop of the half a reset.
    fn reset(&mut self, why: End);

    /// The socket whose bytes are those of the session, which the kernel may move by splice(2).
    fn spliceable(&self) -> Option<&Stream> {
        None
    }
}

/// The bytes before those that [`Half::write_in_place`] is given. More than any half needs, so that what is read behind them
/// begins on a boundary.
pub const HEADROOM: usize = 16;

/// The largest number of bytes read that a half keeps, as the beginning of a record.
pub const MAX_KEPT: usize = crate::transport::tls::MAX_UNREAD;

impl<H: Half + ?Sized> Half for &mut H {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_readable(cx)
    }

    fn has_input(&self) -> bool {
        (**self).has_input()
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
        limit: usize,
    ) -> Poll<Result<Input, Trouble>> {
        (**self).poll_read(cx, room, limit)
    }

    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Result<usize, Trouble> {
        (**self).write(cx, bytes)
    }

    fn write_in_place(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Result<usize, Trouble> {
        (**self).write_in_place(cx, buffer)
    }

    fn is_behind(&self) -> bool {
        (**self).is_behind()
    }

    fn backlog(&self) -> usize {
        (**self).backlog()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Trouble>> {
        (**self).poll_flush(cx)
    }

    fn poll_end(&mut self, cx: &mut Context<'_>, is_last: bool) -> Poll<Result<(), Trouble>> {
        (**self).poll_end(cx, is_last)
    }

    fn is_cut(&self) -> bool {
        (**self).is_cut()
    }

    fn end_as_cut(&mut self) {
        (**self).end_as_cut();
    }

    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<Trouble> {
        (**self).poll_broken(cx)
    }

    fn poll_abandoned(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        (**self).poll_abandoned(cx)
    }

    fn refuses_by_close(&self) -> bool {
        (**self).refuses_by_close()
    }

    fn take_error(&mut self) -> Option<Trouble> {
        (**self).take_error()
    }

    fn told(&self) -> Option<Trouble> {
        (**self).told()
    }

    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        (**self).poll_last_words(cx)
    }

    fn shut_read(&mut self) {
        (**self).shut_read();
    }

    fn ignore_rest(&mut self) {
        (**self).ignore_rest();
    }

    fn in_flight(&mut self, has_end: bool) -> u32 {
        (**self).in_flight(has_end)
    }

    fn undelivered(&mut self, sent: Sent) -> u32 {
        (**self).undelivered(sent)
    }

    fn reset(&mut self, why: End) {
        (**self).reset(why);
    }

    fn spliceable(&self) -> Option<&Stream> {
        (**self).spliceable()
    }
}
