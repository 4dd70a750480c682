//! UDP addresses: their facts, and the rules over them.

use std::net::SocketAddr;
use std::time::Duration;

use super::connected;
use super::facts::{Life, ReachFacts, UdpFacts};
use super::options::Options;
use super::start::blank;
use super::way;
use crate::diagnosis::finding::Subject;
use crate::diagnosis::verdict::{Certainty, Judged, Verdict};
use crate::probe::network::counters::Counters;
use crate::probe::process::holders;
use crate::probe::process::process_stats::Vitals;
use crate::probe::sockets::{self, udp};

/// How long a receiver may take to read.
const PATIENCE: Duration = Duration::from_millis(500);
/// A receiver whose queue stays longer than this many bytes does not read.
const LONG_QUEUE: u32 = 4096;

/// Gathers everything about a UDP address.
pub(super) fn gather(address: SocketAddr, options: &Options) -> ReachFacts {
    let mut facts = blank(Subject::Udp(address), options);
    facts.read_surroundings(address, options);
    let mut found = UdpFacts {
        rows: udp::on_port(address.port()).unwrap_or_default(),
        receiver: udp::receiver(address).ok().flatten().filter(|_| facts.local),
        tcp: sockets::listener(address).ok().flatten().filter(|_| facts.local),
        ..UdpFacts::default()
    };
    if let Some(receiver) = &found.receiver {
        facts.take_holders(holders::of(std::slice::from_ref(receiver)));
        if facts.held.is_empty() {
            facts.candidates = holders::candidates(receiver);
        }
    }
    let pids: Vec<u32> = facts.held.iter().map(|held| held.holder.pid).take(8).collect();
    for before in pids.iter().filter_map(|pid| Vitals::read(*pid).ok()) {
        facts.life.push(Life { after: before.clone(), before });
    }
    let counters = Counters::read();
    found.sending = udp::send(address, options.timeout.min(PATIENCE));
    facts.changes = Counters::read().since(&counters);
    facts.lived_on(pids.into_iter().filter_map(|pid| Vitals::read(pid).ok()).collect());
    facts.udp = Some(found);
    facts
}

/// The verdict on the facts of a UDP address.
pub(super) fn judge(facts: &ReachFacts) -> Judged {
    let Some(udp) = &facts.udp else { return (Verdict::Unknown, Certainty::Unknown) };
    if udp.sending.answer.is_some() {
        return (Verdict::Healthy, Certainty::Proven);
    }
    match udp.sending.errno {
        Some(libc::ECONNREFUSED) if udp.receiver.is_some() => {
            return way::blocked(facts).unwrap_or((Verdict::FirewallReject, Certainty::Likely));
        }
        Some(libc::ECONNREFUSED) => return (Verdict::UdpTargetNotRunning, Certainty::Proven),
        Some(libc::EPERM) => {
            return way::blocked(facts).unwrap_or((Verdict::FirewallDrop, Certainty::Likely));
        }
        Some(libc::EMFILE) => return (Verdict::OwnFdLimit, Certainty::Proven),
        Some(libc::ENFILE) => return (Verdict::SystemFileLimit, Certainty::Proven),
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH) if way::loopback_is_down(facts) => {
            return (Verdict::LoopbackDown, Certainty::Proven);
        }
        Some(_) => return (Verdict::Unknown, Certainty::Unknown),
        None => {}
    }
    if way::loopback_is_down(facts) {
        return (Verdict::LoopbackDown, Certainty::Proven);
    }
    if udp.receiver.is_none() {
        // Neither an answer nor a refusal: a filter may have dropped either.
        let unused = facts.local && udp.rows.iter().all(|row| row.socket.remote.port() != 0);
        return if unused {
            (Verdict::UdpTargetNotRunning, Certainty::Likely)
        } else {
            (Verdict::Unknown, Certainty::Unknown)
        };
    }
    received(facts)
}

/// A socket receives there: judges whether its process reads.
fn received(facts: &ReachFacts) -> Judged {
    let Some(udp) = &facts.udp else { return (Verdict::Unknown, Certainty::Unknown) };
    let (before, after) = udp.sending.queue.unwrap_or((0, 0));
    if udp.sending.dropped > 0 {
        return (Verdict::UdpReceiverDrops, Certainty::Proven);
    }
    if after == 0 {
        return (Verdict::Healthy, Certainty::Likely);
    }
    if before > LONG_QUEUE && after >= before {
        return (Verdict::UdpReceiverDrops, Certainty::Likely);
    }
    match connected::not_accepted(facts) {
        (Verdict::TargetNotAccepting | Verdict::AcceptQueueFull, _) => {
            (Verdict::TargetHung, Certainty::Likely)
        }
        standing => standing,
    }
}
