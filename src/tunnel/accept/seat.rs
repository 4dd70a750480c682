//! The controls of one tunnel: one that stays, one that is judged, and those that say goodbye.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use humantime::format_rfc3339_seconds;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::answers::refuse;
use super::live::Life;
use super::session::{Book, Newcomer, Session};
use super::takeover::{self, AGAIN, Arrival, Judged, Present};
use crate::limits::{Allowance, Pace};
use crate::transport::tunnel::message::{ByeCode, Message, SameKey, Token};
use crate::tunnel::control::{self, Control};
use crate::tunnel::link::Link;
use crate::units::{Frequency, Unit, shown};

/// The newcomers that may wait, and the goodbyes that may be said at one time.
pub(crate) const MAX_NEWCOMERS: usize = 8;

/// How often controls of one tunnel may come. An honest end comes again after a pause that grows; one that does not would have
/// us log, and judge, and say goodbye without end.
const PACE: Allowance = Allowance { frequency: Frequency { count: 2, per: Unit::Second }, burst: 32 };

/// When whoever came too fast may come again.
const SLOWER: Duration = Duration::from_secs(1);

/// When whoever came while another was judged may come again.
const SOON: Duration = Duration::from_millis(2500);

/// The most characters of the name of a program.
const MAX_SOFTWARE: usize = 60;

/// Decides about the controls of a tunnel, until it is no longer in the plan or the program stops, and the last control has
/// ended.
pub(crate) async fn keep(link: Arc<Link>, book: Arc<Book>, mut newcomers: mpsc::Receiver<Newcomer>) {
    let mut seat = Seat::new(link, book);
    let over = seat.link.over.clone();
    loop {
        tokio::select! {
            Some(newcomer) = newcomers.recv() => seat.arrives(newcomer),
            Some(judged) = seat.judgements.join_next() => {
                // A judgement that panics leaves the control that is there.
                if let Ok((newcomer, judged)) = judged {
                    seat.judged(newcomer, judged);
                }
            }
            Some(_) = seat.controls.join_next() => seat.has_ended(),
            () = over.cancelled(), if seat.controls.is_empty() => return,
        }
    }
}

struct Seat {
    link: Arc<Link>,
    book: Arc<Book>,
    /// Controls that live or say goodbye, and newcomers that are told why not.
    controls: JoinSet<()>,
    /// At most one.
    judgements: JoinSet<(Newcomer, Judged)>,
    present: Option<Here>,
    pace: Pace,
}

/// The control that is there.
struct Here {
    known: Present,
    session: Arc<Session>,
    control: Control,
    leave: CancellationToken,
    /// Cancelled once its other end has said that it stops, or it has ended.
    left: CancellationToken,
    /// The newcomer that was told last, and told of, that this one lives.
    told: Option<IpAddr>,
}

impl Seat {
    fn new(link: Arc<Link>, book: Arc<Book>) -> Seat {
        let (controls, judgements) = (JoinSet::new(), JoinSet::new());
        Seat { link, book, controls, judgements, present: None, pace: Pace::default() }
    }

    fn arrives(&mut self, newcomer: Newcomer) {
        if self.link.over.is_cancelled() {
            return self.refuse(newcomer, ByeCode::Stopping, String::new(), None);
        }
        let now = Instant::now();
        if !self.pace.admits(now, PACE) {
            return self.refuse(
                newcomer,
                ByeCode::Overload,
                "controls come too fast".to_owned(),
                Some(SLOWER),
            );
        }
        self.pace.take(now, PACE);
        self.has_ended();
        let present = self
            .present
            .as_ref()
            .map(|here| Present { is_probed: !self.judgements.is_empty(), ..here.known });
        match takeover::arrival(present, &newcomer.instance) {
            Arrival::Enter => self.enter(newcomer),
            Arrival::Replace => self.replace(newcomer),
            Arrival::Wait => {
                let words = "another connection with this key is being judged".to_owned();
                self.refuse(newcomer, ByeCode::Overload, words, Some(SOON));
            }
            Arrival::Probe => self.probe(newcomer),
        }
    }

    fn probe(&mut self, newcomer: Newcomer) {
        let Some(here) = &self.present else { return self.enter(newcomer) };
        let control = here.control.clone();
        self.judgements.spawn(async move {
            let judged = takeover::judged(control.probe().await);
            (newcomer, judged)
        });
    }

    fn judged(&mut self, newcomer: Newcomer, judged: Judged) {
        let Some(here) = &mut self.present else { return self.enter(newcomer) };
        match judged {
            Judged::Dead => {
                tracing::warn!(
                    "tunnel={} is taken over by {}: {} no longer answers",
                    self.link.name,
                    newcomer.from,
                    here.session.from
                );
                // Its sessions end as their connections do; nobody is at their other end.
                self.replace(newcomer);
            }
            Judged::Lives => {
                let (from, since) = (here.session.from, format_rfc3339_seconds(here.session.since));
                // It comes again and again.
                if here.told.replace(newcomer.from.ip()) != Some(newcomer.from.ip()) {
                    tracing::warn!(
                        "tunnel={}: {} has the key of {}, which is connected since {since} and lives: two machines must \
                         not share a key [tunnel-in-use]",
                        self.link.name,
                        newcomer.from,
                        from
                    );
                    let control = here.control.clone();
                    let other = SameKey {
                        from: newcomer.from.to_string(),
                        since: format_rfc3339_seconds(SystemTime::now()).to_string(),
                    };
                    self.controls.spawn(async move {
                        // It may have ended meanwhile.
                        control.send(Message::SameKey(other)).await;
                    });
                }
                let words = format!(
                    "another machine is connected with this key, from {from} since {since}: each needs a key of its own"
                );
                self.refuse(newcomer, ByeCode::InUse, words, Some(AGAIN));
            }
        }
    }

    /// The newcomer is let in; the one before it is told that it was replaced.
    fn replace(&mut self, newcomer: Newcomer) {
        if let Some(here) = self.present.take() {
            here.leave.cancel();
            self.book.leave(&here.session);
            // Its idle carriers may be as dead as it is.
            self.link.line.set_down();
        }
        self.enter(newcomer);
    }

    fn enter(&mut self, newcomer: Newcomer) {
        let Newcomer { link, pass, from, instance, software } = newcomer;
        let (Some(token), Ok(frames)) = (Token::random(), link.open()) else { return };
        let (control, inbox) = control::channel();
        let (leave, left) = (CancellationToken::new(), CancellationToken::new());
        let (session, inboxes) = Session::new(&self.link, pass, token, from);
        self.book.enter(session.clone());
        let known = Present { instance, is_leaving: false, is_probed: false };
        self.present = Some(Here {
            known,
            session: session.clone(),
            control: control.clone(),
            leave: leave.clone(),
            left: left.clone(),
            told: None,
        });
        let life = Life { link: self.link.clone(), session, control, leave, from };
        let (book, software) = (self.book.clone(), shown(&software, MAX_SOFTWARE));
        self.controls.spawn(async move {
            let _left = left.drop_guard();
            life.live(frames, inbox, inboxes, &software).await;
            book.leave(&life.session);
        });
    }

    /// Forgets the present control if it has ended.
    fn has_ended(&mut self) {
        if self.present.as_ref().is_some_and(|here| here.left.is_cancelled()) {
            self.present = None;
        }
    }

    fn refuse(&mut self, newcomer: Newcomer, code: ByeCode, words: String, retry: Option<Duration>) {
        if self.controls.len() > 2 * MAX_NEWCOMERS {
            return;
        }
        let retry_ms = retry.map(|retry| retry.as_millis() as u32);
        self.controls.spawn(async move {
            if let Ok(link) = newcomer.link.open() {
                refuse(link, code, &words, retry_ms).await;
            }
        });
    }
}
