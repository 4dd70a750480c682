//! How the opener of a session is told that this end does not carry it.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::engine::runtime::context::Context;
use crate::outcome::{Cause, End};
use crate::relay::reason_of;
use crate::transport::tunnel::carrier::{Broken, Carrier, FrameLink};
use crate::transport::tunnel::engaged::Engaged;
use crate::transport::tunnel::frame::{Frame, MAX_BODY};
use crate::transport::tunnel::message::Failed;
use crate::units::shown;

/// The longest description of a failure that is sent, in characters.
const MAX_WORDS: usize = 200;

/// How long an opener whose session did not even begin may take to read why.
const PATIENCE: Duration = Duration::from_secs(1);

/// The first and the longest pause between two looks whether the opener's kernel has everything.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Sends FAILED, if the target was not reached, and RESET; then waits until the opener's kernel has them, for at most
/// `linger`. What the visitor has sent meanwhile is read and thrown away: the close of a connection with unread bytes is a
/// reset, which destroys what is on its way (RFC 2525, 2.17).
pub(crate) async fn turn_away(mut link: FrameLink, end: End, words: Option<&str>, linger: Duration) {
    let told = async {
        if let End::NoTarget(cause) = end {
            link.queue(&failed(cause, words))?;
        }
        link.queue(&Frame::Reset(reason_of(end)))?;
        link.flush().await?;
        let stream = link.records.stream().clone();
        stream.shut_write();
        let arrived = async {
            let mut pause = FIRST_PAUSE;
            while stream.unacknowledged(true) > 0 {
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        tokio::select! {
            biased;
            () = arrived => Ok(()),
            broken = async {
                loop {
                    if let Err(broken) = link.receive(MAX_BODY).await {
                        return broken;
                    }
                }
            } => Err(broken),
        }
    };
    // An opener that is gone need not be told.
    let _: Result<Result<(), Broken>, _> = timeout(linger, told).await;
}

/// The same for a carrier that is in no poller yet, on the worker `n`; does not wait for it.
pub(crate) fn turn_away_at(n: usize, cx: &Context, carrier: Carrier, end: End) {
    cx.workers.spawn(n, async move {
        // If the poller cannot add it, the close has to do.
        if let Ok(Engaged { link, back }) = carrier.engage() {
            turn_away(link, end, None, PATIENCE).await;
            drop(back);
        }
    });
}

fn failed(cause: Cause, words: Option<&str>) -> Frame {
    let words = words.map(|words| shown(words, MAX_WORDS)).unwrap_or_default();
    // It fails only for maps with keys that are no text.
    Frame::Failed(serde_json::to_vec(&Failed { cause: cause.code().to_owned(), words }).unwrap_or_default())
}
