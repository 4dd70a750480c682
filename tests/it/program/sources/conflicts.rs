//! Two sources that declare the same thing at once: the second is refused with the reason.

use loopgate::engine::Refused;
use loopgate::plan::{self, RouteName, Routes};

use super::{conflict, named, web};
use crate::harness::datagrams::EchoDatagrams;
use crate::harness::{ClosedPort, Connection, Proxy, Target, listening_inode};

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
        format!("route web@edge cannot listen on {}: it belongs to route web", port.address)
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
        "route web of the command line has the name of one of the configuration file; give it another name"
    );
}
