//! The names of a route's targets, as records and log lines show them.

use std::sync::Arc;

use crate::address::TunnelName;

/// The names of a route's targets, as written and in their order.
///
/// Takes one word in each session, unlike a slice.
#[derive(Debug)]
pub struct TargetNames {
    each: Box<[Arc<str>]>,
    all: Arc<str>,
    /// The tunnel of each; empty if none is in one.
    tunnels: Box<[Option<TunnelName>]>,
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
        TargetNames { each: each.into(), all, tunnels: Box::default() }
    }

    /// The same, with the tunnel of each target that is in one.
    #[must_use]
    pub fn in_tunnels(self, tunnels: impl Iterator<Item = Option<TunnelName>>) -> TargetNames {
        let tunnels: Box<[_]> = tunnels.collect();
        let is_any = tunnels.iter().any(Option::is_some);
        TargetNames { tunnels: if is_any { tunnels } else { Box::default() }, ..self }
    }

    /// The tunnel of the target at this index; none beyond the last.
    pub(super) fn tunnel_at(&self, place: usize) -> Option<&TunnelName> {
        self.tunnels.get(place).and_then(Option::as_ref)
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
        let home = || "home".parse::<TunnelName>().ok();
        let tunnels = names(2).in_tunnels([None, home()].into_iter());
        let at = |place| tunnels.tunnel_at(place).cloned();
        assert_eq!([at(0), at(1), at(2), at(usize::MAX)], [None, home(), None, None]);
        assert_eq!(&**names(6).at(usize::MAX), "h:1,h:2,h:3,h:4,+2");
    }
}
