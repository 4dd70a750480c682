//! The names of a route's targets, as records and log lines show them.

use std::sync::Arc;

/// The names of a route's targets, as written and in their order.
///
/// Takes one word in each session, unlike a slice.
#[derive(Debug)]
pub struct TargetNames {
    each: Box<[Arc<str>]>,
    all: Arc<str>,
}

/// The largest number of names listed together.
const MAX_NAMED: usize = 4;

impl TargetNames {
    /// The names of these targets.
    pub fn new(each: Vec<Arc<str>>) -> TargetNames {
        let all = match &each[..] {
            [only] => only.clone(),
            several => {
                let some = several[..several.len().min(MAX_NAMED)].join(",");
                let more = several.len().saturating_sub(MAX_NAMED);
                if more == 0 { some.into() } else { format!("{some},+{more}").into() }
            }
        };
        TargetNames { each: each.into(), all }
    }

    /// The name at this index; beyond the last, all of them together.
    pub(super) fn at(&self, place: usize) -> &Arc<str> {
        self.each.get(place).unwrap_or(&self.all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_targets_of_a_session_are_named_one_by_one_and_together() {
        let names = |count: usize| TargetNames::new((1..=count).map(|n| format!("h:{n}").into()).collect());

        assert_eq!((&**names(1).at(0), &**names(1).at(usize::MAX)), ("h:1", "h:1"));
        assert_eq!((&**names(2).at(1), &**names(2).at(usize::MAX)), ("h:2", "h:1,h:2"));
        assert_eq!(&**names(6).at(usize::MAX), "h:1,h:2,h:3,h:4,+2");
    }
}
