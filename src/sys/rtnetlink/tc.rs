//! The queues of links and the filters around them (tc(8)): they can delay or drop a packet below the firewall.

use std::io;
use std::time::Duration;

use serde::Serialize;

use super::{Rows, protocol, rows};
use crate::sys::netlink::{Request, ask, attribute, attributes, malformed, text, u32_at, u64_at};

/// A queueing discipline of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Qdisc {
    /// The link's number.
    pub link: u32,
    /// `noqueue`, `fq_codel`, `tbf`, `netem` …; not yet escaped.
    pub kind: String,
    /// Its handle: major and minor number.
    pub handle: u32,
    /// Whether it is the root queue, not a child of another.
    pub root: bool,
    /// Its rate in bytes per second, if known.
    pub rate: Option<u64>,
    /// The delay of each packet.
    pub delay: Option<Duration>,
    /// How many packets per million it drops.
    pub loss: Option<u32>,
    /// How many packets per million it corrupts, duplicates or reorders.
    pub tamper: Option<u32>,
    /// Packets it dropped so far.
    pub dropped: u64,
    /// Packets queued now.
    pub waiting: u32,
    /// How often a packet had to wait.
    pub overlimits: u64,
}

/// A filter of a link that may drop, change or redirect what passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// The link's number.
    pub link: u32,
    /// `ingress`, `egress` or `root`.
    pub place: &'static str,
    /// `u32`, `flower`, `matchall`, `bpf` …; not yet escaped.
    pub kind: String,
    /// Filters run in ascending order of priority.
    pub priority: u16,
    /// Its actions on a match: `drop`, `mirred`, `police` …; for a `bpf` filter in direct-action mode, the program's
    /// name.
    pub actions: Vec<String>,
    /// Packets its actions dropped so far.
    pub dropped: u64,
}

const RTM_GETTFILTER: u16 = 46;
const RTM_GETQDISC: u16 = 38;
const TCMSG: usize = 20;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TC_H_ROOT: u32 = 0xffff_ffff;
const MILLION: u64 = 1_000_000;

pub(crate) fn qdiscs() -> io::Result<Rows<Qdisc>> {
    rows(&ask(protocol(), &Request::dump(RTM_GETQDISC, &[0; TCMSG]))?, read_qdisc)
}

/// The ingress, egress and root queue filters of a link. A link without filters is not an error.
pub(crate) fn filters(link: u32, root: Option<u32>) -> io::Result<Rows<Filter>> {
    // TC_H_CLSACT with TC_H_MIN_INGRESS and TC_H_MIN_EGRESS.
    let places = [("ingress", Some(0xffff_fff2)), ("egress", Some(0xffff_fff3)), ("root", root)];
    let mut all = Rows { rows: Vec::new(), cut: false };
    for (place, parent) in places {
        let Some(parent) = parent else { continue };
        let mut fixed = [0; TCMSG];
        fixed[4..8].copy_from_slice(&link.to_ne_bytes());
        fixed[12..16].copy_from_slice(&parent.to_ne_bytes());
        let answer = match ask(protocol(), &Request::dump(RTM_GETTFILTER, &fixed)) {
            // The link has no such attachment point.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOENT)) => continue,
            answer => answer?,
        };
        let found = rows(&answer, |body| read_filter(body, place))?;
        all.cut |= found.cut;
        // The kernel reports a filter and its table of matches as two rows; the table has no action.
        all.rows.extend(found.rows.into_iter().filter(|filter| !filter.actions.is_empty()));
    }
    Ok(all)
}

/// tcmsg: family, three of padding, link, handle, parent, info.
pub(super) fn read_qdisc(body: &[u8]) -> io::Result<Qdisc> {
    const TCA_STATS: u16 = 3;
    let (Some(link), Some(handle), Some(parent), Some(rest)) =
        (u32_at(body, 4), u32_at(body, 8), u32_at(body, 12), body.get(TCMSG..))
    else {
        return Err(malformed("a queue cut short"));
    };
    let mut qdisc = Qdisc { link, handle, root: parent == TC_H_ROOT, ..Qdisc::default() };
    qdisc.kind = attribute(rest, TCA_KIND).map(text).unwrap_or_default();
    let options = attribute(rest, TCA_OPTIONS).unwrap_or_default();
    match &qdisc.kind[..] {
        "tbf" => qdisc.rate = tbf_rate(options),
        "netem" => read_netem(&mut qdisc, options),
        "fq" => qdisc.rate = fq_rate(options),
        _ => {}
    }
    // tc_stats: bytes (8), packets, drops, overlimits, bps, pps, qlen, backlog.
    if let Some(stats) = attribute(rest, TCA_STATS) {
        let number = |offset| u32_at(stats, offset).unwrap_or_default();
        (qdisc.dropped, qdisc.overlimits, qdisc.waiting) = (number(12).into(), number(16).into(), number(28));
    }
    Ok(qdisc)
}

/// tc_tbf_qopt begins with a tc_ratespec, whose last number is the rate; TCA_TBF_RATE64 replaces a rate above 4 GB/s.
fn tbf_rate(options: &[u8]) -> Option<u64> {
    const TCA_TBF_PARMS: u16 = 1;
    const TCA_TBF_RATE64: u16 = 4;
    let narrow = attribute(options, TCA_TBF_PARMS).and_then(|parms| u32_at(parms, 8)).map(u64::from);
    attribute(options, TCA_TBF_RATE64).and_then(|rate| u64_at(rate, 0)).or(narrow)
}

/// Without a limit per flow the rate is all ones.
fn fq_rate(options: &[u8]) -> Option<u64> {
    const TCA_FQ_FLOW_MAX_RATE: u16 = 7;
    let rate = attribute(options, TCA_FQ_FLOW_MAX_RATE).and_then(|rate| u32_at(rate, 0))?;
    (rate != u32::MAX).then_some(rate.into())
}

/// tc_netem_qopt (latency, limit, loss, gap, duplicate, jitter), then attributes. Probabilities are fractions of 2^32.
fn read_netem(qdisc: &mut Qdisc, options: &[u8]) {
    const QOPT: usize = 24;
    const TCA_NETEM_REORDER: u16 = 3;
    const TCA_NETEM_CORRUPT: u16 = 4;
    const TCA_NETEM_LOSS: u16 = 5;
    const TCA_NETEM_RATE: u16 = 6;
    const TCA_NETEM_RATE64: u16 = 8;
    const TCA_NETEM_LATENCY64: u16 = 10;
    let chance = |raw: u32| ((u64::from(raw) * MILLION) >> 32) as u32;
    let rest = options.get(QOPT..).unwrap_or_default();
    let number = |kind| attribute(rest, kind).and_then(|payload| u32_at(payload, 0)).unwrap_or_default();
    let loss = u32_at(options, 8).unwrap_or_default();
    // A loss model (Markov or Gilbert-Elliott) has its own attribute.
    let modelled = attribute(rest, TCA_NETEM_LOSS).is_some();
    qdisc.loss = (loss != 0 || modelled).then(|| chance(loss));
    let duplicate = u32_at(options, 16).unwrap_or_default();
    let tamper = duplicate.max(number(TCA_NETEM_CORRUPT)).max(number(TCA_NETEM_REORDER));
    qdisc.tamper = (tamper != 0).then(|| chance(tamper));
    // A tick is 64 ns (PSCHED_SHIFT); kernels since 4.16 also report nanoseconds.
    let ticks = u64::from(u32_at(options, 0).unwrap_or_default()) * 64;
    let delay = attribute(rest, TCA_NETEM_LATENCY64).and_then(|delay| u64_at(delay, 0)).unwrap_or(ticks);
    qdisc.delay = (delay != 0).then(|| Duration::from_nanos(delay));
    let wide = attribute(rest, TCA_NETEM_RATE64).and_then(|rate| u64_at(rate, 0));
    qdisc.rate = wide.or(Some(number(TCA_NETEM_RATE).into())).filter(|rate| *rate != 0);
}

/// tcmsg, whose info is the priority (high half) and the protocol.
pub(super) fn read_filter(body: &[u8], place: &'static str) -> io::Result<Filter> {
    let (Some(link), Some(info), Some(rest)) = (u32_at(body, 4), u32_at(body, 16), body.get(TCMSG..)) else {
        return Err(malformed("a filter cut short"));
    };
    let kind = attribute(rest, TCA_KIND).map(text).unwrap_or_default();
    let options = attribute(rest, TCA_OPTIONS).unwrap_or_default();
    let (mut actions, dropped) = read_actions(&kind, options);
    const TCA_BPF_NAME: u16 = 7;
    if kind == "bpf"
        && let Some(name) = attribute(options, TCA_BPF_NAME)
    {
        actions.push(text(name));
    }
    Ok(Filter { link, place, kind, priority: (info >> 16) as u16, actions, dropped })
}

/// Each kind of filter has its list of actions in a different attribute.
fn read_actions(kind: &str, options: &[u8]) -> (Vec<String>, u64) {
    const TCA_ACT_KIND: u16 = 1;
    const TCA_ACT_OPTIONS: u16 = 2;
    const TCA_ACT_STATS: u16 = 4;
    const TCA_STATS_QUEUE: u16 = 3;
    let list = match kind {
        "u32" => 7,
        "flower" => 3,
        "matchall" => 2,
        "bpf" => 1,
        "fw" => 4,
        "basic" => 3,
        _ => return (vec![kind.to_owned()], 0),
    };
    let (mut actions, mut dropped) = (Vec::new(), 0);
    for (_, action) in attributes(attribute(options, list).unwrap_or_default()) {
        let name = attribute(action, TCA_ACT_KIND).map(text).unwrap_or_default();
        let parms = attribute(action, TCA_ACT_OPTIONS).unwrap_or_default();
        actions.push(if name == "gact" { gact(parms).to_owned() } else { name });
        // gnet_stats_queue: qlen, backlog, drops.
        let stats = attribute(action, TCA_ACT_STATS).and_then(|stats| attribute(stats, TCA_STATS_QUEUE));
        dropped += u64::from(stats.and_then(|stats| u32_at(stats, 8)).unwrap_or_default());
    }
    (actions, dropped)
}

/// tc_gact: index, capab, action (TC_ACT_SHOT is 2).
fn gact(parms: &[u8]) -> &'static str {
    const TCA_GACT_PARMS: u16 = 2;
    match attribute(parms, TCA_GACT_PARMS).and_then(|gact| u32_at(gact, 8)) {
        Some(0) => "pass",
        Some(2) => "drop",
        _ => "gact",
    }
}
