//! No route leads back to itself, directly or through others.
//!
//! Names other than localhost and those under it are not resolved: their addresses may lead back here, and may change
//! at any time.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Route;
use super::draft::Draft;
use crate::address::{
    Families, Host, Interface, ListenAddress, Protocol, Run, TargetAddress, UnixName, is_localhost,
};
use crate::config::Problem;
use crate::transport::Destination;

/// The most routes of one loop that are shown.
const MAX_SHOWN: usize = 10;

/// One step: the node that is reached, the listener it is reached through, and the target of the previous route that
/// leads there.
#[derive(Clone)]
struct Step {
    node: usize,
    route: usize,
    listener: ListenAddress,
    by: usize,
}

/// An address under which a listener can be dialled.
#[derive(PartialEq, Eq, Hash)]
enum Door {
    Net(Protocol, IpAddr, Option<Interface>, u16),
    Unix(UnixName),
}

/// Whether an address other than loopback is one of this machine's. Called only if the answer matters.
pub type IsHere<'f> = &'f dyn Fn(IpAddr) -> bool;

/// The parts of a route that matter for loops.
struct Ends {
    protocol: Protocol,
    /// Each with its index among the listeners, which selects its target in a range of targets.
    listen: Vec<(usize, ListenAddress)>,
    targets: Vec<Run<Destination>>,
    /// How many listeners have their own targets, at least 1.
    places: usize,
}

impl Ends {
    fn of_draft(draft: &Draft, v6only: bool) -> Ends {
        let families = draft.families(v6only);
        let listen = draft.listen.iter().flat_map(|written| written.value.each().enumerate());
        Ends {
            protocol: draft.protocol,
            listen: listen.map(|(n, listener)| (n, listener.taking(families))).collect(),
            targets: draft
                .targets
                .iter()
                .map(|it| it.address.value.map(|first| draft.destination(first)))
                .collect(),
            places: draft.places(),
        }
    }
}

/// Adds a problem for each loop; one for ranges that lead back port by port. `v6only` is the value of the defaults.
pub(super) fn check(drafts: &[Draft], v6only: bool, is_here: IsHere<'_>, problems: &mut Vec<Problem>) {
    let ends: Vec<Ends> = drafts.iter().map(|draft| Ends::of_draft(draft, v6only)).collect();
    problems.extend(find(&ends, is_here).iter().map(|found| problem(drafts, found)));
}

/// Loops among routes of any sources: if there are any, at least one is found. `listens` gives the addresses that each
/// route listens on, in the order of its listeners. A loop lists its steps in order: the index in `routes`, and the
/// address through which that route is reached.
pub fn loops(
    routes: &[&Route],
    listens: impl Fn(usize) -> Vec<ListenAddress>,
    is_here: IsHere<'_>,
) -> Vec<Vec<(usize, ListenAddress)>> {
    let ends = routes.iter().enumerate().map(|(nth, route)| Ends {
        protocol: route.carries.protocol(),
        listen: listens(nth).into_iter().enumerate().collect(),
        targets: route.targets.iter().map(|target| target.address.clone()).collect(),
        places: route.places(),
    });
    let found = find(&ends.collect::<Vec<_>>(), is_here);
    found.into_iter().map(|way| way.into_iter().map(|step| (step.route, step.listener)).collect()).collect()
}

fn find(ends: &[Ends], is_here: IsHere<'_>) -> Vec<Vec<Step>> {
    let steps = steps(ends, is_here);
    let mut seen = vec![false; steps.len()];
    let (mut reported, mut all) = (HashSet::new(), Vec::new());
    for start in 0..steps.len() {
        for found in walk(start, &steps, &mut seen) {
            let routes: Vec<usize> = found.iter().map(|step| step.route).collect();
            if reported.insert(routes) {
                all.push(found);
            }
        }
    }
    all
}

/// A node is the set of targets behind a listener: a route has one, or one for each port if its target is a range. The
/// result lists, for each node, the nodes that its targets reach: at most two for each target, as localhost has two
/// addresses.
fn steps(all: &[Ends], is_here: IsHere<'_>) -> Vec<Vec<Step>> {
    let mut doors: HashMap<Door, Step> = HashMap::new();
    let mut first_node = 0;
    for (route, ends) in all.iter().enumerate() {
        for (n, listener) in &ends.listen {
            let node = first_node + n % ends.places;
            let step = Step { node, route, listener: listener.clone(), by: 0 };
            for door in opened(ends.protocol, &step.listener) {
                doors.entry(door).or_insert_with(|| step.clone());
            }
        }
        first_node += ends.places;
    }
    let mut steps = Vec::with_capacity(first_node);
    for ends in all {
        for place in 0..ends.places {
            let of_target = |(by, target): (usize, &Run<Destination>)| {
                let found = reached(ends.protocol, &target.at(place), &doors, is_here);
                found.into_iter().map(move |step| Step { by, ..step })
            };
            steps.push(ends.targets.iter().enumerate().flat_map(of_target).collect());
        }
    }
    steps
}

/// The addresses under which a listener can be dialled.
fn opened(protocol: Protocol, listener: &ListenAddress) -> Vec<Door> {
    match listener {
        ListenAddress::Net(net) => {
            let own = Door::Net(protocol, net.ip.to_canonical(), net.zone.clone(), net.port);
            let other = Door::Net(protocol, Ipv4Addr::UNSPECIFIED.into(), None, net.port);
            [own].into_iter().chain((net.families == Families::Both).then_some(other)).collect()
        }
        ListenAddress::Unix(name) => vec![Door::Unix(name.clone())],
        // Nobody here knows what dials it.
        ListenAddress::There(_) => Vec::new(),
    }
}

fn reached(
    protocol: Protocol,
    target: &Destination,
    doors: &HashMap<Door, Step>,
    is_here: IsHere<'_>,
) -> Vec<Step> {
    if let Some(name) = target.unix() {
        return doors.get(&Door::Unix(name)).cloned().into_iter().collect();
    }
    // It is unknown where a custom target leads. Where a proxy leads to is its matter, but a route that is its own proxy is
    // a loop.
    let Some((host, port)) = target.dialled().and_then(TargetAddress::net) else { return Vec::new() };
    if let Host::Zoned(ip, zone) = host {
        return doors
            .get(&Door::Net(protocol, (*ip).into(), Some(zone.clone()), port))
            .cloned()
            .into_iter()
            .collect();
    }
    let door = |ip| doors.get(&Door::Net(protocol, ip, None, port)).cloned();
    let covering = |ip: IpAddr| {
        let any = match ip {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        door(ip).or_else(|| door(any).filter(|_| ip.is_loopback() || is_here(ip)))
    };
    addresses(host).into_iter().filter_map(covering).collect()
}

/// The addresses of a host that are known without a resolver.
fn addresses(host: &Host) -> Vec<IpAddr> {
    match host {
        Host::Ip(ip) => vec![ip.to_canonical()],
        Host::Name(name) if is_localhost(name) => {
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        }
        Host::Name(_) | Host::Zoned(..) => Vec::new(),
    }
}

/// Follows every path from `start`, depth first and without recursion, as a file may chain thousands of routes. Each
/// loop is a list of steps, the last of which leads back to where the first began.
fn walk(start: usize, steps: &[Vec<Step>], seen: &mut [bool]) -> Vec<Vec<Step>> {
    let mut loops = Vec::new();
    if std::mem::replace(&mut seen[start], true) {
        return loops;
    }
    // Each entry: a node on the path, how many of its steps were taken, and the step that led to it.
    let mut way: Vec<(usize, usize, Option<Step>)> = vec![(start, 0, None)];
    let mut place_on_way = HashMap::from([(start, 0)]);
    while let Some((node, taken, _)) = way.last_mut() {
        let Some(step) = steps[*node].get(*taken).cloned() else {
            place_on_way.remove(node);
            way.pop();
            continue;
        };
        *taken += 1;
        if let Some(place) = place_on_way.get(&step.node) {
            let inside = way[place + 1..].iter().filter_map(|(_, _, led)| led.clone());
            // One loop is enough where localhost reaches the same route twice.
            let known = |found: &Vec<Step>| found.last().is_some_and(|last| last.node == step.node);
            if !loops.iter().any(known) {
                loops.push(inside.chain([step]).collect());
            }
        } else if !std::mem::replace(&mut seen[step.node], true) {
            place_on_way.insert(step.node, way.len());
            way.push((step.node, 0, Some(step)));
        }
    }
    loops
}

/// The problem is placed at the target of the last route in the loop, and shows the other targets too.
fn problem(drafts: &[Draft], found: &[Step]) -> Problem {
    let back = &found[found.len() - 1];
    let named = |step: &Step| format!("{} ({})", drafts[step.route].name, step.listener);
    let first = &drafts[back.route];
    let steps = || [back].into_iter().chain(&found[..found.len() - 1]);
    let mut way: Vec<String> = steps().take(MAX_SHOWN).map(named).collect();
    if let Some(more @ 1..) = found.len().checked_sub(MAX_SHOWN) {
        way.push(format!("{more} more"));
    }
    let target = &first.targets[found[0].by];
    let message = format!("this route leads back to itself: {} -> {}", way.join(" -> "), first.name);
    let problem = Problem::new(target.address.place.clone(), target.path.clone(), message);
    let [first_step, .., _] = found else {
        let is_proxied = first.destination(target.address.value.first()).is_proxied();
        let instead =
            if is_proxied { "name another proxy in proxy_url" } else { "forward to the service itself" };
        return problem.help(format!("{instead}, or listen on another port"));
    };
    let mut problem = problem
        .help("let one of them forward to the service itself, or listen on another port")
        .label(format!("{} to {}", first.name, drafts[first_step.route].name));
    for pair in found.windows(2).take(MAX_SHOWN) {
        let (from, to) = (&drafts[pair[0].route], &drafts[pair[1].route]);
        let place = from.targets[pair[1].by].address.place.clone();
        problem = problem.also(place, format!("{} to {}", from.name, to.name));
    }
    problem
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::plan::parse;

    fn lines(routes: &[(&str, &str)]) -> Vec<String> {
        let names = ('a'..='z').map(String::from);
        let route = |(name, (listen, target)): (String, &(&str, &str))| {
            format!("routes.{name} = {{listen='{listen}', target='{target}'}}\n")
        };
        let text: String = names.zip(routes).map(route).collect();
        match parse("f", &text, &[]) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.list.iter().map(|problem| problem.line()).collect(),
        }
    }

    #[test]
    fn a_loop_is_shown_with_its_addresses() {
        assert_eq!(
            lines(&[("1", "2"), ("2", "3"), ("3", "1"), ("9", "1")]),
            [
                "routes.a.target: this route leads back to itself: a (127.0.0.1:1) -> b (127.0.0.1:2) -> c (127.0.0.1:3) -> a"
            ]
        );
        assert_eq!(
            lines(&[("1", "1")]),
            ["routes.a.target: this route leads back to itself: a (127.0.0.1:1) -> a"]
        );
    }

    #[test]
    fn wildcards_and_localhost_loop_too() {
        for (listen, target) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("0.0.0.0:1", "127.9.9.9:1"),
            ("0.0.0.0:1", "localhost:1"),
            ("[::1]:1", "localhost:1"),
            ("[::]:1", "[::1]:1"),
            ("[::]:1", "localhost.:1"),
            ("10.0.0.1:1", "10.0.0.1:1"),
        ] {
            assert_eq!(lines(&[(listen, target)]).len(), 1, "{listen} {target}");
        }
    }

    #[test]
    fn a_route_to_a_name_under_localhost_on_its_own_port_is_a_loop() {
        for target in ["web.localhost:1", "Web.LOCALHOST.:1"] {
            assert_eq!(lines(&[("1", target)]).len(), 1, "{target}");
        }
        assert!(lines(&[("1", "weblocalhost:1"), ("2", "web.localhost:3")]).is_empty());
    }

    #[test]
    fn a_route_that_is_its_own_proxy_is_a_loop_wherever_its_target_is() {
        let found = |proxy: &str| {
            let text = format!("routes.a = {{listen='1', target='db:2', proxy_url='{proxy}'}}\n");
            parse("f", &text, &[]).map_or_else(|problems| problems.render(false), |_| String::new())
        };

        for proxy in ["http://127.0.0.1:1", "socks5://me:SECRET@localhost:1"] {
            assert!(found(proxy).contains("name another proxy in proxy_url"), "{}", found(proxy));
        }
        assert_eq!(found("http://127.0.0.1:2"), "");
    }

    /// 192.0.2.0/24 is reserved for documentation (RFC 5737).
    #[test]
    fn every_listener_of_a_port_is_reached_by_this_machines_own_addresses() {
        let to = |target: &str, here: bool| {
            let listener: ListenAddress = "0.0.0.0:1".parse::<Run<ListenAddress>>().unwrap().at(0);
            let step = Step { node: 0, route: 0, listener, by: 0 };
            let doors = opened(Protocol::Tcp, &step.listener).into_iter().map(|door| (door, step.clone()));
            let target = target.parse::<Run<TargetAddress>>().unwrap().at(0).into();
            reached(Protocol::Tcp, &target, &doors.collect(), &|_| here).len()
        };

        assert_eq!((to("192.0.2.1:1", true), to("192.0.2.1:1", false)), (1, 0));
        assert_eq!((to("192.0.2.1:2", true), to("[2001:db8::1]:1", true)), (0, 0));
        assert_eq!((to("127.0.0.1:1", false), to("[::1]:1", false)), (1, 0));
    }

    #[test]
    fn what_does_not_come_back_is_no_loop() {
        for (listen, target) in [
            ("1", "2"),
            ("[::1]:1", "127.0.0.1:1"),
            ("127.0.0.2:1", "1"),
            ("0.0.0.0:1", "db:1"),
            ("[::]:1", "127.0.0.1:1"),
        ] {
            assert_eq!(lines(&[(listen, target)]), Vec::<String>::new(), "{listen} {target}");
        }
        assert_eq!(lines(&[("1", "2"), ("2", "4"), ("3", "2")]), Vec::<String>::new());
    }

    #[test]
    fn ranges_and_unix_sockets_loop_too() {
        assert_eq!(lines(&[("8000-8009", "9000-9009"), ("9000-9009", "8000-8009")]).len(), 1);
        assert_eq!(
            lines(&[("8000-8009", "8005-8014")]),
            Vec::<String>::new(),
            "each port is carried out of the range"
        );
        assert_eq!(lines(&[("8000-8009", "8005")]).len(), 1);
        assert_eq!(lines(&[("unix:/a", "unix:/b"), ("unix:/b", "unix:/a")]).len(), 1);
        assert_eq!(lines(&[("unix:/a", "unix:@a")]), Vec::<String>::new());
    }

    #[test]
    fn two_loops_are_two_problems_and_a_long_chain_is_none() {
        assert_eq!(lines(&[("1", "2"), ("2", "1"), ("3", "4"), ("4", "3")]).len(), 2);
        let chain: String =
            (1..20_000).map(|n| format!("routes.r{n} = {{listen='{n}', target='{}'}}\n", n + 1)).collect();
        assert!(parse("f", &chain, &[]).is_ok());
    }

    #[test]
    fn a_loop_of_thousands_of_routes_is_one_short_message() {
        let around = |n: usize| 10_000 + n % 9_000;
        let text: String = (0..9_000)
            .map(|n| format!("routes.r{n} = {{listen='{}', target='{}'}}\n", around(n), around(n + 1)))
            .collect();

        let problems = parse("f", &text, &[]).unwrap_err();

        let message = problems.list[0].line();
        assert!(message.contains(" -> 8990 more -> r"), "{message}");
        assert!(problems.list.len() == 1 && problems.render(false).len() < 4_000, "{problems}");
    }

    proptest! {
        #[test]
        fn a_loop_is_found_if_following_the_ports_comes_back(targets in proptest::collection::vec(1_usize..12, 1..10)) {
            let routes: Vec<(String, String)> =
                targets.iter().enumerate().map(|(at, target)| ((at + 1).to_string(), target.to_string())).collect();
            let routes: Vec<_> = routes.iter().map(|(listen, target)| (listen.as_str(), target.as_str())).collect();
            // Each loop once, by its smallest port: after as many steps as there are routes, only loops are left.
            let step = |port: usize| targets.get(port.wrapping_sub(1)).copied().unwrap_or(0);
            let follow = |from: usize| std::iter::successors(Some(from), |port| Some(step(*port)));
            let settled = (1..=targets.len()).filter_map(|from| follow(from).nth(targets.len()));
            let around = settled.filter(|port| *port <= targets.len() && *port > 0);
            let loops: BTreeSet<_> = around.filter_map(|port| follow(port).take(targets.len()).min()).collect();

            prop_assert_eq!(lines(&routes).len(), loops.len());
        }
    }
}
