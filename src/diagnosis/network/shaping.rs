//! Queueing disciplines, tc filters and rules on packet length: what slows or loses a part of the traffic.

use serde_json::json;

use super::attempt::{Attempt, Listener, Surroundings};
use crate::diagnosis::filter::{self, Effect};
use crate::diagnosis::finding::Finding;
use crate::diagnosis::verdict::{Certainty, Verdict};
use crate::probe::firewall;
use crate::probe::network::routing::{Qdisc, Routing};

/// A connection whose first packet a queueing discipline or a tc filter may have lost.
pub(super) fn lost(attempt: &Attempt, around: &Surroundings<'_>) -> Option<Finding> {
    if attempt.errno != Some(libc::ETIMEDOUT)
        || matches!(attempt.listener, Listener::Nobody | Listener::Changing)
    {
        return None;
    }
    tc_filter(attempt, around.routing).or_else(|| {
        let link = around.routing.way_out()?;
        let shaping = around.routing.qdiscs.iter().find(|q| q.link == link.index && loses(q))?;
        Some(shaped_by(shaping, &link.name, Certainty::Likely))
    })
}

/// tc filters and XDP programs see a packet before any rule of the packet filter.
fn tc_filter(attempt: &Attempt, routing: &Routing) -> Option<Finding> {
    let link = routing.way_out()?;
    let drops = |filter: &&crate::probe::network::routing::Filter| {
        filter.link == link.index
            && (filter.dropped > 0 || filter.actions.iter().any(|action| action == "drop"))
    };
    if let Some(filter) = routing.filters.iter().find(drops) {
        let what = format!(
            "{} {} tc filter, priority {}: {}",
            link.name,
            filter.place,
            filter.priority,
            filter.actions.join(", ")
        );
        let place = if filter.place == "root" { "root" } else { filter.place };
        return Some(
            Finding::new(
                Verdict::FirewallDrop,
                Certainty::Likely,
                format!("a {} tc filter on {} drops it", filter.kind, link.name),
            )
            .detail("rule", what.clone())
            .detail("proof", format!("its actions have dropped {} packets so far", filter.dropped))
            .fact("rtnetlink", what, json!({"dropped": filter.dropped}))
            .fix(
                &["tc", "filter", "del", "dev", &link.name, place],
                true,
                "deletes every filter there",
            ),
        );
    }
    if !link.xdp || !attempt.is_local(routing) {
        return None;
    }
    Some(
        Finding::new(
            Verdict::FirewallDrop,
            Certainty::Likely,
            format!("an XDP program on {} may drop it", link.name),
        )
        .detail("rule", "the decisions of an XDP program cannot be read; bpftool net shows the program")
        .fact("rtnetlink", format!("XDP program on {}", link.name), true)
        .fix(
            &["ip", "link", "set", "dev", &link.name, "xdp", "off"],
            true,
            "disables what the program does",
        ),
    )
}

/// A queueing discipline on the loopback link that delays or loses traffic. On loopback it serves no purpose, so it is
/// left over from a simulation. Other links have such disciplines for good reasons.
pub fn shaped(routing: &Routing) -> Option<Finding> {
    let lo = routing.loopback()?;
    let shaping = routing.qdiscs.iter().find(|qdisc| qdisc.link == lo.index && shapes(qdisc))?;
    Some(shaped_by(shaping, &lo.name, Certainty::Proven))
}

fn shaped_by(qdisc: &Qdisc, link: &str, certainty: Certainty) -> Finding {
    let words = words(qdisc);
    Finding::new(Verdict::LinkShaped, certainty, format!("{link} is shaped: {words} (tc qdisc)"))
        .detail("how", "every connection within this machine passes through that queue")
        .detail(
            "proof",
            format!(
                "it has dropped {} packets and delayed {} so far; {} wait now",
                qdisc.dropped, qdisc.overlimits, qdisc.waiting
            ),
        )
        .fact("rtnetlink", format!("{link}: {words}"), json!(qdisc))
        .fix(&["tc", "qdisc", "del", "dev", link, "root"], true, "ends the simulation")
}

/// `tbf 200 kbit`, `netem delay 100 ms loss 1 %`
pub(super) fn words(qdisc: &Qdisc) -> String {
    let mut words = qdisc.kind.clone();
    words.extend(qdisc.rate.map(|rate| format!(" {}", bits(rate))));
    words.extend(qdisc.delay.map(|delay| format!(" delay {} ms", delay.as_secs_f64() * 1e3)));
    words.extend(qdisc.loss.map(|loss| format!(" loss {} %", f64::from(loss) / 1e4)));
    words.extend(qdisc.tamper.map(|_| " that damages, doubles or reorders".to_owned()));
    words
}

/// A tc rate, which is in bytes per second, written in bits.
fn bits(rate: u64) -> String {
    match rate * 8 {
        bits @ 10_000_000.. => format!("{} mbit", bits / 1_000_000),
        bits @ 1000.. => format!("{} kbit", bits / 1000),
        bits => format!("{bits} bit"),
    }
}

/// Whether a queueing discipline shapes traffic: those that only order packets, or do not queue at all, do not.
pub(super) fn shapes(qdisc: &Qdisc) -> bool {
    let orders = [
        "noqueue",
        "pfifo_fast",
        "pfifo",
        "bfifo",
        "fq",
        "fq_codel",
        "codel",
        "fq_pie",
        "pie",
        "mq",
        "mqprio",
        "prio",
        "sfq",
        "multiq",
        "clsact",
        "ingress",
        "noop",
    ];
    qdisc.rate.is_some()
        || qdisc.delay.is_some()
        || qdisc.loss.is_some()
        || qdisc.tamper.is_some()
        || !(orders.contains(&&qdisc.kind[..]) || qdisc.kind == "netem")
}

/// Whether it can lose a single small packet.
fn loses(qdisc: &Qdisc) -> bool {
    shapes(qdisc)
        && (qdisc.loss.is_some() || qdisc.delay.is_some() || qdisc.dropped > 0 || qdisc.kind == "plug")
}

/// The lengths, in bytes, of a small and of a large packet of an open connection: no path has a smaller limit than the
/// first, and the second is as large as a loopback segment of a short file.
const SMALL: u32 = 100;
const LARGE: u32 = 9000;

/// A rule that lets small packets of an open connection pass but not large ones.
pub fn large_packets(attempt: &Attempt, around: &Surroundings<'_>) -> Option<Finding> {
    let way = attempt.way(around.routing)?;
    let ruleset = &around.before.ruleset;
    let stopped = |length| {
        let both = [attempt.first_packet(), attempt.first_packet().answer()];
        let hits = both.into_iter().flat_map(|packet| filter::one(ruleset, &packet.later(length), &way).hits);
        hits.filter(|hit| matches!(hit.effect, Effect::Drop | Effect::Reject(_)) && hit.certain)
            .collect::<Vec<_>>()
    };
    if !stopped(SMALL).is_empty() {
        return None;
    }
    let hit = stopped(LARGE).into_iter().next()?;
    let (mut passes, mut lost) = (SMALL, LARGE);
    while lost - passes > 1 {
        let middle = passes + (lost - passes) / 2;
        if stopped(middle).is_empty() { passes = middle } else { lost = middle }
    }
    let rule = &ruleset.rules[hit.rule?];
    let line = format!("{}: {}", firewall::place(rule), around.before.words(rule));
    let summary = format!("packets over {passes} bytes are dropped ({})", firewall::place(rule));
    let mut finding = Finding::new(Verdict::LargePacketsLost, Certainty::Proven, summary)
        .detail("rule", line.clone())
        .detail("proof", format!("packets of {passes} bytes pass every rule, those of {lost} do not"))
        .fact("nf_tables", line, json!({"passes": passes, "lost": lost}));
    if let Some(words) = around.before.deletion(rule) {
        finding = finding.fix(
            &words.iter().map(String::as_str).collect::<Vec<_>>(),
            true,
            "lets large packets pass",
        );
    }
    Some(finding)
}
