//! What must be the same with Loopgate between the two ends, and what may differ, with the reason.

use std::time::Duration;

use loopgate::ledger::Record;
use loopgate::outcome::{End, Side};

use super::end::{Closed, View};
use super::play::Played;
use super::ways::Way;

/// How long the kernel may wait with an acknowledgement, and some more.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_millis(150);

const SIDES: [Side; 2] = [Side::Client, Side::Target];

/// Every difference that no rule allows, in words.
pub(super) fn differences(way: &Way, direct: &Played, through: &Played, records: &[Record]) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(moment) = through.departed {
        found.push(format!("at moment {moment} the ends never saw what they saw directly"));
    }
    for who in SIDES {
        let told = |what: String| format!("{}: {what}", who.code());
        found.extend(bytes(way, direct, through, who).map(told));
        found.extend(end(way, direct, through, records, who).map(told));
    }
    if records.len() < way.hops.len() {
        found.push(format!("{} of {} records came", records.len(), way.hops.len()));
    }
    found.extend(ends_told(way, direct, records));
    found.extend(counts(through, records));
    found
}

fn resets_are_ends(way: &Way, direct: &Played) -> bool {
    way.resets_are_ends(direct.client.closed, direct.client.at_close)
}

/// What this side got.
fn bytes(way: &Way, direct: &Played, through: &Played, who: Side) -> Option<String> {
    let (ours, theirs) = (through.account(who), through.account(who.other()));
    if let Some(at) = ours.wrong {
        return Some(format!("byte {at} is wrong"));
    }
    if ours.got > theirs.sent {
        return Some(format!("got {} of {} bytes", ours.got, theirs.sent));
    }
    // How much of what was on its way arrives is a matter of buffers, and there are more of them.
    let was_cut = direct.account(who.other()).was_cut || theirs.was_cut;
    // Where a reset was no more than an end, the other direction went on.
    let went_on = resets_are_ends(way, direct) && direct.saw_reset();
    let seen = direct.account(who).got;
    (!was_cut && !went_on && ours.got != seen).then(|| format!("got {} bytes, directly {seen}", ours.got))
}

/// How the connection of this side ended.
fn end(way: &Way, direct: &Played, through: &Played, records: &[Record], who: Side) -> Option<String> {
    let (saw, seen) = (through.view(who), direct.view(who));
    let (View::Open { fin, reset, .. }, View::Open { fin: seen_fin, reset: seen_reset, .. }) = (saw, seen)
    else {
        return None;
    };
    let is_alike = resets_are_ends(way, direct) && direct.saw_reset() && (fin || reset);
    // What it sent after the other had closed altogether met its reset only beyond Loopgate. With a FIN behind it, its own
    // connection was over by then; but it is told.
    let other = through.account(who.other());
    let is_late = other.closed == Some(Closed::InOrder) && through.account(who).has_sent_fin && fin && !reset;
    let is_told = records.iter().any(|record| record.outcome.end == reset_by(who.other()));
    let is_same = (fin, reset) == (seen_fin, seen_reset);
    (!(is_same || is_alike || is_late && is_told)).then(|| format!("saw {saw:?}, directly {seen:?}"))
}

/// What the records say of the end.
fn ends_told(way: &Way, direct: &Played, records: &[Record]) -> Option<String> {
    let told: Vec<End> = records.iter().map(|record| record.outcome.end).collect();
    let mut allowed = allowed_ends(way, direct);
    if way.is_tunnel() && left_at_once(direct) {
        allowed.push(End::ClientGone);
    }
    (!told.iter().all(|end| allowed.contains(end)))
        .then(|| format!("records say {told:?}, right were {allowed:?}"))
}

/// Whether the client has reset the connection before a byte had gone either way. The end where it came to a tunnel may not
/// have heard yet that the target is reached, which the other end and the target know by then: to it, the client left while
/// it was connecting.
fn left_at_once(direct: &Played) -> bool {
    let client = &direct.client;
    let has_nothing = matches!(client.at_close, Some(View::Open { arrived: 0, fin: false, .. }));
    client.closed == Some(Closed::Reset) && client.sent == 0 && has_nothing
}

fn reset_by(side: Side) -> End {
    match side {
        Side::Client => End::ClientReset,
        Side::Target => End::TargetReset,
    }
}

fn allowed_ends(way: &Way, direct: &Played) -> Vec<End> {
    for who in SIDES {
        let view = direct.account(who).at_close.unwrap_or(direct.view(who));
        let ender = who.other();
        match direct.account(ender).closed {
            _ if !view.is_reset() => {}
            // It has closed altogether before the other spoke again: a session that had ended by then is done, and the
            // other is refused as directly; so is each hop beyond the one that was told.
            Some(Closed::InOrder) if !resets_are_ends(way, direct) => {
                return vec![reset_by(ender), End::Done];
            }
            // The hop behind sees an end in order, and goes on until its other side ends it.
            _ if resets_are_ends(way, direct) => {
                return vec![reset_by(ender), End::Done].into_iter().chain(resets(direct)).collect();
            }
            _ => return vec![reset_by(ender)],
        }
    }
    // Nobody was left to see a reset directly, and Loopgate may have ended the session before.
    let mut ends: Vec<End> = resets(direct).chain([End::Done]).collect();
    // The close_notify that follows one side's end meets another that is gone, and is answered with a reset: a client, or
    // the hop that ended with the target behind it. Whether what went before it had arrived, the kernel does not tell: see
    // `counts`.
    if way.has_tls() {
        let is_gone = |who: &Side| {
            let account = direct.account(*who);
            account.closed == Some(Closed::InOrder) && account.has_sent_fin
        };
        ends.extend(SIDES.into_iter().filter(is_gone).map(reset_by));
    }
    ends
}

/// The ends by a side that has closed with a reset.
fn resets(direct: &Played) -> impl Iterator<Item = End> {
    let by = |who: Side| direct.account(who).closed;
    let is_reset = move |who: &Side| matches!(by(*who), Some(Closed::Reset | Closed::OverUnread));
    SIDES.into_iter().filter(is_reset).map(reset_by)
}

/// What the records say of the bytes.
fn counts(through: &Played, records: &[Record]) -> Vec<String> {
    let (client, target) = (&through.client, &through.target);
    let (Some(first), Some(last)) = (records.first(), records.last()) else { return Vec::new() };
    let (above, below) = (first.outcome.traffic, last.outcome.traffic);
    let mut found = Vec::new();
    for record in records {
        let traffic = record.outcome.traffic;
        if record.outcome.end == End::Done && traffic.up.lost() + traffic.down.lost() > 0 {
            found.push("a record says that it is done, and that bytes were lost".to_owned());
        }
    }
    for (name, sender, receiver, read, delivered) in [
        ("up", client, target, above.up.read, below.up.delivered),
        ("down", target, client, below.down.read, above.down.delivered),
    ] {
        let most = sender.sent as u64;
        if read > most || delivered > most {
            found.push(format!("{name}: sent {most}, told {read} read and {delivered} delivered"));
        }
        let arrived = match receiver.at_close {
            Some(View::Open { arrived, .. }) => arrived,
            _ => receiver.got,
        };
        // What comes for an end that has closed reaches nobody.
        let most = if sender.was_cut { sender.sent } else { arrived };
        // An end that resets may not have acknowledged all that it has. If it has sent FIN before, the kernel does not
        // tell that reset from the answer to bytes that came too late, and they count as lost; so do bytes that had the time
        // to be acknowledged, which is the case where a reset is met late.
        let is_late = records.iter().any(|record| record.outcome.timing.total > ACKNOWLEDGED_WITHIN);
        let is_doubtful = receiver.closed.is_some() && (receiver.has_sent_fin || is_late);
        let least = if is_doubtful { 0 } else { arrived };
        if !(least as u64..=most as u64).contains(&delivered) {
            found.push(format!("{name}: {arrived} arrived, told {delivered} delivered"));
        }
    }
    found
}
