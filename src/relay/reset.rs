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

/// The first and the longest pause between two looks at a send queue. The kernel has no event for "acknowledged".
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// Makes the close of both halves a reset, and takes back from the counts what that destroys.
pub fn reset(client: &mut impl Half, target: &mut impl Half, meter: &Meter, why: End) {
    meter.up.destroyed(target.reset(why));
    meter.down.destroyed(client.reset(why));
}

/// The same with two sockets.
pub fn abort(client: &Stream, target: &Stream, meter: &Meter, why: End) {
    reset(&mut Socket::new(client), &mut Socket::new(target), meter, why);
}

/// Waits until nothing is in flight to the other end, or it is gone. Cancel safe.
pub(super) async fn acknowledged(sink: &mut impl Half) {
    let mut pause = FIRST_LOOK;
    while sink.in_flight() > 0 {
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_LOOK);
    }
}

/// Tells a client something before its connection is reset, and waits until it has that or `linger` is over: a reset
/// overtakes what it has not.
///
/// The bytes are few, and the first that it gets: a socket that takes less than all of them has no room for a word.
pub async fn last_words(client: &Stream, words: &[u8], linger: Duration) {
    let said = async {
        client.ready(Interest::WRITABLE).await?;
        client.try_io(Interest::WRITABLE, || Ok(send(client, words, SendFlags::NOSIGNAL)?))?;
        acknowledged(&mut Socket::new(client)).await;
        io::Result::Ok(())
    };
    // Who is gone is told nothing, and the reset follows all the same.
    let _ = timeout_at(Instant::now() + linger, said).await;
}
