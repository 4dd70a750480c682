//! Bulk to an echo: writes as much as it takes, and counts what comes back.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Instant;

use rustix::net::RecvFlags;

use crate::{Count, PATIENCE, in_words};

/// An echo that reads and writes in turn needs both ends at once: with more under way than all buffers hold, a client that
/// only writes would wait for an echo that waits for the client.
const CHUNK: usize = 64 * 1024;
const ROOM: usize = 1024 * 1024;

/// Connects, and counts what comes back until the time is over.
///
/// # Errors
/// What broke the stream, or that it ended before its time.
pub fn there_and_back(to: SocketAddr, count: &mut Count) -> io::Result<()> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    thread::scope(|scope| {
        scope.spawn(|| write(&stream));
        let taken = read(&stream, count);
        // The writer waits for room that will not come.
        let _ = stream.shutdown(Shutdown::Both);
        taken
    })
}

/// Until the connection is shut; what breaks it, the reader meets as well.
fn write(mut stream: &TcpStream) {
    let bytes = vec![0x6c; CHUNK];
    while stream.write_all(&bytes).is_ok() {}
}

/// The bytes are dropped by the kernel, as [`crate::take`] has it.
fn read(stream: &TcpStream, count: &mut Count) -> io::Result<()> {
    let mut buffer = vec![0; ROOM];
    loop {
        let read = rustix::net::recv(stream, buffer.as_mut_slice(), RecvFlags::TRUNC);
        let (_, length) = read.map_err(|error| in_words(error.into(), "nothing came back"))?;
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
