//! UDP: which socket would receive a datagram, whether its process reads it, and how the kernel answers an empty one.

use std::net::{SocketAddr, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Socket;
use crate::probe::trace::recognise::line;
use crate::sys::sock_diag;

pub use crate::sys::sock_diag::buffer::Buffer;

/// A UDP socket and how many datagrams it dropped for lack of room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// The socket; its receive queue is in bytes, with the kernel's overhead.
    pub socket: Socket,
    /// Datagrams dropped since the socket was created.
    pub drops: Option<u32>,
}

/// A datagram that was sent, and its result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sending {
    /// The errno of sending or receiving.
    pub errno: Option<i32>,
    /// A description of the datagram.
    pub sent: &'static str,
    /// The answer, escaped for a terminal, and the time until it came.
    pub answer: Option<(String, Duration)>,
    /// The receiver's queue before and after, in bytes.
    pub queue: Option<(u32, u32)>,
    /// How many datagrams the receiver dropped in the meantime.
    pub dropped: u32,
    /// How long the probe watched.
    pub watched: Duration,
}

/// The sockets on a port, of both families.
///
/// # Errors
/// As for [`buffer`].
pub fn on_port(port: u16) -> std::io::Result<Vec<Receiver>> {
    let rows = sock_diag::udp_on_port(port)?;
    Ok(rows.into_iter().map(|(socket, drops)| Receiver { socket, drops }).collect())
}

/// The socket that a datagram from this machine would reach.
///
/// # Errors
/// As for [`buffer`].
pub fn receiver(address: SocketAddr) -> std::io::Result<Option<Socket>> {
    sock_diag::receiver(address)
}

/// The buffer that a datagram to `address` would reach, wildcards included; `None` if no socket receives there.
///
/// # Errors
/// The kernel cannot be queried: sock_diag lacks UDP, or a sandbox forbids it.
pub fn buffer(address: SocketAddr) -> std::io::Result<Option<Buffer>> {
    sock_diag::buffer::buffer(address)
}

/// A DNS query for the root's name servers: a 12-byte header, the root, NS, IN (RFC 1035).
const DNS_QUESTION: [u8; 17] = [0x6c, 0x67, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
const DNS_PORT: u16 = 53;
/// The interval at which the queue is read.
const PAUSE: Duration = Duration::from_millis(5);

/// Sends one datagram, which is empty or, to port 53, a query, and watches for an answer, an error and the receiver's
/// queue. It returns once the receiver has read the datagram, unless an answer is due; it takes at most `patience`.
pub fn send(address: SocketAddr, patience: Duration) -> Sending {
    let begun = Instant::now();
    let mut sending = Sending { sent: "an empty datagram", ..Sending::default() };
    let any: SocketAddr = if address.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let before = state(address);
    let outcome = UdpSocket::bind(any).and_then(|socket| {
        socket.connect(address)?;
        socket.set_nonblocking(true)?;
        let question: &[u8] = if address.port() == DNS_PORT { &DNS_QUESTION } else { &[] };
        if !question.is_empty() {
            sending.sent = "a DNS question for the root";
        }
        socket.send(question)?;
        watch(&socket, begun, patience, !question.is_empty(), &mut sending)
    });
    sending.errno = outcome.err().and_then(|error| error.raw_os_error());
    let after = state(address);
    if let (Some(before), Some(after)) = (before, after) {
        sending.queue = Some((before.0, after.0));
        sending.dropped = after.1.saturating_sub(before.1);
    }
    sending.watched = begun.elapsed();
    sending
}

fn watch(
    socket: &UdpSocket,
    begun: Instant,
    patience: Duration,
    answer_must_come: bool,
    sending: &mut Sending,
) -> std::io::Result<()> {
    let mut buffer = [0; 2048];
    let address = socket.peer_addr()?;
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let words =
                    if answer_must_come { dns_answer(&buffer[..length]) } else { line(&buffer[..length]) };
                sending.answer = Some((words, begun.elapsed()));
                return Ok(());
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        // On loopback an ICMP error arrives within the send call, so the first receive returns it.
        let read = state(address).is_none_or(|(queue, _)| queue == 0);
        let enough = if answer_must_come || !read { patience } else { PAUSE * 4 };
        if begun.elapsed() >= enough {
            return Ok(());
        }
        sleep(PAUSE);
    }
}

fn dns_answer(bytes: &[u8]) -> String {
    match bytes {
        [0x6c, 0x67, flags, code, ..] if flags & 0x80 != 0 => format!("a DNS answer, code {}", code & 0x0f),
        other => line(other),
    }
}

/// The queue in bytes and the drops of the socket that a datagram would reach.
fn state(address: SocketAddr) -> Option<(u32, u32)> {
    let buffer = buffer(address).ok()??;
    Some((buffer.used, buffer.dropped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_datagram_to_nobody_is_refused() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        drop(socket);

        let sending = send(address, Duration::from_secs(10));

        assert_eq!(sending.errno, Some(libc::ECONNREFUSED));
        assert_eq!(receiver(address).unwrap(), None);
    }

    #[test]
    fn one_that_is_not_read_stays_in_the_queue() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();

        let sending = send(address, Duration::from_millis(20));
        drop(socket);

        let (before, after) = sending.queue.unwrap();
        assert!(before == 0 && after > 0, "{sending:?}");
        assert_eq!((sending.errno, sending.answer), (None, None));
    }
}
