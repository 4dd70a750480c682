//! Bulk through TLS: deciphers whatever comes, as fast as it comes.

use loopgate_load::Count;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

/// Larger than the largest record, of which more than one may be there.
const CHUNK: usize = 64 * 1024;

/// Here the client takes its share of the machine: only who deciphers knows how much of what came was content, and that
/// all of it is what was sent. Hence no aim for the rate, which is the client's as well; CPU is the forwarder's alone.
pub(in crate::role) fn take(to: SocketAddr, count: &mut Count) -> io::Result<()> {
    let config = super::config().map_err(|error| io::Error::other(error.to_string()))?;
    let mut client = super::connect(to, &config)?;
    client.flush()?;
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = client.read(&mut buffer)?;
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
