//! Resets, and the wait for what a reset would destroy.

use std::io;
use std::time::Duration;

use rustix::net::{SendFlags, send};
use tokio::io::Interest;
use tokio::time::{Instant, sleep, timeout_at};

use super::half::{Half, Sent};
use super::socket::Socket;
use crate::ledger::{FlowMeter, Meter};
use crate::outcome::{End, Side};
use crate::transport::Stream;

/// The first and the longest pause between two reads of a send queue. The kernel has no event for "acknowledged".
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(1);
pub(super) const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// Makes the close of both halves a reset, and subtracts from the counts what does not arrive.
pub fn reset(client: &mut impl Half, target: &mut impl Half, meter: &Meter, why: End) {
    reset_after(client, target, meter, why, None);
}

/// The same after one side has refused what was written to it last.
pub(super) fn reset_after(
    client: &mut impl Half,
    target: &mut impl Half,
    meter: &Meter,
    why: End,
    refused_by: Option<Side>,
) {
    reset_half(client, &meter.down, why, refused_by == Some(Side::Client));
    reset_half(target, &meter.up, why, refused_by == Some(Side::Target));
}

fn reset_half(half: &mut impl Half, flow: &FlowMeter, why: End, is_refused: bool) {
    flow.destroyed(half.undelivered(Sent { has_end: flow.has_sent_end(), is_refused }));
    half.reset(why);
}

/// The same for two sockets.
pub fn abort(client: &Stream, target: &Stream, meter: &Meter, why: End) {
    reset(&mut Socket::new(client), &mut Socket::new(target), meter, why);
}

/// Waits until nothing is in flight to the other end, or it is gone. Cancel safe.
pub(super) async fn acknowledged(sink: &mut impl Half, has_end: bool) {
    let mut pause = FIRST_PAUSE;
    while sink.in_flight(has_end) > 0 {
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
        acknowledged(&mut Socket::new(client), false).await;
        io::Result::Ok(())
    };
    // If the client is gone, nothing is sent, and the reset follows all the same.
    let _ = timeout_at(Instant::now() + linger, sent).await;
}
