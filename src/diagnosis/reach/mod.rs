//! Whether an address can be reached, and if not, why: examines everything between a client and the program behind the
//! port.
//!
//! `gather` and its helpers gather the facts; the rules over them are pure. The result of the dial decides which rules
//! apply: refused (`refused`), timed out (`timeout`), failed otherwise (`judge`), connected (`connected`).

mod all;
#[cfg(test)]
mod answer_tests;
mod answers;
mod checks;
mod connected;
mod elsewhere;
mod facts;
mod fixes;
mod gather;
mod judge;
mod kills;
mod life;
mod lines;
mod listener;
mod loops;
mod nearby;
mod network;
mod no_answer;
mod options;
mod pastime;
mod refused;
#[cfg(test)]
mod samples;
mod sentences;
mod source_ports;
mod start;
mod target;
#[cfg(test)]
mod tests;
mod timeout;
mod udp;
mod unanswered;
mod unix;
mod warnings;
mod watch;
mod way;
mod who;
mod wording;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use super::finding::{Diagnosis, Question, Subject};
use super::verdict::{Certainty, Verdict};
pub use all::reach_all;
pub(crate) use life::{kept_from_accepting, standstill};
pub(super) use lines::short;
pub use options::Options;
pub use target::reach_target;

pub use facts::{Absent, Hop, Life, Lookup, Outdated, ReachFacts, UdpFacts, UnixFacts, Watch};

/// Finds out whether a TCP service can be reached. It makes at most three connections and takes at most about four
/// times `options.timeout`, plus six seconds if an answer may still come.
pub fn reach_tcp(address: SocketAddr, options: &Options) -> Diagnosis {
    timed(|| gather::tcp(address, options))
}

/// The same for a UDP service, with one datagram.
pub fn reach_udp(address: SocketAddr, options: &Options) -> Diagnosis {
    timed(|| udp::gather(address, options))
}

/// The same for a service on a Unix socket; a path that begins with `@` is an abstract name.
pub fn reach_unix(path: &Path, options: &Options) -> Diagnosis {
    timed(|| unix::gather(path, options))
}

/// Why a dial to a TCP address failed. It makes no connection and only reads the kernel's tables.
pub fn dial_failure(address: SocketAddr, error: &io::Error, options: &Options) -> Diagnosis {
    let errno = match error.kind() {
        io::ErrorKind::TimedOut => libc::ETIMEDOUT,
        _ => error.raw_os_error().unwrap_or(0),
    };
    timed(|| gather::failed(address, errno, options))
}

fn timed(gather: impl FnOnce() -> ReachFacts) -> Diagnosis {
    let begun = Instant::now();
    let facts = gather();
    let mut diagnosis = diagnose(&facts);
    diagnosis.elapsed = begun.elapsed();
    diagnosis
}

/// The diagnosis of these facts. Pure.
pub fn diagnose(facts: &ReachFacts) -> Diagnosis {
    let judged = judge::judge(facts);
    let found = network::found(facts, judged);
    let (verdict, certainty) = found.as_ref().map_or(judged, |found| (found.verdict, found.certainty));
    let mut diagnosis = Diagnosis::new(Question::Reach, facts.subject.clone(), verdict, certainty);
    wording::write(facts, &mut diagnosis);
    diagnosis.fixes = fixes::fixes(facts, verdict);
    diagnosis.checks = checks::checks(facts, verdict, found.as_ref());
    if let Some(found) = found {
        // The finding's own proof and remedies are more specific than the general ones of its verdict.
        let better = |label| found.details.iter().any(|detail| detail.label == label);
        diagnosis.details.retain(|detail| !better(detail.label) || detail.label == "who");
        diagnosis.fixes.clear();
        diagnosis.take(found);
    }
    warnings::add(facts, &mut diagnosis);
    diagnosis
}

/// The diagnosis for a name that resolves to no address.
pub fn unresolved(name: &str, port: u16) -> Diagnosis {
    let unspecified = SocketAddr::from(([0, 0, 0, 0], port));
    let mut diagnosis =
        Diagnosis::new(Question::Reach, Subject::Tcp(unspecified), Verdict::Unknown, Certainty::Unknown);
    diagnosis.summary = format!("the name {} has no address here", crate::units::quoted(name));
    diagnosis.fixes = vec![fixes::advice("write the address, or look at /etc/hosts and /etc/resolv.conf")];
    diagnosis
}
