//! No address is listened on twice: exactly, or because one of the two means every address.
//!
//! Only what is written is compared; whether another process holds the address is the system's to say.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::build::Draft;
use crate::address::{ListenAddress, Protocol};
use crate::config::{Problem, Written};

/// One listener written somewhere.
#[derive(Clone, Copy)]
struct Listener<'d> {
    draft: &'d Draft,
    written: &'d Written<ListenAddress>,
}

/// What holds one port so far. A few look-ups answer for any number of listeners, so that a hostile file costs no more
/// than a large one.
#[derive(Default)]
struct PortBook<'d> {
    by_address: HashMap<IpAddr, Listener<'d>>,
    first_v4: Option<Listener<'d>>,
    first_v6: Option<Listener<'d>>,
}

/// Adds a problem for each listener that meets one before it, in the order of the file.
pub(super) fn check(drafts: &[Draft], problems: &mut Vec<Problem>) {
    let mut ports: HashMap<(Protocol, u16), PortBook<'_>> = HashMap::new();
    let listeners =
        drafts.iter().flat_map(|draft| draft.listen.iter().map(move |written| Listener { draft, written }));
    // Port 0 is a different port each time.
    for listener in listeners.filter(|listener| listener.written.value.0.port() != 0) {
        let book = ports.entry((listener.draft.protocol, listener.written.value.0.port())).or_default();
        if let Some(earlier) = book.meets(listener.ip()) {
            problems.push(problem(earlier, listener));
        }
        book.note(listener);
    }
}

impl Listener<'_> {
    fn ip(&self) -> IpAddr {
        self.written.value.0.ip().to_canonical()
    }
}

impl<'d> PortBook<'d> {
    /// A listener takes one family alone: `[::]` never takes IPv4 (see `transport::bind`).
    fn meets(&self, ip: IpAddr) -> Option<Listener<'d>> {
        let at = |ip: IpAddr| self.by_address.get(&ip).copied();
        let (every, first) = match ip {
            IpAddr::V4(_) => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), self.first_v4),
            IpAddr::V6(_) => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), self.first_v6),
        };
        at(ip).or_else(|| at(every)).or(first.filter(|_| ip == every))
    }

    fn note(&mut self, listener: Listener<'d>) {
        self.by_address.entry(listener.ip()).or_insert(listener);
        let first = if listener.ip().is_ipv4() { &mut self.first_v4 } else { &mut self.first_v6 };
        first.get_or_insert(listener);
    }
}

fn problem(earlier: Listener<'_>, later: Listener<'_>) -> Problem {
    let (first, second) = (earlier.written.value, later.written.value);
    let same_route = std::ptr::eq(earlier.draft, later.draft);
    let message = match (earlier.ip() == later.ip(), same_route) {
        (true, true) => format!("{second} is listed twice"),
        (true, false) => format!("{second} is already listened on by route {}", earlier.draft.name),
        (false, true) => format!("{second} and {first} overlap"),
        (false, false) => format!("{second} overlaps with {first} of route {}", earlier.draft.name),
    };
    let help = if same_route { "leave one of the two out" } else { "choose another port for one of the two" };
    Problem::new(later.written.place.clone(), later.draft.key("listen"), message)
        .help(help)
        .label("again here")
        .also(earlier.written.place.clone(), "first here")
}

#[cfg(test)]
mod tests {
    use crate::plan::parse;

    fn told(a: &str, b: &str) -> Option<String> {
        let text =
            format!("routes.a = {{listen='{a}', target='1'}}\nroutes.b = {{listen='{b}', target='1'}}");
        parse("f", &text, &[]).err().map(|problems| problems.list[0].told())
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
            assert!(told(a, b).is_some(), "{a} {b}");
        }
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
            assert_eq!(told(a, b), None, "{a} {b}");
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
