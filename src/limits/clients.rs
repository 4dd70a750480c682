//! What each client address has: its sessions, and its connection rate.
//!
//! Pure: the clock is an argument. Nothing is kept about a client that has left and whose tokens are all back.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use super::EntryLimits;
use super::gcra::Pace;
use crate::address::TunnelName;
use crate::outcome::Limit;

/// The largest number of clients without a session whose rate is remembered. Beyond it, the one that left first is
/// forgotten, which gives it a full bucket: only `connection_rate` limits that many addresses.
const MAX_REMEMBERED: usize = 65_536;

/// A table that has emptied keeps capacity for this many.
const KEPT: usize = 64;

/// One client to the limits: an IPv4 address, or the /64 of an IPv6 address, within which a machine chooses its
/// addresses freely (RFC 4291, section 2.5.4; RFC 8981).
///
/// A client that came through a tunnel is another one than the client that connected here from the same address: the
/// address is the word of the tunnel's other end, which could else use up what direct clients may have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientKey(Kind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Direct(IpAddr),
    /// Boxed, so that the table of direct clients has no space for it.
    Through(Box<(TunnelName, Option<IpAddr>)>),
}

impl ClientKey {
    /// A client that came through this tunnel. All of them without an address are one client.
    pub fn through(tunnel: TunnelName, ip: Option<IpAddr>) -> ClientKey {
        ClientKey(Kind::Through(Box::new((tunnel, ip.map(net)))))
    }
}

impl From<IpAddr> for ClientKey {
    fn from(ip: IpAddr) -> Self {
        ClientKey(Kind::Direct(net(ip)))
    }
}

fn net(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into(),
        ip => ip,
    }
}

/// Every client that has a session, and some that had one.
#[derive(Debug, Default)]
pub(super) struct Clients {
    known: HashMap<ClientKey, Known>,
    /// Clients that may have no session any more, in the order in which they left.
    left: VecDeque<ClientKey>,
}

#[derive(Debug, Default)]
pub(super) struct Known {
    here: usize,
    pace: Pace,
    /// Whether it is in `left`.
    has_left: bool,
}

impl Clients {
    /// The limit that rejects this client, if one does.
    pub(super) fn refuses(&self, client: &ClientKey, now: Instant, limits: &EntryLimits) -> Option<Limit> {
        let known = self.known.get(client)?;
        if limits.most_per_client.is_some_and(|most| known.here >= most) {
            return Some(Limit::PerClient);
        }
        let too_fast = limits.rate_per_client.is_some_and(|most| !known.pace.admits(now, most));
        too_fast.then_some(Limit::RatePerClient)
    }

    /// Counts one more session of a client.
    pub(super) fn enter(&mut self, client: ClientKey, now: Instant, limits: &EntryLimits) {
        let known = self.count_in(client);
        if let Some(most) = limits.rate_per_client {
            known.pace.take(now, most);
        }
    }

    /// Counts one more that takes no token: it began before the limits.
    pub(super) fn count_in(&mut self, client: ClientKey) -> &mut Known {
        let known = self.known.entry(client).or_default();
        known.here += 1;
        known
    }

    /// Counts one session less.
    pub(super) fn leave(&mut self, client: ClientKey, now: Instant) {
        let Entry::Occupied(mut entry) = self.known.entry(client.clone()) else { return };
        let known = entry.get_mut();
        known.here = known.here.saturating_sub(1);
        if known.here == 0 && !known.has_left {
            if known.pace.is_full(now) {
                entry.remove();
            } else {
                known.has_left = true;
                self.left.push_back(client);
            }
        }
        self.settle(now);
    }

    /// Forgets clients about which nothing has to be remembered, and frees capacity.
    pub(super) fn settle(&mut self, now: Instant) {
        while let Some(client) = self.left.front().cloned() {
            if let Some(known) = self.known.get_mut(&client) {
                if known.here > 0 {
                    known.has_left = false;
                } else if known.pace.is_full(now) || self.left.len() > MAX_REMEMBERED {
                    self.known.remove(&client);
                } else {
                    break;
                }
            }
            self.left.pop_front();
        }
        if self.known.capacity() > 4 * KEPT && self.known.len() < self.known.capacity() / 8 {
            self.known.shrink_to(2 * self.known.len());
            self.left.shrink_to(2 * self.left.len());
        }
    }

    /// Continues under other limits.
    pub(super) fn adopt(&mut self, now: Instant, limits: &EntryLimits) {
        for known in self.known.values_mut() {
            match limits.rate_per_client {
                Some(most) => known.pace.adopt(now, most),
                None => known.pace = Pace::default(),
            }
        }
        self.settle(now);
    }

    /// The number of remembered clients.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.known.len()
    }

    /// The number of a client's sessions.
    #[cfg(test)]
    pub(super) fn here(&self, client: ClientKey) -> usize {
        self.known.get(&client).map_or(0, |known| known.here)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::units::Frequency;

    fn client(n: u32) -> ClientKey {
        IpAddr::from(n.to_be_bytes()).into()
    }

    #[test]
    fn one_64_of_ipv6_is_one_client_and_an_ipv4_address_is_one_in_either_spelling() {
        let net = |text: &str| ClientKey::from(text.parse::<IpAddr>().unwrap());

        assert_eq!(net("2001:db8:0:1::1"), net("2001:db8:0:1:ffff::9"));
        assert_ne!(net("2001:db8:0:1::1"), net("2001:db8:0:2::1"));
        assert_eq!(net("::ffff:10.0.0.1"), net("10.0.0.1"));
        assert_ne!(net("10.0.0.1"), net("10.0.0.2"));
    }

    #[test]
    fn what_comes_through_a_tunnel_takes_nothing_from_direct_clients_nor_from_another_tunnel() {
        let (mut clients, now) = (Clients::default(), Instant::now());
        let limits = EntryLimits { most_per_client: Some(1), ..EntryLimits::default() };
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let through = |tunnel: &str, ip| ClientKey::through(tunnel.parse().unwrap(), ip);

        clients.enter(through("home", Some(ip("2001:db8::1"))), now, &limits);
        clients.enter(through("home", None), now, &limits);

        let is_full = |client: ClientKey| clients.refuses(&client, now, &limits).is_some();
        assert!(is_full(through("home", Some(ip("2001:db8::2")))), "the same /64");
        assert!(is_full(through("home", None)), "a tunnel's visitors without an address are one client");
        assert!(!is_full(ip("2001:db8::1").into()));
        assert!(!is_full(through("office", Some(ip("2001:db8::1")))) && !is_full(through("office", None)));
    }

    #[test]
    fn a_client_that_left_is_remembered_until_its_tokens_are_back() {
        let (mut clients, start) = (Clients::default(), Instant::now());
        let limits = EntryLimits {
            rate_per_client: Some("2/s".parse::<Frequency>().unwrap().into()),
            ..EntryLimits::default()
        };

        for _ in 0..2 {
            clients.enter(client(1), start, &limits);
            clients.leave(client(1), start);
        }

        assert_eq!(clients.refuses(&client(1), start, &limits), Some(Limit::RatePerClient));
        assert_eq!(clients.refuses(&client(2), start, &limits), None);
        clients.settle(start + Duration::from_millis(999));
        assert_eq!(clients.count(), 1);
        clients.settle(start + Duration::from_secs(1));
        assert_eq!(clients.count(), 0);
    }

    #[test]
    fn a_crowd_of_addresses_is_bounded_and_gives_its_memory_back() {
        let (mut clients, start) = (Clients::default(), Instant::now());
        let limits = EntryLimits {
            rate_per_client: Some("1/h".parse::<Frequency>().unwrap().into()),
            ..EntryLimits::default()
        };

        clients.enter(client(0), start, &limits);
        for n in 1..200_000 {
            clients.enter(client(n), start, &limits);
            clients.leave(client(n), start);
        }

        assert_eq!(clients.count(), MAX_REMEMBERED + 1);
        assert_eq!(clients.refuses(&client(199_999), start, &limits), Some(Limit::RatePerClient));
        assert_eq!(clients.here(client(0)), 1, "a client with a session is never forgotten");
        clients.settle(start + Duration::from_secs(3600));
        assert_eq!(clients.count(), 1);
        assert!(clients.known.capacity() <= 4 * KEPT && clients.left.capacity() <= 4 * KEPT);
    }
}
