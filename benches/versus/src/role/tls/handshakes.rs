//! Short TLS connections: connect, handshake, one exchange, close; the client closes first.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use loopgate_load::{Count, Fallible, MESSAGE, Span, Tally};
use rustls::ClientConfig;

/// A thread for each of the `at_once`: beside a handshake the change from one thread to another costs nothing, and the
/// client uses every core as the forwarders do.
pub(in crate::role) fn load(to: SocketAddr, at_once: usize, at_most: u64, span: Span) -> Fallible<Tally> {
    let config = super::config()?;
    let count = Mutex::new(Count::start(span));
    let begun = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| visits(to, &config, &count, &begun, at_most));
        }
    });
    Ok(count.into_inner().unwrap_or_else(PoisonError::into_inner).tally_until_latest())
}

/// One visit after the other until the time is over or there were enough of them.
fn visits(to: SocketAddr, config: &Arc<ClientConfig>, count: &Mutex<Count>, begun: &AtomicU64, at_most: u64) {
    while begun.fetch_add(1, Ordering::Relaxed) < at_most {
        let began = Instant::now();
        let done = visit(to, config);
        let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match done {
            Ok(()) => count.answered(1, began, now),
            Err(error) => count.failed(error, 1),
        }
        if count.over(now) {
            return;
        }
    }
}

fn visit(to: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<()> {
    let mut client = super::connect(to, config)?;
    client.write_all(&[b'?'; MESSAGE])?;
    client.flush()?;
    client.read_exact(&mut [0; MESSAGE])?;
    client.conn.send_close_notify();
    client.flush()
}
