//! Passing a reset on, without destroying what was read before it.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use rustix::net::{SendFlags, getpeername, send};
use tokio::io::Interest;
use tokio::time::{Instant, sleep, timeout_at};

use super::pump::Pump;
use super::throttle::{Allowance, Unlimited};
use crate::ledger::{FlowMeter, Meter};
use crate::outcome::Side;
use crate::transport::Stream;

/// The first and the longest pause between two looks at a send queue. The kernel has no event for "acknowledged".
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// Delivers to the other side what `by` sent before its reset, waits until that is acknowledged, then resets both.
/// After `linger` it resets all the same, and what that destroys is booked as lost.
pub(super) async fn pass_on<A: Allowance>(pump: &mut Pump<'_, A>, by: Side, linger: Duration) {
    let deadline = Instant::now() + linger;
    let delivered = async {
        deliver_rest(pump, by).await;
        acknowledged(match by {
            Side::Client => pump.target,
            Side::Target => pump.client,
        })
        .await;
    };
    // A time-out is not told apart: abort looks at what is left.
    let _ = timeout_at(deadline, delivered).await;
    pump.up_allowance.book(&pump.meter.up);
    pump.down_allowance.book(&pump.meter.down);
    abort(pump.client, pump.target, pump.meter);
}

/// Makes the close of both sockets a reset, and takes back from the counts what that destroys.
pub fn abort(client: &Stream, target: &Stream, meter: &Meter) {
    abort_one(target, &meter.up);
    abort_one(client, &meter.down);
}

fn abort_one(sink: &Stream, flow: &FlowMeter) {
    // It fails only on a socket that is dead already, and then there is nothing to reset.
    if let Ok(bytes) = sink.unsent() {
        flow.destroyed(bytes);
    }
    sink.reset_on_close();
}

/// Reads `by`'s socket to its end and hands everything on. The end is not passed on: a FIN before the RST would make a
/// cut answer look whole.
async fn deliver_rest<A: Allowance>(pump: &mut Pump<'_, A>, by: Side) {
    let (source, sink, direction, flow) = match by {
        Side::Client => (pump.client, pump.target, &mut pump.up, &pump.meter.up),
        Side::Target => (pump.target, pump.client, &mut pump.down, &pump.meter.down),
    };
    poll_fn(|cx| match direction.poll(cx, source, sink, flow, &mut Unlimited) {
        // The source's error is the reset itself; with it, only what is kept is left to hand on.
        Poll::Ready(Err(fault)) if fault.is_of_source() && direction.kept() > 0 => {
            direction.end();
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => Poll::Pending,
    })
    .await;
}

/// Tells a client something before its connection is reset, and waits until it has that or `linger` is over: a reset
/// overtakes what it has not.
///
/// The bytes are few, and the first that it gets: a socket that takes less than all of them has no room for a word.
pub async fn last_words(client: &Stream, words: &[u8], linger: Duration) {
    let said = async {
        client.ready(Interest::WRITABLE).await?;
        client.try_io(Interest::WRITABLE, || Ok(send(client, words, SendFlags::NOSIGNAL)?))?;
        acknowledged(client).await;
        io::Result::Ok(())
    };
    // Who is gone is told nothing, and the reset follows all the same.
    let _ = timeout_at(Instant::now() + linger, said).await;
}

/// Cancel safe.
pub(super) async fn acknowledged(sink: &Stream) {
    let mut pause = FIRST_LOOK;
    // A connection that is gone acknowledges nothing more, and has no other end (ENOTCONN).
    while sink.unsent().is_ok_and(|bytes| bytes > 0) && getpeername(sink).is_ok() {
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_LOOK);
    }
}
