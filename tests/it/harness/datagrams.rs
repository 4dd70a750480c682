//! UDP clients, and UDP targets that answer or only receive.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};

use super::TIMEOUT;

/// A UDP socket whose receives time out after [`TIMEOUT`](super::TIMEOUT).
pub(crate) fn socket(bind: &str) -> UdpSocket {
    let socket = UdpSocket::bind(bind).unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    socket
}

/// A client of `address`, with its own port.
pub(crate) fn client(address: SocketAddr) -> UdpSocket {
    let client = socket(if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" });
    client.connect(address).unwrap();
    client
}

/// The next datagram.
pub(crate) fn receive(socket: &UdpSocket) -> Vec<u8> {
    receive_from(socket).0
}

/// The next datagram and its sender.
pub(crate) fn receive_from(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 66_000];
    let (length, from) = socket.recv_from(&mut buffer).expect("a datagram comes");
    buffer.truncate(length);
    (buffer, from)
}

/// Sends a question and receives the answer.
pub(crate) fn ask(client: &UdpSocket, question: &[u8]) -> Vec<u8> {
    client.send(question).unwrap();
    receive(client)
}

/// Whether no datagram is queued at this moment.
pub(crate) fn is_silent(socket: &UdpSocket) -> bool {
    socket.set_nonblocking(true).unwrap();
    let silent = socket.recv(&mut [0; 66_000]).is_err();
    socket.set_nonblocking(false).unwrap();
    silent
}

/// Makes the socket send every buffer as a train whose datagrams have this length.
pub(crate) fn send_trains_of(socket: &UdpSocket, length: i32) {
    setsockopt(socket, sockopt::UdpGsoSegment, &length).unwrap();
}

/// Makes the socket receive a train as one buffer.
pub(crate) fn receive_trains(socket: &UdpSocket) {
    setsockopt(socket, sockopt::UdpGroSegment, &true).unwrap();
}

/// A target in its own thread that returns every datagram.
pub(crate) struct EchoDatagrams {
    pub(crate) address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl EchoDatagrams {
    pub(crate) fn start() -> EchoDatagrams {
        EchoDatagrams::on("127.0.0.1:0".parse().unwrap())
    }

    pub(crate) fn on(address: SocketAddr) -> EchoDatagrams {
        let socket = UdpSocket::bind(address).unwrap();
        let address = socket.local_addr().unwrap();
        let _ = setsockopt(&socket, sockopt::RcvBuf, &(4 << 20));
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let is_over = over.clone();
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; 66_000];
            while !is_over.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(&buffer[..length], from);
                }
            }
        });
        EchoDatagrams { address, over, thread: Some(thread) }
    }
}

/// Dropping it frees the port.
impl Drop for EchoDatagrams {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
