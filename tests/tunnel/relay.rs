//! A network of the test's own: connections are passed on, until they are held, delayed or cut.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::net::sockopt;

use crate::harness::TIMEOUT;

/// A relay to one address. It ends when it is dropped, and cuts what it carries.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    switches: Arc<Switches>,
    over: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

/// What happens to what passes.
#[derive(Default)]
struct Switches {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Nothing passes, of old connections and new ones; as on a way that is broken, what was sent is not lost and comes once
    /// the way is mended.
    is_held: bool,
    delay: Duration,
    pairs: Vec<Weak<[TcpStream; 2]>>,
    /// How many connections have come.
    count: usize,
}

impl Relay {
    /// A relay on any port, to this address.
    pub(crate) fn to(address: SocketAddr) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap();
        let (switches, over) = (Arc::<Switches>::default(), Arc::new(AtomicBool::new(false)));
        let (kept, is_over) = (switches.clone(), over.clone());
        let accepting = thread::spawn(move || {
            while let Ok((from, _)) = listener.accept() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let switches = kept.clone();
                thread::spawn(move || switches.carry(from, address));
            }
        });
        Relay { address: own, switches, over, accepting: Some(accepting) }
    }

    /// From now on nothing passes in either direction.
    pub(crate) fn hold(&self) {
        self.switches.state.lock().unwrap().is_held = true;
    }

    /// What was held passes, and what comes.
    pub(crate) fn release(&self) {
        self.switches.state.lock().unwrap().is_held = false;
        self.switches.changed.notify_all();
    }

    /// From now on everything takes this long in each direction.
    pub(crate) fn delay(&self, delay: Duration) {
        self.switches.state.lock().unwrap().delay = delay;
    }

    /// Resets every connection at both its ends.
    pub(crate) fn cut(&self) {
        let pairs = std::mem::take(&mut self.switches.state.lock().unwrap().pairs);
        for pair in pairs.iter().filter_map(Weak::upgrade) {
            reset(&pair);
        }
    }

    /// How many connections have come so far.
    pub(crate) fn count(&self) -> usize {
        self.switches.state.lock().unwrap().count
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        self.release();
        self.cut();
        // Only a connection wakes the accept loop.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Switches {
    fn carry(self: Arc<Self>, from: TcpStream, address: SocketAddr) {
        self.pass();
        let Ok(to) = TcpStream::connect_timeout(&address, TIMEOUT) else {
            return reset(&[from.try_clone().unwrap(), from]);
        };
        let pair = Arc::new([from, to]);
        for stream in &*pair {
            stream.set_nodelay(true).unwrap();
        }
        {
            let mut state = self.state.lock().unwrap();
            state.pairs.retain(|pair| pair.strong_count() > 0);
            state.pairs.push(Arc::downgrade(&pair));
            state.count += 1;
        }
        let (there, back) = (pair.clone(), self.clone());
        let other = thread::spawn(move || back.copy(&there, 1));
        self.copy(&pair, 0);
        let _ = other.join();
    }

    /// Waits while nothing passes.
    fn pass(&self) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| state.is_held).unwrap());
    }

    /// Passes on what comes from this end of a pair, to its FIN or its RST.
    fn copy(self: &Arc<Self>, pair: &Arc<[TcpStream; 2]>, from: usize) {
        let (sender, waiting) = mpsc::sync_channel::<(Instant, Vec<u8>)>(64);
        let (switches, target) = (self.clone(), pair.clone());
        let writing = thread::spawn(move || {
            for (due, bytes) in waiting {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                switches.pass();
                let mut to = &target[1 - from];
                let sent = if bytes.is_empty() { to.shutdown(Shutdown::Write) } else { to.write_all(&bytes) };
                if sent.is_err() {
                    return;
                }
            }
        });
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = (&pair[from]).read(&mut buffer);
            let due = Instant::now() + self.state.lock().unwrap().delay;
            match read {
                // No bytes are the FIN.
                Ok(n) => {
                    if sender.send((due, buffer[..n].to_vec())).is_err() || n == 0 {
                        break;
                    }
                }
                Err(_) => {
                    self.pass();
                    reset(pair);
                    break;
                }
            }
        }
        drop(sender);
        let _ = writing.join();
    }
}

/// Ends both connections of a pair with RST.
fn reset(pair: &[TcpStream; 2]) {
    for stream in pair {
        // The kernel resets a connection that is taken back (connect(2), AF_UNSPEC), whoever reads of it.
        if rustix::net::connect_unspec(stream).is_err() {
            let _ = sockopt::set_socket_linger(stream, Some(Duration::ZERO));
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Close, Connection, Target};

    fn through(target: &Target) -> (Relay, Connection, Connection) {
        let relay = Relay::to(target.address);
        let from = Connection::to(relay.address);
        (relay, from, target.accept())
    }

    #[test]
    fn the_relay_passes_on_bytes_and_each_close() {
        let target = Target::manual();
        let (relay, mut from, mut to) = through(&target);

        from.send_stream(1, 500_000);
        to.receive_stream(1, 500_000);
        from.finish();
        assert_eq!(to.receive_close(), Close::Fin);
        to.send(b"late");
        assert_eq!(from.receive(4), b"late");
        to.reset();
        assert_eq!(from.receive_close(), Close::Reset);
        assert_eq!(relay.count(), 1);
    }

    #[test]
    fn what_the_relay_holds_comes_once_it_is_released_and_what_it_cuts_is_reset() {
        let target = Target::manual();
        let (relay, mut from, mut to) = through(&target);

        relay.hold();
        from.send(b"held");
        let mut new = Connection::to(relay.address);
        new.send(b"new");
        let quick = Some(Duration::from_millis(50));
        to.stream().set_read_timeout(quick).unwrap();
        assert!(to.try_receive(&mut [0; 4]).is_err(), "it came through");
        assert!(target.try_accept().is_none());
        to.stream().set_read_timeout(Some(TIMEOUT)).unwrap();
        relay.release();
        assert_eq!(to.receive(4), b"held");
        assert_eq!(target.accept().receive(3), b"new");

        relay.cut();
        assert_eq!([from.receive_close(), to.receive_close()], [Close::Reset; 2]);
    }

    #[test]
    fn what_the_relay_delays_comes_late() {
        let target = Target::manual();
        let (relay, mut from, mut to) = through(&target);
        relay.delay(Duration::from_millis(100));

        let began = Instant::now();
        from.send(b"x");
        to.receive(1);

        assert!(began.elapsed() >= Duration::from_millis(100));
    }
}
