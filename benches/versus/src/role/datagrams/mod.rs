//! Both ends of UDP workloads in one process: the target behind the forwarder and the clients before it.
//!
//! It binds its target first and is told where to send once the forwarder stands. In one process because what was lost
//! on the way is then a subtraction; its CPU is that of both ends.

mod hold;
mod one_way;
mod requests;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::report;
use loopgate_load::{Fallible, Span, end_with_standard_input, say};
use nix::sys::socket::{setsockopt, sockopt};
use serde::{Deserialize, Serialize};

/// What the datagrams do.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Traffic {
    /// One question under way per flow, each echoed.
    Requests { flows: usize, span: Span },
    /// From the clients to the target.
    Up { flows: usize, pace: Pace, span: Span },
    /// From the target to its clients.
    Down { flows: usize, pace: Pace, span: Span },
    /// As many flows as each line of standard input says.
    Hold,
}

/// How fast, how long, and how many in one passage.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Pace {
    pub(crate) per_second: u32,
    pub(crate) bytes: usize,
    /// Datagrams in one train; 1 sends each alone.
    pub(crate) train: usize,
}

/// Plays both ends: says that the target is bound, hears where to send, and loads.
pub(super) fn play(listen: SocketAddr, traffic: Traffic) -> Fallible<()> {
    let target = UdpSocket::bind(listen)?;
    enlarge(&target);
    say(&"bound")?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let to: SocketAddr = line.trim().parse()?;
    if !matches!(traffic, Traffic::Hold) {
        end_with_standard_input();
    }
    match traffic {
        Traffic::Requests { flows, span } => report(requests::load(target, to, flows, span)?),
        Traffic::Up { flows, pace, span } => report(one_way::up(target, to, flows, pace, span)?),
        Traffic::Down { flows, pace, span } => report(one_way::down(target, to, flows, pace, span)?),
        Traffic::Hold => hold::obey(&target, to),
    }
}

/// As much as the kernel grants: neither end of the bench shall be what loses.
fn enlarge(socket: &UdpSocket) {
    let bytes = 4 << 20;
    if setsockopt(socket, sockopt::RcvBufForce, &bytes).is_err() {
        let _ = setsockopt(socket, sockopt::RcvBuf, &bytes);
    }
}

fn client(to: SocketAddr) -> io::Result<UdpSocket> {
    let client = UdpSocket::bind("127.0.0.1:0")?;
    enlarge(&client);
    client.connect(to)?;
    Ok(client)
}

/// Says when the next share of a second's datagrams is due.
struct Metronome {
    began: Instant,
    sent: u64,
    per_second: u32,
}

impl Metronome {
    fn start(per_second: u32) -> Metronome {
        Metronome { began: Instant::now(), sent: 0, per_second }
    }

    /// How many datagrams are due by now and not sent yet; sleeps where there are none.
    fn due(&mut self) -> u64 {
        loop {
            let by_now = (self.began.elapsed().as_secs_f64() * f64::from(self.per_second)) as u64;
            if by_now > self.sent {
                return by_now - self.sent;
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    fn sent(&mut self, count: u64) {
        self.sent += count;
    }
}
