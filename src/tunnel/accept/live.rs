//! A control of the accepting end, from WELCOME to its end, with all that belongs to it.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::answers::{STEP, say, welcome};
use super::by_quic::ByQuic;
use super::session::{Inboxes, Session};
use crate::transport::tunnel::carrier::FrameLink;
use crate::transport::tunnel::message::{Bye, ByeCode, Message};
use crate::tunnel::control::{self, Control, ControlEnd, Inbox};
use crate::tunnel::link::Link;
use crate::tunnel::offers::fates::Fates;
use crate::tunnel::quic::Entered;
use crate::tunnel::{pool, talk};
use crate::units::Seconds;

/// How long the goodbye of this end may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// When the dialling end of a program that starts anew may come again.
const RESTART: Duration = Duration::from_millis(500);

/// How often the wish for carriers is looked at where nothing happens: it falls with time.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The shortest time between two wishes for carriers: of a burst of clients the first is told at once, and the rest together.
const CARRY_EVERY: Duration = Duration::from_millis(50);

/// What belongs to a control.
pub(super) struct Life {
    pub(super) link: Arc<Link>,
    pub(super) session: Arc<Session>,
    pub(super) control: Control,
    /// Cancelled once another control replaces it.
    pub(super) leave: CancellationToken,
    /// Where it comes from.
    pub(super) from: SocketAddr,
}

/// Why this end leaves.
#[derive(Clone, Copy)]
enum Leave {
    Stopping,
    Revoked,
    Replaced,
    /// A task of the control's has ended, which none does.
    Broken,
}

impl Life {
    /// Welcomes the other end, and lives until either leaves. Tells when the tunnel is up and when it is down.
    pub(super) async fn live(&self, mut frames: FrameLink, inbox: Inbox, inboxes: Inboxes, software: &str) {
        let (by_quic, entered) = ByQuic::of(&self.link, &self.session, &frames, self.from);
        let welcome = welcome(&self.link, self.session.token, self.from, by_quic.offer());
        if !matches!(timeout(STEP, say(&mut frames, &welcome)).await, Ok(Ok(()))) {
            return;
        }
        let name = &self.link.name;
        tracing::info!("tunnel" = %name, state = "up", from = %self.from, "tunnel={name} up from={} software={software:?}", self.from);
        let up = Up::new(self);
        let begun = Instant::now();
        let why = self.until_the_end(frames, inbox, inboxes, (&by_quic, entered)).await;
        drop(up);
        let (after, from) = (Seconds(begun.elapsed()), self.from);
        tracing::info!("tunnel" = %name, state = "down", from = %from, "tunnel={name} down from={from} after={after}: {why}");
    }

    async fn until_the_end(
        &self,
        frames: FrameLink,
        inbox: Inbox,
        inboxes: Inboxes,
        (by_quic, entered): (&ByQuic, mpsc::Receiver<Entered>),
    ) -> String {
        let Life { link, session, control, .. } = self;
        let mut fates = Fates::default();
        let mut on_message = |message: Message| match message {
            Message::AskDatagrams => by_quic.asked.notify_one(),
            message => talk::hear(link, None, &mut fates, message),
        };
        let ping = link.terms().tunnel.ping;
        let mut running = pin!(control::run(frames, ping, inbox, &mut on_message));
        let least = || talk::least(link);
        let leave = tokio::select! {
            end = &mut running => return described(&end),
            () = session.waiting.clone().run(inboxes.carriers) => Leave::Broken,
            () = session.hub.clone().run(inboxes.flows) => Leave::Broken,
            () = by_quic.run(control, entered) => Leave::Broken,
            () = session.keeping.clone().run(least) => Leave::Broken,
            () = talk::tell(link, control) => Leave::Broken,
            () = self.ask_for_carriers() => Leave::Broken,
            leave = self.leave() => leave,
        };
        let said = async { tokio::join!(control.send(Message::Bye(leave.bye())), running) };
        // It is closed either way.
        let _ = timeout(GOODBYE, said).await;
        leave.words().to_owned()
    }

    async fn leave(&self) -> Leave {
        tokio::select! {
            () = self.session.pass.revoked.cancelled() => Leave::Revoked,
            () = self.leave.cancelled() => Leave::Replaced,
            () = self.link.stopping.cancelled() => Leave::Stopping,
        }
    }

    /// Tells how many idle carriers this end wants for the sessions it opens.
    async fn ask_for_carriers(&self) {
        let mut told = pool::Told::default();
        // The first visitor of a route need not wait until a carrier is made for it.
        let mut fates = self.link.asked.fates();
        loop {
            fates.mark_unchanged();
            let ready = self.session.keeping.wanted(talk::least(&self.link));
            if let Some(ready) = told.news(ready) {
                self.control.send(Message::Carry { ready }).await;
                sleep(CARRY_EVERY).await;
            }
            sleep(pool::CALM).await;
            tokio::select! {
                () = self.session.keeping.changed() => {}
                Ok(()) = fates.changed() => {}
                () = sleep_until((Instant::now() + LOOK_EVERY).into()) => {}
            }
        }
    }
}

impl Leave {
    fn bye(self) -> Bye {
        let (code, retry) = match self {
            Leave::Stopping => (ByeCode::Stopping, Some(RESTART)),
            Leave::Revoked => (ByeCode::Revoked, None),
            Leave::Replaced => (ByeCode::Replaced, None),
            Leave::Broken => (ByeCode::Overload, Some(RESTART)),
        };
        Bye { code, words: String::new(), retry_ms: retry.map(|retry| retry.as_millis() as u32) }
    }

    fn words(self) -> &'static str {
        match self {
            Leave::Stopping => "this end stops",
            Leave::Revoked => "its key was withdrawn",
            Leave::Replaced => "another control has taken over",
            Leave::Broken => "a task of it has failed",
        }
    }
}

fn described(end: &ControlEnd) -> String {
    match end {
        ControlEnd::Bye(bye) if bye.code == ByeCode::Stopping => "the other end stops".to_owned(),
        ControlEnd::Bye(bye) => format!("the other end has left: {}", bye.shown()),
        ControlEnd::Dead => "the other end no longer answers".to_owned(),
        ControlEnd::Broken(broken) => broken.to_string(),
        ControlEnd::Protocol(why) => format!("the other end broke the rules: {why}"),
        ControlEnd::Ordered => "this end has left".to_owned(),
    }
}

/// The tunnel is up for as long as this lives, or until another control is.
struct Up<'l>(&'l Life);

impl<'l> Up<'l> {
    fn new(life: &'l Life) -> Up<'l> {
        life.link.line.set_flows(Some(life.session.hub.clone()));
        life.link.line.set_up();
        life.link.is_asked_by(life.session.pass.key);
        Up(life)
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        let Life { link, session, leave, .. } = self.0;
        session.keeping.end();
        session.hub.end_all();
        // The one that has replaced it is up.
        if !leave.is_cancelled() {
            link.line.set_flows(None);
            link.line.set_down();
            match session.pass.revoked.is_cancelled() {
                true => link.asked.want(Vec::new()),
                false => link.asked.lose(),
            }
        }
    }
}
