//! Whether bytes that are sent to an echo come back unchanged.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use loopgate_load::Fallible;

/// Connects, sends some bytes through and wants the same back.
pub(crate) fn exchange(address: SocketAddr) -> Fallible<()> {
    let patience = Duration::from_secs(2);
    let stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    exchange_over(stream)
}

/// The same over a connection that stands, or is about to.
pub(crate) fn exchange_over(mut stream: impl Read + Write) -> Fallible<()> {
    let message: Vec<u8> = (0..=255).cycle().take(32 * 1024).collect();
    let mut answer = vec![0; message.len()];
    stream.write_all(&message).map_err(|error| format!("takes no bytes: {error}"))?;
    stream.read_exact(&mut answer).map_err(|error| format!("carries no answer: {error}"))?;
    if answer == message { Ok(()) } else { Err("alters the bytes it carries".into()) }
}
