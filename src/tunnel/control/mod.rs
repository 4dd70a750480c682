//! A control: the one connection of a tunnel that carries messages. Both ends run it alike.
//!
//! Each end asks the other whether it lives, and gives it up after three questions without an answer. Sets of routes and states
//! are passed on once a second at most, whole, and only the newest.

mod newest;
mod pulse;
pub(crate) mod rates;

use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout};

use crate::transport::tunnel::carrier::{Broken, FrameLink, Received};
use crate::transport::tunnel::frame::Frame;
use crate::transport::tunnel::message::{self, Bye, ByeCode, MAX_LONG, Message};
use newest::Newest;
use pulse::{Beat, Pulse};
use rates::{Rates, Sent};

/// The messages that may wait to be sent.
const MAX_OUTBOX: usize = 64;

/// The probes that may wait for the one before.
const MAX_PROBES: usize = 8;

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// How a control ended.
#[derive(Debug)]
pub(crate) enum ControlEnd {
    /// The other end has said goodbye.
    Bye(Bye),
    /// The other end no longer answers.
    Dead,
    /// The connection broke, or the other end closed it without a goodbye.
    Broken(Broken),
    /// The other end broke the rules, as this says; it was told so.
    Protocol(String),
    /// This end said goodbye, or dropped its [`Control`].
    Ordered,
}

/// This end of a control that runs.
#[derive(Clone)]
pub(crate) struct Control {
    outbox: mpsc::Sender<Message>,
    probes: mpsc::Sender<oneshot::Sender<()>>,
}

/// What [`run`] takes from the [`Control`]s.
pub(crate) struct Inbox {
    outbox: mpsc::Receiver<Message>,
    probes: mpsc::Receiver<oneshot::Sender<()>>,
}

#[cfg(test)]
impl Inbox {
    /// The next message that is to be sent, in place of a control that sends it.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        self.outbox.recv().await
    }
}

/// Both ends of what connects a running control with the rest of this program.
pub(crate) fn channel() -> (Control, Inbox) {
    let (outbox, messages) = mpsc::channel(MAX_OUTBOX);
    let (probes, asked) = mpsc::channel(MAX_PROBES);
    (Control { outbox, probes }, Inbox { outbox: messages, probes: asked })
}

impl Control {
    /// Sends a message; BYE is the last. False if the control has ended.
    ///
    /// Cancel safe: a message whose future was dropped was not sent.
    pub(crate) async fn send(&self, message: Message) -> bool {
        self.outbox.send(message).await.is_ok()
    }

    /// Whether the other end answers within two seconds. If it does not, the control ends as [`ControlEnd::Dead`].
    pub(crate) async fn probe(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        self.probes.send(reply).await.is_ok() && answer.await.is_ok()
    }
}

/// Runs a control until it ends. `on_message` gets CARRY, whole sets of routes and of answers, and states, each kind once a
/// second at most; it must not block.
///
/// Not cancel safe: a dropped control is closed without a goodbye.
pub(crate) async fn run(
    link: FrameLink,
    ping: Duration,
    inbox: Inbox,
    on_message: &mut (dyn FnMut(Message) + Send),
) -> ControlEnd {
    let now = Instant::now();
    let mut life = Life {
        link,
        pulse: Pulse::new(ping, now),
        rates: Rates::default(),
        sent: Sent::default(),
        newest: Newest::default(),
        probe: None,
    };
    match life.live(inbox, on_message).await {
        Err(ControlEnd::Protocol(why)) => {
            let words = why.chars().take(200).collect();
            life.say_goodbye(Bye { code: ByeCode::Protocol, words, retry_ms: None }).await;
            ControlEnd::Protocol(why)
        }
        Err(end) => end,
        Ok(bye) => {
            if let Some(bye) = bye {
                life.say_goodbye(bye).await;
            }
            ControlEnd::Ordered
        }
    }
}

struct Life {
    link: FrameLink,
    pulse: Pulse,
    rates: Rates,
    sent: Sent,
    newest: Newest,
    /// Who waits for the answer to the present probe.
    probe: Option<oneshot::Sender<()>>,
}

impl Life {
    /// Resolves with this end's goodbye, if it says one.
    async fn live(
        &mut self,
        mut inbox: Inbox,
        on_message: &mut (dyn FnMut(Message) + Send),
    ) -> Result<Option<Bye>, ControlEnd> {
        loop {
            let now = Instant::now();
            self.newest.take(now).into_iter().for_each(&mut *on_message);
            let wake = self.beat(now)?;
            let (may_send, may_probe) = (self.sent.has_room(), !self.pulse.is_probed());
            tokio::select! {
                received = self.link.receive(MAX_LONG) => {
                    self.take(received.map_err(of_broken)?, Instant::now())?;
                }
                message = inbox.outbox.recv(), if may_send => match message {
                    Some(Message::Bye(bye)) => return Ok(Some(bye)),
                    Some(message) => self.send(&message)?,
                    None => return Ok(None),
                },
                Some(reply) = inbox.probes.recv(), if may_probe => {
                    self.probe = Some(reply);
                    let now = Instant::now();
                    let number = self.pulse.probe(now);
                    self.put(number, now)?;
                }
                () = sleep_until(wake.into()) => {}
            }
        }
    }

    /// Does what is due; returns when something will be.
    fn beat(&mut self, now: Instant) -> Result<Instant, ControlEnd> {
        let due = match self.pulse.beat(now) {
            Beat::Dead => return Err(ControlEnd::Dead),
            Beat::Wait(due) => due,
            Beat::Ask(number) => {
                self.put(number, now)?;
                now
            }
        };
        let question = self.sent.question_due(now);
        if question.is_some_and(|at| at <= now) {
            let number = self.pulse.ask(now);
            self.put(number, now)?;
        }
        let all = [Some(due), question, self.newest.due(now)];
        Ok(all.into_iter().flatten().min().unwrap_or(due))
    }

    fn put(&mut self, question: u32, now: Instant) -> Result<(), ControlEnd> {
        self.sent.question(now);
        self.link.queue(&Frame::Ping(question)).map_err(of_broken)
    }

    fn send(&mut self, message: &Message) -> Result<(), ControlEnd> {
        self.sent.message();
        self.link.queue_message(&message::encode(message)).map_err(of_broken)
    }

    fn take(&mut self, received: Received, now: Instant) -> Result<(), ControlEnd> {
        match received {
            Received::Frame(Frame::Pong(_)) if !self.sent.answer() => {
                Err(protocol("an answer to no question"))
            }
            Received::Frame(Frame::Ping(_)) if !self.rates.ping(now) => Err(protocol("too many PING")),
            Received::Frame(Frame::Ping(number)) => {
                self.pulse.lives();
                self.link.queue(&Frame::Pong(number)).map_err(of_broken)
            }
            Received::Frame(Frame::Pong(number)) => {
                if self.pulse.answered(number) {
                    self.sent.answered();
                    // Whoever asked may be gone.
                    let _ = self.probe.take().map(|reply| reply.send(()));
                }
                Ok(())
            }
            Received::Frame(_) => Err(protocol("a frame that has no place on a control")),
            Received::Message(_) if !self.rates.message(now) => Err(protocol("too many messages")),
            Received::Message(json) => self.read(&json),
        }
    }

    fn read(&mut self, json: &[u8]) -> Result<(), ControlEnd> {
        self.pulse.lives();
        let message = message::decode(json).map_err(|why| protocol(&why.to_string()))?;
        match self.newest.keep(message) {
            Ok(Some(Message::Bye(bye))) => Err(ControlEnd::Bye(bye)),
            Ok(Some(Message::Hello(_) | Message::Welcome(_))) => Err(protocol("a second beginning")),
            Ok(_) => Ok(()),
            Err(why) => Err(protocol(&why.to_string())),
        }
    }

    /// Says goodbye, and waits until the other end has read it and closed: a close with something unread would be a reset,
    /// which may overtake the goodbye.
    async fn say_goodbye(&mut self, bye: Bye) {
        let told = async {
            self.link.queue_message(&message::encode(&Message::Bye(bye)))?;
            self.link.flush().await?;
            loop {
                self.link.receive(MAX_LONG).await?;
            }
        };
        // The connection ends either way.
        let _: Result<Result<(), Broken>, _> = timeout(GOODBYE, told).await;
    }
}

fn protocol(why: &str) -> ControlEnd {
    ControlEnd::Protocol(why.to_owned())
}

fn of_broken(broken: Broken) -> ControlEnd {
    match broken {
        Broken::Protocol(why) => ControlEnd::Protocol(why),
        other => ControlEnd::Broken(other),
    }
}

#[cfg(test)]
mod tests;
