//! Idle connections: opened, used once, then only held.

use std::io::{self, BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde::{Deserialize, Serialize};

use crate::{Fallible, MESSAGE, PATIENCE, say};

/// After so many failures an order is given up: each may have waited for its time-out.
const ENOUGH: usize = 5;

/// How many connections are held after an order.
#[derive(Serialize, Deserialize)]
pub struct Held {
    /// Connections that stand.
    pub open: usize,
    /// Attempts that failed.
    pub failed: usize,
}

/// Holds as many connections as each line of standard input says, and answers each with a [`Held`].
///
/// # Errors
/// If a line is no number, or standard output is closed.
pub fn hold(to: SocketAddr) -> Fallible<()> {
    hold_each(|| open(to))
}

/// The same of whatever `open` opens, for a part that holds something else.
///
/// # Errors
/// As [`hold`].
pub fn hold_each<T>(mut open: impl FnMut() -> io::Result<T>) -> Fallible<()> {
    let mut held = Vec::new();
    for line in io::stdin().lock().lines() {
        let wanted: usize = line?.parse()?;
        let mut failed = 0;
        held.truncate(wanted);
        while held.len() < wanted && failed < ENOUGH {
            match open() {
                Ok(opened) => held.push(opened),
                Err(_) => failed += 1,
            }
        }
        say(&Held { open: held.len(), failed })?;
    }
    Ok(())
}

/// One exchange, so that the connection stands end to end and the forwarder has met its bytes.
fn open(to: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&[b'?'; MESSAGE])?;
    stream.read_exact(&mut [0; MESSAGE])?;
    Ok(stream)
}
