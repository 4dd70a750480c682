//! Bulk: takes from each connection whatever comes, as fast as it comes.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Instant;

use rustix::net::RecvFlags;

use crate::{Count, PATIENCE, Span, Tally};

const CHUNK: usize = 1024 * 1024;

/// `take` connects, and counts what comes until the time is over; it runs in one thread for each stream.
pub fn streams(streams: usize, span: Span, take: impl Fn(&mut Count) -> std::io::Result<()> + Sync) -> Tally {
    let parts: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..streams).map(|_| scope.spawn(|| stream(span, &take))).collect();
        threads.into_iter().filter_map(|it| it.join().ok()).collect()
    });
    let mut whole = Tally::default();
    for part in parts {
        whole.all += part.all;
        whole.measured += part.measured;
        whole.seconds = part.seconds;
        for (cause, count) in part.failed {
            *whole.failed.entry(cause).or_default() += count;
        }
    }
    whole
}

fn stream(span: Span, take: impl Fn(&mut Count) -> std::io::Result<()>) -> Tally {
    let mut count = Count::start(span);
    if let Err(cause) = take(&mut count) {
        count.failed(cause, 1);
    }
    count.tally()
}

/// MSG_TRUNC has the kernel drop the bytes instead of copying them to us: a second of copying in the load generator
/// would be a second the forwarder does not get on a small machine. (iperf3 calls this --skip-rx-copy; the workload
/// `iperf3` is the one in which the client copies.)
///
/// `first` is what it says before: the source of the bytes does not listen to it.
///
/// # Errors
/// What broke the stream, or that it ended before its time.
pub fn take(to: SocketAddr, first: &[u8], count: &mut Count) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(first)?;
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
