//! A connection that joins with an invite: one message, one answer, and between them a file that is written.

use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::answers::{LAST_WORDS, STEP};
use super::invites::{Invites, MAX_WRONG, Now, Shown};
use super::session::{Book, lock};
use crate::address::TunnelName;
use crate::plan::Invited;
use crate::transport::tunnel::carrier::{Broken, FrameLink, Received};
use crate::transport::tunnel::identity::PublicKey;
use crate::transport::tunnel::pairing::folder::{Folder, Unusable};
use crate::transport::tunnel::pairing::message::{Answer, MAX_JOIN, Refused, decode_join, encode_answer};
use crate::transport::tunnel::pairing::{Ticket, written};
use crate::units::shown_path;

/// How long a machine that has joined waits until the running program has taken it over.
const TAKEN_OVER: Duration = Duration::from_secs(5);

/// The time by both clocks of an invite.
pub(super) fn now() -> Now {
    let boot = clock_gettime(ClockId::Boottime);
    let uptime = Duration::new(
        boot.tv_sec.try_into().unwrap_or_default(),
        boot.tv_nsec.try_into().unwrap_or_default(),
    );
    Now { clock: SystemTime::now(), uptime }
}

/// What a connection that joins is looked up in.
pub(super) struct Host<'h> {
    pub(super) invites: &'h Mutex<Invites>,
    pub(super) book: &'h Book,
    /// This machine's own key.
    pub(super) own: PublicKey,
}

/// A place of a connection that joins, given back when it is dropped.
pub(super) struct Joining<'i>(&'i Mutex<Invites>);

impl<'i> Joining<'i> {
    /// `None` if there is no place now.
    pub(super) fn enter(invites: &'i Mutex<Invites>) -> Option<Joining<'i>> {
        lock(invites).enter(Instant::now()).then(|| Joining(invites))
    }
}

impl Drop for Joining<'_> {
    fn drop(&mut self) {
        lock(self.0).leave();
    }
}

/// Reads what it says, and answers it. `key` is the key that it has proven; no tunnel has it.
pub(super) async fn take(host: &Host<'_>, mut link: FrameLink, key: PublicKey, from: SocketAddr) {
    let ticket = match timeout(STEP, read(&mut link)).await {
        Ok(Ok(ticket)) => ticket,
        Ok(Err(broken)) => return tracing::debug!("tunnel listener: {from} did not join: {broken}"),
        Err(_) => return,
    };
    let answer = answer(host, &ticket, key, from).await;
    let told = async {
        link.queue_message(&encode_answer(&answer))?;
        link.flush().await?;
        // A close with something unread would be a reset, which may overtake the answer.
        link.receive(MAX_JOIN).await
    };
    // The connection ends either way.
    let _ = timeout(LAST_WORDS, told).await;
}

async fn read(link: &mut FrameLink) -> Result<Ticket, Broken> {
    match link.receive(MAX_JOIN).await? {
        Received::Message(json) => decode_join(&json).map_err(|why| Broken::Protocol(why.to_string())),
        Received::Frame(_) => Err(Broken::Protocol("a frame in place of a message".to_owned())),
    }
}

async fn answer(host: &Host<'_>, ticket: &Ticket, key: PublicKey, from: SocketAddr) -> Answer {
    let shown = lock(host.invites).show(ticket, now());
    let (name, invited) = match shown {
        Shown::Right(name, invited) => (name, invited),
        Shown::Nothing => return Answer::Refused(Refused::Wrong),
        Shown::Wrong(name, count) => {
            told_wrong(&name, count, from);
            return Answer::Refused(Refused::Wrong);
        }
    };
    let id = invited.invite.id;
    match let_in(host, &name, invited, key).await {
        Ok(()) => {
            tracing::info!("tunnel" = %name, from = %from, "tunnel={name} joined from={from}: it has the key {key}");
            Answer::Joined { is_in: host.book.knows_soon(&key, TAKEN_OVER).await, name: name.to_string() }
        }
        Err(refused) => {
            lock(host.invites).give_back(id);
            Answer::Refused(refused)
        }
    }
}

/// Writes down that the machine with this key is this tunnel's other end.
async fn let_in(host: &Host<'_>, name: &TunnelName, invited: Invited, key: PublicKey) -> Result<(), Refused> {
    if host.own == key || host.book.door(&key).is_some() || !lock(host.invites).claim(key) {
        tracing::warn!("tunnel" = %name, "tunnel={name}: whoever joined has a key that a tunnel has already, and each needs its own: {key}");
        return Err(Refused::Known);
    }
    let written = aside(move || write(&invited, &key)).await;
    if !matches!(written, Ok(Ok(()))) {
        lock(host.invites).disclaim(&key);
    }
    written.unwrap_or_else(|error| Err(NotWritten::NoThread(error))).map_err(|why| match why {
        NotWritten::Changed(file) => {
            tracing::warn!("tunnel" = %name, "tunnel={name}: nobody joins, as {file} was changed since the invite: invite again");
            Refused::Changed
        }
        NotWritten::Unusable(unusable) => {
            let help = &unusable.help;
            tracing::warn!("tunnel" = %name, "tunnel={name}: nobody joins: {unusable}; {help}");
            Refused::Failed
        }
        NotWritten::NoThread(error) => {
            tracing::warn!("tunnel" = %name, "tunnel={name}: nobody joins: no thread to write with ({error})");
            Refused::Failed
        }
    })
}

enum NotWritten {
    /// The file is no longer as the invite wrote it.
    Changed(String),
    Unusable(Unusable),
    NoThread(io::Error),
}

/// Replaces the file of an invite by that of a tunnel, on the disk when it returns. It waits for the disk.
fn write(invited: &Invited, key: &PublicKey) -> Result<(), NotWritten> {
    let changed = || NotWritten::Changed(shown_path(&invited.file));
    let (folder, name) = (invited.file.parent(), invited.file.file_name().and_then(|name| name.to_str()));
    let (Some(folder), Some(name)) = (folder, name) else { return Err(changed()) };
    let folder = Folder::open(folder).map_err(NotWritten::Unusable)?;
    let file = folder.read(name).map_err(NotWritten::Unusable)?.ok_or_else(changed)?;
    let text = written::joined(&file, &invited.invite, key).map_err(|_| changed())?;
    folder.write(name, &text).and_then(|unfinished| unfinished.put()).map_err(NotWritten::Unusable)
}

/// Runs what waits for the disk beside the workers.
async fn aside<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (reply, answer) = oneshot::channel();
    thread::Builder::new().name("join".into()).spawn(move || {
        // Whoever asked may be gone.
        let _ = reply.send(job());
    })?;
    answer.await.map_err(|_| io::Error::other("the thread has failed"))
}

fn told_wrong(name: &TunnelName, count: u32, from: SocketAddr) {
    let what = match count {
        MAX_WRONG.. => "the invite is closed: invite again".to_owned(),
        _ => format!("{count} of {MAX_WRONG}, which close the invite"),
    };
    tracing::warn!("tunnel" = %name, from = %from, "tunnel={name}: {from} came with a wrong secret for its invite ({what})");
}
