//! The log lines about targets: one per transition, ending with the verdict's id for `loopgate explain ID`.
//!
//! Each line has a text for people and the same facts as fields for programs. `diagnosis_worker` judges; nothing here
//! decides.

use std::fmt;
use std::time::Duration;

use super::health::{News, Stage};
use super::incidents::Incident;
use super::target::Target;
use crate::address::TunnelName;
use crate::diagnosis::{Finding, Verdict};
use crate::outcome::{Cause, Holder};
use crate::units::Seconds;

/// A judgement whose text follows the target's state.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    pub(crate) text: String,
}

/// `nothing listens on it [target-not-running]`: the end of hints and lines.
impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.text, self.verdict)
    }
}

impl From<Finding> for Judged {
    fn from(finding: Finding) -> Judged {
        Judged { verdict: finding.verdict, text: finding.summary }
    }
}

/// Logs a problem of sessions with a target that still accepts connections.
pub(crate) fn incident(target: &Target, judged: &Judged) {
    bad(target, state(target.stage()), Some(judged), &judged.to_string());
}

/// Logs that such a problem has not occurred again.
pub(crate) fn incident_over(target: &str, verdict: &str, incident: Incident) {
    let lasted = Seconds(incident.met.duration_since(incident.began));
    tracing::info!("target" = %target, verdict, "target {target} has recovered for now, after {lasted} [{verdict}]");
}

/// Logs a change of a target; without a judgement, what is known.
pub(crate) fn news(target: &Target, news: News, waiting: usize, judged: Option<&Judged>) {
    match news {
        // A tunnel that goes or comes is told by its own line: not again for each target in it.
        News::Became { stage: Stage::Down(Cause::TunnelDown), .. } if target.by_tunnel().is_some() => {
            tracing::debug!("target" = %target.name(), state = "down", "target {} DOWN with its tunnel", target.name());
        }
        News::Became { was: Stage::Down(Cause::TunnelDown), stage: Stage::Up | Stage::Unknown, .. }
            if target.by_tunnel().is_some() =>
        {
            tracing::debug!("target" = %target.name(), state = "up", "target {} UP with its tunnel", target.name());
        }
        News::Became { stage: Stage::Down(cause), .. } => match target.by_tunnel() {
            Some(tunnel) => down_there(target, &tunnel.there.tunnel, cause),
            None => {
                let why = judged.map_or_else(|| cause.remedy().to_owned(), Judged::to_string);
                bad(target, "down", judged, &format!("DOWN {cause}: {why}"));
            }
        },
        News::Became { stage: Stage::Stalled, .. } => {
            let why = judged.map_or_else(|| "it accepts no connection".to_owned(), Judged::to_string);
            bad(target, "stalled", judged, &format!("STALLED: {why}"));
        }
        News::Became { was, after, failures, .. } => {
            let word = if was == Stage::Stalled { "accepts again" } else { "UP" };
            let text = format!("{word} after {}{}", Seconds(after), follow_up(target, waiting, failures));
            good(target, &text);
        }
        News::Flaps { changes, within } => {
            let plain = || flapping(target, changes, within, None).to_string();
            bad(
                target,
                "flapping",
                judged,
                &format!("FLAPPING {}", judged.map_or_else(plain, Judged::to_string)),
            );
        }
        News::Settled { stage, changes } => {
            let word = match stage {
                Stage::Down(cause) => format!("DOWN {cause} and settled"),
                Stage::Stalled => "STALLED and settled".to_owned(),
                Stage::Unknown | Stage::Up => "UP and settled".to_owned(),
            };
            good(target, &format!("{word} after {changes} changes{}", follow_up(target, 0, 0)));
        }
    }
}

/// Logs that a target in a tunnel is down: with its tunnel, or as the other end says. Of that, its own log has the reason.
fn down_there(target: &Target, tunnel: &TunnelName, cause: Cause) {
    let (name, far) = (target.name(), cause != Cause::TunnelDown);
    let why = match cause {
        Cause::TunnelDown | Cause::TunnelRefused => cause.remedy().to_owned(),
        _ => format!("so says the other end of tunnel {tunnel}: see its log"),
    };
    tracing::warn!(
        "target" = %name, state = "down", tunnel = %tunnel, cause = %cause, far,
        "target {name} DOWN {cause}: {why}"
    );
}

/// Logs that a target that is still down has another reason now.
pub(crate) fn still_down(target: &Target, cause: Cause, judged: &Judged) {
    bad(target, "down", Some(judged), &format!("still DOWN {cause}: {judged}"));
}

/// `4 changes in 20s (pids 17, 36, 54), now down: nothing listens on 127.0.0.1:3000`
pub(crate) fn flapping(target: &Target, changes: u64, within: Duration, now: Option<Judged>) -> Judged {
    let mut text = format!("{changes} changes in {}{}", Seconds(within), pids(target));
    text.extend(now.map(|now| format!(", now {}: {}", state(target.stage()), now.text)));
    Judged { verdict: Verdict::TargetFlapping, text }
}

/// Logs the holder of a target at debug level; it is no change of the target.
pub(crate) fn holder(target: &Target, holder: &Holder) {
    tracing::debug!("target" = %target.name(), pid = holder.pid, "target {} is held by {}", target.name(), name(holder));
}

/// `: node (pid 960), 4 waiting clients connected, 12 dials failed meanwhile`
fn follow_up(target: &Target, waiting: usize, failures: u64) -> String {
    let mut parts = Vec::new();
    parts.extend(target.details().holder.as_ref().map(|held| name(&held.holder)));
    match waiting {
        0 => {}
        1 => parts.push("1 waiting client goes through".to_owned()),
        more => parts.push(format!("{more} waiting clients go through")),
    }
    match failures {
        0 => {}
        1 => parts.push("1 dial failed meanwhile".to_owned()),
        more => parts.push(format!("{more} dials failed meanwhile")),
    }
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) }
}

/// ` (pids 17, 36, 54)`
fn pids(target: &Target) -> String {
    let pids: Vec<String> = target.details().pids.iter().map(u32::to_string).collect();
    match &pids[..] {
        [] => String::new(),
        [one] => format!(" (pid {one})"),
        several => format!(" (pids {})", several.join(", ")),
    }
}

/// `node (pid 960)`
pub(crate) fn name(holder: &Holder) -> String {
    format!("{} (pid {})", holder.comm, holder.pid)
}

fn good(target: &Target, text: &str) {
    let (name, state) = (target.name(), state(target.stage()));
    tracing::info!("target" = %name, state, "target {name} {text}");
}

fn bad(target: &Target, state: &'static str, judged: Option<&Judged>, text: &str) {
    let name = target.name();
    match judged {
        Some(Judged { verdict, .. }) => {
            tracing::warn!("target" = %name, state, verdict = verdict.id(), "target {name} {text}");
        }
        None => tracing::warn!("target" = %name, state, "target {name} {text}"),
    }
}

fn state(stage: Stage) -> &'static str {
    match stage {
        Stage::Unknown => "unknown",
        Stage::Up => "up",
        Stage::Stalled => "stalled",
        Stage::Down(_) => "down",
    }
}

/// "12s", "42min", "2.0h", "3 days": how long a process lived.
pub(crate) struct Lived(pub(crate) Duration);

impl fmt::Display for Lived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0..120 => Seconds(self.0).fmt(f),
            s @ 120..7200 => write!(f, "{}min", s / 60),
            s @ 7200..172_800 => write!(f, "{:.1}h", s as f64 / 3600.0),
            s => write!(f, "{} days", s / 86_400),
        }
    }
}
