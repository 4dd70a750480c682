//! Sources that take what they can get.

use loopgate::engine::{Declaration, Declared, Policy, Refused, Source};
use loopgate::plan::{self};

use super::{conflict, listens, named, web};
use crate::harness::datagrams::socket;
use crate::harness::{ClosedPort, Connection, Proxy, Target, listening_inode};

/// What became of the routes of a declaration that takes what it can get, each by name.
fn answers(declared: &Declared) -> Vec<(String, Option<&Refused>)> {
    declared
        .answers
        .iter()
        .map(|it| (it.owner.route().unwrap().name.to_string(), it.listens.as_ref().err()))
        .collect()
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
    // A failure of one source does not affect the others.
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
    assert_eq!(declared.not_listening[0].owner.name(), "web@edge");
}
