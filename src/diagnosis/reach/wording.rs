//! Words the diagnosis of an address: a summary, lines of detail, the evidence. Pure.
//!
//! Every fact that a line states was read; the line `hidden` lists what could not be read.

use std::time::Duration;

use super::answers::{other_host, protocol};
use super::facts::ReachFacts;
use super::kills::killed;
use super::life::computes;
use super::nearby::{near, other_address, other_family};
use super::who::{is_unix, share, who};
use super::{lines, sentences};
use crate::diagnosis::errno::errno_name;
use crate::diagnosis::finding::Diagnosis;
use crate::diagnosis::own_limits::sessions;
use crate::diagnosis::process_text::rough;
use crate::diagnosis::verdict::Verdict;
use crate::probe::process::process_stats::Vitals;
use crate::probe::sockets::Socket;
use crate::probe::trace::Dial;

/// Fills in all texts of the diagnosis.
pub(super) fn write(facts: &ReachFacts, diagnosis: &mut Diagnosis) {
    if let Some(errno) = errno(facts) {
        diagnosis.failed_with(&std::io::Error::from_raw_os_error(errno));
        diagnosis.errno = Some(errno_name(errno));
    }
    diagnosis.summary = summary(facts, diagnosis.verdict);
    lines::add(facts, diagnosis);
    diagnosis.holders = facts.holders().into_iter().cloned().collect();
    if diagnosis.holders.is_empty() {
        diagnosis.holders = subjects(facts, diagnosis.verdict);
    }
    diagnosis.not_readable.clone_from(&facts.not_readable);
}

/// The errno of the dial, or of a later step.
fn errno(facts: &ReachFacts) -> Option<i32> {
    if let Some(udp) = &facts.udp {
        return udp.sending.errno;
    }
    match facts.first()?.dial {
        Dial::Failed(errno, _) => Some(errno),
        Dial::TimedOut(_) => Some(libc::ETIMEDOUT),
        Dial::Connected(_) => None,
    }
}

/// The processes that a verdict is about, if not the holders of the listener at the address.
fn subjects(facts: &ReachFacts, verdict: Verdict) -> Vec<crate::outcome::Holder> {
    let of = |socket: Option<&Socket>| {
        socket.map_or(Vec::new(), |socket| facts.holders_of(socket.inode).into_iter().cloned().collect())
    };
    match verdict {
        Verdict::TargetOnOtherAddress => of(other_address(facts)),
        Verdict::TargetOnOtherFamily => of(other_family(facts)),
        Verdict::TargetOnOtherPort => of(near(facts)),
        Verdict::TargetFlapping => facts.watch.iter().flat_map(|watch| watch.holders.clone()).collect(),
        Verdict::TargetIsUdp | Verdict::TargetInOtherNetns | Verdict::TargetIsUnixSocket => {
            facts.absent.held.iter().map(|held| held.holder.clone()).collect()
        }
        _ => facts.candidates.clone(),
    }
}

/// The clause that follows the address.
pub(super) fn summary(facts: &ReachFacts, verdict: Verdict) -> String {
    let port = facts.port();
    match verdict {
        Verdict::OwnFdLimit => own_limit(facts),
        Verdict::SystemFileLimit => "the machine's table of open files is full".to_owned(),
        Verdict::LocalhostUnresolvable => sentences::unresolvable(facts),
        Verdict::LocalhostRemapped => sentences::remapped(facts),
        Verdict::TargetNotRunning if !facts.local => {
            "the other machine refuses: nothing listens there".to_owned()
        }
        Verdict::TargetNotRunning if is_unix(facts) => sentences::no_socket(facts),
        Verdict::TargetNotRunning => format!("nothing listens on port {port}{}", sentences::looked_at(facts)),
        Verdict::TargetOnOtherAddress | Verdict::TargetOnOtherFamily => sentences::elsewhere(facts, verdict),
        Verdict::TargetIsUdp => sentences::is_udp(facts),
        Verdict::TargetInOtherNetns => sentences::other_namespace(facts),
        Verdict::TargetIsUnixSocket => sentences::is_unix(facts),
        Verdict::TargetOnOtherPort => sentences::other_port(facts),
        Verdict::TargetFlapping => sentences::flapping(facts),
        Verdict::TargetKilledOom => killed_for_memory(facts),
        Verdict::EphemeralPortsExhausted => no_source_port(facts),
        Verdict::Ipv6Disabled => "IPv6 is off on this machine".to_owned(),
        Verdict::MissingScope => "a link-local address needs its interface".to_owned(),
        Verdict::LoopbackDown => "the loopback interface is down".to_owned(),
        Verdict::MartianLoopbackDnat => sentences::martian(facts),
        Verdict::LoopbackRouteLost => "the loopback address is not assigned to lo".to_owned(),
        Verdict::ConntrackFull => "the table of tracked connections is full".to_owned(),
        Verdict::ListenerIgnoresSyn => {
            format!("{} listens and ignores connections without a signature (TCP-MD5 or TCP-AO)", who(facts))
        }
        Verdict::FirewallReject => {
            format!("{}, yet a packet filter rejects the connection", lines::listens(facts))
        }
        Verdict::FirewallConnlimit => {
            format!("{}, yet a packet filter allows no more connections", lines::listens(facts))
        }
        Verdict::FirewallDrop => {
            format!("{}; a packet filter drops the connection silently", lines::listens(facts))
        }
        Verdict::BindDeniedBySandbox => "a sandbox or security policy forbids the connection".to_owned(),
        Verdict::UdpTargetNotRunning => "nothing receives UDP there".to_owned(),
        Verdict::UdpReceiverDrops => format!("{} reads too slowly, and datagrams are dropped", who(facts)),
        Verdict::UnixSocketDenied => sentences::denied(facts),
        Verdict::UnixSocketStale => "the socket file is left over: nothing listens on it".to_owned(),
        Verdict::Unknown => unknown(facts),
        other => connected_summary(facts, other),
    }
}

/// The same if the connection is open.
fn connected_summary(facts: &ReachFacts, verdict: Verdict) -> String {
    let who = who(facts);
    match verdict {
        Verdict::AcceptQueueFull => format!("{who} does not accept, and {}", sentences::queue(facts)),
        Verdict::TargetNotAccepting => {
            format!("the kernel took the connection, but {who} does not accept it")
        }
        Verdict::TargetSuspended => sentences::suspended(facts),
        Verdict::TargetInDebugger => sentences::traced(facts),
        Verdict::TargetUninterruptible => stuck(facts, &who),
        Verdict::TargetOutOfFds => sentences::out_of_descriptors(facts),
        Verdict::TargetBusyLoop => {
            let life = facts.life.iter().find(|life| computes(life));
            let share = life.map_or(String::new(), |life| format!(" ({})", share(life)));
            format!("{who} computes endlessly{share} and serves no client")
        }
        Verdict::TargetHung => {
            let unread = facts.first().and_then(|first| first.server).map_or(0, |server| server.unread);
            format!("{who} accepted the connection and reads nothing: {unread} bytes unread")
        }
        Verdict::TargetSlow => sentences::slow(facts, &who),
        Verdict::TargetCannotFork => cannot_fork(facts, &who),
        Verdict::TargetResets => format!("{who} itself accepts the connection and resets it after 0 bytes"),
        Verdict::TargetClosesEmpty => {
            format!("{who} itself closes the connection without a byte{}", lines::after_request(facts))
        }
        Verdict::TargetWaitsForClient => {
            "the greeting comes only after the client has sent data (deferred accept)".to_owned()
        }
        Verdict::TlsExpected => {
            format!("{who} speaks TLS{}; plain HTTP was expected", lines::spoken_text(facts))
        }
        Verdict::PlainExpected => format!("{who} speaks plain HTTP; TLS was expected"),
        Verdict::HttpHostRejected => other_host(facts).map_or(String::new(), |(ours, host, status)| {
            format!("answers {ours} for our Host, {status} for {host}")
        }),
        Verdict::UnexpectedProtocol => other_protocol(facts, &who),
        Verdict::ForwardLoop => sentences::ring(facts),
        Verdict::Healthy => lines::healthy(facts),
        _ => verdict.meaning().trim_end_matches('.').to_owned(),
    }
}

fn own_limit(facts: &ReachFacts) -> String {
    let limit = facts.descriptors.hard.map_or("no".to_owned(), |limit| limit.to_string());
    let sessions = sessions(&facts.descriptors).unwrap_or(0);
    match facts.descriptors.used {
        Some(used) => format!(
            "not the service: {used} of our {limit} descriptors are in use, room for {sessions} sessions"
        ),
        None => format!("not the service: of our {limit} descriptors none can be had"),
    }
}

fn no_source_port(facts: &ReachFacts) -> String {
    let (ports, by) = (&facts.source_ports, sentences::port_holders(facts));
    format!("not the service: {} of {} source ports towards it are in use{by}", ports.used(), ports.range)
}

fn killed_for_memory(facts: &ReachFacts) -> String {
    match killed(facts) {
        Some(kill) if !kill.comm.is_empty() => {
            let (name, ago) = (&kill.comm, rough(kill.ago.max(Duration::from_secs(1))));
            format!("nothing listens; it probably was {name}, killed {ago} ago: out of memory")
        }
        _ => "nothing listens; it probably was in a cgroup that lost its last process: out of memory"
            .to_owned(),
    }
}

fn stuck(facts: &ReachFacts, who: &str) -> String {
    let at = |vitals: &Vitals| vitals.threads.first().and_then(|thread| thread.waits_in.clone());
    let place = facts.life.iter().find(|life| life.after.state == 'D').and_then(|life| at(&life.after));
    let place = place.map_or(String::new(), |place| format!(", {place}"));
    format!("{who} is stuck in the kernel (state D{place})")
}

fn cannot_fork(facts: &ReachFacts, who: &str) -> String {
    let room = facts.process_room.as_ref();
    let room =
        room.map_or(String::new(), |room| format!(": {} of {} for {}", room.used, room.limit, room.of));
    format!("{who} cannot start more processes{room}, and closes what it accepts")
}

fn other_protocol(facts: &ReachFacts, who: &str) -> String {
    if let Some(no_stream) = sentences::no_stream(facts) {
        return no_stream.to_owned();
    }
    let wanted = facts.expect.map_or("another protocol", |wanted| wanted.name());
    match protocol(facts) {
        Some(found) => format!("{who} speaks {}, not {wanted}", found.protocol),
        None => format!("{who} does not speak {wanted}"),
    }
}

fn unknown(facts: &ReachFacts) -> String {
    match facts.first().map(|first| first.dial) {
        None => "no descriptor was left for the connection".to_owned(),
        Some(Dial::TimedOut(after)) => {
            format!("no answer within {after:.1?}, and no cause that can be seen from here")
        }
        Some(Dial::Failed(errno, _)) => {
            let message = std::io::Error::from_raw_os_error(errno).to_string();
            let message = message.split(" (os error").next().unwrap_or_default().to_owned();
            format!("{message}; no cause that can be seen from here")
        }
        Some(Dial::Connected(_)) => sentences::silent(facts, &who(facts)),
    }
}
