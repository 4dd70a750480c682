//! Whether a program has stopped accepting while the kernel still accepts for it: the rule over its accept queue, and
//! the reason. Pure.

use std::slice;

use super::finding::Finding;
use super::reach::{Life, kept_from_accepting, standstill};
use super::verdict::{Certainty, Verdict};
use crate::probe::process::process_stats::Vitals;

/// How many samples of an accept queue must agree.
pub const SAMPLES: usize = 3;

/// Whether nothing was accepted between these samples of the length of an accept queue: connections wait, and the queue
/// never shrinks. The queue of a program that accepts slowly shrinks now and then.
pub fn is_stuck(queue: &[u32]) -> bool {
    let last = queue.len().checked_sub(SAMPLES).and_then(|from| queue.get(from..));
    last.is_some_and(|last| {
        last.iter().all(|waiting| *waiting > 0) && last.windows(2).all(|pair| pair[0] <= pair[1])
    })
}

/// Why the program does not accept the `waiting` connections, judged by the holder's activity at two moments.
pub fn not_accepting(life: Option<&Life>, waiting: u32) -> Finding {
    let queue = match waiting {
        1 => "1 connection waits".to_owned(),
        more => format!("{more} connections wait"),
    };
    let Some(life) = life else {
        let text = format!("the kernel takes connections, the program accepts none: {queue}");
        return Finding::new(Verdict::TargetNotAccepting, Certainty::Likely, text);
    };
    let judged = kept_from_accepting(slice::from_ref(life));
    let (verdict, certainty) = judged.unwrap_or((Verdict::TargetNotAccepting, Certainty::Proven));
    let text = format!("{} and accepts nothing: {queue}", what_it_does(verdict, life));
    Finding::new(verdict, certainty, text)
}

/// Why the program does not read `unread` bytes of an accepted connection; `None` if it may merely take its time: a
/// service that computes, or waits for another, also leaves early data unread.
pub fn not_reading(life: &Life, unread: u32) -> Option<Finding> {
    let (verdict, certainty) = standstill(slice::from_ref(life))?;
    let text = format!("{}: {unread} bytes of a connection wait unread", what_it_does(verdict, life));
    Some(Finding::new(verdict, certainty, text))
}

fn what_it_does(verdict: Verdict, life: &Life) -> String {
    let Vitals { comm, pid, tracer, frozen, descriptors, descriptor_limit, .. } = &life.after;
    let what = match verdict {
        Verdict::TargetSuspended if *frozen => "is frozen with its cgroup".to_owned(),
        Verdict::TargetSuspended => "is suspended".to_owned(),
        Verdict::TargetInDebugger => match tracer {
            Some((pid, name)) => format!("is held in a debugger, {name} (pid {pid}),"),
            None => "is held in a debugger".to_owned(),
        },
        Verdict::TargetUninterruptible => "is stuck in the kernel".to_owned(),
        Verdict::TargetOutOfFds => match (descriptors, descriptor_limit) {
            (Some(used), Some(limit)) => format!("has {used} of {limit} descriptors open"),
            _ => "has no descriptor left".to_owned(),
        },
        Verdict::TargetBusyLoop => {
            format!("uses {:.0} % of a processor", life.after.load_since(&life.before) * 100.0)
        }
        _ => "is alive".to_owned(),
    };
    format!("{comm} (pid {pid}) {what}")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn vitals(state: char) -> Vitals {
        Vitals {
            pid: 7,
            comm: "node".to_owned(),
            state,
            threads: Vec::new(),
            used: Duration::ZERO,
            queued: Default::default(),
            descriptors: Some(12),
            descriptor_limit: Some(1024),
            tracer: None,
            frozen: false,
            at: Instant::now(),
        }
    }

    fn verdict(before: &Vitals, after: &Vitals) -> Verdict {
        not_accepting(Some(&Life { before: before.clone(), after: after.clone() }), 17).verdict
    }

    #[test]
    fn a_queue_that_never_shrinks_is_stuck_and_one_that_shrinks_is_not() {
        assert!(is_stuck(&[1, 1, 1]) && is_stuck(&[9, 1, 2, 5]));
        assert!(
            !is_stuck(&[1, 1]) && !is_stuck(&[3, 3, 2]) && !is_stuck(&[0, 1, 2]) && !is_stuck(&[1, 0, 1])
        );
    }

    #[test]
    fn the_activity_of_the_holder_explains_why_nothing_is_accepted() {
        let asleep = vitals('S');
        let later = |change: fn(&mut Vitals)| {
            let mut after = Vitals { at: asleep.at + Duration::from_millis(200), ..vitals('S') };
            change(&mut after);
            verdict(&asleep, &after)
        };

        assert_eq!(later(|it| it.state = 'T'), Verdict::TargetSuspended);
        assert_eq!(later(|it| it.frozen = true), Verdict::TargetSuspended);
        assert_eq!(later(|it| it.state = 't'), Verdict::TargetInDebugger);
        assert_eq!(later(|it| it.descriptors = Some(1024)), Verdict::TargetOutOfFds);
        assert_eq!(later(|it| it.used = Duration::from_millis(190)), Verdict::TargetBusyLoop);
        assert_eq!(later(|_| {}), Verdict::TargetNotAccepting);
        assert_eq!(
            later(|it| it.state = 'D'),
            Verdict::TargetNotAccepting,
            "a moment in the disk is no fault"
        );
        assert_eq!(verdict(&vitals('D'), &vitals('D')), Verdict::TargetUninterruptible);
    }

    #[test]
    fn the_waiting_connections_and_the_process_they_wait_for_are_named() {
        let life = Life { before: vitals('S'), after: vitals('T') };

        let finding = not_accepting(Some(&life), 17);

        assert_eq!(finding.summary, "node (pid 7) is suspended and accepts nothing: 17 connections wait");
        assert_eq!(not_accepting(None, 1).certainty, Certainty::Likely);
    }
}
