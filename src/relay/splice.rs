//! Moves bytes inside the kernel, socket → pipe → socket (splice(2)): the way of streams.
//!
//! Three facts govern this file. A fill that takes nothing does not show why: the source is empty, has ended or is
//! before an urgent byte, or the pipe is full; so the source still counts as ready, and a read through the buffer
//! decides. A pipe is full by slots, not by bytes, so its capacity is never compared with its content. A pipe goes back
//! to the pool only when it is proven empty; otherwise it is closed. SPLICE_F_MORE is not set: it delays the tail of a
//! message by up to 200 ms.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;

use super::broken::{At, Fault};
use crate::ledger::FlowMeter;
use crate::sys::refusals::{self, Call};
use crate::transport::Stream;
use crate::transport::try_io::retry_on_intr;

/// The pipe size requested from the kernel, in bytes.
const PIPE_SIZE: usize = 512 << 10;

/// A pipe smaller than this moves less per call than a copy: the user's pipe memory is used up (pipe(7),
/// pipe-user-pages-soft).
const LEAST_PIPE_SIZE: usize = 64 << 10;

/// The largest number of bytes per call; the pipe's slots are the real limit. HAProxy met EINVAL with lengths near
/// 2^31.
const MAX_AT_ONCE: usize = 1 << 20;

/// Spare pipes that a thread keeps when no stream uses one.
const LEAST_SPARE: usize = 4;

const FLAGS: SpliceFlags = SpliceFlags::MOVE.union(SpliceFlags::NONBLOCK);

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { spare: Vec::new(), lent: 0, limit: 0 }) };
}

struct Pool {
    spare: Vec<Pipe>,
    lent: usize,
    limit: usize,
}

/// Allows the sessions of this thread `pipes` pipes at one time, of two descriptors each; zero means copy only. A
/// thread that was never prepared has none.
pub fn prepare_thread(pipes: usize) {
    POOL.with_borrow_mut(|pool| pool.limit = pipes);
}

/// A pipe lent by this thread's pool.
pub(super) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    /// Bytes inside, by counting what went in and out. Never near 4 GiB: a slot holds at most about 64 KiB, and a pipe
    /// has 128 slots. Each session has room for two of these.
    pending: u32,
}

impl Pipe {
    /// A pipe from the pool, or a new one; `None` if none is allowed or the kernel grants only a small one.
    pub(super) fn take() -> Option<Pipe> {
        POOL.with_borrow_mut(|pool| {
            if pool.lent >= pool.limit {
                return None;
            }
            let pipe = pool.spare.pop().or_else(Pipe::open)?;
            pool.lent += 1;
            Some(pipe)
        })
    }

    fn open() -> Option<Pipe> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        let granted = fcntl_setpipe_size(&write, PIPE_SIZE)
            .or_else(|_| rustix::pipe::fcntl_getpipe_size(&write))
            .ok()?;
        (granted >= LEAST_PIPE_SIZE).then_some(Pipe { read, write, pending: 0 })
    }

    /// Returns the pipe; one with bytes inside is closed instead, so that its bytes can never reach another session.
    pub(super) fn give_back(self) {
        // A thread that is ending has no pool any more; then the pipe is closed.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            pool.lent -= 1;
            if self.pending == 0 {
                pool.spare.push(self);
            }
            // As many spare pipes as are in use: after a peak the rest is closed.
            let most = pool.lent.max(LEAST_SPARE);
            pool.spare.truncate(most);
        });
    }

    /// Bytes inside.
    pub(super) fn pending(&self) -> usize {
        self.pending as usize
    }

    /// Takes bytes from the source; zero if there is nothing to take or no room, which cannot be distinguished. The
    /// source stays ready.
    fn fill(&mut self, source: &Stream, most: usize) -> io::Result<usize> {
        let answer = source.try_io(Interest::READABLE, || {
            match retry_on_intr(|| splice(source, None, &self.write, None, most.min(MAX_AT_ONCE), FLAGS)) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(0),
                answer => answer,
            }
        });
        match answer {
            // It was not ready.
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Ok(n) => {
                self.pending += n as u32;
                Ok(n)
            }
            Err(e) => Err(e),
        }
    }

    /// Passes bytes to the sink; zero if it takes none now, and its readiness is cleared.
    fn drain(&mut self, sink: &Stream) -> io::Result<usize> {
        let answer = sink.try_io(Interest::WRITABLE, || {
            retry_on_intr(|| splice(&self.read, None, sink, None, self.pending(), FLAGS))
        });
        match answer {
            Ok(n) => {
                self.pending -= n as u32;
                Ok(n)
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(e) => Err(e),
        }
    }
}

/// Whether splice(2) refused these sockets, or this process, rather than the connection ending; then a copy is used.
///
/// EPERM and EACCES may be a seccomp filter's or the connection's own error (of an ICMPv6 message): the filter is asked.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw_os_error), Some(Errno::INVAL | Errno::NOSYS))
        || refusals::is_of_a_filter(error) && Call::Splice.refusal().is_some()
}

/// Passes the pipe's content to the sink; ready once it is empty.
pub(super) fn flush(
    pipe: &mut Pipe,
    cx: &mut Context<'_>,
    sink: &Stream,
    flow: &FlowMeter,
) -> Poll<Result<(), Fault>> {
    while pipe.pending > 0 {
        ready!(sink.poll_write_ready(cx)).map_err(At::Sink.fault())?;
        flow.delivered(pipe.drain(sink).map_err(At::Sink.fault())?);
    }
    Poll::Ready(Ok(()))
}

/// Fills the pipe once, with up to `most` bytes, and passes on what it can. False only with an empty pipe: nothing
/// could be taken from the source, and nothing is kept for the sink.
pub(super) fn step(
    pipe: &mut Pipe,
    cx: &mut Context<'_>,
    source: &Stream,
    sink: &Stream,
    flow: &FlowMeter,
    most: usize,
) -> Poll<Result<bool, Fault>> {
    if most > 0
        && let Poll::Ready(ready) = source.poll_read_ready(cx)
    {
        flow.read(ready.and_then(|()| pipe.fill(source, most)).map_err(At::Source.fault())?);
    }
    if pipe.pending == 0 {
        return Poll::Ready(Ok(false));
    }
    ready!(sink.poll_write_ready(cx)).map_err(At::Sink.fault())?;
    flow.delivered(pipe.drain(sink).map_err(At::Sink.fault())?);
    Poll::Ready(Ok(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_connection_is_not_taken_for_a_refused_call() {
        let is = |errno| is_unsupported(&io::Error::from_raw_os_error(errno));

        assert!(is(libc::EINVAL) && is(libc::ENOSYS));
        assert!(![libc::EACCES, libc::EPERM, libc::ECONNRESET, libc::ETIMEDOUT].map(is).contains(&true));
    }
}
