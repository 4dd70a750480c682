//! How the time is divided. Pure.

use std::time::Duration;

use loopgate_load::Span;

/// What a turn should last at least before a round more is worth having.
const TURN: Duration = Duration::from_millis(250);
/// What starting a turn's process takes.
const START: Duration = Duration::from_millis(15);

/// Rounds, and the time of one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) rounds: u32,
    turn: Duration,
}

impl Schedule {
    /// One, three or five rounds of so many turns, which fill the whole time together.
    pub(super) fn of(whole: Duration, turns: usize) -> Schedule {
        let turns = u32::try_from(turns.max(1)).unwrap_or(u32::MAX);
        let affordable = whole.as_millis() / (TURN.as_millis() * u128::from(turns));
        // An odd number has a middle one.
        let rounds = [5_u32, 3].into_iter().find(|rounds| u128::from(*rounds) <= affordable).unwrap_or(1);
        Schedule { rounds, turn: whole / (turns * rounds) }
    }

    /// A fifth of a turn goes by before anything is measured: sockets grow their buffers meanwhile.
    pub(super) fn span(&self) -> Span {
        let load = self.turn.saturating_sub(START).max(START);
        Span { warm_up: load / 5, measured: load - load / 5 }
    }
}

#[test]
fn a_longer_time_makes_more_rounds_and_then_longer_turns() {
    let of = |seconds, turns| {
        let schedule = Schedule::of(Duration::from_secs(seconds), turns);
        (schedule.rounds, schedule.turn.as_millis())
    };

    assert_eq!(of(1, 10), (1, 100));
    assert_eq!(of(10, 10), (3, 333));
    assert_eq!(of(10, 5), (5, 400));
    assert_eq!(of(60, 10), (5, 1200));
    let span = Schedule::of(Duration::from_secs(10), 10).span();
    assert_eq!((span.warm_up + span.measured).as_millis(), 318);
}
