//! Unix sockets: their facts, and the rules over them.

use std::collections::BTreeSet;
use std::path::Path;

use super::connected;
use super::facts::{Life, ReachFacts, UnixFacts};
use super::no_answer::Silence;
use super::options::Options;
use super::start::blank;
use crate::diagnosis::finding::Subject;
use crate::diagnosis::verdict::{Certainty, Judged, Verdict};
use crate::probe::process::holders;
use crate::probe::process::is_proc_mounted;
use crate::probe::process::process_stats::{self, Vitals};
use crate::probe::sockets::unix::{Listening, listener, walk};
use crate::probe::system::limits;
use crate::probe::trace::protocol::Protocol;
use crate::probe::trace::{self, Dial, Wish};

/// Gathers everything about a Unix socket.
pub(super) fn gather(path: &Path, options: &Options) -> ReachFacts {
    let mut facts = blank(Subject::Unix(path.to_owned()), options);
    facts.descriptors = limits::descriptors();
    if !is_proc_mounted() {
        facts.unreadable("/proc, and so every process", "not mounted", "");
    }
    facts.local = true;
    let mut unix = UnixFacts { walk: walk(path), ..UnixFacts::default() };
    unix.before = look(path, &mut unix.unreadable);
    if let Some(listening) = &unix.before {
        facts.take_holders(holders::of_inodes(&BTreeSet::from([listening.inode])));
    }
    facts.unix = Some(unix);
    let pids: BTreeSet<u32> = facts.holders().iter().map(|holder| holder.pid).take(8).collect();
    for before in pids.iter().filter_map(|pid| Vitals::read(*pid).ok()) {
        facts.life.push(Life { after: before.clone(), before });
    }
    let program = facts.holders().first().map(|holder| holder.comm.clone());
    let wish = Wish {
        timeout: options.timeout,
        first: options.expect.unwrap_or_else(|| Protocol::suggested(program.as_deref(), 0)),
        host: "localhost".to_owned(),
        other_hosts: Vec::new(),
    };
    let mut silent = Silence::default();
    facts.trace = trace::unix(path, &wish, &mut |connection| silent.look(&facts, connection));
    facts.take_silence(silent);
    facts.process_room = pids.into_iter().find_map(process_stats::process_room);
    let mut unreadable = None;
    let after = look(path, &mut unreadable);
    if let Some(unix) = &mut facts.unix {
        unix.after = after;
        unix.unreadable = unix.unreadable.take().or(unreadable);
    }
    facts
}

fn look(path: &Path, unreadable: &mut Option<String>) -> Option<Listening> {
    listener(path).unwrap_or_else(|error| {
        *unreadable = Some(error.to_string());
        None
    })
}

/// The verdict on the facts of a Unix socket.
pub(super) fn judge(facts: &ReachFacts) -> Judged {
    let Some(first) = facts.first() else { return (Verdict::Unknown, Certainty::Unknown) };
    let Some(unix) = &facts.unix else { return (Verdict::Unknown, Certainty::Unknown) };
    match first.dial {
        Dial::Connected(_) => connected::judge(facts),
        // The kernel checks the mode of a file before its kind, so a file that is not a socket can fail either way.
        Dial::Failed(..) if unix.walk.is_socket == Some(false) => {
            (Verdict::TargetNotRunning, Certainty::Proven)
        }
        Dial::Failed(libc::ENAMETOOLONG, _) => (Verdict::TargetNotRunning, Certainty::Proven),
        Dial::Failed(libc::EAGAIN, _) | Dial::TimedOut(_) => connected::not_accepted(facts),
        Dial::Failed(libc::EACCES | libc::EPERM, _) => {
            let sure = if unix.walk.closed.is_some() { Certainty::Proven } else { Certainty::Likely };
            (Verdict::UnixSocketDenied, sure)
        }
        Dial::Failed(libc::ENOENT | libc::ENOTDIR, _) => (Verdict::TargetNotRunning, Certainty::Proven),
        Dial::Failed(libc::ECONNREFUSED, _) => match (&unix.after, is_abstract(facts)) {
            (_, true) => (Verdict::TargetNotRunning, Certainty::Proven),
            (None, false) => (Verdict::UnixSocketStale, Certainty::Proven),
            (Some(_), false) => (Verdict::Unknown, Certainty::Unknown),
        },
        // SOCK_DGRAM or SOCK_SEQPACKET behind the path.
        Dial::Failed(libc::EPROTOTYPE, _) => (Verdict::UnexpectedProtocol, Certainty::Proven),
        Dial::Failed(libc::EMFILE, _) => (Verdict::OwnFdLimit, Certainty::Proven),
        Dial::Failed(libc::ENFILE, _) => (Verdict::SystemFileLimit, Certainty::Proven),
        Dial::Failed(..) => (Verdict::Unknown, Certainty::Unknown),
    }
}

/// Whether the name is abstract and has no file.
fn is_abstract(facts: &ReachFacts) -> bool {
    matches!(&facts.subject, Subject::Unix(path) if path.to_string_lossy().starts_with('@'))
}
