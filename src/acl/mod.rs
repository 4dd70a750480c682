//! Which clients may connect: sets of addresses, and what `allow` and `deny` mean together.
//!
//! Pure: takes an address, returns a decision. The plan reads list files.

mod list_file;
mod listed;
mod networks;

use std::net::IpAddr;
use std::sync::Arc;

pub use list_file::{MAX_LINE, listed_in};
pub use listed::Listed;
pub use networks::Networks;

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
}

/// Several sets taken together. A set from a file is shared by every route that names the file.
pub type Sets = Vec<Arc<Networks>>;

impl Access {
    /// Whether it restricts nothing: every client may connect.
    pub fn is_open(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty()
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

    const CLIENTS: [&str; 4] = ["10.1.2.3", "::ffff:10.9.9.9", "192.168.0.1", "2001:db8::1"];

    #[test]
    fn deny_goes_first_and_allow_admits_no_other_client() {
        let access = Access { allow: Some(sets(&["10.0.0.0/8"])), deny: sets(&["10.9.0.0/16"]) };

        let unlisted = Some(Denial::Unlisted);
        assert_eq!(answers(&access, CLIENTS), [None, Some(Denial::Listed), unlisted, unlisted]);
    }

    #[test]
    fn without_allow_every_client_that_deny_does_not_list_may_connect() {
        let access = Access { allow: None, deny: sets(&["192.168.0.0/24", "2001:db8::/32"]) };

        let listed = Some(Denial::Listed);
        assert_eq!(answers(&access, CLIENTS), [None, None, listed, listed]);
        assert_eq!(answers(&Access::default(), CLIENTS), [None; 4]);
    }
}
