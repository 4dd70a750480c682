//! Why a connection to a target stalls or leaks: the rules over both of its ends and the path between them. Pure.

use std::time::Duration;

use super::finding::Finding;
use super::process_text::names;
use super::verdict::{Certainty, Verdict};
use crate::outcome::Holder;
use crate::probe::network::routing::{Link, Neighbour, Qdisc};
use crate::probe::sockets::connections::{Connection, Timer};

/// What is known about a connection that stalls while bytes are in flight to the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionFacts {
    /// For how long no byte has moved, at least.
    pub still: Duration,
    /// For how long at most: the connection is sampled only now and then.
    pub at_most: Duration,
    /// Our end.
    pub ours: Connection,
    /// The target's end, if it is on this machine and still exists.
    pub theirs: Option<Connection>,
    /// Whether the target is on this machine.
    pub here: bool,
    /// The process that has the target's end, if it can be seen.
    pub holder: Option<Holder>,
    /// The link packets to the target leave by.
    pub link: Option<Link>,
    /// What is known about the next hop.
    pub neighbour: Option<Neighbour>,
    /// The queueing discipline of that link, if it slows, loses or changes packets.
    pub shaper: Option<Qdisc>,
    /// Whether a new connection to the target works; `None` if none was tried.
    pub fresh: Option<Fresh>,
}

/// The result of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fresh {
    /// The target answered.
    Works,
    /// The target refused it.
    Refused,
    /// The target did not answer.
    Silent,
}

/// A segment must be retransmitted this often before its loss is no accident.
const LOST_AFTER: u8 = 2;

/// A connection silent for this long was idle.
const IDLE: Duration = Duration::from_secs(1);

/// A segment of at least this many bytes is large: every path passes smaller ones (RFC 791: 576 with headers).
const LARGE: u32 = 536;

/// Whether a new connection is worth trying: segments are lost, and nothing on this side explains it.
pub fn wants_fresh(facts: &SessionFacts) -> bool {
    facts.shaper.is_none() && cut_link(facts).is_none() && loses(facts)
}

/// What is wrong; `None` if the evidence shows no fault, as with a service that takes its time.
pub fn judge(facts: &SessionFacts) -> Option<Finding> {
    if let Some(how) = cut_link(facts) {
        let text = format!("no acknowledgement for {}: {how}", seconds(facts.ours.info.since_ack));
        return Some(Finding::new(Verdict::PeerVanished, Certainty::Proven, text));
    }
    if facts.ours.send_queue > 0
        && let (Some(shaper), Some(link)) = (&facts.shaper, &facts.link)
    {
        return Some(shaped(link, shaper));
    }
    if let Some(finding) = stopped_reading(facts) {
        return Some(finding);
    }
    if loses(facts) { lost(facts) } else { None }
}

/// The finding for a link whose queueing discipline slows or damages traffic.
pub fn shaped(link: &Link, shaper: &Qdisc) -> Finding {
    let mut how = shaper.kind.clone();
    how.extend(shaper.rate.map(|bytes| format!(" {}", rate(bytes))));
    how.extend(shaper.delay.filter(|delay| !delay.is_zero()).map(|delay| format!(" delay {delay:?}")));
    how.extend(shaper.loss.filter(|loss| *loss > 0).map(|loss| format!(" loss {}%", f64::from(loss) / 1e4)));
    let text = format!("link {} is shaped: {how} (tc qdisc)", link.name);
    Finding::new(Verdict::LinkShaped, Certainty::Proven, text)
}

/// Whether a queueing discipline slows, loses or changes packets, rather than only ordering them.
pub fn shapes(queue: &Qdisc) -> bool {
    let does = |parts: Option<u32>| parts.is_some_and(|parts| parts > 0);
    queue.rate.is_some_and(|rate| rate > 0)
        || queue.delay.is_some_and(|delay| !delay.is_zero())
        || does(queue.loss)
        || does(queue.tamper)
}

/// Connections that the service has not closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// How long each has been left open, according to the state of its socket.
    pub ages: Vec<Duration>,
    /// How many there were at the earlier samples, the oldest first.
    pub before: Vec<usize>,
    /// The process that keeps them.
    pub holder: Option<Holder>,
}

/// This many connections left open are a leak.
const LEAK: usize = 20;

/// Left open for this long, a connection counts as forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// A number that only grows over this many samples is a leak as well.
const GROWING: usize = 3;

/// Whether a service leaks connections: many forgotten ones, or a large number that only grows.
pub fn leaks(leak: &Leak) -> Option<Finding> {
    let count = leak.ages.len();
    let forgotten = leak.ages.iter().filter(|age| **age >= FORGOTTEN).count();
    let counts: Vec<usize> = leak.before.iter().copied().chain([count]).collect();
    let grows = counts.len() >= GROWING
        && counts.windows(2).all(|pair| pair[0] <= pair[1])
        && counts.windows(2).filter(|pair| pair[0] < pair[1]).count() + 1 >= GROWING;
    let certainty = match (forgotten >= LEAK, count >= LEAK && grows) {
        (true, _) => Certainty::Proven,
        (false, true) => Certainty::Likely,
        (false, false) => return None,
    };
    let text = format!("{} keeps {count} connections open that their clients have closed", who(&leak.holder));
    Some(Finding::new(Verdict::TargetLeaksCloseWait, certainty, text))
}

fn cut_link(facts: &SessionFacts) -> Option<String> {
    if facts.ours.send_queue == 0 {
        return None;
    }
    match (&facts.link, &facts.neighbour) {
        (Some(link), _) if !link.up => Some(format!("link {} is down", link.name)),
        (Some(link), _) if !link.carrier => Some(format!("link {} has no carrier", link.name)),
        (Some(link), Some(Neighbour::Failed | Neighbour::Incomplete)) => {
            Some(format!("no machine answers for its address on link {}", link.name))
        }
        _ => None,
    }
}

fn stopped_reading(facts: &SessionFacts) -> Option<Finding> {
    let info = &facts.ours.info;
    // While the window is closed, everything sent is acknowledged and the rest waits; only window probes are sent.
    let is_closed =
        facts.ours.timer == Timer::Persist || info.unsent > 0 && info.unacked == 0 && info.retransmits == 0;
    if !is_closed {
        return None;
    }
    let ours = bytes(facts.ours.send_queue);
    Some(match &facts.theirs {
        // The target has not even accepted it: another rule covers that.
        Some(theirs) if theirs.inode == 0 => return None,
        Some(theirs) => {
            let text = format!(
                "{} has not read for {}: {} wait in its buffer, {ours} in ours",
                who(&facts.holder),
                seconds(facts.still),
                bytes(theirs.receive_queue)
            );
            let certainty = if theirs.receive_queue > 0 { Certainty::Proven } else { Certainty::Likely };
            Finding::new(Verdict::TargetStalledWindow, certainty, text)
        }
        None => {
            let text = format!(
                "it has not read for {}: its window is closed, {ours} wait in our buffer",
                seconds(facts.still)
            );
            Finding::new(Verdict::TargetStalledWindow, Certainty::Likely, text)
        }
    })
}

fn loses(facts: &SessionFacts) -> bool {
    let ours = &facts.ours;
    ours.timer == Timer::Retransmit && ours.info.unacked > 0 && ours.info.retransmits >= LOST_AFTER
}

/// Segments are lost, and this machine's links do not explain it. The result of a new connection narrows it down.
fn lost(facts: &SessionFacts) -> Option<Finding> {
    let info = &facts.ours.info;
    let again = format!("sent again {} times", info.retransmits);
    let idle = info.since_ack.saturating_sub(facts.at_most);
    let head = info.segment.min(facts.ours.send_queue);
    Some(match facts.fresh? {
        Fresh::Refused => return None,
        Fresh::Silent if facts.here => Finding::new(
            Verdict::FirewallDrop,
            Certainty::Likely,
            format!(
                "its packets are lost, {again}, and those of a new connection too: a packet filter drops"
            ),
        ),
        Fresh::Silent => Finding::new(
            Verdict::PeerVanished,
            Certainty::Likely,
            format!(
                "no acknowledgement for {}, {again}, and a new connection is not answered",
                seconds(info.since_ack)
            ),
        ),
        Fresh::Works if head >= LARGE && idle < IDLE => Finding::new(
            Verdict::LargePacketsLost,
            Certainty::Likely,
            format!(
                "small packets pass, one of {head} bytes does not, {again}: the path drops large packets"
            ),
        ),
        Fresh::Works if idle >= IDLE => Finding::new(
            Verdict::IdleStateExpired,
            Certainty::Likely,
            format!(
                "its packets are lost, {again}, since it was idle for {}; a new connection works: a firewall forgot it",
                seconds(idle)
            ),
        ),
        Fresh::Works => Finding::new(
            Verdict::Unknown,
            Certainty::Unknown,
            format!("its packets are lost, {again}, though a new connection works"),
        ),
    })
}

fn who(holder: &Option<Holder>) -> String {
    holder.as_ref().map_or_else(|| "it".to_owned(), |holder| names(&[holder]))
}

fn seconds(time: Duration) -> String {
    format!("{:.1}s", time.as_secs_f64())
}

/// "512 bytes", "4.1 kB", "2.0 MB"
fn bytes(count: u32) -> String {
    match f64::from(count) {
        few if few < 1e3 => format!("{few} bytes"),
        some if some < 1e6 => format!("{:.1} kB", some / 1e3),
        many => format!("{:.1} MB", many / 1e6),
    }
}

/// "200kbit", "1.5mbit", from bytes per second.
fn rate(bytes: u64) -> String {
    match bytes as f64 * 8.0 {
        slow if slow < 1e6 => format!("{:.0}kbit", slow / 1e3),
        fast => format!("{:.1}mbit", fast / 1e6),
    }
}

#[cfg(test)]
mod tests;
