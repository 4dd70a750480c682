//! Bulk to an echo: writes as much as it takes, and counts what comes back.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;

use crate::streams::drain;
use crate::{Count, PATIENCE};

/// An echo that reads and writes in turn needs both ends at once: with more under way than all buffers hold, a client that
/// only writes would wait for an echo that waits for the client.
const CHUNK: usize = 64 * 1024;

/// Connects, and counts what comes back until the time is over; the kernel drops it, as [`crate::take`] has it.
///
/// # Errors
/// What broke the stream, or that it ended before its time.
pub fn there_and_back(to: SocketAddr, count: &mut Count) -> io::Result<()> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    thread::scope(|scope| {
        scope.spawn(|| write(&stream));
        let taken = drain(&stream, "nothing came back", count);
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
