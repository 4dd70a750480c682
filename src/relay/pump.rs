//! Both directions of a session, polled together by its one task.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::Interest;

use super::direction::{At, Direction, Fault};
use super::now;
use super::throttle::{Allowance, Unlimited};
use crate::ledger::Meter;
use crate::outcome::{End, Side};
use crate::transport::Stream;

/// What a relay came to.
#[derive(Clone, Copy, Debug)]
pub struct Relayed {
    /// Who ended it, and how.
    pub end: End,
    /// Who said FIN first.
    pub closed_by: Option<Side>,
    /// When the target's first byte was read.
    pub first_byte: Option<Instant>,
}

impl Relayed {
    /// A relay that ended so, whether by itself or because it was cut.
    pub fn at(meter: &Meter, end: End) -> Relayed {
        Relayed {
            end,
            closed_by: meter.closed_by.get().copied(),
            first_byte: meter.first_byte.get().copied(),
        }
    }
}

/// A connection that broke.
pub(super) struct Broken {
    /// Whose it was.
    pub(super) side: Side,
    /// What it said.
    pub(super) error: io::Error,
}

impl Broken {
    /// How that ends the session.
    pub(super) fn end(&self) -> End {
        end_of(self.side, &self.error)
    }
}

/// The end that an error of `side`'s socket means: the kernel gave it up, or its other end reset it.
pub(super) fn end_of(side: Side, error: &io::Error) -> End {
    let lost = matches!(
        error.raw_os_error(),
        Some(libc::ETIMEDOUT | libc::EHOSTUNREACH | libc::ENETUNREACH | libc::ENETDOWN)
    );
    match (side, lost) {
        (Side::Client, false) => End::ClientReset,
        (Side::Target, false) => End::TargetReset,
        (Side::Client, true) => End::ClientLost,
        (Side::Target, true) => End::TargetLost,
    }
}

/// Resolves when one of the sockets reports an error that no read or write would meet.
pub(super) type Watch<'a> = Pin<Box<dyn Future<Output = Side> + Send + 'a>>;

/// Two sockets and what moves between them, each direction as far as it is allowed to.
pub(super) struct Pump<'a, A = Unlimited> {
    pub(super) client: &'a Stream,
    pub(super) target: &'a Stream,
    pub(super) meter: &'a Meter,
    pub(super) up: Direction,
    pub(super) down: Direction,
    pub(super) up_allowance: A,
    pub(super) down_allowance: A,
    up_done: bool,
    down_done: bool,
    watch: Option<Watch<'a>>,
}

impl<'a, A: Allowance> Pump<'a, A> {
    pub(super) fn new(
        client: &'a Stream,
        target: &'a Stream,
        meter: &'a Meter,
        up_allowance: A,
        down_allowance: A,
    ) -> Self {
        Pump {
            client,
            target,
            meter,
            up: Direction::default(),
            down: Direction::default(),
            up_allowance,
            down_allowance,
            up_done: false,
            down_done: false,
            watch: None,
        }
    }

    /// Runs until both sides have said FIN, or one connection breaks.
    pub(super) async fn run(&mut self) -> Result<(), Broken> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// What it came to.
    pub(super) fn relayed(&self, end: End) -> Relayed {
        Relayed::at(self.meter, end)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        // A break of one direction ends the turn: the kernel tells a reset once, and to a read after it the reset looks
        // like a FIN, which must not be passed on.
        let broken = self.poll_up(cx).or_else(|| self.poll_down(cx));
        self.note_order();
        if let Some(broken) = broken {
            return Poll::Ready(Err(broken));
        }
        if self.up_done && self.down_done {
            return Poll::Ready(Ok(()));
        }
        self.poll_watch(cx).map(Err)
    }

    fn poll_up(&mut self, cx: &mut Context<'_>) -> Option<Broken> {
        if self.up_done {
            return None;
        }
        match self.up.poll(cx, self.client, self.target, &self.meter.up, &mut self.up_allowance) {
            Poll::Pending => None,
            Poll::Ready(Err(fault)) => Some(broken(fault, Side::Client)),
            Poll::Ready(Ok(())) => {
                self.up_done = true;
                pass_fin(self.target, self.down_done);
                None
            }
        }
    }

    fn poll_down(&mut self, cx: &mut Context<'_>) -> Option<Broken> {
        if self.down_done {
            return None;
        }
        let answer = self.down.poll(cx, self.target, self.client, &self.meter.down, &mut self.down_allowance);
        if self.meter.down.flow().read > 0 {
            self.meter.first_byte.get_or_init(now);
        }
        match answer {
            Poll::Pending => None,
            Poll::Ready(Err(fault)) => Some(broken(fault, Side::Target)),
            Poll::Ready(Ok(())) => {
                self.down_done = true;
                pass_fin(self.client, self.up_done);
                None
            }
        }
    }

    fn note_order(&mut self) {
        let first = match (self.up.has_ended(), self.down.has_ended()) {
            (true, _) => Side::Client,
            (_, true) => Side::Target,
            _ => return,
        };
        self.meter.closed_by.get_or_init(|| first);
    }

    /// After a FIN, while a sink takes nothing or a turn is waited for, a reset of the source comes as EPOLLERR alone:
    /// nobody reads there.
    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        let is_deaf = self.up.is_deaf() || self.down.is_deaf();
        let waits = self.up_allowance.holds_up() || self.down_allowance.holds_up();
        if self.watch.is_none() && !is_deaf && !waits {
            return Poll::Pending;
        }
        poll_error(&mut self.watch, cx, self.client, self.target)
    }
}

/// Says FIN to a sink. The last FIN is left to close(2), which follows at once and saves the call.
pub(super) fn pass_fin(sink: &Stream, is_last: bool) {
    if !is_last {
        sink.shut_write();
    }
}

/// Ready with the first of the two connections that breaks.
pub(super) fn poll_error<'a>(
    watch: &mut Option<Watch<'a>>,
    cx: &mut Context<'_>,
    client: &'a Stream,
    target: &'a Stream,
) -> Poll<Broken> {
    let watch = watch.get_or_insert_with(|| Box::pin(error_of(client, target)));
    watch.as_mut().poll(cx).map(|side| {
        let socket = if side == Side::Client { client } else { target };
        let reset = || io::Error::from_raw_os_error(libc::ECONNRESET);
        Broken { side, error: socket.take_error().ok().flatten().unwrap_or_else(reset) }
    })
}

/// Cancel safe.
async fn error_of(client: &Stream, target: &Stream) -> Side {
    tokio::select! {
        _ = client.ready(Interest::ERROR) => Side::Client,
        _ = target.ready(Interest::ERROR) => Side::Target,
    }
}

fn broken(fault: Fault, source: Side) -> Broken {
    let side = match fault.at {
        At::Source => source,
        At::Sink => source.other(),
    };
    Broken { side, error: fault.error }
}
