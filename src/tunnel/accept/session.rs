//! The controls that were let in, as their carriers refer to them, and the keys that may come.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use crate::transport::tunnel::carrier::Parked;
use crate::transport::tunnel::identity::{Known, PublicKey};
use crate::transport::tunnel::message::{End, Token};
use crate::tunnel::datagrams::{self, Hub};
use crate::tunnel::idle::keeping::Keeping;
use crate::tunnel::idle::waiting::{Arrivals, Waiting};
use crate::tunnel::link::{Link, Pass};

/// A control that was let in.
pub(crate) struct Session {
    /// What its carriers name. Never logged.
    pub(crate) token: Token,
    /// The key it was let in with; its carriers must have the same.
    pub(crate) pass: Pass,
    /// The carriers on which this end opens sessions.
    pub(crate) keeping: Arc<Keeping>,
    /// Those on which the other end does.
    pub(crate) waiting: Arc<Waiting>,
    /// Its flows of datagrams.
    pub(crate) hub: Arc<Hub>,
    /// Where it comes from.
    pub(super) from: SocketAddr,
    /// Since when it is here.
    pub(super) since: SystemTime,
}

/// What a control runs with.
pub(super) struct Inboxes {
    pub(super) carriers: Arrivals,
    pub(super) flows: datagrams::Inbox,
}

impl Session {
    /// A control that has no carrier yet, and what [`Waiting::run`] and [`Hub::run`] take.
    pub(super) fn new(
        link: &Arc<Link>,
        pass: Pass,
        token: Token,
        from: SocketAddr,
    ) -> (Arc<Session>, Inboxes) {
        let (hub, flows) = Hub::new(link.clone(), pass.clone(), End::Accepting);
        let (waiting, carriers) = Waiting::new(link.clone(), pass.clone(), hub.clone());
        let keeping = Keeping::new(link.line.clone(), pass.clone());
        let since = SystemTime::now();
        let session = Session { token, pass, keeping, waiting, hub, from, since };
        (Arc::new(session), Inboxes { carriers, flows })
    }
}

/// A control that has said HELLO, in no poller.
pub(crate) struct Newcomer {
    pub(crate) link: Parked,
    pub(crate) pass: Pass,
    /// Where it comes from.
    pub(crate) from: SocketAddr,
    /// The secret of the process that made it. Never logged.
    pub(crate) instance: Token,
    /// Its program and version.
    pub(crate) software: String,
}

/// A tunnel that others connect to.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) link: Arc<Link>,
    /// Who decides about its controls.
    pub(crate) newcomers: mpsc::Sender<Newcomer>,
}

/// Everything that a connection is looked up in.
#[derive(Default)]
pub(crate) struct Book {
    doors: Mutex<Vec<(PublicKey, Door)>>,
    /// Told of each change of `doors`.
    changed: Notify,
    sessions: Mutex<Vec<Arc<Session>>>,
}

impl Book {
    /// From now on these keys are known, and no others.
    pub(crate) fn set_doors(&self, doors: Vec<(PublicKey, Door)>) {
        *lock(&self.doors) = doors;
        self.changed.notify_waiters();
    }

    /// Whether this key is known, or will be within this time. Cancel safe.
    pub(crate) async fn knows_soon(&self, key: &PublicKey, patience: Duration) -> bool {
        let known = async {
            loop {
                let changed = self.changed.notified();
                if self.door(key).is_some() {
                    return;
                }
                changed.await;
            }
        };
        timeout(patience, known).await.is_ok()
    }

    /// The tunnel of a key.
    pub(crate) fn door(&self, key: &PublicKey) -> Option<Door> {
        lock(&self.doors).iter().find(|(known, _)| known == key).map(|(_, door)| door.clone())
    }

    /// A control was let in.
    pub(crate) fn enter(&self, session: Arc<Session>) {
        lock(&self.sessions).push(session);
    }

    /// A control has ended: nothing refers to it any more.
    pub(crate) fn leave(&self, session: &Arc<Session>) {
        lock(&self.sessions).retain(|it| !Arc::ptr_eq(it, session));
    }

    /// The newest control of a key that its owner has proven: where it comes from, and since when.
    pub(super) fn control_of(&self, key: &PublicKey) -> Option<(SocketAddr, SystemTime)> {
        let sessions = lock(&self.sessions);
        sessions.iter().rev().find(|it| it.pass.key == *key).map(|it| (it.from, it.since))
    }

    /// The control that a carrier names, if it has the same key, which is not withdrawn. An unknown one and one of another
    /// key are the same to whoever asks, in the time it takes as well: every one is compared, and in full.
    pub(crate) fn session(&self, token: &Token, key: &PublicKey) -> Option<Arc<Session>> {
        let sessions = lock(&self.sessions);
        // Two tokens are compared in full as well.
        let is_it = |session: &Session| (session.token == *token) & key.is_one_of([&session.pass.key]);
        let found =
            sessions.iter().fold(None, |found, session| if is_it(session) { Some(session) } else { found });
        found.filter(|session| !session.pass.revoked.is_cancelled()).cloned()
    }
}

pub(super) fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Known for Book {
    fn knows(&self, key: &PublicKey) -> bool {
        key.is_one_of(lock(&self.doors).iter().map(|(known, _)| known))
    }
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book").field("doors", &lock(&self.doors).len()).finish_non_exhaustive()
    }
}
