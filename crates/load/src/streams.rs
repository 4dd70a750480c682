//! Bulk: takes from each connection whatever comes, or gives it as much as it takes, over TCP or a Unix socket.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Instant;

use rustix::net::RecvFlags;

use crate::{Count, PATIENCE, Span, Tally, in_words};

const CHUNK: usize = 1024 * 1024;

/// Large enough that system calls do not count, small enough to stay in the processor's cache.
pub(crate) const CACHED: usize = 256 * 1024;

/// `take` connects, and counts what comes (or what it gives) until the time is over; it runs in one thread for each stream.
pub fn streams(streams: usize, span: Span, take: impl Fn(&mut Count) -> io::Result<()> + Sync) -> Tally {
    let parts: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..streams).map(|_| scope.spawn(|| stream(span, &take))).collect();
        threads.into_iter().filter_map(|it| it.join().ok()).collect()
    });
    sum(parts)
}

/// What all streams of a load came to.
pub(crate) fn sum(parts: Vec<Tally>) -> Tally {
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

fn stream(span: Span, take: impl Fn(&mut Count) -> io::Result<()>) -> Tally {
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
pub fn take(to: SocketAddr, first: &[u8], count: &mut Count) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(first)?;
    drain(&stream, "nothing came", count)
}

/// The same from a Unix socket, where MSG_TRUNC would copy as well.
///
/// # Errors
/// What broke the stream, or that it ended before its time.
pub fn take_from_unix(to: &Path, count: &mut Count) -> io::Result<()> {
    let stream = UnixStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    count_what_comes(&stream, RecvFlags::empty(), CACHED, "nothing came", count)
}

/// Counts what comes on a TCP connection that stands, and has the kernel drop it; `silence` is what a time-out is told as.
pub(crate) fn drain(stream: &TcpStream, silence: &str, count: &mut Count) -> io::Result<()> {
    count_what_comes(stream, RecvFlags::TRUNC, CHUNK, silence, count)
}

fn count_what_comes(
    stream: impl AsFd,
    flags: RecvFlags,
    chunk: usize,
    silence: &str,
    count: &mut Count,
) -> io::Result<()> {
    let mut buffer = vec![0; chunk];
    loop {
        let (_, length) = rustix::net::recv(&stream, buffer.as_mut_slice(), flags)
            .map_err(|error| in_words(error.into(), silence))?;
        let now = Instant::now();
        count.done(length as u64, now);
        if count.over(now) {
            return Ok(());
        }
        if length == 0 {
            return Err(io::Error::other("the stream ended early"));
        }
    }
}

/// The other direction: writes as much as is taken until the time is over.
///
/// It ends its stream then, and waits until the other end has taken all of it and closes: what lies in buffers was counted
/// here, and shall have cost CPU there. For an end that does not close, it waits for [`PATIENCE`].
///
/// # Errors
/// What broke the stream, or that nobody takes anything for [`PATIENCE`].
pub fn give(to: SocketAddr, count: &mut Count) -> io::Result<()> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    pour(&stream, count)?;
    stream.shutdown(Shutdown::Write)?;
    until_closed(&stream)
}

/// The same into a Unix socket.
///
/// # Errors
/// As [`give`].
pub fn give_to_unix(to: &Path, count: &mut Count) -> io::Result<()> {
    let stream = UnixStream::connect(to)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    pour(&stream, count)?;
    stream.shutdown(Shutdown::Write)?;
    until_closed(&stream)
}

/// Writes on a connection that stands.
pub(crate) fn pour(mut stream: impl Write, count: &mut Count) -> io::Result<()> {
    let buffer = vec![0x6c; CACHED];
    loop {
        let length = stream.write(&buffer).map_err(|error| in_words(error, "nobody read"))?;
        let now = Instant::now();
        count.done(length as u64, now);
        if count.over(now) {
            return Ok(());
        }
    }
}

fn until_closed(mut stream: impl Read) -> io::Result<()> {
    match stream.read(&mut [0; 1]) {
        Ok(0) => Ok(()),
        Ok(_) => Err(io::Error::other("a target that only takes said something")),
        // A service that keeps its own half open has had its time.
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::time::Duration;

    use super::*;

    const SPAN: Span = Span { warm_up: Duration::ZERO, measured: Duration::from_millis(20) };

    #[test]
    fn what_is_given_is_counted_and_has_all_arrived_when_the_giver_is_done() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let to = listener.local_addr().unwrap();
        let taken = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&taken);
        let taking = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            count.store(io::copy(&mut client, &mut io::sink()).unwrap(), Relaxed);
        });
        let tally = streams(1, SPAN, |count| give(to, count));
        assert_eq!(taken.load(Relaxed), tally.all);
        taking.join().unwrap();
        assert_eq!(tally.failed.len(), 0, "{:?}", tally.failed);
        assert!(tally.measured > 0 && tally.measured <= tally.all);
    }

    #[test]
    fn a_taker_that_goes_away_is_counted_as_a_failure() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let to = listener.local_addr().unwrap();
        let leaving = thread::spawn(move || drop(listener.accept().unwrap()));
        let tally = streams(1, Span { measured: PATIENCE, ..SPAN }, |count| give(to, count));
        leaving.join().unwrap();
        assert_eq!(tally.failed.values().sum::<u64>(), 1);
    }
}
