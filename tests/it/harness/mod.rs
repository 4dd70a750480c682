//! What the tests stand on: a gate in this process, the program in its own, targets of every temper, and wires between.

mod gate;
pub(crate) mod namespace;
pub(crate) mod pattern;
mod program;
mod target;
mod wire;

use std::time::{Duration, Instant};

pub(crate) use gate::Gate;
pub(crate) use program::{Program, address_in};
pub(crate) use target::Target;
pub(crate) use wire::{Ending, Wire};

/// How long anything may take that is waited for. Long, for a loaded machine; no test takes as long when it passes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again and again, for what the system has no event for; panics with `what` when [`PATIENCE`] is over.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "still not: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
