//! Targets of every behaviour. Each has its own port, which it frees when it is dropped.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};

use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket, sockopt};

use super::{Connection, TIMEOUT};

/// A service that a proxy can dial.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    accepted: Mutex<mpsc::Receiver<Connection>>,
    over: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Target {
    /// Hands each connection to the test, which takes it with [`Target::accept`].
    pub(crate) fn manual() -> Target {
        Target::manual_on("127.0.0.1:0".parse().unwrap())
    }

    pub(crate) fn manual_on(address: SocketAddr) -> Target {
        let (sender, accepted) = mpsc::channel();
        Target::listening(address, accepted, move |connection| drop(sender.send(connection)))
    }

    /// Echoes what it receives, and answers FIN with FIN.
    pub(crate) fn echo() -> Target {
        Target::echo_on("127.0.0.1:0".parse().unwrap())
    }

    pub(crate) fn echo_on(address: SocketAddr) -> Target {
        Target::serving(address, |mut connection| {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(n @ 1..) = connection.try_receive(&mut buffer) {
                let mut sent = 0;
                while sent < n {
                    let Ok(more) = connection.try_send(&buffer[sent..n]) else { return };
                    sent += more;
                }
            }
        })
    }

    /// Answers only after the client's FIN, with everything it received.
    pub(crate) fn answering_after_fin() -> Target {
        Target::serving_anywhere(|mut connection| {
            let (received, _) = connection.receive_all();
            connection.send(&received);
        })
    }

    /// Resets each connection as soon as it is accepted.
    pub(crate) fn resetting() -> Target {
        Target::serving_anywhere(Connection::reset)
    }

    /// Sends `words` first, and then resets at once.
    pub(crate) fn resetting_after(words: &'static [u8]) -> Target {
        Target::serving_anywhere(move |mut connection| {
            connection.send(words);
            connection.reset();
        })
    }

    /// Sends `words` first, then closes once the client has.
    pub(crate) fn greeting(words: &'static [u8]) -> Target {
        Target::serving_anywhere(move |mut connection| {
            connection.send(words);
            connection.receive_all();
        })
    }

    /// Sends the first `length` bytes of stream `seed` and closes.
    pub(crate) fn sending(seed: u64, length: usize) -> Target {
        Target::serving_anywhere(move |mut connection| {
            connection.send_stream(seed, length);
            connection.finish();
            connection.receive_all();
        })
    }

    pub(crate) fn serving_anywhere(serve: impl Fn(Connection) + Clone + Send + 'static) -> Target {
        Target::serving("127.0.0.1:0".parse().unwrap(), serve)
    }

    /// Serves each connection in its own thread.
    fn serving(address: SocketAddr, serve: impl Fn(Connection) + Clone + Send + 'static) -> Target {
        let (_, accepted) = mpsc::channel();
        Target::listening(address, accepted, move |connection| {
            let serve = serve.clone();
            thread::spawn(move || serve(connection));
        })
    }

    fn listening(
        address: SocketAddr,
        accepted: mpsc::Receiver<Connection>,
        take: impl Fn(Connection) + Send + 'static,
    ) -> Target {
        let listener = TcpListener::bind(address).unwrap_or_else(|e| panic!("no target on {address}: {e}"));
        let address = listener.local_addr().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let is_over = over.clone();
        let accepting = thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                take(stream.into());
            }
        });
        Target { address, accepted: Mutex::new(accepted), over, accepting: Some(accepting) }
    }

    /// The next connection of a [manual](Target::manual) target.
    pub(crate) fn accept(&self) -> Connection {
        self.accepted.lock().unwrap().recv_timeout(TIMEOUT).expect("nobody connected to the target")
    }

    /// The same if somebody has connected by now.
    pub(crate) fn try_accept(&self) -> Option<Connection> {
        self.accepted.lock().unwrap().try_recv().ok()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Only a connection wakes the accept loop.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// A port without a listener, which the kernel assigns to no other socket while this value lives; a [`Target`] may take
/// it.
pub(crate) struct ClosedPort {
    pub(crate) address: SocketAddr,
    socket: OwnedFd,
}

impl ClosedPort {
    pub(crate) fn port() -> ClosedPort {
        ClosedPort::port_of("127.0.0.1:0".parse().unwrap())
    }

    /// Like [`ClosedPort::port`], for a port on which every address can be listened on, too. It is below the range of
    /// outgoing connections: a connection of another test from another loopback address would block a listener on every
    /// address.
    pub(crate) fn port_of_every_address(ip: &str) -> ClosedPort {
        let ip: IpAddr = ip.parse().unwrap();
        let every: IpAddr = if ip.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        // Each port is proposed once, and the pid keeps test processes that run at the same time apart.
        static PROPOSED: AtomicU32 = AtomicU32::new(0);
        let next = |_| std::process::id().wrapping_add(PROPOSED.fetch_add(1, Ordering::Relaxed));
        let ports = (0..10_000).map(next).map(|n| 20_000 + (n % 10_000) as u16);
        let is_free = |port: &u16| TcpListener::bind(SocketAddr::new(every, *port)).is_ok();
        let port = ports.into_iter().find(is_free).expect("one of these ports is free");
        ClosedPort::port_of(SocketAddr::new(ip, port))
    }

    pub(crate) fn port_of(any: SocketAddr) -> ClosedPort {
        let family = if any.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket(family, SocketType::STREAM, None).unwrap();
        sockopt::set_socket_reuseaddr(&socket, true).unwrap();
        bind(&socket, &any).unwrap();
        let address = getsockname(&socket).unwrap().try_into().unwrap();
        ClosedPort { address, socket }
    }

    /// Listens with a backlog of one connection, fills it and never accepts: no further client gets an answer.
    pub(crate) fn fill_up(self) -> FullListener {
        listen(&self.socket, 0).unwrap();
        let waiting = TcpStream::connect(self.address).unwrap();
        FullListener { _waiting: waiting, _listener: self.socket }
    }
}

/// A listener whose accept queue is full: the kernel drops every SYN, as a hung service or a silent firewall would.
pub(crate) struct FullListener {
    _waiting: TcpStream,
    _listener: OwnedFd,
}
