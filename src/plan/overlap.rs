//! No address is listened on twice: neither the same address, nor one that a wildcard includes.
//!
//! Only written addresses are compared; whether another process holds an address is known only when it is bound.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::draft::Draft;
use crate::address::{
    Families, Interface, ListenAddress, ListenThere, NetListen, Numbered, Protocol, Run, UnixName,
};
use crate::config::{Problem, Written};

/// Every listener so far, each with its owner.
pub struct Listeners<T> {
    ports: HashMap<(Protocol, u16), OfPort<T>>,
    unix: HashMap<UnixName, T>,
    there: HashMap<(Protocol, ListenThere), T>,
}

/// The listeners of one port so far. A few look-ups suffice for any number of listeners, so that a hostile file costs
/// no more than a large one.
struct OfPort<T> {
    by_address: HashMap<(IpAddr, Option<Interface>), Listener<T>>,
    first_v4: Option<Listener<T>>,
    first_v6: Option<Listener<T>>,
    first_of_both: Option<Listener<T>>,
}

#[derive(Clone)]
struct Listener<T> {
    address: NetListen,
    owner: T,
}

/// An earlier listener that a later one meets.
pub struct Met<T> {
    /// Where it listens.
    pub address: ListenAddress,
    /// Its owner.
    pub owner: T,
}

impl<T> Default for Listeners<T> {
    fn default() -> Self {
        Listeners { ports: HashMap::new(), unix: HashMap::new(), there: HashMap::new() }
    }
}

impl<T: Clone> Listeners<T> {
    /// Adds a listener. Returns the earlier one that it meets, if any.
    pub fn add(&mut self, protocol: Protocol, address: ListenAddress, owner: T) -> Option<Met<T>> {
        match address {
            // Port 0 is a different port each time.
            ListenAddress::Net(net) if net.port == 0 => None,
            ListenAddress::Net(address) => {
                let of_port = self.ports.entry((protocol, address.port)).or_default();
                let met = of_port.meets(&address);
                of_port.note(Listener { address, owner });
                met.map(|met| Met { address: ListenAddress::Net(met.address), owner: met.owner })
            }
            ListenAddress::There(there) => self.add_there(protocol, there, owner),
            ListenAddress::Unix(name) => {
                let met = self.unix.get(&name).cloned();
                self.unix.entry(name.clone()).or_insert(owner);
                met.map(|owner| Met { address: ListenAddress::Unix(name), owner })
            }
        }
    }
}

impl<T: Clone> Listeners<T> {
    /// The other end of a tunnel is an unknown network, where only the very same address is known to be taken: neither a
    /// name alone, nor one free port of several, is.
    fn add_there(&mut self, protocol: Protocol, there: ListenThere, owner: T) -> Option<Met<T>> {
        let at = there.at.as_ref()?;
        if at.count() > 1 || at.first().port() == Some(0) {
            return None;
        }
        let key = (protocol, there.clone());
        let met = self.there.get(&key).cloned();
        self.there.entry(key).or_insert(owner);
        met.map(|owner| Met { address: ListenAddress::There(there), owner })
    }
}

impl<T> Default for OfPort<T> {
    fn default() -> Self {
        OfPort { by_address: HashMap::new(), first_v4: None, first_v6: None, first_of_both: None }
    }
}

impl<T: Clone> OfPort<T> {
    /// A listener accepts one address family, except `[::]` with `v6only = false` (see `transport::listen`).
    fn meets(&self, net: &NetListen) -> Option<Listener<T>> {
        let ip = net.ip.to_canonical();
        let at = |ip: IpAddr, zone: Option<Interface>| self.by_address.get(&(ip, zone)).cloned();
        let (every, first) = match ip {
            IpAddr::V4(_) => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), &self.first_v4),
            IpAddr::V6(_) => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), &self.first_v6),
        };
        let other_family = match net.families {
            Families::Both => self.first_v4.clone(),
            Families::Own if ip.is_ipv4() => self.first_of_both.clone(),
            Families::Own => None,
        };
        at(ip, net.zone.clone())
            .or_else(|| at(every, None))
            .or_else(|| first.clone().filter(|_| ip == every))
            .or(other_family)
    }

    fn note(&mut self, listener: Listener<T>) {
        let (ip, zone) = (listener.address.ip.to_canonical(), listener.address.zone.clone());
        let first = if ip.is_ipv4() { &mut self.first_v4 } else { &mut self.first_v6 };
        first.get_or_insert_with(|| listener.clone());
        if listener.address.families == Families::Both {
            self.first_of_both.get_or_insert_with(|| listener.clone());
        }
        self.by_address.entry((ip, zone)).or_insert(listener);
    }
}

/// The route of a listener, or `None` for that of `[tunnel]`, and where it is written; all listeners of a range share it.
type Owner<'d> = (Option<&'d Draft>, &'d Written<Run<ListenAddress>>);

/// Adds a problem for each listener that meets an earlier one, in the order of the file; for two ranges, a single one.
/// `tunnel` are those of `[tunnel]`, `v6only` is the value of the defaults.
pub(super) fn check(
    drafts: &[Draft],
    tunnel: &[Written<Run<ListenAddress>>],
    v6only: bool,
    problems: &mut Vec<Problem>,
) {
    let mut listeners = Listeners::default();
    let mut reported = HashSet::new();
    let of_routes = drafts.iter().map(|draft| (Some(draft), &*draft.listen));
    for (draft, listen) in of_routes.chain([(None, tunnel)]) {
        let families = draft.map_or(Families::Own, |draft| draft.families(v6only));
        let protocol = draft.map_or(Protocol::Tcp, |draft| draft.protocol);
        for written in listen {
            for address in written.value.each() {
                let (address, later) = (address.taking(families), (draft, written));
                let Some(earlier) = listeners.add(protocol, address.clone(), later) else { continue };
                let pair = (std::ptr::from_ref(earlier.owner.1), std::ptr::from_ref(written));
                if reported.insert(pair) {
                    problems.push(problem(&earlier, later, &address));
                }
            }
        }
    }
}

fn problem(earlier: &Met<Owner<'_>>, later: Owner<'_>, second: &ListenAddress) -> Problem {
    let (Met { address: first, owner }, (draft, written)) = (earlier, later);
    let same_address = match (first, second) {
        (ListenAddress::Net(first), ListenAddress::Net(second)) => {
            first.ip.to_canonical() == second.ip.to_canonical()
        }
        _ => true,
    };
    let same_route = match (owner.0, draft) {
        (Some(first), Some(second)) => std::ptr::eq(first, second),
        (first, second) => first.is_none() && second.is_none(),
    };
    let whose = owner.0.map_or_else(|| "[tunnel]".to_owned(), |draft| format!("route {}", draft.name));
    let message = match (same_address, same_route) {
        (true, true) => format!("{second} is listed twice"),
        (true, false) => format!("{second} is already listened on by {whose}"),
        (false, true) => format!("{second} and {first} overlap"),
        (false, false) => format!("{second} overlaps with {first} of {whose}"),
    };
    let is_unix = matches!(written.value.first(), ListenAddress::Unix(_));
    let help = match (same_route, is_unix) {
        (true, _) => "leave one of the two out",
        (false, false) => "choose another port for one of the two",
        (false, true) => "choose another path for one of the two",
    };
    let key = draft.map_or_else(|| "tunnel.listen".to_owned(), |draft| draft.key("listen"));
    Problem::new(written.place.clone(), key, message)
        .help(help)
        .label("again here")
        .also(owner.1.place.clone(), "first here")
}

#[cfg(test)]
mod tests {
    use crate::plan::parse;

    fn overlap_of(a: &str, b: &str) -> Option<String> {
        let text =
            format!("routes.a = {{listen='{a}', target='1'}}\nroutes.b = {{listen='{b}', target='1'}}");
        parse("f", &text, &[]).err().map(|problems| problems.list[0].line())
    }

    #[test]
    fn addresses_meet_exactly_or_through_a_wildcard() {
        for (a, b) in [
            ("80", "127.0.0.1:80"),
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("127.0.0.1:80", "0.0.0.0:80"),
            ("[::1]:80", "[::]:80"),
            ("[::]:80", "[::1]:80"),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
        ] {
            assert!(overlap_of(a, b).is_some(), "{a} {b}");
        }
    }

    #[test]
    fn ranges_meet_once_where_they_share_a_port() {
        assert_eq!(
            overlap_of("8000-8010", "8010-8020").unwrap(),
            "routes.b.listen: 127.0.0.1:8010 is already listened on by route a"
        );
        assert_eq!(overlap_of("8000-8010", "8011-8020"), None);
        assert_eq!(
            overlap_of("unix:/a", "unix:/a").unwrap(),
            "routes.b.listen: unix:/a is already listened on by route a"
        );
        assert_eq!(overlap_of("unix:/a", "unix:@a"), None);
        assert_eq!(overlap_of("[fe80::1%a]:80", "[fe80::1%b]:80"), None);
    }

    #[test]
    fn at_the_other_end_of_a_tunnel_only_the_very_same_address_is_known_to_be_taken() {
        let overlap_of = |a: &str, b: &str| {
            let text = format!(
                "routes.a = {{listen='tunnel:{a}', target='1'}}\nroutes.b = {{listen='tunnel:{b}', target='1'}}"
            );
            let problems = parse("f", &text, &[]).unwrap_err().list;
            problems.iter().map(|problem| problem.line()).find(|line| line.contains("listened on"))
        };

        assert_eq!(
            overlap_of("v/8080", "v/127.0.0.1:8080").unwrap(),
            "routes.b.listen: tunnel:v/127.0.0.1:8080 is already listened on by route a"
        );
        assert!(overlap_of("v/unix:/x", "v/unix:/x").is_some());
        for (a, b) in [
            ("v/8080", "w/8080"),
            ("v/8080", "v/0.0.0.0:8080"),
            ("v/0", "v/0"),
            ("v/80-90", "v/80-90"),
            ("v", "v"),
        ] {
            assert_eq!(overlap_of(a, b), None, "{a} {b}");
        }
    }

    #[test]
    fn an_address_for_both_families_meets_both() {
        let overlap_of = |a: &str, b: &str| {
            let text = format!(
                "defaults.v6only = false\nroutes.a = {{listen='{a}', target='1'}}\nroutes.b = {{listen='{b}', target='1'}}"
            );
            parse("f", &text, &[]).is_err()
        };

        for (a, b) in [
            ("[::]:80", "0.0.0.0:80"),
            ("0.0.0.0:80", "[::]:80"),
            ("127.0.0.1:80", "[::]:80"),
            ("[::]:80", "80"),
        ] {
            assert!(overlap_of(a, b), "{a} {b}");
        }
        assert!(!overlap_of("[::1]:80", "127.0.0.1:80"));
    }

    #[test]
    fn other_ports_and_other_addresses_do_not_meet() {
        for (a, b) in [
            ("80", "81"),
            ("127.0.0.1:80", "127.0.0.2:80"),
            ("0.0.0.0:80", "[::1]:80"),
            ("[::]:80", "10.0.0.1:80"),
            ("[::]:80", "0.0.0.0:80"),
            ("0", "0"),
        ] {
            assert_eq!(overlap_of(a, b), None, "{a} {b}");
        }
    }

    #[test]
    fn tcp_and_udp_share_an_address() {
        let routes = |protocol: &str| {
            let b = format!("routes.b = {{listen='53', target='1', protocol='{protocol}'}}");
            parse("f", &format!("routes.a = {{listen='53', target='1'}}\n{b}"), &[])
        };

        assert!(routes("udp").is_ok());
        assert!(routes("tcp").is_err());
    }
}
