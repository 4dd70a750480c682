//! One direction of a session: from a source's bytes to its end, by the fastest suitable way.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;
use tokio::task::coop::has_budget_remaining;

use super::broken::{At, Fault, Trouble};
use super::buffer::{self, BUFFER};
use super::half::{HEADROOM, Half, Input};
use super::splice::{self, Pipe};
use super::throttle::Throttle;
use crate::ledger::FlowMeter;
use crate::transport::Stream;

/// Consecutive full reads after which a direction counts as a stream.
const FULL_READS: u8 = 2;

/// If fewer bytes than this move between two times the pipe runs dry, a stream counts as small exchanges again.
const SMALL_BURST: u64 = 32 << 10;

/// Steps of one poll, after which other tasks of this worker get their turn.
const MAX_STEPS: usize = 16;

/// The same for steps that compute: encrypting or decrypting records.
const MAX_COMPUTED_STEPS: usize = 8;

/// The state of one direction. Idle, it holds neither buffer nor pipe.
pub(super) struct Direction<L> {
    throttle: L,
    pipe: Option<Pipe>,
    /// The flow's read count when the pipe was taken.
    burst_began: u64,
    full_reads: u8,
    pace: Pace,
    /// The pipe ran dry: a read must determine whether the source is empty, has ended, or has something a pipe cannot
    /// take.
    ran_dry: bool,
    /// The source was prepared for a stream.
    is_prepared: bool,
    stage: Stage,
}

/// The observed kind of traffic of a direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Small exchanges, through the buffer.
    Exchange,
    /// A stream, through a pipe if one is available.
    Stream,
    /// No sockets that this kernel splices, whatever the traffic.
    CopyOnly,
}

/// The progress of a direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// Open; the source had nothing to read, and wakes the task once it has.
    Silent,
    /// The source has ended; the sink may still have to take bytes and the end.
    Ended,
    /// The sink has taken everything, including the end.
    Done,
}

impl<L: Throttle> Direction<L> {
    pub(super) fn new(throttle: L) -> Direction<L> {
        Direction {
            throttle,
            pipe: None,
            burst_began: 0,
            full_reads: 0,
            pace: Pace::Exchange,
            ran_dry: false,
            is_prepared: false,
            stage: Stage::Open,
        }
    }

    /// Moves what can be moved, and passes the end on; ready once that is done. `is_last` if the other direction has
    /// ended before.
    ///
    /// Pending means that the source or the sink will wake the task, or that it is woken at once. One task polls it, always:
    /// where a message wakes that for the other direction, this one is still registered, and does nothing.
    pub(super) fn poll<S: Half, K: Half>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut S,
        sink: &mut K,
        flow: &FlowMeter,
        is_last: bool,
    ) -> Poll<Result<(), Fault>> {
        // What the sink has to send by itself is flushed all the same.
        if self.stage == Stage::Silent {
            if !source.has_input() && !sink.is_behind() {
                return Poll::Pending;
            }
            self.stage = Stage::Open;
        }
        if self.stage != Stage::Done {
            ready!(self.poll_bytes(cx, source, sink, flow))?;
            if source.is_cut() {
                sink.end_as_cut();
            }
            ready!(sink.poll_end(cx, is_last)).map_err(At::Sink.fault())?;
            if !is_last {
                flow.sends_end();
            }
            self.stage = Stage::Done;
        }
        Poll::Ready(Ok(()))
    }

    /// Moves what can be moved. Ready once the source has ended and the sink has taken everything; the end is not
    /// passed on.
    pub(super) fn poll_bytes<S: Half, K: Half>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut S,
        sink: &mut K,
        flow: &FlowMeter,
    ) -> Poll<Result<(), Fault>> {
        let answer = self.steps(cx, source, sink, flow);
        self.throttle.book(flow);
        self.throttle.rest();
        answer
    }

    #[inline]
    fn steps<S: Half, K: Half>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut S,
        sink: &mut K,
        flow: &FlowMeter,
    ) -> Poll<Result<(), Fault>> {
        let steps = if sockets(source, sink).is_some() { MAX_STEPS } else { MAX_COMPUTED_STEPS };
        for _ in 0..steps {
            ready!(flush(cx, sink, flow))?;
            if self.has_ended() {
                return self.empty_pipe(cx, sink, flow);
            }
            let kept = self.piped();
            let Poll::Ready(limit) = self.throttle.poll(cx, source, kept) else {
                // A direction that waits for its turn holds no pipe.
                self.give_pipe_back();
                return Poll::Pending;
            };
            let limit = limit?;
            if self.pace == Pace::Stream && self.pipe.is_none() && !self.ran_dry {
                // Only with something to read, so that a silent stream holds no pipe.
                ready!(self.poll_readable(cx, source)).map_err(At::Source.fault())?;
                self.prepare(source);
                self.take_pipe(flow);
            }
            match (&mut self.pipe, sockets(source, sink)) {
                (Some(pipe), Some((from, to))) => {
                    let step = ready!(splice::step(pipe, cx, from, to, flow, limit));
                    self.after_splice(step, flow)?;
                }
                _ => ready!(self.copy(cx, source, sink, flow, limit.clamp(1, BUFFER)))?,
            }
            self.throttle.book(flow);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether errors of the source go unnoticed, because it is not read: it has ended, the sink must take something
    /// first, or its bytes wait for their turn. `is_behind` is the sink's state.
    pub(super) fn is_deaf(&self, is_behind: bool) -> bool {
        self.has_ended() || is_behind || self.piped() > 0 || self.throttle.holds_up()
    }

    /// Whether the source has ended.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended | Stage::Done)
    }

    /// Whether the end was passed on too.
    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Treats the source as ended: only what is kept is still written.
    pub(super) fn end(&mut self) {
        self.stage = Stage::Ended;
    }

    /// Moves the rest at once, without the throttle.
    pub(super) fn lift(&mut self) {
        self.throttle.lift();
    }

    /// Reads once and writes once. The sink has taken everything before.
    fn copy<S: Half, K: Half>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut S,
        sink: &mut K,
        flow: &FlowMeter,
        limit: usize,
    ) -> Poll<Result<(), Fault>> {
        if !source.has_input() {
            ready!(self.poll_readable(cx, source)).map_err(At::Source.fault())?;
        }
        let (read, input) = buffer::with(|buffer| {
            let mut room = ReadBuf::new(&mut buffer[HEADROOM..]);
            let input = source.poll_read(cx, &mut room, limit);
            let read = room.filled().len();
            if read > 0 {
                // What was read before a fault counts.
                flow.read(read);
                let written = sink.write_in_place(cx, &mut buffer[..HEADROOM + read]);
                flow.delivered(written.map_err(At::Sink.fault())?);
            }
            Ok((read, input))
        })?;
        self.ran_dry = false;
        self.full_reads = if read == limit { self.full_reads.saturating_add(1) } else { 0 };
        if input.is_pending() {
            self.fall_silent();
        }
        if let Input::Ended = ready!(input).map_err(At::Source.fault())? {
            self.end();
        }
        if self.full_reads >= FULL_READS && self.pace == Pace::Exchange {
            let can_splice = sockets(source, sink).is_some();
            self.pace = if can_splice { Pace::Stream } else { Pace::CopyOnly };
        }
        Poll::Ready(Ok(()))
    }

    /// Ready once the source has something to read.
    fn poll_readable(&mut self, cx: &mut Context<'_>, source: &mut impl Half) -> Poll<io::Result<()>> {
        let readable = source.poll_readable(cx);
        if readable.is_pending() {
            (self.ran_dry, self.full_reads) = (false, 0);
            self.fall_silent();
        }
        readable
    }

    /// Notes that the source will wake the task. A task that has used up its turn at the runtime is not registered: it is
    /// woken at once, to ask again.
    fn fall_silent(&mut self) {
        if has_budget_remaining() {
            self.stage = Stage::Silent;
        }
    }

    /// Prepares the source for a stream, once.
    fn prepare(&mut self, source: &impl Half) {
        if let (false, Some(socket)) = (self.is_prepared, source.spliceable()) {
            socket.keep_stream_in_cache();
            self.is_prepared = true;
        }
    }

    fn take_pipe(&mut self, flow: &FlowMeter) {
        self.pipe = Pipe::take();
        if !self.throttle.has_held_up() {
            self.burst_began = flow.flow().read;
        }
        if self.pipe.is_some() {
            flow.splices();
        }
    }

    fn after_splice(&mut self, step: Result<bool, Fault>, flow: &FlowMeter) -> Result<(), Fault> {
        match step {
            Ok(true) => {}
            Ok(false) => {
                self.give_pipe_back();
                self.ran_dry = true;
                if flow.flow().read - self.burst_began < SMALL_BURST {
                    self.pace = Pace::Exchange;
                    self.full_reads = 0;
                }
            }
            // Nothing has been piped yet, so nothing is lost by falling back to the buffer.
            Err(Fault { trouble: Trouble::Io(error), .. })
                if splice::is_unsupported(&error) && self.piped() == 0 =>
            {
                self.give_pipe_back();
                self.pace = Pace::CopyOnly;
            }
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    /// Bytes in the pipe.
    fn piped(&self) -> usize {
        self.pipe.as_ref().map_or(0, Pipe::pending)
    }

    fn empty_pipe(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut impl Half,
        flow: &FlowMeter,
    ) -> Poll<Result<(), Fault>> {
        if let (Some(pipe), Some(to)) = (&mut self.pipe, sink.spliceable()) {
            ready!(splice::flush(pipe, cx, to, flow))?;
        }
        self.give_pipe_back();
        Poll::Ready(Ok(()))
    }

    fn give_pipe_back(&mut self) {
        if let Some(pipe) = self.pipe.take() {
            pipe.give_back();
        }
    }
}

impl<L> Drop for Direction<L> {
    fn drop(&mut self) {
        if let Some(pipe) = self.pipe.take() {
            pipe.give_back();
        }
    }
}

/// Ready once the sink has taken what it keeps.
fn flush(cx: &mut Context<'_>, sink: &mut impl Half, flow: &FlowMeter) -> Poll<Result<(), Fault>> {
    while sink.is_behind() {
        flow.delivered(ready!(sink.poll_flush(cx)).map_err(At::Sink.fault())?);
    }
    Poll::Ready(Ok(()))
}

/// The two sockets, if the kernel may move the bytes.
fn sockets<'s>(source: &'s impl Half, sink: &'s impl Half) -> Option<(&'s Stream, &'s Stream)> {
    source.spliceable().zip(sink.spliceable())
}
