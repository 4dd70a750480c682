//! Which clients may connect: sets of addresses, and what `allow` and `deny` mean together.
//!
//! Pure: takes an address, returns a decision. The plan reads list files.

mod list_file;
mod listed;
mod members;
mod networks;
mod permits;

use std::net::IpAddr;
use std::sync::Arc;

pub use list_file::{ListFile, MAX_LINE, listed_in};
pub use listed::Listed;
pub use members::{IdOrName, Member, Members};
pub use networks::Networks;
pub(crate) use permits::reached;
pub use permits::{IsOwn, May, Permits};

use crate::outcome::Denial;

/// Which clients may connect to a route.
///
/// `deny` is checked first: clients it lists are denied, whatever `allow` contains. With an `allow`, all others are
/// denied too; without one, all others may connect. (As in rinetd, and as people write it for nginx and HAProxy.)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Clients that may connect; `None` admits all.
    pub allow: Option<Sets>,
    /// Clients that may not connect.
    pub deny: Sets,
    /// Processes that may connect to its Unix sockets; `None` admits all that the socket's file does.
    pub allow_members: Option<Members>,
    /// Processes that may not.
    pub deny_members: Members,
}

/// Several sets taken together. A set from a file is shared by every route that names the file.
pub type Sets = Vec<Arc<Networks>>;

impl Access {
    /// Whether it restricts nothing: every client may connect.
    pub fn is_open(&self) -> bool {
        self.allow.is_none()
            && self.deny.is_empty()
            && self.allow_members.is_none()
            && self.deny_members.is_empty()
    }

    /// Whether a decision about a process needs its groups.
    pub fn asks_groups(&self) -> bool {
        self.deny_members.name_groups() || self.allow_members.as_ref().is_some_and(Members::name_groups)
    }

    /// Why this process may not connect to a Unix socket; `None` if it may. Where its groups are asked for and not known,
    /// it may not.
    pub fn denies_process(&self, user: u32, groups: Option<&[u32]>) -> Option<Denial> {
        if self.deny_members.contain(user, groups) != Some(false) {
            return Some(Denial::UserListed);
        }
        let allow = self.allow_members.as_ref()?;
        (allow.contain(user, groups) != Some(true)).then_some(Denial::UserUnlisted)
    }

    /// Why a client may not connect of which neither an address nor a user is known.
    pub fn denies_unknown(&self) -> Option<Denial> {
        self.allow_members.is_some().then_some(Denial::UserUnlisted)
    }

    /// Why a client may not connect that is somewhere in a network, nobody knows where: it is in no list.
    pub fn denies_anywhere(&self) -> Option<Denial> {
        match self.allow {
            Some(_) => Some(Denial::Unlisted),
            None => self.denies_unknown(),
        }
    }

    /// Why this client may not connect; `None` if it may. An IPv4-mapped IPv6 address counts as the IPv4 address.
    pub fn denies(&self, ip: IpAddr) -> Option<Denial> {
        let ip = ip.to_canonical();
        let is_in = |sets: &Sets| sets.iter().any(|set| set.contains(ip));
        if is_in(&self.deny) {
            return Some(Denial::Listed);
        }
        self.allow.as_ref().is_some_and(|allow| !is_in(allow)).then_some(Denial::Unlisted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(networks: &[&str]) -> Sets {
        let networks = networks.iter().map(|network| network.parse::<ipnet::IpNet>().unwrap());
        vec![Arc::new(networks.collect())]
    }

    fn answers(access: &Access, clients: [&str; 4]) -> [Option<Denial>; 4] {
        clients.map(|client| access.denies(client.parse().unwrap()))
    }

    #[test]
    fn a_client_whose_address_nobody_knows_is_kept_out_by_any_allow() {
        let networks = Access { allow: Some(sets(&["0.0.0.0/0", "::/0"])), ..Access::default() };
        let users = Access { allow_members: Some(Members::new(vec![0], vec![])), ..Access::default() };
        let deny = Access { deny: sets(&["0.0.0.0/0", "::/0"]), ..Access::default() };

        assert_eq!(networks.denies_anywhere(), Some(Denial::Unlisted));
        assert_eq!(users.denies_anywhere(), Some(Denial::UserUnlisted));
        assert_eq!((deny.denies_anywhere(), Access::default().denies_anywhere()), (None, None));
    }

    const CLIENTS: [&str; 4] = ["10.1.2.3", "::ffff:10.9.9.9", "192.168.0.1", "2001:db8::1"];

    #[test]
    fn deny_goes_first_and_allow_admits_no_other_client() {
        let access =
            Access { allow: Some(sets(&["10.0.0.0/8"])), deny: sets(&["10.9.0.0/16"]), ..Access::default() };

        let unlisted = Some(Denial::Unlisted);
        assert_eq!(answers(&access, CLIENTS), [None, Some(Denial::Listed), unlisted, unlisted]);
    }

    #[test]
    fn without_allow_every_client_that_deny_does_not_list_may_connect() {
        let access =
            Access { allow: None, deny: sets(&["192.168.0.0/24", "2001:db8::/32"]), ..Access::default() };

        let listed = Some(Denial::Listed);
        assert_eq!(answers(&access, CLIENTS), [None, None, listed, listed]);
        assert_eq!(answers(&Access::default(), CLIENTS), [None; 4]);
    }

    #[test]
    fn a_process_is_let_in_by_its_user_or_a_group_and_never_where_that_is_not_known() {
        let allow = Access { allow_members: Some(Members::new(vec![7], vec![50])), ..Access::default() };
        let deny = Access { deny_members: Members::new(vec![7], vec![50]), ..Access::default() };
        let unlisted = Some(Denial::UserUnlisted);

        assert_eq!((allow.denies_process(7, None), allow.denies_process(8, Some(&[50]))), (None, None));
        assert_eq!(
            (allow.denies_process(8, Some(&[51])), allow.denies_process(8, None)),
            (unlisted, unlisted)
        );
        assert_eq!((allow.denies_unknown(), deny.denies_unknown()), (unlisted, None));
        let listed = Some(Denial::UserListed);
        assert_eq!((deny.denies_process(7, Some(&[])), deny.denies_process(8, None)), (listed, listed));
        assert_eq!(deny.denies_process(8, Some(&[51])), None);
        assert_eq!(Access::default().denies_process(7, None), None);
        assert!(allow.asks_groups() && deny.asks_groups() && !Access::default().asks_groups());
    }
}
