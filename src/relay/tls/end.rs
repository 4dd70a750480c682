//! One of the two connections: its socket, its seal where it has one, and what the socket has not taken yet.

use std::io;
use std::task::{Context, Poll, ready};

use crate::ledger::FlowMeter;
use crate::transport::Stream;
use crate::transport::tls::Sealed;
use crate::transport::try_io::{self, Moved};

/// One end of the session.
pub(super) struct End<'a> {
    pub(super) socket: &'a Stream,
    pub(super) seal: Option<Box<Sealed>>,
    backlog: Backlog,
    /// Everything it will be sent has been said; nothing may follow.
    said_end: bool,
}

/// What the socket has not taken yet. Empty, it holds nothing.
#[derive(Default)]
struct Backlog {
    bytes: Vec<u8>,
    written: usize,
    /// The plain bytes in it that are not booked as delivered yet.
    plain: usize,
}

impl Backlog {
    fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Books `n` bytes as taken by the socket: of the plain bytes in it, a like share.
    fn taken(&mut self, n: usize, flow: &FlowMeter) {
        let left = self.len();
        let plain = if n == left { self.plain } else { self.plain * n / left };
        flow.delivered(plain);
        self.plain -= plain;
        self.written += n;
        if n == left {
            *self = Backlog::default();
        }
    }
}

impl<'a> End<'a> {
    pub(super) fn new(socket: &'a Stream, seal: Option<Box<Sealed>>) -> End<'a> {
        End { socket, seal, backlog: Backlog::default(), said_end: false }
    }

    /// Whether it must take something before more is read for it.
    pub(super) fn is_behind(&self) -> bool {
        self.backlog.len() > 0
    }

    /// Whether nothing more will be sent to it.
    pub(super) fn has_heard_all(&self) -> bool {
        self.said_end
    }

    /// Ready once the socket has taken everything.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>, flow: &FlowMeter) -> Poll<io::Result<()>> {
        while self.backlog.len() > 0 {
            ready!(self.socket.poll_write_ready(cx))?;
            if let Moved::Bytes(n) = try_io::write(self.socket, &self.backlog.bytes[self.backlog.written..])?
            {
                self.backlog.taken(n, flow);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes bytes that carry `plain` bytes of the session; what the socket does not take is kept for [`End::flush`].
    pub(super) fn send(&mut self, wire: &[u8], plain: usize, flow: &FlowMeter) -> io::Result<()> {
        let mut rest = wire;
        let mut unbooked = plain;
        if self.backlog.len() == 0 {
            let written = match try_io::write(self.socket, wire)? {
                Moved::Bytes(n) => n,
                Moved::NotReady => 0,
            };
            let booked = if written == wire.len() { plain } else { plain * written / wire.len() };
            flow.delivered(booked);
            unbooked -= booked;
            rest = &wire[written..];
        }
        if !rest.is_empty() {
            self.backlog.bytes.extend_from_slice(rest);
            self.backlog.plain += unbooked;
        }
        Ok(())
    }

    /// Sends what TLS itself has to say, unless everything has been said.
    pub(super) fn answer(&mut self, wire: &[u8], flow: &FlowMeter) -> io::Result<()> {
        if wire.is_empty() || self.said_end {
            return Ok(());
        }
        self.send(wire, 0, flow)
    }

    /// Says that nothing more comes, in the words of TLS where it speaks it. The FIN is the caller's, after a flush.
    pub(super) fn say_end(&mut self, flow: &FlowMeter) -> io::Result<()> {
        let mut room = [0; 256];
        let said = self.seal.as_mut().and_then(|seal| seal.seal_end(&mut room).ok()).unwrap_or(0);
        self.said_end = true;
        if said == 0 { Ok(()) } else { self.send(&room[..said], 0, flow) }
    }
}
