//! Resets, and the wait for what a reset would destroy.

use std::io;
use std::time::Duration;

use rustix::net::{SendFlags, send};
use tokio::io::Interest;
use tokio::time::{Instant, sleep, timeout_at};

use super::half::Half;
use super::socket::Socket;
use crate::ledger::Meter;
use crate::outcome::End;
use crate::transport::Stream;

/// The first and the longest pause between two reads of a send queue. The kernel has no event for "acknowledged".
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// Makes the close of both halves a reset, and subtracts from the counts what that destroys.
pub fn reset(client: &mut impl Half, target: &mut impl Half, meter: &Meter, why: End) {
    meter.up.destroyed(target.reset(why));
    meter.down.destroyed(client.reset(why));
}

/// The same for two sockets.
pub fn abort(client: &Stream, target: &Stream, meter: &Meter, why: End) {
    reset(&mut Socket::new(client), &mut Socket::new(target), meter, why);
}

/// Waits until nothing is in flight to the other end, or it is gone. Cancel safe.
pub(super) async fn acknowledged(sink: &mut impl Half) {
    let mut pause = FIRST_PAUSE;
    while sink.in_flight() > 0 {
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_LOOK);
    }
}

/// Sends a client its last bytes before its connection is reset, and waits until they are acknowledged or `linger` is
/// over: a reset discards unacknowledged bytes.
///
/// The bytes are few, and the first that the client gets: a socket that takes less than all of them has no room at all.
///
/// Cancel safe: what was sent stays sent.
pub async fn last_words(client: &Stream, words: &[u8], linger: Duration) {
    let sent = async {
        client.ready(Interest::WRITABLE).await?;
        client.try_io(Interest::WRITABLE, || Ok(send(client, words, SendFlags::NOSIGNAL)?))?;
        acknowledged(&mut Socket::new(client)).await;
        io::Result::Ok(())
    };
    // If the client is gone, nothing is sent, and the reset follows all the same.
    let _ = timeout_at(Instant::now() + linger, sent).await;
}
