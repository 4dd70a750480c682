//! The addresses that the other end has had us dial, each as a route.
//!
//! A route rather than a session without one: so a limit, a record, health and the name in a record are what they are for
//! every target. The routes are kept, as the books of the ledger are, and there are only so many of them, ever.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::address::{Protocol, TargetAddress};
use crate::transport::tunnel::message::MAX_ROUTES;

/// The names that a tunnel has used, of listeners and of dialled addresses alike: at most [`MAX_ROUTES`], ever.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<Arc<str>>);

impl Names {
    /// Whether a name may be used; from then on it is one of them.
    pub(super) fn may_use(&mut self, name: &str) -> bool {
        if self.0.contains(name) {
            return true;
        }
        let has_room = self.0.len() < MAX_ROUTES;
        if has_room {
            self.0.insert(name.into());
        }
        has_room
    }
}

/// What is dialled, by the name of its route.
#[derive(Debug, Default)]
pub(super) struct Dialled(BTreeMap<Arc<str>, To>);

/// The name of the route by which an address is dialled: no listener has it, as it has a colon.
pub(super) fn name(written: &TargetAddress, protocol: Protocol) -> Arc<str> {
    match protocol {
        Protocol::Tcp => written.to_string().into(),
        Protocol::Udp => format!("{written}/udp").into(),
    }
}

#[derive(Debug, PartialEq)]
struct To {
    written: TargetAddress,
    protocol: Protocol,
    /// The very addresses that were judged.
    targets: Vec<TargetAddress>,
}

impl Dialled {
    /// Notes the targets of a name; returns whether they are news.
    pub(super) fn note(
        &mut self,
        name: &Arc<str>,
        written: TargetAddress,
        protocol: Protocol,
        targets: Vec<TargetAddress>,
    ) -> bool {
        let to = To { written, protocol, targets };
        let is_news = self.0.get(name) != Some(&to);
        if is_news {
            self.0.insert(name.clone(), to);
        }
        is_news
    }

    /// Forgets those of which an address, as written and as found, is no longer permitted; returns their names.
    pub(super) fn retain(
        &mut self,
        permits: impl Fn(&TargetAddress, &TargetAddress, Protocol) -> bool,
    ) -> Vec<Arc<str>> {
        let is_out = |to: &To| !to.targets.iter().all(|target| permits(&to.written, target, to.protocol));
        self.0.extract_if(.., |_, to| is_out(to)).map(|(name, _)| name).collect()
    }

    /// Each name with its protocol and its targets.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, Protocol, &Vec<TargetAddress>)> {
        self.0.iter().map(|(name, to)| (name, to.protocol, &to.targets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_has_so_many_names_ever_and_may_use_each_again() {
        let mut names = Names::default();
        let used = (0..MAX_ROUTES + 10).filter(|n| names.may_use(&n.to_string())).count();

        assert_eq!(used, MAX_ROUTES);
        assert!(names.may_use("0") && !names.may_use("new"));
    }
}
