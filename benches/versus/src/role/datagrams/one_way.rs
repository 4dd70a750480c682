//! One way at a given rate, alone or in trains: what arrives, and what is lost.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use rustix::event::epoll::EventFlags;

use super::{Metronome, Pace, client};
use loopgate_load::{Count, Fallible, PATIENCE, Poll, Span, Tally};

/// How long after the last datagram one may still be under way.
const LATE: Duration = Duration::from_millis(50);

/// The longest run for one sender before the next has its turn.
const MAX_AT_ONCE: u64 = 256;

pub(super) fn up(target: UdpSocket, to: SocketAddr, flows: usize, pace: Pace, span: Span) -> Fallible<Tally> {
    let clients: Vec<UdpSocket> = (0..flows).map(|_| client(to)).collect::<Result<_, _>>()?;
    for client in &clients {
        train(client, pace)?;
    }
    let received = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    // A short wait lets the counting thread see that it is over.
    target.set_read_timeout(Some(LATE))?;
    let _ = setsockopt(&target, sockopt::UdpGroSegment, &(pace.train > 1));
    thread::scope(|scope| {
        scope.spawn(|| sink(&target, pace, &received, &over));
        let mut turn = 0;
        let tally = send(pace, span, &received, |datagram| {
            turn = (turn + 1) % clients.len();
            clients[turn].send(datagram).is_ok()
        });
        over.store(true, Relaxed);
        Ok(tally)
    })
}

pub(super) fn down(
    target: UdpSocket,
    to: SocketAddr,
    flows: usize,
    pace: Pace,
    span: Span,
) -> Fallible<Tally> {
    let clients: Vec<UdpSocket> = (0..flows).map(|_| client(to)).collect::<Result<_, _>>()?;
    target.set_read_timeout(Some(PATIENCE))?;
    let mut asked = BTreeSet::new();
    for client in &clients {
        client.send(b"?")?;
        asked.insert(target.recv_from(&mut [0; 64])?.1);
    }
    train(&target, pace)?;
    let asked: Vec<SocketAddr> = asked.into_iter().collect();
    let received = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let counting = scope.spawn(|| sink_all(&clients, pace, &received, &over));
        let mut turn = 0;
        let tally = send(pace, span, &received, |datagram| {
            turn = (turn + 1) % asked.len();
            target.send_to(datagram, asked[turn]).is_ok()
        });
        over.store(true, Relaxed);
        counting.join().expect("the counting thread does not panic")?;
        Ok(tally)
    })
}

fn train(socket: &UdpSocket, pace: Pace) -> std::io::Result<()> {
    if pace.train > 1 {
        setsockopt(socket, sockopt::UdpGsoSegment, &(pace.bytes as i32))?;
    }
    Ok(())
}

/// Sends at the pace for the span; the work is what arrived, and what did not is lost.
fn send(pace: Pace, span: Span, received: &AtomicU64, mut send: impl FnMut(&[u8]) -> bool) -> Tally {
    let bytes = vec![b'x'; pace.bytes * pace.train];
    let mut count = Count::start(span);
    let mut beat = Metronome::start(pace.per_second);
    let (mut sent, mut seen) = (0, 0);
    while !count.over(Instant::now()) {
        let due = beat.due().min(MAX_AT_ONCE);
        for _ in 0..due.div_ceil(pace.train as u64) {
            sent += if send(&bytes) { pace.train as u64 } else { 0 };
            beat.sent(pace.train as u64);
        }
        let by_now = received.load(Relaxed);
        count.done(by_now - seen, Instant::now());
        seen = by_now;
    }
    thread::sleep(LATE);
    let by_now = received.load(Relaxed);
    count.done(by_now - seen, Instant::now());
    count.failed("lost", sent.saturating_sub(by_now));
    count.failed("sent", sent);
    count.tally()
}

fn sink(target: &UdpSocket, pace: Pace, received: &AtomicU64, over: &AtomicBool) {
    let mut buffer = vec![0; 66_000];
    while !over.load(Relaxed) {
        if let Ok(length) = target.recv(&mut buffer) {
            received.fetch_add(length.div_ceil(pace.bytes) as u64, Relaxed);
        }
    }
}

fn sink_all(
    clients: &[UdpSocket],
    pace: Pace,
    received: &AtomicU64,
    over: &AtomicBool,
) -> std::io::Result<()> {
    let mut poll = Poll::new()?;
    for (key, client) in clients.iter().enumerate() {
        client.set_nonblocking(true)?;
        let _ = setsockopt(client, sockopt::UdpGroSegment, &(pace.train > 1));
        poll.add(client, key, EventFlags::IN)?;
    }
    let mut buffer = vec![0; 66_000];
    while !over.load(Relaxed) {
        for key in poll.wait(Some(LATE))? {
            while let Ok(length) = clients[key].recv(&mut buffer) {
                received.fetch_add(length.div_ceil(pace.bytes) as u64, Relaxed);
            }
        }
    }
    Ok(())
}
