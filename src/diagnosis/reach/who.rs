//! Names the processes of a diagnosis and describes their activity. Pure except for looking up user names.

use super::facts::{Life, ReachFacts};
use super::life::serving;
use crate::diagnosis::finding::Subject;
use crate::diagnosis::process_text::names;
use crate::probe::process;
use crate::probe::process::process_stats::Vitals;
use crate::units::counted;

/// The holders of the listener by name; if they are hidden, what is known about them.
pub(super) fn who(facts: &ReachFacts) -> String {
    let holders = facts.holders();
    if !holders.is_empty() {
        return names(&holders);
    }
    match (&facts.candidates[..], facts.listener()) {
        ([only], _) => format!("probably {} (pid {})", only.comm, only.pid),
        (_, Some(socket)) => format!("a process of {}", user(socket.uid)),
        _ => "the service".to_owned(),
    }
}

/// `www-data (uid 33)`
pub(super) fn user(uid: u32) -> String {
    process::user_name(uid).map_or_else(|| format!("uid {uid}"), |name| format!("{name} (uid {uid})"))
}

/// The activity of the processes that serve an unanswered connection; empty if unknown.
pub(super) fn what_they_do(facts: &ReachFacts) -> Vec<String> {
    serving(facts).into_iter().take(3).map(|life| does(&life.after, &share(life))).collect()
}

/// `98 % of a processor`; `2 % of a processor, other processes use the rest`
pub(super) fn share(life: &Life) -> String {
    let (load, demand) = (life.after.load_since(&life.before), life.after.demand_since(&life.before));
    let others = if demand > load + 0.5 { ", other processes use the rest" } else { "" };
    format!("{:.0} % of a processor{others}", load * 100.0)
}

/// `node (pid 7) in state S, 2 threads in futex_do_wait, 0 % of a processor`
fn does(vitals: &Vitals, share: &str) -> String {
    let mut text = format!("{} (pid {}) in state {}", vitals.comm, vitals.pid, vitals.state);
    let mut places: Vec<(String, usize)> = Vec::new();
    for place in vitals.threads.iter().filter_map(|thread| thread.waits_in.clone()) {
        match places.iter_mut().find(|(known, _)| *known == place) {
            Some((_, count)) => *count += 1,
            None => places.push((place, 1)),
        }
    }
    for (place, count) in places.iter().take(3) {
        text.push_str(&format!(", {} in {place}", counted(*count, "thread")));
    }
    format!("{text}, {share}")
}

/// Whether the subject is a Unix socket.
pub(super) fn is_unix(facts: &ReachFacts) -> bool {
    matches!(facts.subject, Subject::Unix(_))
}
