//! UDP: who would receive a datagram, whether he reads, and what the kernel answers to an empty one.

use std::net::{SocketAddr, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Socket;
use crate::probe::trace::recognise::line;
use crate::sys::sock_diag;

pub use crate::sys::sock_diag::buffer::Buffer;

/// A UDP socket and how many datagrams it threw away for want of room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// The socket; its receive queue is in bytes, with the kernel's overhead.
    pub socket: Socket,
    /// Datagrams dropped since it was made.
    pub drops: Option<u32>,
}

/// What was sent, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sending {
    /// The errno of sending or receiving.
    pub errno: Option<i32>,
    /// What was sent, in words.
    pub sent: &'static str,
    /// What came back, fit for a terminal, and when.
    pub answer: Option<(String, Duration)>,
    /// The receiver's queue before and after, in bytes.
    pub queue: Option<(u32, u32)>,
    /// How many datagrams the receiver dropped meanwhile.
    pub dropped: u32,
    /// How long it was watched.
    pub watched: Duration,
}

/// The sockets on a port, of both families.
pub fn on_port(port: u16) -> std::io::Result<Vec<Receiver>> {
    let rows = sock_diag::udp_on_port(port)?;
    Ok(rows.into_iter().map(|(socket, drops)| Receiver { socket, drops }).collect())
}

/// The socket a datagram from this machine would reach.
pub fn receiver(address: SocketAddr) -> std::io::Result<Option<Socket>> {
    sock_diag::receiver(address)
}

/// The buffer a datagram for `address` would come to, wildcards included; `None` where nobody receives.
///
/// # Errors
/// Where the kernel cannot be asked: no UDP in sock_diag, or a sandbox.
pub fn buffer(address: SocketAddr) -> std::io::Result<Option<Buffer>> {
    sock_diag::buffer::buffer(address)
}

/// The question of a DNS client for the root's name servers: 12 bytes of head, the root, NS, IN (RFC 1035).
const DNS_QUESTION: [u8; 17] = [0x6c, 0x67, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
const DNS_PORT: u16 = 53;
/// How often the queue is looked at.
const PAUSE: Duration = Duration::from_millis(5);

/// Sends one datagram, empty or to port 53 a question, and watches for an answer, an error and the receiver's queue.
/// Where the receiver reads it, this ends at once unless an answer must come; at most it takes `patience`.
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
        // An ICMP error comes back within the call on loopback, so a first look tells.
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

/// The queue and the drops of the socket that a datagram would reach.
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
