//! Both directions of a session with a seal, polled together by its one task.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::direction::{Direction, Fault, Trouble};
use super::end::End;
use crate::ledger::Meter;
use crate::outcome::{self, Side};
use crate::relay::Seals;
use crate::relay::reset::acknowledged;
use crate::relay::{Half, Pace, Relayed, Socket};
use crate::transport::Stream;

/// Two connections and what moves between them.
pub(super) struct Pump<'a> {
    client: End<'a>,
    target: End<'a>,
    meter: &'a Meter,
    up: Direction<'a>,
    down: Direction<'a>,
    up_done: bool,
    down_done: bool,
    watch: Option<[Socket<'a>; 2]>,
}

impl<'a> Pump<'a> {
    pub(super) fn new(
        client: &'a Stream,
        target: &'a Stream,
        seals: Seals,
        meter: &'a Meter,
        pace: &'a Pace<'a>,
    ) -> Self {
        let [up, down] = pace.throttles();
        Pump {
            client: End::new(client, seals.client),
            target: End::new(target, seals.target),
            meter,
            up: Direction::new(up),
            down: Direction::new(down),
            up_done: false,
            down_done: false,
            watch: None,
        }
    }

    /// Runs until both sides have come to their end, or one connection breaks.
    pub(super) async fn run(&mut self) -> Result<(), (Side, Trouble)> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// What it came to.
    pub(super) fn relayed(&self, end: outcome::End) -> Relayed {
        Relayed::at(self.meter, end)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), (Side, Trouble)>> {
        // A break of one direction ends the turn: to a read after it a reset looks like a FIN.
        let broken = self.poll_up(cx).or_else(|| self.poll_down(cx));
        self.note_order(broken.as_ref());
        if let Some(broken) = broken {
            return Poll::Ready(Err(broken));
        }
        if self.up_done && self.down_done {
            return Poll::Ready(Ok(()));
        }
        self.poll_watch(cx).map(Err)
    }

    fn poll_up(&mut self, cx: &mut Context<'_>) -> Option<(Side, Trouble)> {
        if self.up_done {
            return None;
        }
        let mut answer = self.up.poll(cx, &mut self.client, &mut self.target, &self.meter.up);
        // Many clients close so once they have been told that nothing more comes: then nothing they wanted was cut.
        if let Poll::Ready(Err(Fault { of_source: true, trouble: Trouble::Cut })) = &answer
            && self.down_done
        {
            self.up.end();
            answer = self.up.poll(cx, &mut self.client, &mut self.target, &self.meter.up);
        }
        match answer {
            Poll::Pending => None,
            Poll::Ready(Err(fault)) => Some(broken(fault, Side::Client)),
            Poll::Ready(Ok(())) => {
                self.up_done = true;
                pass_fin(self.target.socket, self.down_done);
                None
            }
        }
    }

    fn poll_down(&mut self, cx: &mut Context<'_>) -> Option<(Side, Trouble)> {
        if self.down_done {
            return None;
        }
        let answer = self.down.poll(cx, &mut self.target, &mut self.client, &self.meter.down);
        if self.meter.down.flow().read > 0 {
            self.meter.first_byte.get_or_init(Instant::now);
        }
        match answer {
            Poll::Pending => None,
            Poll::Ready(Err(fault)) => Some(broken(fault, Side::Target)),
            Poll::Ready(Ok(())) => {
                self.down_done = true;
                pass_fin(self.client.socket, self.up_done);
                None
            }
        }
    }

    fn note_order(&mut self, broken: Option<&(Side, Trouble)>) {
        let first = match (self.up.has_ended(), self.down.has_ended(), broken) {
            (true, ..) => Side::Client,
            (_, true, _) => Side::Target,
            // A FIN all the same.
            (.., Some((side, Trouble::Cut))) => *side,
            _ => return,
        };
        self.meter.closed_by.get_or_init(|| first);
    }

    /// After an end, or while a sink takes nothing, a reset of the source comes as EPOLLERR alone: nobody reads there.
    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Poll<(Side, Trouble)> {
        let is_deaf = self.up.has_ended()
            || self.down.has_ended()
            || self.client.is_behind()
            || self.target.is_behind()
            || self.up.holds_up()
            || self.down.holds_up();
        if self.watch.is_none() && !is_deaf {
            return Poll::Pending;
        }
        let (client, target) = (self.client.socket, self.target.socket);
        let [client, target] = self.watch.get_or_insert_with(|| [Socket::new(client), Socket::new(target)]);
        if let Poll::Ready(error) = client.poll_broken(cx) {
            return Poll::Ready((Side::Client, Trouble::Socket(error)));
        }
        target.poll_broken(cx).map(|error| (Side::Target, Trouble::Socket(error)))
    }

    /// Delivers to the other side what `by` sent before it broke, and waits until that is acknowledged, no longer than
    /// `linger`. A reset of both is to follow.
    pub(super) async fn pass_on(&mut self, by: Side, linger: Duration) {
        let sink = match by {
            Side::Client => self.target.socket,
            Side::Target => self.client.socket,
        };
        let delivered = async {
            self.deliver_rest(by).await;
            acknowledged(&mut Socket::new(sink)).await;
        };
        // A time-out is not told apart: the reset looks at what is left.
        let _ = timeout(linger, delivered).await;
    }

    /// Reads `by`'s socket to its end and hands everything on, but not the end: it would make a cut answer look whole.
    async fn deliver_rest(&mut self, by: Side) {
        let (source, sink, direction, flow) = match by {
            Side::Client => (&mut self.client, &mut self.target, &mut self.up, &self.meter.up),
            Side::Target => (&mut self.target, &mut self.client, &mut self.down, &self.meter.down),
        };
        direction.mute();
        poll_fn(|cx| {
            if let Poll::Ready(Err(fault)) = direction.poll(cx, source, sink, flow) {
                if !fault.of_source {
                    return Poll::Ready(());
                }
                // The source's error is the break itself; with it, only what is kept is left to hand on.
                direction.cut();
                return direction.poll(cx, source, sink, flow).map(drop);
            }
            if direction.has_ended() && !sink.is_behind() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

fn broken(fault: Fault, source: Side) -> (Side, Trouble) {
    let side = if fault.of_source { source } else { source.other() };
    (side, fault.trouble)
}

/// Says FIN to a sink. The last FIN is left to close(2), which follows at once and saves the call.
fn pass_fin(sink: &Stream, is_last: bool) {
    if !is_last {
        sink.shut_write();
    }
}
