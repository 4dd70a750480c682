//! One direction of a session: from a source's bytes to its FIN, by whichever way suits them.

use std::io;
use std::task::{Context, Poll, ready};

use super::copy::{self, Held};
use super::splice::{self, Pipe};
use super::throttle::Allowance;
use crate::ledger::FlowMeter;
use crate::transport::Stream;

/// Full reads in a row after which a direction counts as a stream.
const FULL_READS: u8 = 2;

/// Bytes between two dry moments below which a stream counts as small exchanges again.
const SMALL_BURST: u64 = 32 << 10;

/// Steps of one poll, after which the neighbours of this worker get their turn.
const MAX_STEPS: usize = 16;

/// What one step of a way did.
pub(super) enum Step {
    /// There may be more; ask again.
    Again,
    /// As much as one step can move.
    Full,
    /// Nothing could be taken from the source, and nothing is kept for the sink.
    Dry,
    /// The source said FIN.
    End,
}

/// Where a step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// Reading.
    Source,
    /// Writing.
    Sink,
}

/// A failed step.
pub(super) struct Fault {
    /// Which socket it was.
    pub(super) at: At,
    /// What it said.
    pub(super) error: io::Error,
}

impl Fault {
    /// Whether reading failed.
    pub(super) fn is_of_source(&self) -> bool {
        self.at == At::Source
    }
}

impl At {
    /// Wraps an error of this socket.
    pub(super) fn fault(self) -> impl Fn(io::Error) -> Fault {
        move |error| Fault { at: self, error }
    }
}

/// The state of one direction. Idle, it holds neither buffer nor pipe.
#[derive(Default)]
pub(super) struct Direction {
    held: Option<Box<Held>>,
    pipe: Option<Pipe>,
    /// What the flow had read when the pipe was taken.
    burst_began: u64,
    full_reads: u8,
    pace: Pace,
    /// The pipe ran dry: a read must tell whether the source is empty, has ended, or has what a pipe cannot take.
    ran_dry: bool,
    /// The source said FIN.
    ended: bool,
}

/// What a direction has turned out to be.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Pace {
    /// Small exchanges, through the buffer.
    #[default]
    Exchange,
    /// A stream, through a pipe where one is to be had.
    Stream,
    /// A stream or not: this kernel does not splice these sockets.
    CopyOnly,
}

impl Direction {
    /// Moves what can be moved. Ready once the source has said FIN and the sink has taken everything.
    ///
    /// Pending means that the task will be woken by the source, by the sink, or at once.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &Stream,
        sink: &Stream,
        flow: &FlowMeter,
        allowance: &mut impl Allowance,
    ) -> Poll<Result<(), Fault>> {
        let answer = self.steps(cx, source, sink, flow, allowance);
        allowance.book(flow);
        allowance.rest();
        answer
    }

    #[inline]
    fn steps(
        &mut self,
        cx: &mut Context<'_>,
        source: &Stream,
        sink: &Stream,
        flow: &FlowMeter,
        allowance: &mut impl Allowance,
    ) -> Poll<Result<(), Fault>> {
        for _ in 0..MAX_STEPS {
            if self.ended {
                return self.flush(cx, sink, flow);
            }
            ready!(copy::flush(&mut self.held, cx, sink, flow))?;
            let Poll::Ready(most) = allowance.poll(cx, source, self.kept()) else {
                // Whoever waits for a turn holds no pipe.
                self.give_pipe_back();
                return Poll::Pending;
            };
            let most = most?;
            if self.pace == Pace::Stream && self.pipe.is_none() && !self.ran_dry {
                // Only with something to read, so that a silent stream holds no pipe.
                ready!(source.poll_read_ready(cx)).map_err(At::Source.fault())?;
                self.pipe = Pipe::take();
                if !allowance.has_held_up() {
                    self.burst_began = flow.flow().read;
                }
                if self.pipe.is_some() {
                    flow.splices();
                }
            }
            match &mut self.pipe {
                Some(pipe) => {
                    let step = ready!(splice::step(pipe, cx, source, sink, flow, most));
                    self.after_splice(step, flow)?;
                }
                None => {
                    let step = ready!(copy::step(&mut self.held, cx, source, sink, flow, most))?;
                    self.after_copy(step);
                }
            }
            allowance.book(flow);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Bytes read and not yet handed to the sink.
    pub(super) fn kept(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.len()) + self.pipe.as_ref().map_or(0, Pipe::pending)
    }

    /// Whether the source cannot be heard: it said FIN, or the sink must take something first.
    pub(super) fn is_deaf(&self) -> bool {
        self.ended || self.kept() > 0
    }

    /// Whether the source said FIN.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Treats the source as ended: only what is kept is still handed on.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    fn after_copy(&mut self, step: Step) {
        self.ran_dry = false;
        match step {
            Step::End => self.ended = true,
            Step::Full => self.full_reads = self.full_reads.saturating_add(1),
            Step::Again | Step::Dry => self.full_reads = 0,
        }
        if self.full_reads >= FULL_READS && self.pace == Pace::Exchange {
            self.pace = Pace::Stream;
        }
    }

    fn after_splice(&mut self, step: Result<Step, Fault>, flow: &FlowMeter) -> Result<(), Fault> {
        match step {
            Ok(Step::Dry) => {
                self.give_pipe_back();
                self.ran_dry = true;
                if flow.flow().read - self.burst_began < SMALL_BURST {
                    self.pace = Pace::Exchange;
                    self.full_reads = 0;
                }
            }
            Ok(Step::Again | Step::Full | Step::End) => {}
            // Nothing has been piped yet, so nothing is lost by going back to the buffer.
            Err(fault) if splice::is_unsupported(&fault.error) && self.kept() == 0 => {
                self.give_pipe_back();
                self.pace = Pace::CopyOnly;
            }
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    fn flush(&mut self, cx: &mut Context<'_>, sink: &Stream, flow: &FlowMeter) -> Poll<Result<(), Fault>> {
        ready!(copy::flush(&mut self.held, cx, sink, flow))?;
        if let Some(pipe) = &mut self.pipe {
            ready!(splice::flush(pipe, cx, sink, flow))?;
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

impl Drop for Direction {
    fn drop(&mut self) {
        self.give_pipe_back();
    }
}
