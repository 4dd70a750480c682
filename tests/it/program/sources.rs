//! Several sources of routes in one engine: each speaks for its own, whatever the others call theirs.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use loopgate::engine::{Declaration, Declared, Policy, Refused, Source};
use loopgate::plan::{self, RouteName, Routes};

use crate::harness::datagrams::{EchoDatagrams, ask, client, is_silent, socket};
use crate::harness::{Close, ClosedPort, Connection, Proxy, Target, listening_inode};

/// A route `web`, which each source calls so.
fn web(listen: impl std::fmt::Display, target: SocketAddr, more: &str) -> String {
    format!("[routes.web]\nlisten = '{listen}'\ntarget = '{target}'\n{more}\n")
}

/// A route with nothing but its ends.
fn named(name: &str, listen: impl std::fmt::Display, target: SocketAddr) -> String {
    format!("[routes.{name}]\nlisten = '{listen}'\ntarget = '{target}'\n")
}

/// Where the route of this name, as it is printed, listens.
fn listens(declared: &Declared, route: &str) -> SocketAddr {
    let of_route = declared.listening.iter().find(|it| it.route.to_string() == route);
    of_route.and_then(|it| it.address.net()).unwrap_or_else(|| panic!("{route} is not in {declared:?}"))
}

/// Speaks with an echo, and ends.
fn visit(mut client: Connection) {
    client.send(b"hello");
    assert_eq!(client.receive(5), b"hello");
    client.finish();
    assert_eq!(client.receive_close(), Close::Fin);
}

#[test]
fn two_sources_with_a_route_of_one_name_serve_each_its_own_target() {
    let (one, two) = (Target::greeting(b"1"), Target::greeting(b"2"));
    let (first, second) = (ClosedPort::port(), ClosedPort::port());
    let proxy = Proxy::builder().with(&web(first.address, one.address, ""));
    proxy.declare_as("edge", &web(second.address, two.address, "")).unwrap();

    proxy.declare(&web(first.address, one.address, "reset_linger = '1s'")).unwrap();

    assert_eq!(Connection::to(first.address).receive(1), b"1");
    assert_eq!(Connection::to(second.address).receive(1), b"2");
    proxy.declare_as("edge", &web(second.address, two.address, "reset_linger = '1s'")).unwrap();
    assert_eq!(Connection::to(first.address).receive(1), b"1");
    assert_eq!(Connection::to(second.address).receive(1), b"2");
}

#[test]
fn a_port_that_the_kernel_chose_belongs_to_its_own_source() {
    let (one, two) = (Target::greeting(b"1"), Target::greeting(b"2"));
    let proxy = Proxy::builder().with(&web("127.0.0.1:0", one.address, ""));

    let declared = proxy.declare_as("edge", &web("127.0.0.1:0", two.address, "")).unwrap();

    let second = listens(&declared, "web@edge");
    assert_eq!(listens(&declared, "web"), proxy.address);
    assert_ne!(second, proxy.address);
    assert_eq!(Connection::to(proxy.address).receive(1), b"1");
    assert_eq!(Connection::to(second).receive(1), b"2");
}

#[test]
fn records_tell_the_routes_of_two_sources_apart() {
    let target = Target::echo();
    let proxy = Proxy::builder().with(&web("127.0.0.1:0", target.address, ""));
    let declared = proxy.declare_as("edge", &web("127.0.0.1:0", target.address, "")).unwrap();

    for route in ["web", "web@edge"] {
        visit(Connection::to(listens(&declared, route)));
        assert_eq!(*proxy.record().route, *route);
    }
}

#[test]
fn a_limit_of_connections_counts_those_of_its_own_source_alone() {
    let target = Target::echo();
    let limit = "max_connections = 1";
    let proxy = Proxy::builder().with(&web("127.0.0.1:0", target.address, limit));
    let declared = proxy.declare_as("edge", &web("127.0.0.1:0", target.address, limit)).unwrap();
    let second = listens(&declared, "web@edge");

    let mut held = proxy.connect();
    held.send(b"here");
    assert_eq!(held.receive(4), b"here");
    assert!(Connection::is_reset_at_once("127.0.0.1", proxy.address));

    visit(Connection::to(second));
    // What one source declares again leaves the limits of the other as they are.
    proxy.declare_as("edge", &web("127.0.0.1:0", target.address, "")).unwrap();
    assert!(Connection::is_reset_at_once("127.0.0.1", proxy.address));
}

#[test]
fn a_limit_of_flows_by_client_counts_those_of_its_own_source_alone() {
    let target = EchoDatagrams::start();
    let limit = "protocol = 'udp'\nmax_connections_per_client = 1";
    let proxy = Proxy::builder().with(&web("127.0.0.1:0", target.address, limit));
    let declared = proxy.declare_as("edge", &web("127.0.0.1:0", target.address, limit)).unwrap();
    let second = listens(&declared, "web@edge");

    assert_eq!(ask(&client(proxy.address), b"one"), b"one");
    let turned_away = client(proxy.address);
    turned_away.send(b"two").unwrap();
    assert!(is_silent(&turned_away));

    assert_eq!(ask(&client(second), b"three"), b"three");
}

#[test]
fn two_sources_do_not_share_a_bandwidth() {
    let target = Target::sending(1, 1 << 20);
    // What may move at once is 16 KiB; everything after it takes a second for each 1000 bytes.
    let slow = "bandwidth = '8kbit'";
    let proxy = Proxy::builder().with(&web("127.0.0.1:0", target.address, slow));
    let declared = proxy.declare_as("edge", &web("127.0.0.1:0", target.address, slow)).unwrap();
    let second = listens(&declared, "web@edge");

    let began = Instant::now();
    let mut hungry = [proxy.connect(), Connection::to(second)];
    hungry.iter_mut().for_each(|client| drop(client.receive(14 << 10)));

    assert!(began.elapsed() < Duration::from_secs(8), "the second waited for what the first had used up");
}

/// What a refused declaration says of the address and of the two routes.
fn conflict(refused: &Refused) -> (String, String, String) {
    let Refused::Conflict { address, wanted_by, held_by } = refused else { panic!("{refused}") };
    (address.to_string(), wanted_by.to_string(), held_by.to_string())
}

#[test]
fn a_port_that_another_source_has_is_refused_and_nothing_changes() {
    let (one, two) = (Target::greeting(b"1"), Target::greeting(b"2"));
    let (port, other) = (ClosedPort::port(), ClosedPort::port());
    let proxy = Proxy::builder().with(&web(port.address, one.address, ""));
    let inode = listening_inode(port.address);

    let both = web(port.address, two.address, "") + &named("other", other.address, two.address);
    let refused = proxy.declare_as("edge", &both).unwrap_err();

    assert_eq!(conflict(&refused), (port.address.to_string(), "web@edge".into(), "web".into()));
    assert_eq!(
        refused.to_string(),
        format!("route web@edge cannot listen on {}: route web listens there", port.address)
    );
    assert_eq!(listening_inode(port.address), inode);
    assert_eq!(Connection::to(port.address).receive(1), b"1");
    assert!(Connection::try_to(other.address).is_err(), "half of a refused declaration listens");
}

#[test]
fn an_address_that_its_source_gives_up_is_free_for_the_next() {
    let (one, two) = (Target::greeting(b"1"), Target::greeting(b"2"));
    let (port, kept) = (ClosedPort::port(), ClosedPort::port());
    let proxy = Proxy::builder().with(&named("kept", kept.address, one.address));
    proxy.declare_as("edge", &web(port.address, one.address, "")).unwrap();
    let refused = proxy.declare_as("next", &web(port.address, two.address, "")).unwrap_err();
    assert_eq!(conflict(&refused).2, "web@edge");

    let gone = proxy.declare_as("edge", "").unwrap();

    assert_eq!(gone.change.removed.len(), 1);
    assert!(Connection::try_to(port.address).is_err());
    assert_eq!(Connection::to(kept.address).receive(1), b"1");
    proxy.declare_as("next", &web(port.address, two.address, "")).unwrap();
    assert_eq!(Connection::to(port.address).receive(1), b"2");
}

#[test]
fn every_kind_of_address_is_kept_by_who_has_it() {
    let (target, datagrams) = (Target::greeting(b"1"), EchoDatagrams::start());
    let port = ClosedPort::port_of_every_address("127.0.0.1");
    let number = port.address.port();
    let socket = format!("unix:@loopgate-sources-{}", std::process::id());
    for (held, wanted, protocol) in [
        (port.address.to_string(), format!("0.0.0.0:{number}"), "tcp"),
        (format!("0.0.0.0:{number}"), port.address.to_string(), "tcp"),
        (port.address.to_string(), port.address.to_string(), "udp"),
        (port.address.to_string(), format!("[::ffff:127.0.0.1]:{number}"), "tcp"),
        (format!("{socket}-a"), format!("{socket}-a"), "tcp"),
    ] {
        let to = if protocol == "tcp" { target.address } else { datagrams.address };
        let more = format!("protocol = '{protocol}'");
        let proxy = Proxy::builder().with(&web(&held, to, &more));

        let refused = proxy.declare_as("edge", &web(&wanted, to, &more)).unwrap_err();

        assert_eq!(conflict(&refused), (wanted.clone(), "web@edge".into(), "web".into()), "{held} {wanted}");
        // Beside it, on the other protocol or another name, there is room.
        proxy.declare_as("edge", &web(format!("{socket}-b"), target.address, "")).unwrap();
    }
}

#[test]
fn a_port_that_the_kernel_chose_for_one_source_is_refused_to_the_next() {
    let (one, two) = (Target::greeting(b"1"), Target::greeting(b"2"));
    let proxy = Proxy::builder().with(&web("127.0.0.1:0", one.address, ""));

    let refused = proxy.declare_as("edge", &web(proxy.address, two.address, "")).unwrap_err();

    assert_eq!(conflict(&refused), (proxy.address.to_string(), "web@edge".into(), "web".into()));
    assert_eq!(proxy.connect().receive(1), b"1");
}

#[test]
fn a_route_that_tries_on_for_its_port_keeps_its_claim_and_takes_none_of_another_source() {
    let (taken, two) = (Target::echo(), Target::greeting(b"2"));
    let (free, retry) = (ClosedPort::port(), "bind = 'retry'");
    let config = web(taken.address, two.address, retry) + &named("free", free.address, two.address);
    let proxy = Proxy::builder().with(&config);
    assert_eq!(proxy.declared.not_listening.len(), 1);

    let claimed = proxy.declare_as("edge", &web(taken.address, two.address, retry)).unwrap_err();
    assert_eq!(conflict(&claimed).2, "web");
    let held = proxy.declare_as("edge", &web(free.address, two.address, retry)).unwrap_err();
    assert_eq!(conflict(&held).2, "free");
}

#[test]
fn two_sources_whose_routes_lead_to_each_other_are_told_of_the_loop() {
    let (first, second) = (ClosedPort::port(), ClosedPort::port());
    let proxy = Proxy::builder().with(&web(first.address, second.address, ""));

    let refused = proxy.declare_as("edge", &web(second.address, first.address, "")).unwrap_err();

    assert!(matches!(&refused, Refused::Loop { way } if way.len() == 2), "{refused}");
    let (first, second) = (first.address, second.address);
    let way = format!("web@edge ({second}) -> web ({first}) -> web@edge");
    assert_eq!(refused.to_string(), format!("route web@edge leads back to itself: {way}"));
    assert!(Connection::try_to(second).is_err());
}

#[test]
fn a_loop_through_a_port_that_the_kernel_chose_is_found() {
    let second = ClosedPort::port();
    let proxy = Proxy::builder().with(&web("127.0.0.1:0", second.address, ""));

    let refused = proxy.declare_as("edge", &web(second.address, proxy.address, "")).unwrap_err();

    assert!(matches!(&refused, Refused::Loop { .. }), "{refused}");
}

#[test]
fn a_route_that_would_be_printed_as_that_of_another_source_is_refused() {
    let target = Target::greeting(b"1");
    let proxy = Proxy::builder().with(&web("127.0.0.1:0", target.address, ""));
    let typed = plan::parse("", "", &["0:9".into()]).unwrap();
    let route = typed.routes.into_values().next().unwrap();

    let twin = Routes::from([(RouteName("web".into()), route)]);
    let refused = proxy.declare_from(typed.source, twin).unwrap_err();

    assert_eq!(
        refused.to_string(),
        "route web of the command line is called as one of the configuration file is; call it otherwise"
    );
}

/// What became of the routes of a declaration that takes what it can get, each by name.
fn answers(declared: &Declared) -> Vec<(String, Option<&Refused>)> {
    declared.answers.iter().map(|it| (it.route.name.to_string(), it.listens.as_ref().err())).collect()
}

/// Routes of a configuration that listen as far as they can.
fn what_can(config: &str) -> Declaration {
    let plan = plan::parse("test", config, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    Declaration::from(plan.routes).on_failure(Policy::WhatCan)
}

#[test]
fn a_source_that_takes_what_it_can_get_is_answered_route_by_route() {
    let (target, taken) = (Target::greeting(b"1"), Target::echo());
    let (held, free) = (ClosedPort::port(), ClosedPort::port());
    let taken_udp = socket("127.0.0.1:0");
    let proxy = Proxy::builder().with(&web(held.address, target.address, ""));
    let edge = Source::named("edge").unwrap();
    let mut config = named("a_free", free.address, target.address);
    config += &named("b_held", held.address, target.address);
    config += &named("c_taken", taken.address, target.address);
    config += &(named("d_beside", taken.address, target.address).replace("127.0.0.1", "127.0.0.2"));
    config += &named("e_udp", taken_udp.local_addr().unwrap(), target.address);
    config += "protocol = 'udp'\n";
    config += &named("f_file", "unix:/dev/null", target.address);

    let refused = proxy.declare_as("edge", &config).unwrap_err();
    assert_eq!(conflict(&refused).1, "b_held@edge");
    let declared = proxy.declare_from(edge, what_can(&config)).unwrap();

    let errno = |refused: Option<&Refused>| match refused {
        Some(Refused::Bind(failures)) => failures[0].error.raw_os_error(),
        _ => None,
    };
    let answers = answers(&declared);
    let names: Vec<_> = answers.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["a_free", "b_held", "c_taken", "d_beside", "e_udp", "f_file"]);
    assert!(answers[0].1.is_none() && answers[3].1.is_none(), "{answers:?}");
    assert_eq!(conflict(answers[1].1.unwrap()).2, "web");
    assert_eq!(errno(answers[2].1), Some(libc::EADDRINUSE));
    assert_eq!(errno(answers[4].1), Some(libc::EADDRINUSE));
    assert_eq!(errno(answers[5].1), Some(libc::EEXIST));
    let added: Vec<_> = declared.change.added.iter().map(ToString::to_string).collect();
    assert_eq!(added, ["a_free", "d_beside"], "what is given up is not wanted any more");
    assert_eq!(Connection::to(free.address).receive(1), b"1");
    // What one source could not get is nobody else's trouble.
    proxy.declare(&web(held.address, target.address, "reset_linger = '1s'")).unwrap();
}

#[test]
fn a_route_whose_new_place_is_taken_goes_on_at_its_old_one() {
    let (target, other, taken) = (Target::greeting(b"1"), Target::greeting(b"2"), Target::echo());
    let (kept, old) = (ClosedPort::port(), ClosedPort::port());
    let proxy = Proxy::builder().with(&named("kept", kept.address, target.address));
    proxy.declare_as("edge", &web(old.address, target.address, "")).unwrap();
    let inode = listening_inode(old.address);
    let edge = || Source::named("edge").unwrap();

    let moved = what_can(&web(taken.address, other.address, ""));
    let declared = proxy.declare_from(edge(), moved).unwrap();

    assert!(matches!(answers(&declared)[..], [(_, Some(Refused::Bind(_)))]), "{declared:?}");
    assert!(declared.change.is_empty());
    assert_eq!(listens(&declared, "web@edge"), old.address);
    assert_eq!(listening_inode(old.address), inode);
    assert_eq!(Connection::to(old.address).receive(1), b"1");
    // A new route may not take the old place either: it is not free yet.
    let both = web(taken.address, other.address, "") + &named("z", old.address, other.address);
    let declared = proxy.declare_from(edge(), what_can(&both)).unwrap();
    assert_eq!(answers(&declared).iter().filter(|(_, refused)| refused.is_some()).count(), 2);
    assert_eq!(Connection::to(old.address).receive(1), b"1");
}

#[test]
fn of_routes_that_would_make_a_loop_the_others_still_listen() {
    let target = Target::greeting(b"1");
    let (first, second, free) = (ClosedPort::port(), ClosedPort::port(), ClosedPort::port());
    let proxy = Proxy::builder().with(&web(first.address, second.address, ""));

    let config = web(second.address, first.address, "") + &named("free", free.address, target.address);
    let declared = proxy.declare_from(Source::named("edge").unwrap(), what_can(&config)).unwrap();

    let answers = answers(&declared);
    assert!(answers[0].1.is_none(), "{answers:?}");
    assert!(matches!(answers[1].1, Some(Refused::Loop { .. })), "{answers:?}");
    assert_eq!(Connection::to(free.address).receive(1), b"1");
}

#[test]
fn a_route_that_tries_on_is_answered_as_one_that_will_listen() {
    let (target, taken) = (Target::greeting(b"1"), Target::echo());
    let proxy = Proxy::builder().with(&web("127.0.0.1:0", target.address, ""));

    let config = web(taken.address, target.address, "bind = 'retry'");
    let declared = proxy.declare_from(Source::named("edge").unwrap(), what_can(&config)).unwrap();

    assert!(matches!(answers(&declared)[..], [(_, None)]), "{declared:?}");
    assert_eq!(declared.not_listening[0].route.to_string(), "web@edge");
}
