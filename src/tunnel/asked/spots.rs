//! What the other end of a tunnel wants us to listen on, what of it is permitted, and what became of it: for each address of
//! each route one [`Spot`].
//!
//! Pure: permissions, seeds and the answers of the engine are arguments.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ports;
use crate::address::{ListenAddress, NetListen, Protocol, Run, There};
use crate::transport::tunnel::message::{Fate, MAX_ROUTES, RefusedCode, RouteIs, WantedRoute};
use crate::units::Misread;

/// The most ports that are tried for one address where the choice is ours.
const MAX_TRIES: usize = 32;

/// The most addresses for which a port is chosen among many, unless the tunnel may have more listeners. Each costs a look at
/// every port there is, also if none is permitted, on the thread that all tunnels share.
const MAX_CHOICES: usize = 64;

/// What decides about an address.
pub(super) struct Rules<'r> {
    /// Whether `may_listen` has it.
    pub(super) permits: &'r dyn Fn(&ListenAddress, Protocol) -> bool,
    /// The ports that `may_listen` has of a range, or of all where port 0 is asked for, sorted.
    pub(super) ports: &'r dyn Fn(&Run<ListenAddress>, Protocol) -> Vec<u16>,
    /// The most addresses.
    pub(super) most: usize,
    /// Where the choice of a port of this route begins.
    pub(super) seed: &'r dyn Fn(&str) -> u64,
}

/// One address that a route wants, as asked for; `None` if the route only offers itself by its name.
type Asked = (Arc<str>, Option<Arc<str>>);

/// Every address of every route of the other end.
#[derive(Debug, Default)]
pub(super) struct Spots {
    spots: BTreeMap<Asked, Spot>,
    /// In the order asked for.
    order: Vec<Asked>,
}

/// One address of one route.
#[derive(Debug)]
struct Spot {
    protocol: Protocol,
    /// What may be listened on, the best first, without what was tried in vain.
    tries: Vec<ListenAddress>,
    state: State,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Offered,
    /// The first of `tries` is wanted, or had.
    Wanted,
    Refused(RefusedCode),
}

impl Spots {
    /// Begins anew with these routes: what is not permitted is refused, everything else may be tried. A port that was
    /// chosen before is tried first.
    pub(super) fn ask(&mut self, routes: &[WantedRoute], rules: &Rules<'_>) {
        let before = std::mem::take(self);
        let (mut listeners, mut choices) = (0, 0);
        for route in routes.iter().take(MAX_ROUTES) {
            let name: Arc<str> = route.name.as_str().into();
            let asked = route.listen.iter().map(|text| Some(Arc::<str>::from(text.as_str())));
            let asked: Vec<_> = if route.listen.is_empty() { vec![None] } else { asked.collect() };
            for asked in asked {
                let key = (name.clone(), asked);
                let chosen = before.spots.get(&key).and_then(Spot::address);
                let wanted = key.1.as_deref().map(str::parse::<Run<ListenAddress>>);
                choices += usize::from(matches!(&wanted, Some(Ok(run)) if leaves_a_choice(run)));
                let mut spot = match choices > rules.most.max(MAX_CHOICES) {
                    false => spot(route, key.1.as_deref(), wanted, chosen, rules),
                    true => of(route, State::Refused(RefusedCode::TooMany)),
                };
                let is_twice = self.is_twice(&key, route.protocol);
                if There::service(&name).is_none() || is_twice {
                    spot.state = State::Refused(RefusedCode::Unsupported);
                }
                listeners += usize::from(spot.state == State::Wanted);
                if listeners > rules.most {
                    spot.state = State::Refused(RefusedCode::TooMany);
                }
                if !self.spots.contains_key(&key) {
                    self.order.push(key.clone());
                    self.spots.insert(key, spot);
                }
            }
        }
    }

    /// What to listen on, by route.
    pub(super) fn wanted(&self) -> BTreeMap<Arc<str>, (Protocol, Vec<ListenAddress>)> {
        let mut wanted = BTreeMap::<_, (Protocol, Vec<ListenAddress>)>::new();
        for (name, asked) in &self.order {
            let Some(spot) = self.spots.get(&(name.clone(), asked.clone())) else { continue };
            if let Some(address) = spot.address() {
                wanted.entry(name.clone()).or_insert((spot.protocol, Vec::new())).1.push(address.clone());
            }
        }
        wanted
    }

    /// An address cannot be had: the next one is wanted where there is a choice. Returns whether it was wanted.
    pub(super) fn failed(&mut self, route: &str, address: &ListenAddress, code: RefusedCode) -> bool {
        let of_route = self.spots.iter_mut().filter(|((name, _), _)| &**name == route);
        let mut was_wanted = false;
        for (_, spot) in of_route.filter(|(_, spot)| spot.address() == Some(address)) {
            was_wanted = true;
            spot.tries.remove(0);
            if spot.tries.is_empty() {
                spot.state = State::Refused(code);
            }
        }
        was_wanted
    }

    /// No address of this route can be had. Returns whether any was wanted.
    pub(super) fn failed_whole(&mut self, route: &str, code: RefusedCode) -> bool {
        let of_route = self.spots.iter_mut().filter(|((name, _), _)| &**name == route);
        of_route.filter(|(_, spot)| spot.state == State::Wanted).fold(false, |_, (_, spot)| {
            spot.state = State::Refused(code);
            true
        })
    }

    /// Whether an address that is permitted cannot be had, so that a later try may have it.
    pub(super) fn is_worth_another_try(&self) -> bool {
        self.spots.values().any(|spot| match spot.state {
            State::Refused(code) => is_passing(code),
            State::Offered | State::Wanted => false,
        })
    }

    /// The answer to the other end, once everything that is wanted is had.
    pub(super) fn fates(&self) -> Vec<RouteIs> {
        let fate = |spot: &Spot| match (&spot.state, spot.address()) {
            (State::Offered, _) => Fate::Offered,
            (State::Refused(code), _) => Fate::Refused { code: *code },
            (State::Wanted, Some(address)) => Fate::Listening { address: address.to_string() },
            (State::Wanted, None) => Fate::Refused { code: RefusedCode::Other },
        };
        let is = |key: &Asked| {
            let asked = key.1.as_deref().map(str::to_owned);
            Some(RouteIs { name: key.0.to_string(), asked, fate: fate(self.spots.get(key)?) })
        };
        self.order.iter().filter_map(is).collect()
    }

    /// What a route carries, if it is asked for.
    pub(super) fn protocol(&self, route: &str) -> Protocol {
        let of_route = self.spots.iter().find(|((name, _), _)| &**name == route);
        of_route.map_or(Protocol::Tcp, |(_, spot)| spot.protocol)
    }

    /// Whether a route has another protocol under the same name, or the same address was named before.
    fn is_twice(&self, (name, asked): &Asked, protocol: Protocol) -> bool {
        self.order
            .iter()
            .filter(|(other, _)| other == name)
            .any(|key| key.1 == *asked || self.spots.get(key).is_some_and(|spot| spot.protocol != protocol))
    }
}

impl Spot {
    /// What it listens on, or is to.
    fn address(&self) -> Option<&ListenAddress> {
        self.tries.first().filter(|_| self.state == State::Wanted)
    }
}

fn spot(
    route: &WantedRoute,
    asked: Option<&str>,
    wanted: Option<Result<Run<ListenAddress>, Misread>>,
    chosen: Option<&ListenAddress>,
    rules: &Rules<'_>,
) -> Spot {
    let (Some(asked), Some(wanted)) = (asked, wanted) else { return of(route, State::Offered) };
    let run = match wanted {
        Ok(run) if may_carry(run.first(), route.protocol) => run,
        _ => return of(route, State::Refused(RefusedCode::Unsupported)),
    };
    let tries = tries(&format!("{} {asked}", route.name), &run, route.protocol, chosen, rules);
    match tries.is_empty() {
        true => of(route, State::Refused(RefusedCode::NotPermitted)),
        false => Spot { tries, ..of(route, State::Wanted) },
    }
}

fn of(route: &WantedRoute, state: State) -> Spot {
    Spot { protocol: route.protocol, tries: Vec::new(), state }
}

/// Whether a listener of this protocol can have such an address.
fn may_carry(address: &ListenAddress, protocol: Protocol) -> bool {
    match address {
        ListenAddress::Net(_) => true,
        ListenAddress::Unix(_) => protocol == Protocol::Tcp,
        ListenAddress::There(_) => false,
    }
}

/// Whether the port is for us to choose.
fn leaves_a_choice(run: &Run<ListenAddress>) -> bool {
    matches!(run.first(), ListenAddress::Net(net) if net.port == 0 || run.count() > 1)
}

/// What may be listened on, the best first.
fn tries(
    what: &str,
    run: &Run<ListenAddress>,
    protocol: Protocol,
    chosen: Option<&ListenAddress>,
    rules: &Rules<'_>,
) -> Vec<ListenAddress> {
    let permitted = |address: &ListenAddress| (rules.permits)(address, protocol);
    let net = match run.first() {
        ListenAddress::Net(net) if leaves_a_choice(run) => net,
        only => return Some(only.clone()).filter(permitted).into_iter().collect(),
    };
    let at = |port| ListenAddress::Net(NetListen { port, ..net.clone() });
    let ports = (rules.ports)(run, protocol);
    // What was chosen before goes first, if it still is one of them.
    let is_among = |it: &&ListenAddress| matches!(it, ListenAddress::Net(own) if ports.contains(&own.port) && at(own.port) == **it);
    let chosen = chosen.filter(is_among).cloned();
    let others = ports::order((rules.seed)(what), ports).map(at);
    let others = others.filter(|it| chosen.as_ref() != Some(it));
    // Only as many are judged as are tried.
    chosen.iter().cloned().chain(others).filter(permitted).take(MAX_TRIES).collect()
}

/// Whether such a refusal may pass without a change on either end.
fn is_passing(code: RefusedCode) -> bool {
    match code {
        RefusedCode::Taken
        | RefusedCode::AddressNotHere
        | RefusedCode::OutOfResources
        | RefusedCode::Privileged
        | RefusedCode::Other => true,
        RefusedCode::NotPermitted | RefusedCode::TooMany | RefusedCode::Unsupported => false,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::address::Numbered;

    fn wants(name: &str, listen: &[&str]) -> WantedRoute {
        let listen = listen.iter().map(|text| (*text).to_owned()).collect();
        WantedRoute { name: name.to_owned(), protocol: Protocol::Tcp, listen }
    }

    fn address(text: &str) -> ListenAddress {
        text.parse::<Run<ListenAddress>>().unwrap().first().clone()
    }

    /// Asks for these where every address of 127.0.0.1 with a port in `9000..=9010` is permitted, at most 3 of them.
    fn asked(spots: &mut Spots, routes: &[WantedRoute]) {
        let permits = |address: &ListenAddress, _: Protocol| match address {
            ListenAddress::Net(net) => net.ip.is_loopback() && (9000..=9010).contains(&net.port),
            _ => false,
        };
        let ports = |run: &Run<ListenAddress>, _: Protocol| match run.first().port() {
            Some(0) => (9000..=9010).collect(),
            _ => run.each().filter_map(|it| it.port()).filter(|port| (9000..=9010).contains(port)).collect(),
        };
        let seed = |name: &str| name.len() as u64;
        spots.ask(routes, &Rules { permits: &permits, ports: &ports, most: 3, seed: &seed });
    }

    fn fates(spots: &Spots) -> String {
        let one = |it: RouteIs| {
            let fate = match it.fate {
                Fate::Offered => "offered".to_owned(),
                Fate::Listening { address } => address,
                Fate::Refused { code } => format!("{code:?}"),
            };
            format!("{} {} {fate}", it.name, it.asked.unwrap_or_default())
        };
        spots.fates().into_iter().map(one).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_is_not_permitted_is_refused_and_the_rest_listens() {
        let mut spots = Spots::default();
        asked(&mut spots, &[wants("web", &["9000", "0.0.0.0:9000", "80"]), wants("shop", &[])]);

        assert_eq!(
            fates(&spots),
            "web 9000 127.0.0.1:9000\nweb 0.0.0.0:9000 NotPermitted\nweb 80 NotPermitted\nshop  offered"
        );
        assert_eq!(spots.wanted().len(), 1);
    }

    #[test]
    fn whoever_asks_for_4096_ports_of_our_choice_costs_no_more_than_64_looks_at_all_ports() {
        let (looks, judged) = (Cell::new(0), Cell::new(0));
        let count = |counter: &Cell<usize>| counter.set(counter.get() + 1);
        let permits = |_: &ListenAddress, _: Protocol| {
            count(&judged);
            true
        };
        for none in [true, false] {
            let ports = |_: &Run<ListenAddress>, _: Protocol| {
                count(&looks);
                if none { Vec::new() } else { (1024..=u16::MAX).collect() }
            };
            let rules = Rules { permits: &permits, ports: &ports, most: 3, seed: &|_| 7 };
            let listen: Vec<_> =
                (1..=64).map(|n| format!("127.0.0.{n}:{}", ["0", "1-65535"][n % 2])).collect();
            let listen: Vec<_> = listen.iter().map(String::as_str).collect();
            let routes: Vec<_> = (0..64).map(|n| wants(&format!("r{n}"), &listen)).collect();

            let mut spots = Spots::default();
            (0..2).for_each(|_| spots.ask(&routes, &rules));

            assert!(
                spots
                    .fates()
                    .iter()
                    .skip(64)
                    .all(|it| it.fate == Fate::Refused { code: RefusedCode::TooMany })
            );
        }

        assert!(looks.get() <= 4 * MAX_CHOICES, "{looks:?}");
        assert!(judged.get() <= 4 * MAX_CHOICES * MAX_TRIES, "{judged:?}");
    }

    #[test]
    fn one_address_more_than_the_tunnel_may_have_is_refused() {
        let mut spots = Spots::default();
        asked(&mut spots, &[wants("a", &["9000", "9001"]), wants("b", &["9002"]), wants("c", &["9003"])]);

        let fates = fates(&spots);
        assert!(fates.contains("b 9002 127.0.0.1:9002") && fates.ends_with("c 9003 TooMany"), "{fates}");
    }

    #[test]
    fn of_a_range_one_free_port_is_taken_and_stays_the_same() {
        let (mut spots, range) = (Spots::default(), wants("web", &["9000-9010"]));
        asked(&mut spots, std::slice::from_ref(&range));
        let first = spots.wanted()["web"].1[0].clone();

        assert!(spots.failed("web", &first, RefusedCode::Taken));
        let second = spots.wanted()["web"].1[0].clone();
        assert_ne!(first, second);
        // The first is free again, but what listens is not moved.
        asked(&mut spots, &[wants("new", &[]), range]);
        assert_eq!(spots.wanted()["web"].1, [second]);
    }

    #[test]
    fn a_range_of_which_every_port_is_taken_is_refused_and_worth_another_try() {
        let mut spots = Spots::default();
        asked(&mut spots, &[wants("web", &["9005-9040"])]);
        for _ in 9005..=9010 {
            let address = spots.wanted()["web"].1[0].clone();
            assert!(spots.failed("web", &address, RefusedCode::Taken));
        }

        assert_eq!(fates(&spots), "web 9005-9040 Taken");
        assert!(spots.is_worth_another_try() && spots.wanted().is_empty());
        assert!(!spots.failed("web", &address("9005"), RefusedCode::Taken), "it is not wanted any more");
        asked(&mut spots, &[wants("web", &["80"])]);
        assert!(!spots.is_worth_another_try(), "only a change of the permissions helps");
    }

    #[test]
    fn port_0_is_a_permitted_port_that_is_not_privileged() {
        let mut spots = Spots::default();
        asked(&mut spots, &[wants("web", &["0"])]);
        let port = spots.wanted()["web"].1[0].port().unwrap();

        assert!((9000..=9010).contains(&port), "{port}");
    }

    #[test]
    fn names_that_a_record_could_not_show_and_what_is_no_address_are_refused() {
        let mut spots = Spots::default();
        let names = ["", "a@b", "a b", "a\n", &"a".repeat(65)];
        let mut routes: Vec<_> = names.iter().map(|name| wants(name, &["9000"])).collect();
        routes.push(wants("ok", &["what", "tunnel:x/9000", "db:9000"]));
        routes.push(WantedRoute { protocol: Protocol::Udp, ..wants("udp", &["unix:/run/x.sock"]) });
        asked(&mut spots, &routes);

        assert_eq!(fates(&spots).matches("Unsupported").count(), 9);
        assert!(spots.wanted().is_empty());
    }

    #[test]
    fn datagrams_and_connections_may_have_one_port_but_not_one_name() {
        let mut spots = Spots::default();
        let udp = |name: &str, at: &str| WantedRoute { protocol: Protocol::Udp, ..wants(name, &[at]) };
        asked(&mut spots, &[wants("game", &["9000"]), udp("game-udp", "9000"), udp("game", "9001")]);

        assert_eq!(
            fates(&spots),
            "game 9000 127.0.0.1:9000\ngame-udp 9000 127.0.0.1:9000\ngame 9001 Unsupported"
        );
        assert_eq!((spots.protocol("game"), spots.protocol("game-udp")), (Protocol::Tcp, Protocol::Udp));
        let wanted = spots.wanted();
        assert_eq!((wanted["game"].0, wanted["game-udp"].0), (Protocol::Tcp, Protocol::Udp));
    }

    #[test]
    fn a_name_that_comes_twice_counts_once() {
        let mut spots = Spots::default();
        asked(&mut spots, &[wants("a", &["9000"]), wants("a", &["9000", "9001"])]);

        assert_eq!(fates(&spots), "a 9000 127.0.0.1:9000\na 9001 127.0.0.1:9001");
    }
}
