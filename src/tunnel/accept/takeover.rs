//! Two controls of one tunnel: which of them stays.
//!
//! A control that does not answer is dead and must not keep its ports from its own machine. One that lives must not be
//! driven out by another machine with the same key, or the two would drive each other out for ever.
//!
//! Pure: what is known of both is an argument.

use std::time::Duration;

use crate::transport::tunnel::message::Token;

/// When a machine that was refused may try again.
pub(super) const AGAIN: Duration = Duration::from_secs(30);

/// What happens to a control that has just said HELLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is welcome.
    Enter,
    /// It is welcome, and the one before it is closed: the same process has made both.
    Replace,
    /// Whether it is welcome depends on whether the one before it answers a question within two seconds.
    Probe,
    /// It has to come again: another one is being judged.
    Wait,
}

/// What a probe has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// The control before it is dead, and so are its sessions.
    Dead,
    /// It lives, and stays.
    Lives,
}

/// The control that is there.
#[derive(Clone, Copy)]
pub(super) struct Present {
    /// The secret of the process that made it.
    pub(super) instance: Token,
    /// Whether its other end has said that it stops.
    pub(super) is_leaving: bool,
    /// Whether it is being asked whether it lives.
    pub(super) is_probed: bool,
}

/// Judges a newcomer by what is there.
pub(super) fn arrival(present: Option<Present>, instance: &Token) -> Arrival {
    match present {
        None => Arrival::Enter,
        Some(present) if present.is_leaving => Arrival::Enter,
        Some(present) if present.instance == *instance => Arrival::Replace,
        Some(present) if present.is_probed => Arrival::Wait,
        Some(_) => Arrival::Probe,
    }
}

/// Judges the control before a newcomer of another process by whether it has answered.
pub(super) fn judged(has_answered: bool) -> Judged {
    if has_answered { Judged::Lives } else { Judged::Dead }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present(instance: u8) -> Option<Present> {
        Some(Present { instance: Token([instance; 16]), is_leaving: false, is_probed: false })
    }

    #[test]
    fn the_first_control_enters_and_so_does_one_whose_predecessor_said_that_it_stops() {
        let leaving = present(1).map(|it| Present { is_leaving: true, ..it });

        assert_eq!(arrival(None, &Token([1; 16])), Arrival::Enter);
        assert_eq!(arrival(leaving, &Token([2; 16])), Arrival::Enter);
    }

    #[test]
    fn a_process_replaces_its_own_control_without_a_probe() {
        assert_eq!(arrival(present(1), &Token([1; 16])), Arrival::Replace);
        let probed = present(1).map(|it| Present { is_probed: true, ..it });
        assert_eq!(arrival(probed, &Token([1; 16])), Arrival::Replace);
    }

    #[test]
    fn another_process_with_the_key_enters_only_over_a_dead_one() {
        assert_eq!(arrival(present(1), &Token([2; 16])), Arrival::Probe);
        assert_eq!(judged(true), Judged::Lives);
        assert_eq!(judged(false), Judged::Dead);
    }

    #[test]
    fn one_control_is_judged_at_a_time() {
        let probed = present(1).map(|it| Present { is_probed: true, ..it });

        assert_eq!(arrival(probed, &Token([2; 16])), Arrival::Wait);
    }
}
