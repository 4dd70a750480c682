//! Whether a program has stopped accepting though its kernel goes on: the rule over its accept queue, and why. Pure.

use super::finding::Finding;
use super::verdict::{Certainty, Verdict};
use super::who::names;
use crate::outcome::Holder;

/// Looks at an accept queue that must agree.
pub const SAMPLES: usize = 3;

/// Whether nothing was accepted between these looks at the length of an accept queue: somebody waits, and the queue does
/// not sink. A program that accepts slowly lets it sink now and then.
pub fn is_stuck(queue: &[u32]) -> bool {
    let last = queue.len().checked_sub(SAMPLES).and_then(|from| queue.get(from..));
    last.is_some_and(|last| {
        last.iter().all(|waiting| *waiting > 0) && last.windows(2).all(|pair| pair[0] <= pair[1])
    })
}

/// Why `waiting` connections are not accepted, as far as the state of the program says.
pub fn not_accepting(holder: Option<&Holder>, waiting: u32) -> Finding {
    let queue = match waiting {
        1 => "1 connection waits".to_owned(),
        more => format!("{more} connections wait"),
    };
    let Some(holder) = holder else {
        let text = format!("the kernel takes connections, the program accepts none: {queue}");
        return Finding::new(Verdict::TargetNotAccepting, Certainty::Likely, text);
    };
    let who = names(&[holder]);
    let (verdict, what) = match (holder.state, holder.tracer) {
        ('T', _) => (Verdict::TargetSuspended, "is suspended and accepts nothing".to_owned()),
        ('t', Some(tracer)) => {
            (Verdict::TargetInDebugger, format!("stands in a debugger (pid {tracer}) and accepts nothing"))
        }
        ('t', None) => (Verdict::TargetInDebugger, "stands in a debugger and accepts nothing".to_owned()),
        ('D', _) => (Verdict::TargetUninterruptible, "is stuck in the kernel and accepts nothing".to_owned()),
        _ => (Verdict::TargetNotAccepting, "accepts nothing, though its kernel does".to_owned()),
    };
    Finding::new(verdict, Certainty::Proven, format!("{who} {what}: {queue}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_grows_or_stands_is_stuck_and_one_that_sinks_is_not() {
        assert!(is_stuck(&[1, 1, 1]) && is_stuck(&[9, 1, 2, 5]));
        assert!(
            !is_stuck(&[1, 1]) && !is_stuck(&[3, 3, 2]) && !is_stuck(&[0, 1, 2]) && !is_stuck(&[1, 0, 1])
        );
    }
}
