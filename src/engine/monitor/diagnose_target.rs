//! The diagnosis of one target: gathers the facts and applies the rules of `diagnosis`.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::diagnosis::reach::{self, Life};
use crate::diagnosis::session::{self, Fresh, Leak, SessionFacts};
use crate::diagnosis::{Diagnosis, Finding, Verdict, stalled};
use crate::engine::targets::notify::StallReport;
use crate::engine::targets::state_log::{self, Judged};
use crate::engine::targets::target::Target;
use crate::outcome::{Cause, Holder, Side};
use crate::probe::network::routing::Routing;
use crate::probe::process::process_stats::Vitals;
use crate::probe::process::{holders, process_exit};
use crate::probe::sockets::connections;
use crate::probe::sockets::{self, Socket};
use crate::units::counted;
use crate::units::shown;

/// The listening sockets a dial to the target would reach.
pub(crate) fn listeners(target: &Target) -> Vec<Socket> {
    let addresses = target.addresses();
    addresses.into_iter().filter_map(|address| sockets::listener(address).ok().flatten()).collect()
}

/// A holder that ended longer than this before the target went down is unrelated to it.
const RECENTLY: Duration = Duration::from_secs(5);

/// The ports that have a listener, read once for many targets.
pub(crate) struct ListenerSurvey(BTreeSet<u16>);

impl ListenerSurvey {
    /// `None` if the kernel's listing fails or is incomplete.
    pub(crate) fn read() -> Option<ListenerSurvey> {
        let (rows, is_cut) = sockets::listeners().ok()?;
        (!is_cut).then(|| ListenerSurvey(rows.iter().map(|row| row.local.port()).collect()))
    }

    fn has_no_listener_for(&self, target: &Target) -> bool {
        target.addresses().iter().all(|address| !self.0.contains(&address.port()))
    }
}

/// Why it is down. Of a target in a tunnel this machine has no facts: `None`.
pub(crate) fn why_down(
    target: &Arc<Target>,
    cause: Cause,
    at: Instant,
    survey: Option<&ListenerSurvey>,
) -> Option<Judged> {
    target.by_tunnel().is_none().then(|| down(target, cause, at, survey))
}

/// Why it is down; with many requests at once, in short where there is little to add.
fn down(target: &Arc<Target>, cause: Cause, at: Instant, survey: Option<&ListenerSurvey>) -> Judged {
    let in_short = cause == Cause::Refused && survey.is_some_and(|survey| survey.has_no_listener_for(target));
    let diagnosis = if in_short { None } else { unreached(target, cause) };
    let (mut verdict, why) = match diagnosis {
        None if in_short => (Verdict::TargetNotRunning, format!("nothing listens on {}", target.name())),
        // The full text is for `explain`.
        Some(Diagnosis { verdict: verdict @ Verdict::TargetNotRunning, subject, .. }) => {
            (verdict, format!("nothing listens on {subject}"))
        }
        // A process has held it, so the port is right, and the listener on the next port may be the next target.
        Some(Diagnosis { verdict: Verdict::TargetOnOtherPort, subject, .. }) if was_held(target) => {
            (Verdict::TargetNotRunning, format!("nothing listens on {subject}"))
        }
        Some(diagnosis) if diagnosis.verdict != Verdict::Unknown => (diagnosis.verdict, diagnosis.summary),
        None if cause == Cause::BadAnswer => (Verdict::Unknown, bad_answer(target)),
        None if let Some(text) = own_description(target, cause) => (Verdict::Unknown, text),
        _ => (Verdict::Unknown, cause.remedy().to_owned()),
    };
    if cause == Cause::Refused && listeners(target).is_empty() {
        // A session may have been refused before the holder's end was noticed.
        target.lose_holder(at);
    }
    let mut text = String::new();
    if cause == Cause::Refused {
        text.extend(how_it_ended(target, at).map(|ended| format!("{ended}; ")));
    }
    text.push_str(&why);
    match target.take_cut() {
        0 => {}
        cut => {
            verdict = Verdict::TargetDiedMidstream;
            text.push_str(&format!("; {} cut", counted(cut as usize, "connection")));
        }
    }
    Judged { verdict, text }
}

fn was_held(target: &Target) -> bool {
    !target.details().pids.is_empty()
}

/// `it answered '-LOADING'; '+PONG' was expected`
fn bad_answer(target: &Target) -> String {
    let answer = target.details().answer.clone();
    let expected = target.rules().talk.as_ref().map(|talk| shown(&talk.expect, MAX_EXPECTED));
    match (answer, expected) {
        (Some(answer), Some(expected)) => format!("{answer}; '{expected}' was expected"),
        _ => Cause::BadAnswer.remedy().to_owned(),
    }
}

/// What went wrong in the latest handshake with it or look-up of its name, or the error of its proxy or of its own
/// [`crate::transport::Reach`].
fn own_description(target: &Target, cause: Cause) -> Option<String> {
    match cause {
        _ if target.to().is_indirect() => target.details().answer.clone(),
        // Its name was not looked up in time: there was nothing to dial.
        Cause::TimedOut if target.addresses().is_empty() => target.details().answer.clone(),
        Cause::NoTls | Cause::TlsUntrusted | Cause::TlsRefused => target.details().answer.clone(),
        _ => None,
    }
}

/// The largest number of characters of the expected answer that are quoted.
const MAX_EXPECTED: usize = 60;

/// `node (pid 931) ended after 2.0h`
fn how_it_ended(target: &Target, at: Instant) -> Option<String> {
    let ended = target.details().ended.clone()?;
    if at.saturating_duration_since(ended.at) > RECENTLY {
        return None;
    }
    let name = state_log::name(&ended.holder);
    if !process_exit::is_ending(ended.holder.pid) {
        return Some(format!("{name} is still running, but no longer listens"));
    }
    let lived = ended.holder.started.and_then(|started| SystemTime::now().duration_since(started).ok());
    Some(match lived {
        Some(lived) => format!("{name} ended after {}", state_log::Lived(lived)),
        None => format!("{name} ended"),
    })
}

/// Why it cannot be reached, without dialling it again; `None` if it is not TCP or has no address.
fn unreached(target: &Target, cause: Cause) -> Option<Diagnosis> {
    let errno = match cause {
        Cause::Refused => libc::ECONNREFUSED,
        Cause::TimedOut => libc::ETIMEDOUT,
        Cause::Unreachable => libc::EHOSTUNREACH,
        Cause::Reset => libc::ECONNRESET,
        _ => return None,
    };
    let error = std::io::Error::from_raw_os_error(errno);
    Some(reach::dial_failure(*target.addresses().first()?, &error, &reach::Options::default()))
}

/// The interval between two readings of a process that does not respond, to see whether it uses CPU.
const LIFE: Duration = Duration::from_millis(200);

/// Why it accepts no connection.
pub(crate) fn stalled(target: &Target) -> Judged {
    let waiting = listeners(target).iter().map(|listener| listener.receive_queue).sum();
    let pid = target.details().holder.as_ref().map(|held| held.holder.pid);
    stalled::not_accepting(pid.and_then(life).as_ref(), waiting).into()
}

fn life(pid: u32) -> Option<Life> {
    let before = Vitals::read(pid).ok()?;
    thread::sleep(LIFE);
    Some(Life { before, after: Vitals::read(pid).ok()? })
}

/// Why a session is stalled; `None` if nothing is wrong.
pub(crate) fn session(target: &Target, report: &StallReport) -> Option<Finding> {
    let routing = Routing::read(report.remote);
    let link = routing.way_out().cloned();
    let is_of_link =
        |queue: &&_| session::shapes(queue) && link.as_ref().is_some_and(|link| link.index == queue.link);
    let shaper = routing.qdiscs.iter().find(is_of_link).cloned();
    if report.side == Side::Client {
        return Some(session::shaped(&link?, &shaper?));
    }
    let theirs = connections::between(report.remote, report.local).ok().flatten();
    let inode = theirs.as_ref().map_or(0, |theirs| theirs.inode);
    let mut facts = SessionFacts {
        still: report.still,
        at_most: report.at_most,
        ours: connections::between(report.local, report.remote).ok()??,
        here: link.as_ref().is_some_and(|link| link.loopback),
        holder: if inode == 0 { None } else { holder_of(target, report.remote.port(), inode) },
        theirs,
        link,
        neighbour: routing.neighbour,
        shaper,
        fresh: None,
    };
    if session::wants_fresh(&facts) {
        facts.fresh = Some(fresh(target, report.remote));
    }
    session::judge(&facts).or_else(|| not_reading(&facts))
}

fn not_reading(facts: &SessionFacts) -> Option<Finding> {
    let unread = facts.theirs.as_ref()?.receive_queue;
    let holder = facts.holder.as_ref().filter(|_| unread > 0)?;
    stalled::not_reading(&life(holder.pid)?, unread)
}

/// How long a new connection may take to be answered, and how long that result is reused.
const FRESH: Duration = Duration::from_millis(500);
const FRESH_AGE: Duration = Duration::from_secs(10);

/// Whether a new connection works. This is the one step the target notices, so it is rare.
fn fresh(target: &Target, address: SocketAddr) -> Fresh {
    let now = Instant::now();
    if let Some((at, known)) = target.details().fresh
        && now.duration_since(at) < FRESH_AGE
    {
        return known;
    }
    let met = match TcpStream::connect_timeout(&address, FRESH) {
        Ok(_) => Fresh::Works,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Fresh::Refused,
        Err(_) => Fresh::Silent,
    };
    target.details().fresh = Some((now, met));
    met
}

/// The process that has a connection: the holder of the listener, or a process that got it from the holder.
fn holder_of(target: &Target, port: u16, inode: u32) -> Option<Holder> {
    let known = target.details().holder.as_ref().map(|held| held.holder.clone());
    if let Some(known) = known.filter(|known| holders::holds(known.pid, inode)) {
        return Some(known);
    }
    let rows: Vec<Socket> =
        sockets::on_port(port).rows.into_iter().filter(|socket| socket.inode == inode).collect();
    holders::of(&rows).found.into_iter().map(|held| held.holder).next()
}

/// The intervals between two checks for connections left open: usually, and while there are many.
const LEAKS: Duration = Duration::from_secs(10);
const LEAKS_SOON: Duration = Duration::from_secs(2);

/// The number of counts kept.
const MAX_COUNTS: usize = 4;

/// From this many on, the next check comes sooner.
const MANY: usize = 20;

/// Whether it leaves connections open.
pub(crate) fn leaks(target: &Target, at: Instant) -> Option<Finding> {
    let port = target.addresses().first()?.port();
    let ages: Vec<Duration> = connections::left_open(port)
        .ok()?
        .iter()
        .filter(|end| end.inode != 0)
        .map(|end| end.info.since_ack)
        .collect();
    let mut details = target.details();
    let count = ages.len();
    let holder = details.holder.as_ref().map(|held| held.holder.clone());
    let finding = session::leaks(&Leak { ages, before: details.left_open.clone(), holder });
    if details.left_open.len() == MAX_COUNTS {
        details.left_open.remove(0);
    }
    // A repeated count is no evidence about growth.
    if details.left_open.last() != Some(&count) {
        details.left_open.push(count);
    }
    details.leaks_due = Some(at + if count >= MANY { LEAKS_SOON } else { LEAKS });
    finding
}
