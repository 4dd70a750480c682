//! Targets of every temper. Each has a port of its own, which it frees when it is dropped.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};

use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket, sockopt};

use super::{PATIENCE, Wire};

/// A service for a gate to dial.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    accepted: Mutex<mpsc::Receiver<Wire>>,
    over: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Target {
    /// Hands each connection to the test, which takes it with [`Target::accept`].
    pub(crate) fn by_hand() -> Target {
        Target::by_hand_on("127.0.0.1:0".parse().unwrap())
    }

    pub(crate) fn by_hand_on(address: SocketAddr) -> Target {
        let (sender, accepted) = mpsc::channel();
        Target::listening(address, accepted, move |wire| drop(sender.send(wire)))
    }

    /// Says back what it hears, and FIN at FIN.
    pub(crate) fn echo() -> Target {
        Target::echo_on("127.0.0.1:0".parse().unwrap())
    }

    pub(crate) fn echo_on(address: SocketAddr) -> Target {
        Target::serving(address, |mut wire| {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(n @ 1..) = wire.try_hear(&mut buffer) {
                let mut said = 0;
                while said < n {
                    let Ok(more) = wire.try_say(&buffer[said..n]) else { return };
                    said += more;
                }
            }
        })
    }

    /// Answers only after the client's FIN, with all it heard.
    pub(crate) fn answering_after_fin() -> Target {
        Target::serving_anywhere(|mut wire| {
            let (heard, _) = wire.hear_all();
            wire.say(&heard);
        })
    }

    /// Resets each connection as soon as it is there.
    pub(crate) fn resetting() -> Target {
        Target::serving_anywhere(Wire::reset)
    }

    /// Speaks first, and resets at once.
    pub(crate) fn insulting(words: &'static [u8]) -> Target {
        Target::serving_anywhere(move |mut wire| {
            wire.say(words);
            wire.reset();
        })
    }

    /// Speaks first, then closes once the client has.
    pub(crate) fn greeting(words: &'static [u8]) -> Target {
        Target::serving_anywhere(move |mut wire| {
            wire.say(words);
            wire.hear_all();
        })
    }

    /// Sends the first `length` bytes of stream `seed` and closes.
    pub(crate) fn sending(seed: u64, length: usize) -> Target {
        Target::serving_anywhere(move |mut wire| {
            wire.say_stream(seed, length);
            wire.finish();
            wire.hear_all();
        })
    }

    pub(crate) fn serving_anywhere(serve: impl Fn(Wire) + Clone + Send + 'static) -> Target {
        Target::serving("127.0.0.1:0".parse().unwrap(), serve)
    }

    /// Serves each connection in a thread of its own.
    fn serving(address: SocketAddr, serve: impl Fn(Wire) + Clone + Send + 'static) -> Target {
        let (_, accepted) = mpsc::channel();
        Target::listening(address, accepted, move |wire| {
            let serve = serve.clone();
            thread::spawn(move || serve(wire));
        })
    }

    fn listening(
        address: SocketAddr,
        accepted: mpsc::Receiver<Wire>,
        take: impl Fn(Wire) + Send + 'static,
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

    /// The next connection, of a target [by hand](Target::by_hand).
    pub(crate) fn accept(&self) -> Wire {
        self.accepted.lock().unwrap().recv_timeout(PATIENCE).expect("nobody connected to the target")
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Only a connection wakes it.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// A port that nobody listens on, and that the kernel gives to nobody as long as this lives; a [`Target`] may take it.
pub(crate) struct Closed {
    pub(crate) address: SocketAddr,
    socket: OwnedFd,
}

impl Closed {
    pub(crate) fn port() -> Closed {
        Closed::port_of("127.0.0.1:0".parse().unwrap())
    }

    /// A port that every address can be listened on with, too. It is below those that the kernel gives to outgoing
    /// connections: one of another test, from another address of loopback, would be in the way of every address.
    pub(crate) fn port_of_every_address(ip: &str) -> Closed {
        let ip: IpAddr = ip.parse().unwrap();
        let every: IpAddr = if ip.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        // Each is proposed once, and the number of the process keeps those that run at the same time apart.
        static PROPOSED: AtomicU32 = AtomicU32::new(0);
        let next = |_| std::process::id().wrapping_add(PROPOSED.fetch_add(1, Ordering::Relaxed));
        let ports = (0..10_000).map(next).map(|n| 20_000 + (n % 10_000) as u16);
        let is_free = |port: &u16| TcpListener::bind(SocketAddr::new(every, *port)).is_ok();
        let port = ports.into_iter().find(is_free).expect("one of so many is free");
        Closed::port_of(SocketAddr::new(ip, port))
    }

    pub(crate) fn port_of(any: SocketAddr) -> Closed {
        let family = if any.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket(family, SocketType::STREAM, None).unwrap();
        sockopt::set_socket_reuseaddr(&socket, true).unwrap();
        bind(&socket, &any).unwrap();
        let address = getsockname(&socket).unwrap().try_into().unwrap();
        Closed { address, socket }
    }

    /// Listens without ever accepting, for one connection and no more: then nobody is answered at all.
    pub(crate) fn fill_up(self) -> Full {
        listen(&self.socket, 0).unwrap();
        let waiting = TcpStream::connect(self.address).unwrap();
        Full { _waiting: waiting, _listener: self.socket }
    }
}

/// A listener whose accept queue is full: the kernel drops every SYN, as a hung service or a silent firewall would.
pub(crate) struct Full {
    _waiting: TcpStream,
    _listener: OwnedFd,
}
