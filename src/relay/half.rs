//! One of the two connections of a session, as the pump sees it.

use std::io;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;

use super::broken::Trouble;
use crate::outcome::End;
use crate::transport::Stream;

/// What a read says besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// There may be more.
    Open,
    /// The other end sends nothing more.
    Ended,
}

/// One of the two connections of a session: bytes, an end of each direction, and a reset.
///
/// Its two directions end on their own: after [`Half::poll_end`] it is still read, and after [`Input::Ended`] still
/// written. What it was given to write and could not pass on it keeps; the pump reads nothing more for it meanwhile, so
/// it never keeps much more than one read.
///
/// No method waits: `Pending` means that the task of `cx` is woken. Each is cancel safe; what was read is the caller's,
/// and what is kept stays kept until the half is dropped. A half that is dropped before [`Half::poll_end`] was ready must
/// look cut to its other end, not ended, as far as its kind can say so.
pub trait Half: Send {
    /// Ready once a read is worth a try. A kind that cannot know it without reading is ready always.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Reads once. It takes `limit` bytes of its connection at most, and may add some that it kept before: `room` has
    /// place for [`MAX_KEPT`] more.
    ///
    /// # Errors
    /// What broke the connection. Bytes that came before it are in `room` all the same.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
        limit: usize,
    ) -> Poll<Result<Input, Trouble>>;

    /// Takes all of `bytes`; says how many of them the connection has taken at once. The rest is kept for
    /// [`Half::poll_flush`].
    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Result<usize, Trouble>;

    /// Whether something is kept for the connection.
    fn is_behind(&self) -> bool;

    /// Writes on what is kept; says how many bytes of [`Half::write`] the connection has taken. To be called until
    /// [`Half::is_behind`] denies.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Trouble>>;

    /// Says that nothing more will be written. Everything written before has been flushed. Called until it is ready, and
    /// not again. Where it `is_last`, its own end has been read, and the drop that follows may say it.
    fn poll_end(&mut self, cx: &mut Context<'_>, is_last: bool) -> Poll<Result<(), Trouble>>;

    /// Ready once the connection is broken, though nobody reads or writes.
    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<io::Error>;

    /// Bytes on their way that a reset now would destroy. None where they are out of its reach, or nobody is there to
    /// take them.
    fn in_flight(&mut self) -> u32;

    /// Makes the drop of the half a reset; says how many bytes that destroys.
    fn reset(&mut self, why: End) -> u32;

    /// The socket whose bytes are those of the session, which the kernel may move without us (splice(2)).
    fn spliceable(&self) -> Option<&Stream> {
        None
    }
}

/// The most that a half keeps of what it has read, as the beginning of a record.
pub const MAX_KEPT: usize = crate::transport::tls::MAX_UNREAD;

impl<H: Half + ?Sized> Half for &mut H {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_readable(cx)
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

    fn is_behind(&self) -> bool {
        (**self).is_behind()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Trouble>> {
        (**self).poll_flush(cx)
    }

    fn poll_end(&mut self, cx: &mut Context<'_>, is_last: bool) -> Poll<Result<(), Trouble>> {
        (**self).poll_end(cx, is_last)
    }

    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        (**self).poll_broken(cx)
    }

    fn in_flight(&mut self) -> u32 {
        (**self).in_flight()
    }

    fn reset(&mut self, why: End) -> u32 {
        (**self).reset(why)
    }

    fn spliceable(&self) -> Option<&Stream> {
        (**self).spliceable()
    }
}
