//! Bulk: takes from each connection whatever comes, as fast as it comes.

use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Instant;

use rustix::net::RecvFlags;

use super::PATIENCE;
use super::span::{Count, Span, Tally};
use crate::Fallible;

const CHUNK: usize = 1024 * 1024;

/// Connects, and counts what comes until the time is over.
pub(super) type Take = fn(SocketAddr, &mut Count) -> std::io::Result<()>;

pub(super) fn load(to: SocketAddr, streams: usize, span: Span, take: Take) -> Fallible<Tally> {
    let threads: Vec<_> = (0..streams).map(|_| thread::spawn(move || stream(to, span, take))).collect();
    let mut whole = Tally::default();
    for thread in threads {
        let part = thread.join().expect("a stream's thread does not panic");
        whole.all += part.all;
        whole.measured += part.measured;
        whole.seconds = part.seconds;
        for (cause, count) in part.failed {
            *whole.failed.entry(cause).or_default() += count;
        }
    }
    Ok(whole)
}

fn stream(to: SocketAddr, span: Span, take: Take) -> Tally {
    let mut count = Count::start(span);
    if let Err(cause) = take(to, &mut count) {
        count.failed(cause, 1);
    }
    count.tally()
}

/// MSG_TRUNC has the kernel drop the bytes instead of copying them to us: a second of copying in the load generator
/// would be a second the forwarder does not get on a small machine. (iperf3 calls this --skip-rx-copy; the workload
/// `iperf3` is the one in which the client copies.)
pub(super) fn take(to: SocketAddr, count: &mut Count) -> std::io::Result<()> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut buffer = vec![0; CHUNK];
    loop {
        let (_, length) = rustix::net::recv(&stream, buffer.as_mut_slice(), RecvFlags::TRUNC)?;
        let now = Instant::now();
        count.done(length as u64, now);
        if count.over(now) {
            return Ok(());
        }
        if length == 0 {
            return Err(std::io::Error::other("the stream ended early"));
        }
    }
}
