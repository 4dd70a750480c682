//! Question and answer: one under way per flow, all flows in one thread.

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;

use super::client;
use loopgate_load::{Count, Fallible, MESSAGE, Poll, Span, Tally};

/// A question without an answer for so long is lost, and asked again.
const LOST: Duration = Duration::from_millis(200);

pub(super) fn load(target: UdpSocket, to: SocketAddr, flows: usize, span: Span) -> Fallible<Tally> {
    thread::spawn(move || echo(&target));
    let mut poll = Poll::new()?;
    let mut lines = Vec::with_capacity(flows);
    for key in 0..flows {
        let socket = client(to)?;
        socket.set_nonblocking(true)?;
        poll.add(&socket, key, EventFlags::IN)?;
        socket.send(&[b'?'; MESSAGE])?;
        lines.push((socket, Instant::now()));
    }
    let mut count = Count::start(span);
    let mut answer = [0; 2 * MESSAGE];
    while !count.over(Instant::now()) {
        for key in poll.wait(Some(LOST))? {
            let (socket, sent) = &mut lines[key];
            if socket.recv(&mut answer).is_ok_and(|length| length == MESSAGE) {
                let now = Instant::now();
                count.answered(1, *sent, now);
                *sent = now;
                let _ = socket.send(&[b'?'; MESSAGE]);
            }
        }
        for (socket, sent) in lines.iter_mut().filter(|(_, sent)| sent.elapsed() > LOST) {
            count.failed("lost", 1);
            *sent = Instant::now();
            let _ = socket.send(&[b'?'; MESSAGE]);
        }
    }
    Ok(count.tally())
}

fn echo(target: &UdpSocket) {
    let mut buffer = [0; 2048];
    loop {
        if let Ok((length, from)) = target.recv_from(&mut buffer) {
            let _ = target.send_to(&buffer[..length], from);
        }
    }
}
