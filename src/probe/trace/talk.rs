//! The exchange on an established connection: listen, send one request, listen again, and watch the other end.

use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::connection::{Connection, Ending, ServerSide};
use super::patience::{Patience, wait};
use super::request::Request;

/// The most bytes kept of an answer: enough for a certificate chain or the beginning of a page.
const MAX_BYTES: usize = 16 * 1024;
/// How long to wait for more: after the first bytes the rest of an answer comes at once or is not needed.
const REST: Duration = Duration::from_millis(60);
/// The interval at which the other end is read during a wait: it starts with the first and doubles up to the last.
const FIRST_LOOK: Duration = Duration::from_micros(500);
const LAST_LOOK: Duration = Duration::from_millis(20);

/// Conducts the exchange and records it in `connection`.
pub(super) fn talk(
    connection: &mut Connection,
    socket: &OwnedFd,
    begun: Instant,
    request: &Request,
    patience: Patience,
    look: impl FnMut() -> Option<ServerSide>,
) {
    let mut watch = Watch { connection, socket, begun, look };
    let deadline = begun + patience.whole;
    if watch.until_spoken_or_silent(deadline, patience.silence) && watch.send_request(request) {
        watch.until_answered(deadline);
    }
    watch.read_rest(begun + patience.whole + REST);
    watch.look();
}

struct Watch<'a, L> {
    connection: &'a mut Connection,
    socket: &'a OwnedFd,
    begun: Instant,
    look: L,
}

impl<L: FnMut() -> Option<ServerSide>> Watch<'_, L> {
    /// Waits for the service to accept and then to speak; returns true if it stayed silent and a request is due.
    fn until_spoken_or_silent(&mut self, deadline: Instant, silence: Duration) -> bool {
        let mut pause = FIRST_LOOK;
        loop {
            self.look();
            let side = self.connection.server;
            let now = Instant::now();
            let since = match side {
                // The kernel completes the handshake only once there is data to read (TCP_DEFER_ACCEPT).
                Some(side) if side.half_open => {
                    self.connection.deferred = true;
                    Some(self.begun)
                }
                Some(side) if side.inode == 0 => None,
                Some(_) => self.connection.accepted.map(|after| self.begun + after),
                None => Some(self.begun),
            };
            let until = since.map_or(deadline, |since| (since + silence).min(deadline));
            if now >= until {
                return since.is_some();
            }
            if self.readable((until - now).min(pause)) {
                self.connection.spoke_first = self.read();
                return false;
            }
            pause = (pause * 2).min(LAST_LOOK);
        }
    }

    fn send_request(&mut self, request: &Request) -> bool {
        self.connection.sent = Some(request.clone());
        self.connection.said = Some(self.begun.elapsed());
        match send(self.socket, &request.bytes, SendFlags::NOSIGNAL) {
            Ok(_) => true,
            Err(errno) => {
                self.end(errno);
                false
            }
        }
    }

    fn until_answered(&mut self, deadline: Instant) {
        let mut pause = FIRST_LOOK;
        loop {
            self.look();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            if self.readable(left.min(pause)) {
                self.read();
                return;
            }
            pause = (pause * 2).min(LAST_LOOK);
        }
    }

    /// Reads on until the service has finished, the answer is long enough, or no more data comes in time.
    fn read_rest(&mut self, deadline: Instant) {
        while !self.connection.received.is_empty()
            && self.connection.ending == Ending::Open
            && self.connection.received.len() < MAX_BYTES
        {
            let left = deadline.saturating_duration_since(Instant::now()).min(REST);
            if left.is_zero() || !self.readable(left) || !self.read() {
                return;
            }
        }
    }

    fn readable(&self, time: Duration) -> bool {
        wait(self.socket, PollFlags::IN, time).unwrap_or(true)
    }

    /// Reads once; returns true if bytes were received.
    fn read(&mut self) -> bool {
        let mut buffer = vec![0; MAX_BYTES];
        match recv(self.socket, &mut buffer[..], RecvFlags::empty()) {
            Ok((0, _)) => {
                self.connection.ending = Ending::Closed(self.begun.elapsed());
                false
            }
            Ok((length, _)) => {
                self.connection.first_byte.get_or_insert(self.begun.elapsed());
                self.look();
                let room = MAX_BYTES.saturating_sub(self.connection.received.len());
                self.connection.received.extend(&buffer[..length.min(room)]);
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => false,
            Err(errno) => {
                self.end(errno);
                false
            }
        }
    }

    fn end(&mut self, errno: Errno) {
        // EPIPE also means a reset: it arrived before our bytes were sent.
        if matches!(errno, Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED) {
            self.connection.ending = Ending::Reset(self.begun.elapsed());
        }
    }

    fn look(&mut self) {
        let Some(side) = (self.look)() else { return };
        if side.inode != 0 {
            self.connection.accepted.get_or_insert(self.begun.elapsed());
        }
        self.connection.server = Some(side);
    }
}
