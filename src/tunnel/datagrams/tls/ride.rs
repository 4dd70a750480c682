//! One connection that carries flows, from its first FLOW to its end.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::sleep_until;

use super::super::means::Arrivals;
use super::super::table::is_of;
use super::outbox::Outbox;
use crate::sys;
use crate::transport::tunnel::carrier::{Broken, FrameLink, Received};
use crate::transport::tunnel::datagram::{MAX_DATAGRAM, MAX_NUMBER, read_number};
use crate::transport::tunnel::exchange::{Exchange, Role, Step};
use crate::transport::tunnel::flows::FlowNumber;
use crate::transport::tunnel::frame::{CloseCode, Frame};
use crate::transport::tunnel::message::{End, FlowEnd};
use crate::transport::tunnel::open::Open;
use crate::tunnel::closing::tell_close;
use crate::tunnel::control::rates::Rates;

/// The bytes not sent yet from which the kernel takes no more of these connections: what it holds cannot be dropped any more
/// where something newer waits behind it.
const UNSENT: i32 = 16 << 10;

/// The most bytes that are sealed at one time, and one datagram.
const BATCH: usize = 16 << 10;

/// Silence after which the other end is asked whether it is there, and the time for its answer.
const ASK_AFTER: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(10);

/// How often the flows are told at most of what was dropped of them.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// What happens on a connection.
enum Event {
    /// The other end has sent this, or the connection is broken.
    Heard(Result<Received, Broken>),
    /// Datagrams were dropped, of which nothing is told yet.
    Dropped,
}

/// A connection, and what belongs to it.
pub(super) struct Ride<'r> {
    pub(super) outbox: &'r Arc<Outbox>,
    pub(super) arrivals: &'r dyn Arrivals,
    /// Whose flows these are: of the end that has opened this carrier.
    pub(super) flows_of: End,
    /// Told of each flow that takes its way through here.
    pub(super) on_flow: &'r (dyn Fn(FlowNumber) + Sync),
    exchange: Exchange,
    rates: Rates,
    heard: Instant,
    is_asked: bool,
}

impl<'r> Ride<'r> {
    /// On a carrier on which no frame has passed since it was taken.
    pub(super) fn new(
        role: Role,
        outbox: &'r Arc<Outbox>,
        arrivals: &'r dyn Arrivals,
        flows_of: End,
        on_flow: &'r (dyn Fn(FlowNumber) + Sync),
    ) -> Ride<'r> {
        let exchange = Exchange::idle(role);
        let (rates, heard) = (Rates::default(), Instant::now());
        Ride { outbox, arrivals, flows_of, on_flow, exchange, rates, heard, is_asked: false }
    }

    /// This end has taken the carrier for its flows.
    pub(super) async fn take(mut self, link: FrameLink) {
        // FLOW is the first that is sent: nothing goes to a carrier before it.
        let begun = self.exchange.sent(&Frame::Flow(0, Vec::new())).is_ok();
        debug_assert!(begun, "FLOW begins an idle carrier");
        self.run(link, true).await;
    }

    /// The other end has begun with this FLOW.
    pub(super) async fn follow(mut self, link: FrameLink, first: Frame) {
        let begun = self.hear(Received::Frame(first));
        self.end(link, begun, false).await;
    }

    async fn end(mut self, mut link: FrameLink, begun: Result<(), Broken>, asks: bool) {
        match begun {
            Ok(()) => self.run(link, asks).await,
            Err(broken) => say(&mut link, &broken, &mut self).await,
        }
    }

    async fn run(mut self, mut link: FrameLink, asks: bool) {
        // Without it the connection only keeps more than it should.
        let _ = sys::set_unsent_mark(&link, UNSENT);
        let outbox = self.outbox;
        // When what was dropped is told.
        let mut tells: Option<Instant> = None;
        let broken = loop {
            let next = self.heard + if self.is_asked { ASK_AFTER + ANSWER } else { ASK_AFTER };
            let event = poll_fn(|cx| event(&mut link, outbox, tells.is_some(), cx));
            let heard = tokio::select! {
                event = event => match event {
                    Event::Heard(received) => received.and_then(|received| self.hear(received)),
                    Event::Dropped => {
                        tells = Some(Instant::now() + TELL_EVERY);
                        Ok(())
                    }
                },
                () = outbox.closing.cancelled() => break Broken::Closed,
                () = sleep_until(next.into()), if asks => self.ask(),
                () = until(tells), if tells.is_some() => {
                    tells = None;
                    tell_dropped(outbox, self.arrivals);
                    Ok(())
                }
            };
            if let Err(broken) = heard {
                break broken;
            }
        };
        say(&mut link, &broken, &mut self).await;
    }

    fn ask(&mut self) -> Result<(), Broken> {
        if self.is_asked {
            return Err(Broken::Closed);
        }
        self.is_asked = true;
        let ping = Frame::Ping(0);
        if self.exchange.sent(&ping).is_ok() {
            self.outbox.tell(ping);
        }
        Ok(())
    }

    fn hear(&mut self, received: Received) -> Result<(), Broken> {
        let now = Instant::now();
        (self.heard, self.is_asked) = (now, false);
        let frame = match received {
            Received::Message(body) => {
                self.exchange.received_body().map_err(|wrong| protocol(&wrong.to_string()))?;
                return self.datagram(body);
            }
            Received::Frame(frame) => frame,
        };
        let step = self.exchange.received(&frame).map_err(|wrong| protocol(&wrong.to_string()))?;
        match (step, frame) {
            (Step::Flow, Frame::Flow(number, content)) => self.begins(number, &content),
            (Step::FlowEnd, Frame::FlowEnd(number, content)) => self.ends(number, &content),
            (Step::Answer(_), _) if !self.rates.ping(now) => Err(protocol("too many PING")),
            (Step::Answer(number), _) => {
                self.outbox.tell(Frame::Pong(number));
                Ok(())
            }
            (Step::Alive | Step::Ignore, _) => Ok(()),
            (Step::Close(_), _) => Err(Broken::Closed),
            _ => Err(protocol("a frame that has no place among flows")),
        }
    }

    fn datagram(&mut self, body: Vec<u8>) -> Result<(), Broken> {
        let read = read_number(&body).filter(|(_, length)| body.len() - length <= MAX_DATAGRAM);
        let (flow, length) = read.ok_or_else(|| protocol("a body that is no datagram"))?;
        self.check(flow)?;
        let mut datagram = Bytes::from(body);
        self.arrivals.arrived(flow, datagram.split_off(length));
        Ok(())
    }

    fn begins(&mut self, number: u64, content: &[u8]) -> Result<(), Broken> {
        let flow = FlowNumber(number);
        self.check(flow)?;
        let open = Open::decode(content).map_err(|wrong| protocol(&wrong.to_string()))?;
        (self.on_flow)(flow);
        self.arrivals.began(flow, open);
        Ok(())
    }

    fn ends(&mut self, number: u64, content: &[u8]) -> Result<(), Broken> {
        let flow = FlowNumber(number);
        self.check(flow)?;
        let end = FlowEnd::decode(content).map_err(|wrong| protocol(&wrong.to_string()))?;
        self.arrivals.ended(flow, end.ended());
        Ok(())
    }

    /// A carrier has the flows of the end that has opened it, and no others.
    fn check(&self, flow: FlowNumber) -> Result<(), Broken> {
        if is_of(flow, self.flows_of) { Ok(()) } else { Err(protocol("a flow of the other end's number")) }
    }
}

/// Waits for what the other end sends, and meanwhile sends what waits. `is_known`: that datagrams were dropped.
fn event(link: &mut FrameLink, outbox: &Outbox, is_known: bool, cx: &mut Context<'_>) -> Poll<Event> {
    let more = &mut |cx: &mut Context<'_>, plain: &mut Vec<u8>| outbox.fill(cx, BATCH, plain);
    if let Poll::Ready(received) = link.poll_exchange(cx, MAX_NUMBER + MAX_DATAGRAM, more) {
        return Poll::Ready(Event::Heard(received));
    }
    if outbox.has_dropped(cx) && !is_known { Poll::Ready(Event::Dropped) } else { Poll::Pending }
}

async fn until(at: Option<Instant>) {
    if let Some(at) = at {
        sleep_until(at.into()).await;
    }
}

/// Tells the flows what was dropped of them.
pub(super) fn tell_dropped(outbox: &Outbox, arrivals: &dyn Arrivals) {
    outbox.take_dropped().into_iter().for_each(|(flow, count)| arrivals.dropped(flow, count));
}

fn protocol(why: &str) -> Broken {
    Broken::Protocol(why.to_owned())
}

/// Says why this end closes the connection, if it does.
async fn say(link: &mut FrameLink, broken: &Broken, ride: &mut Ride<'_>) {
    let code = match broken {
        Broken::Protocol(why) => {
            tracing::debug!("a connection of flows is closed: {why}");
            CloseCode::Protocol
        }
        Broken::Closed => CloseCode::Surplus,
        Broken::Io(_) | Broken::Tls(_) => return,
    };
    if ride.exchange.sent(&Frame::Close(code)).is_ok() {
        tell_close(link, code).await;
    }
}
