//! One end of a connection: it does what the script says, and remembers what it saw.

use std::collections::VecDeque;
use std::fmt;
use std::io::ErrorKind;
use std::net::{Shutdown, TcpStream};
use std::sync::LazyLock;

use loopgate::outcome::Side;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use rustix::net::{SendFlags, send, sockopt};

use crate::harness::{Connection, pattern};

/// The most bytes of one read or write.
pub(super) const MOST: usize = 256 << 10;

/// A prime, as of [`pattern`].
const PERIOD: usize = 65_521;

/// What the client and the target write. The first byte is none of a TLS record.
static STREAMS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    [1, 2].map(|seed| {
        let mut once = pattern::at(seed, 0, PERIOD).to_vec();
        once[0] = b'A';
        once.iter().copied().cycle().take(PERIOD + MOST).collect()
    })
});

fn stream(of: Side, from: usize, length: usize) -> &'static [u8] {
    let from = from % PERIOD;
    &STREAMS[of as usize][from..from + length]
}

/// What an end sees at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// Nothing: it has closed.
    Gone,
    Open {
        arrived: usize,
        /// Nothing more will follow them.
        fin: bool,
        reset: bool,
    },
}

impl View {
    pub(super) fn has_ended(self) -> bool {
        matches!(self, View::Open { fin, reset, .. } if fin || reset)
    }

    pub(super) fn is_reset(self) -> bool {
        matches!(self, View::Open { reset: true, .. })
    }

    /// The same where a reset and a FIN cannot be told apart.
    pub(super) fn without_resets(self) -> View {
        match self {
            View::Gone => View::Gone,
            View::Open { arrived, fin, reset } => View::Open { arrived, fin: fin || reset, reset: false },
        }
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let View::Open { arrived, fin, reset } = self else { return f.write_str("gone") };
        write!(f, "{arrived}{}{}", if *fin { " fin" } else { "" }, if *reset { " reset" } else { "" })
    }
}

/// How an end has closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    InOrder,
    /// Something had arrived that it had not read, so the kernel has reset the connection.
    OverUnread,
    Reset,
}

enum Out {
    Bytes(usize),
    Urgent,
    Fin,
}

pub(super) struct End {
    pub(super) side: Side,
    connection: Option<Connection>,
    plan: VecDeque<Out>,
    /// Bytes written and read.
    pub(super) sent: usize,
    pub(super) got: usize,
    pub(super) has_sent_fin: bool,
    pub(super) is_stalled: bool,
    /// Bytes that it reads although it is stalled.
    allowance: usize,
    saw_fin: bool,
    /// A FIN has come, read or not, and before any reset.
    has_fin: bool,
    saw_reset: bool,
    /// Where the first wrong byte came.
    pub(super) wrong: Option<usize>,
    pub(super) closed: Option<Closed>,
    /// What it had seen when it closed.
    pub(super) at_close: Option<View>,
}

impl End {
    pub(super) fn new(side: Side, connection: Connection, buffer: usize) -> End {
        if buffer > 0 {
            sockopt::set_socket_recv_buffer_size(connection.stream(), buffer).unwrap();
            sockopt::set_socket_send_buffer_size(connection.stream(), buffer).unwrap();
        }
        // An urgent byte stays where it was sent. Loopgate passes it on as one of the others.
        sockopt::set_socket_oobinline(connection.stream(), true).unwrap();
        connection.stream().set_nonblocking(true).unwrap();
        End {
            side,
            connection: Some(connection),
            plan: VecDeque::new(),
            sent: 0,
            got: 0,
            has_sent_fin: false,
            is_stalled: false,
            allowance: 0,
            saw_fin: false,
            has_fin: false,
            saw_reset: false,
            wrong: None,
            closed: None,
            at_close: None,
        }
    }

    fn tcp(&self) -> Option<&TcpStream> {
        self.connection.as_ref().map(Connection::stream)
    }

    pub(super) fn plans_write(&mut self, bytes: usize) {
        self.plans(Out::Bytes(bytes));
    }

    pub(super) fn plans_urgent(&mut self) {
        self.plans(Out::Urgent);
    }

    pub(super) fn plans_fin(&mut self) {
        self.plans(Out::Fin);
    }

    /// Nothing follows a FIN.
    fn plans(&mut self, out: Out) {
        if !self.has_sent_fin && !matches!(self.plan.back(), Some(Out::Fin)) {
            self.plan.push_back(out);
        }
    }

    pub(super) fn may_read(&mut self, bytes: usize) {
        self.allowance += bytes;
    }

    /// Whether it has more to write than the kernel has taken.
    pub(super) fn is_behind(&self) -> bool {
        !self.plan.is_empty()
    }

    pub(super) fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    pub(super) fn close(&mut self, resets: bool) {
        self.view();
        let has_unread = self.tcp().is_some_and(|tcp| ioctl_fionread(tcp).is_ok_and(|unread| unread > 0));
        self.at_close = Some(self.view());
        let Some(connection) = self.connection.take() else { return };
        self.closed = Some(match (resets, has_unread) {
            (true, _) => Closed::Reset,
            (_, true) => Closed::OverUnread,
            (_, false) => Closed::InOrder,
        });
        self.plan.clear();
        if resets {
            connection.reset();
        }
    }

    /// Writes and reads what is possible now; false if that was nothing.
    pub(super) fn move_on(&mut self, buffer: &mut [u8]) -> bool {
        let Some(connection) = self.connection.take() else { return false };
        // A FIN that has come is met before the reset that a write may bring.
        let read = self.read(connection.stream(), buffer);
        let wrote = self.write(connection.stream());
        self.connection = Some(connection);
        wrote || read
    }

    fn write(&mut self, tcp: &TcpStream) -> bool {
        let mut moved = false;
        while let Some(next) = self.plan.front_mut() {
            let answer = match next {
                Out::Fin => {
                    // It fails where a reset came before.
                    let _ = tcp.shutdown(Shutdown::Write);
                    self.has_sent_fin = true;
                    Ok(0)
                }
                Out::Urgent => {
                    send(tcp, stream(self.side, self.sent, 1), SendFlags::OOB | SendFlags::NOSIGNAL)
                }
                Out::Bytes(left) => {
                    send(tcp, stream(self.side, self.sent, MOST.min(*left)), SendFlags::NOSIGNAL)
                }
            };
            let is_over = match (answer, &mut *next) {
                (Err(rustix::io::Errno::AGAIN), _) => return moved,
                (Err(_), _) => {
                    self.saw_reset = true;
                    self.plan.clear();
                    return true;
                }
                (Ok(n), Out::Bytes(left)) => {
                    self.sent += n;
                    *left -= n;
                    *left == 0
                }
                (Ok(n), _) => {
                    self.sent += n;
                    true
                }
            };
            if is_over {
                self.plan.pop_front();
            }
            moved = true;
        }
        moved
    }

    fn read(&mut self, mut tcp: &TcpStream, buffer: &mut [u8]) -> bool {
        use std::io::Read;
        let mut moved = false;
        while !self.saw_fin && (!self.is_stalled || self.allowance > 0) {
            let most = if self.is_stalled { self.allowance.min(MOST) } else { MOST };
            match tcp.read(&mut buffer[..most]) {
                // Behind a reset, everything looks like an end.
                Ok(0) if self.saw_reset => break,
                Ok(0) => self.saw_fin = true,
                Ok(n) => {
                    self.allowance -= n.min(self.allowance);
                    self.take(&buffer[..n]);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                // It comes once.
                Err(_) if self.saw_reset => break,
                Err(_) => self.saw_reset = true,
            }
            moved = true;
        }
        moved
    }

    fn take(&mut self, bytes: &[u8]) {
        let right = stream(self.side.other(), self.got, bytes.len());
        if bytes == right {
            self.got += bytes.len();
            return;
        }
        let wrong = bytes.iter().zip(right).position(|(a, b)| a != b).unwrap_or(0);
        self.wrong.get_or_insert(self.got + wrong);
        self.got += bytes.len();
    }

    /// What it sees now.
    pub(super) fn view(&mut self) -> View {
        let Some(tcp) = self.tcp() else { return View::Gone };
        let mut ours = [PollFd::new(tcp, PollFlags::RDHUP)];
        poll(&mut ours, Some(&Timespec::default())).unwrap();
        let events = ours[0].revents();
        let unread = if self.is_stalled { ioctl_fionread(tcp).unwrap_or(0) as usize } else { 0 };
        let unread_fin = events.contains(PollFlags::RDHUP);
        self.saw_reset |= events.contains(PollFlags::ERR);
        // A reset ends this direction as well.
        self.has_fin |= self.saw_fin || unread_fin && !self.saw_reset;
        View::Open { arrived: self.got + unread, fin: self.has_fin, reset: self.saw_reset }
    }

    /// What it has to be told of before it can go on; `None` if nothing more can come.
    pub(super) fn waits_for(&self) -> Option<(&TcpStream, PollFlags)> {
        if self.saw_reset {
            return None;
        }
        let mut flags = PollFlags::empty();
        if !self.plan.is_empty() {
            flags |= PollFlags::OUT;
        }
        if !self.saw_fin && !self.is_stalled {
            flags |= PollFlags::IN;
        }
        Some((self.tcp()?, flags))
    }
}
