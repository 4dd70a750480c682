//! What follows a session on its carrier: DONE, or what lets a RESET arrive.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{CarrierHalf, FRAMES, MAX_READS};
use crate::outcome::{End, Side};
use crate::relay::reset::{FIRST_PAUSE, LONGEST_LOOK};
use crate::transport::tunnel::frame::{Frame, Reason};

/// How long DONE is waited for at least, whatever the route's linger: the other end may prove for a second that its side has
/// everything, and the way there and back takes another at most.
const LEAST_PATIENCE: Duration = Duration::from_secs(2);

impl CarrierHalf {
    /// Call it once after every relay, however it ended.
    ///
    /// Behind both ENDs the opener waits for DONE, at most `linger` or two seconds; the other end sends DONE, which says that
    /// its own side has everything. A session that was cut waits until the RESET has arrived, at most `linger`: the close of a
    /// connection with unread bytes would destroy it.
    ///
    /// Not cancel safe in one respect: given up, the carrier is of no more use.
    ///
    /// # Errors
    /// The end of a session that was `Done` until now: the reason of a late RESET, or [`End::TunnelLost`].
    pub async fn settle(&mut self, linger: Duration) -> Result<(), End> {
        if self.heard.end().is_none() && (self.exchange.is_ended() || self.has_ended_within()) {
            return match self.side {
                Side::Target => self.wait_for_done(linger.max(LEAST_PATIENCE)).await,
                Side::Client => self.say_done(linger).await,
            };
        }
        if !self.heard.done {
            self.cut(Reason::Reset);
            self.part(linger).await;
        }
        Ok(())
    }

    /// Whether everything was said in the session, by a protocol with ends of its own, so that END of the other end may be still to
    /// come.
    fn has_ended_within(&self) -> bool {
        self.ignores_rest && self.sent_end && !self.exchange.is_over()
    }

    async fn wait_for_done(&mut self, patience: Duration) -> Result<(), End> {
        if timeout(patience, poll_fn(|cx| self.poll_rest(cx))).await.is_err() {
            self.heard.gives_up();
        }
        self.conclude()
    }

    async fn say_done(&mut self, linger: Duration) -> Result<(), End> {
        if !self.heard.ended {
            // The visitor closes once it has our end.
            self.release();
            let ended = poll_fn(|cx| {
                let rest = self.poll_rest(cx);
                if self.heard.ended { Poll::Ready(()) } else { rest }
            });
            if timeout(linger.max(LEAST_PATIENCE), ended).await.is_err() {
                // Nothing of it is missing: as a socket, the connection is closed without its end.
                self.cut(Reason::Reset);
                self.part(linger).await;
                return Ok(());
            }
        }
        // A RESET that is here already belongs to this session.
        if self.look().is_none() && self.send_frame(&Frame::Done).is_ok() {
            match timeout(linger.max(LEAST_PATIENCE), self.link.flush()).await {
                Ok(Ok(())) => self.heard.done = true,
                Ok(Err(broken)) => {
                    self.heard.lose(&broken);
                    // Unheard, it is lost.
                    let _ = timeout(linger, poll_fn(|cx| self.poll_last_frames(cx))).await;
                }
                Err(_) => self.heard.gives_up(),
            }
        }
        self.conclude()
    }

    fn conclude(&mut self) -> Result<(), End> {
        match self.heard.end() {
            Some(end) if !self.heard.done => {
                self.cut(Reason::Reset);
                Err(end)
            }
            _ => {
                self.cut.0 = None;
                Ok(())
            }
        }
    }

    /// Waits until the other end's kernel has everything, RESET included; what it sends meanwhile is thrown away, as the close
    /// of a connection with unread bytes is a reset, which destroys what is on its way (RFC 2525, 2.17).
    async fn part(&mut self, linger: Duration) {
        if timeout(linger, self.link.flush()).await.is_ok_and(|flushed| flushed.is_ok()) {
            self.cut.0 = None;
        }
        // Of a lost connection nothing is acknowledged any more.
        if self.cut.0.is_some() || self.heard.is_cut() || self.heard.is_lost() {
            return;
        }
        let stream = self.link.records.stream().clone();
        stream.shut_write();
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        while stream.unacknowledged(true) > 0 && began.elapsed() < linger {
            for _ in 0..MAX_READS {
                if self.heard.closed || !self.link.records.counts_as_readable() {
                    break;
                }
                self.read_now(FRAMES, &mut |_| {});
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_LOOK);
        }
    }
}
