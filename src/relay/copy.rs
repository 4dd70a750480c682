//! Moves bytes through the worker's buffer: the way of small exchanges.
//!
//! The buffer belongs to the thread, is borrowed for one read and one write, and never across an await. Only what the
//! sink would not take is kept, in a box of just that size.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll, ready};

use super::direction::{At, Fault, Step};
use crate::ledger::FlowMeter;
use crate::transport::Stream;
use crate::transport::try_io::{self, Moved};

/// Bytes of the buffer. A read that fills it is a sign of a stream.
pub(super) const BUFFER: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER].into_boxed_slice());
}

/// What was read and not yet taken by the sink. Never empty.
pub(super) struct Held {
    bytes: Box<[u8]>,
    written: usize,
}

impl Held {
    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }
}

/// Writes on what is held; ready with `None` once all of it is taken.
pub(super) fn flush(
    held: &mut Option<Box<Held>>,
    cx: &mut Context<'_>,
    sink: &Stream,
    flow: &FlowMeter,
) -> Poll<Result<(), Fault>> {
    while let Some(rest) = held {
        ready!(sink.poll_write_ready(cx)).map_err(At::Sink.fault())?;
        if let Moved::Bytes(n) = try_io::write(sink, &rest.bytes[rest.written..]).map_err(At::Sink.fault())? {
            flow.delivered(n);
            rest.written += n;
            if rest.len() == 0 {
                *held = None;
            }
        }
    }
    Poll::Ready(Ok(()))
}

/// Reads `most` bytes once and writes once. Nothing is held before; afterwards `held` is what the sink did not take.
pub(super) fn step(
    held: &mut Option<Box<Held>>,
    cx: &mut Context<'_>,
    source: &Stream,
    sink: &Stream,
    flow: &FlowMeter,
    most: usize,
) -> Poll<Result<Step, Fault>> {
    ready!(source.poll_read_ready(cx)).map_err(At::Source.fault())?;
    SCRATCH.with_borrow_mut(|buffer| {
        let buffer = &mut buffer[..most.min(BUFFER)];
        let read = match try_io::read(source, buffer).map_err(At::Source.fault())? {
            Moved::NotReady => return Poll::Ready(Ok(Step::Again)),
            Moved::Bytes(0) => return Poll::Ready(Ok(Step::End)),
            Moved::Bytes(n) => n,
        };
        flow.read(read);
        let written = write(sink, &buffer[..read]).map_err(At::Sink.fault())?;
        flow.delivered(written);
        if written < read {
            *held = Some(Box::new(Held { bytes: buffer[written..read].into(), written: 0 }));
        }
        Poll::Ready(Ok(if read == buffer.len() { Step::Full } else { Step::Again }))
    })
}

fn write(sink: &Stream, bytes: &[u8]) -> io::Result<usize> {
    match try_io::write(sink, bytes)? {
        Moved::Bytes(n) => Ok(n),
        Moved::NotReady => Ok(0),
    }
}
