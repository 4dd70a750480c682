//! Clients that send too fast, and targets that read too slowly.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::{proxy, route};
use crate::harness::datagrams::{client, receive, socket};
use crate::harness::{Program, Proxy, Target, wait_until};

/// Sends to `to` as fast as it can, until it is stopped.
struct Flood {
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Flood {
    fn of(to: SocketAddr) -> Flood {
        let over = Arc::new(AtomicBool::new(false));
        let (is_over, sender) = (over.clone(), client(to));
        let thread = thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                let _ = sender.send(&[0; 64]);
            }
        });
        Flood { over, thread: Some(thread) }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[test]
fn a_flooding_client_does_not_starve_a_quiet_one() {
    // It answers the quiet one alone: what the flood sends is read and left.
    let target = socket("127.0.0.1:0");
    let address = target.local_addr().unwrap();
    let proxy = proxy(address, "");
    let over = Arc::new(AtomicBool::new(false));
    let is_over = over.clone();
    let answering = thread::spawn(move || {
        let mut buffer = [0; 100];
        target.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        while !is_over.load(Ordering::Relaxed) {
            if let Ok((5, from)) = target.recv_from(&mut buffer) {
                target.send_to(&buffer[..5], from).unwrap();
            }
        }
    });
    let quiet = client(proxy.address);
    quiet.send(b"quiet").unwrap();
    receive(&quiet);
    let flood = Flood::of(proxy.address);

    // The target's own receive buffer overflows too, which is not the route's doing: ask until it is answered.
    quiet.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut answers = 0;
    wait_until("a hundred answers beside the flood", || {
        quiet.send(b"quiet").unwrap();
        answers += u32::from(quiet.recv(&mut [0; 100]).is_ok());
        (answers >= 100).then_some(())
    });

    drop(flood);
    over.store(true, Ordering::Relaxed);
    answering.join().unwrap();
}

#[test]
fn a_flood_of_datagrams_does_not_starve_connections() {
    let (sink, echo) = (socket("127.0.0.1:0"), Target::echo());
    let tcp = format!("[routes.a]\nlisten = '127.0.0.1:0'\ntarget = '{}'\n", echo.address);
    let proxy = Proxy::builder().with(&(tcp + &route(sink.local_addr().unwrap(), "")));
    let udp =
        proxy.declared.listening.iter().find(|it| it.owner.name() == "test").unwrap().address.net().unwrap();
    let _floods = [Flood::of(udp), Flood::of(udp)];

    let mut connection = proxy.connect();

    for _ in 0..200 {
        connection.send(b"x");
        assert_eq!(connection.receive(1), b"x");
    }
}

#[test]
fn a_target_that_reads_too_slowly_is_told_and_counted() {
    let slow = socket("127.0.0.1:0");
    nix::sys::socket::setsockopt(&slow, nix::sys::socket::sockopt::RcvBuf, &4096).unwrap();
    let spec = format!("127.0.0.1:0:{}/udp", slow.local_addr().unwrap());
    let mut program = Program::start(["run", "-L", &spec]);
    let client = client(program.address());

    for _ in 0..500 {
        client.send(&[0; 500]).unwrap();
    }

    let line = program.wait_for("udp-receiver-drops");
    assert!(line.contains(&slow.local_addr().unwrap().to_string()), "{line}");
    program.signal(rustix::process::Signal::TERM);
    let record = program.wait_for(" end=drained");
    assert!(record.contains(" target_dropped=") && record.contains("udp-receiver-drops"), "{record}");
}
