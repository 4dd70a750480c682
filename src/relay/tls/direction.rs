//! One direction of a session with a seal: from a source's bytes to its end.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll, ready};

use super::end::End;
use crate::ledger::FlowMeter;
use crate::relay::Socket;
use crate::relay::broken;
use crate::relay::throttle::Throttle;
use crate::transport::tls::{MAX_UNREAD, sealed_room};
use crate::transport::try_io::{self, Moved};

/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// Room for what is read, behind the beginning of a record that was kept or what came with a handshake.
const ROOM: usize = CHUNK + MAX_UNREAD;

/// Steps of one poll, after which the neighbours of this worker get their turn.
const MAX_STEPS: usize = 8;

/// The worker's buffers: what was read, what was in it, and what is written. Made at a worker's first secured session.
struct Scratch {
    read: Box<[u8]>,
    plain: Vec<u8>,
    wire: Box<[u8]>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        read: vec![0; ROOM].into_boxed_slice(),
        plain: Vec::with_capacity(ROOM),
        wire: vec![0; sealed_room(ROOM)].into_boxed_slice(),
    });
}

/// Why a direction broke.
pub(super) enum Trouble {
    /// The socket's error.
    Socket(io::Error),
    /// A FIN where close_notify was due.
    Cut,
    /// A record that does not open, or an alert.
    Tls(rustls::Error),
}

impl From<broken::Trouble> for Trouble {
    fn from(trouble: broken::Trouble) -> Trouble {
        match trouble {
            broken::Trouble::Io(error) => Trouble::Socket(error),
            // No socket says so.
            broken::Trouble::Cut | broken::Trouble::Said(..) => Trouble::Cut,
        }
    }
}

/// A step that failed.
pub(super) struct Fault {
    /// Whether reading failed, and not writing.
    pub(super) of_source: bool,
    pub(super) trouble: Trouble,
}

fn of_source(error: io::Error) -> Fault {
    Fault { of_source: true, trouble: Trouble::Socket(error) }
}

fn of_sink(error: io::Error) -> Fault {
    Fault { of_source: false, trouble: Trouble::Socket(error) }
}

/// The state of one direction.
pub(super) struct Direction<'a> {
    allowance: Box<dyn Throttle + 'a>,
    /// The source has come to its end.
    ended: bool,
    /// The end is not to be passed on: a reset will be.
    mute: bool,
}

impl<'a> Direction<'a> {
    pub(super) fn new(allowance: Box<dyn Throttle + 'a>) -> Direction<'a> {
        Direction { allowance, ended: false, mute: false }
    }

    /// Moves what can be moved. Ready once the source has come to its end and the sink has taken everything, the news of it
    /// included; a FIN is the caller's.
    ///
    /// Pending means that the task will be woken by the source, by the sink, or at once.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut End<'_>,
        sink: &mut End<'_>,
        flow: &FlowMeter,
    ) -> Poll<Result<(), Fault>> {
        let answer = self.steps(cx, source, sink, flow);
        self.allowance.book(flow);
        self.allowance.rest();
        answer
    }

    fn steps(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut End<'_>,
        sink: &mut End<'_>,
        flow: &FlowMeter,
    ) -> Poll<Result<(), Fault>> {
        for _ in 0..MAX_STEPS {
            ready!(sink.flush(cx, flow)).map_err(of_sink)?;
            if self.ended {
                if self.mute || sink.has_heard_all() {
                    return Poll::Ready(Ok(()));
                }
                sink.say_end(flow).map_err(of_sink)?;
                continue;
            }
            let most = match self.mute {
                // What goes before a reset would be late if it waited for its turn.
                true => CHUNK,
                false => ready!(self.allowance.poll(cx, &mut Socket::new(source.socket), 0))
                    .map_err(|fault| Fault { of_source: true, trouble: fault.trouble.into() })?,
            };
            ready!(self.step(cx, source, sink, flow, most.clamp(1, CHUNK)))?;
            self.allowance.book(flow);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether bytes wait for their turn.
    pub(super) fn holds_up(&self) -> bool {
        self.allowance.holds_up()
    }

    /// Whether the source has come to its end.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Hands on what is kept and nothing more, and keeps the end to itself.
    pub(super) fn cut(&mut self) {
        (self.ended, self.mute) = (true, true);
    }

    /// Takes it that the source has come to its end, though it has not said so.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Keeps the end to itself when it comes.
    pub(super) fn mute(&mut self) {
        self.mute = true;
    }

    /// Reads once, at most so much, and writes once. The sink has taken everything before.
    fn step(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut End<'_>,
        sink: &mut End<'_>,
        flow: &FlowMeter,
        most: usize,
    ) -> Poll<Result<(), Fault>> {
        SCRATCH.with_borrow_mut(|Scratch { read, plain, wire }| {
            if source.seal.is_some() {
                plain.clear();
                let opened = ready!(self.open(cx, source, read, plain, flow, most));
                // What came whole before a fault counts.
                pass(plain, sink, wire, flow)?;
                return Poll::Ready(opened);
            }
            ready!(source.socket.poll_read_ready(cx)).map_err(of_source)?;
            match try_io::read(source.socket, &mut read[..most]).map_err(of_source)? {
                Moved::NotReady => Poll::Ready(Ok(())),
                Moved::Bytes(n) => {
                    self.ended = n == 0;
                    Poll::Ready(pass(&read[..n], sink, wire, flow))
                }
            }
        })
    }

    /// Reads once, at most so much, and opens what is whole.
    fn open(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut End<'_>,
        read: &mut [u8],
        plain: &mut Vec<u8>,
        flow: &FlowMeter,
        most: usize,
    ) -> Poll<Result<(), Fault>> {
        let Some(seal) = &mut source.seal else { return Poll::Ready(Ok(())) };
        plain.append(&mut seal.take_early());
        if !plain.is_empty() || seal.closed {
            self.ended = seal.closed;
            return Poll::Ready(Ok(()));
        }
        ready!(source.socket.poll_read_ready(cx)).map_err(of_source)?;
        let partial = seal.take_partial();
        let kept = partial.len();
        read[..kept].copy_from_slice(&partial);
        let moved = try_io::read(source.socket, &mut read[kept..kept + most]);
        let filled = kept + if let Ok(Moved::Bytes(n)) = moved { n } else { 0 };
        let mut answer = Vec::new();
        let opened = match filled > kept {
            true => seal.open(&mut read[..filled], &mut |it| plain.extend_from_slice(it), &mut answer),
            false => Ok(0),
        };
        let opened = opened.and_then(|used| seal.keep_partial(&read[used..filled]));
        self.ended = seal.closed;
        let moved = moved.map_err(of_source)?;
        source.answer(&answer, flow).map_err(of_source)?;
        if source.is_behind() {
            // The other direction flushes it, and may have had its turn.
            cx.waker().wake_by_ref();
        }
        let is_cut = matches!(moved, Moved::Bytes(0)) && !self.ended;
        Poll::Ready(match opened {
            Err(error) => Err(Fault { of_source: true, trouble: Trouble::Tls(error) }),
            Ok(_) if is_cut => Err(Fault { of_source: true, trouble: Trouble::Cut }),
            Ok(_) => Ok(()),
        })
    }
}

/// Hands plain bytes to the sink, sealed where it wants them so.
fn pass(bytes: &[u8], sink: &mut End<'_>, wire: &mut [u8], flow: &FlowMeter) -> Result<(), Fault> {
    if bytes.is_empty() {
        return Ok(());
    }
    flow.read(bytes.len());
    let Some(seal) = &mut sink.seal else { return sink.send(bytes, bytes.len(), flow).map_err(of_sink) };
    let sealed = seal.seal(bytes, wire);
    let sealed = sealed.map_err(|error| Fault { of_source: false, trouble: Trouble::Tls(error) })?;
    sink.send(&wire[..sealed], bytes.len(), flow).map_err(of_sink)
}
