//! Who may come through a tunnel: lists and limits are asked with the visitor's address, as the opener gives it.

use loopgate::engine::CarryRefused;
use loopgate::outcome::{Client, Denial, End, Limit};
use loopgate::proxy_protocol::Ends as Visitor;
use loopgate::transport::tunnel::carrier::Received;
use loopgate::transport::tunnel::frame::{Frame, Reason};

use super::links::{OtherEnd, Spoken, open, visitor};
use crate::harness::{Close, ClosedPort, Connection, Proxy, Target, wait_until};

/// An end with a route `web` to this service.
fn route(more: &str, service: &Target) -> (Proxy, OtherEnd) {
    let config = format!("[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\n{more}\n", service.address);
    let proxy = Proxy::builder().with(&config);
    let other = OtherEnd::of(&proxy, "office", true);
    (proxy, other)
}

fn expect_open(spoken: &mut Spoken) {
    assert_eq!(spoken.receive_frame(), Frame::Opened);
}

fn expect_reset(spoken: &mut Spoken, reason: Reason) {
    assert_eq!(spoken.receive_frame(), Frame::Reset(reason));
    assert_eq!(spoken.try_receive(), None);
}

#[test]
fn a_visitor_is_let_in_or_denied_by_its_own_address() {
    let service = Target::echo();
    let (proxy, other) = route("allow = ['192.0.2.0/24']", &service);

    let mut welcome = other.opened(open(visitor("192.0.2.7:1000")));
    expect_open(&mut welcome);
    let mut denied = other.opened(open(visitor("203.0.113.9:1000")));

    expect_reset(&mut denied, Reason::Denied);
    let record = proxy.record();
    assert_eq!(record.client, Client::Net("203.0.113.9:1000".parse().unwrap()));
    assert_eq!(record.outcome.end, End::Denied(Denial::Unlisted));
}

#[test]
fn an_opener_learns_why_even_if_its_visitor_has_sent_much() {
    let service = Target::echo();
    let (_proxy, other) = route("deny = ['203.0.113.0/24']", &service);
    let mut denied = other.opened_with(open(visitor("203.0.113.9:1000")), &[b'x'; 60_000]);

    expect_reset(&mut denied, Reason::Denied);
}

#[test]
fn a_visitor_without_an_address_is_denied_by_any_allow_and_by_no_deny() {
    let service = Target::echo();
    let (denying, other) = route("allow = ['0.0.0.0/0', '::/0']", &service);
    expect_reset(&mut other.opened(open(Visitor::Unnamed)), Reason::Denied);
    let record = denying.record();
    assert_eq!((record.client, record.outcome.end), (Client::Unknown, End::Denied(Denial::Unlisted)));
    assert!(record.to_string().contains(" client=unknown "), "{record}");

    let (_open, other) = route("deny = ['0.0.0.0/0', '::/0']", &service);
    expect_open(&mut other.opened(open(Visitor::Unnamed)));
}

#[test]
fn where_the_other_end_is_not_trusted_its_visitors_have_no_address() {
    let service = Target::echo();
    let (proxy, _) = route("allow = ['192.0.2.0/24']", &service);
    let other = OtherEnd::of(&proxy, "office", false);

    expect_reset(&mut other.opened(open(visitor("192.0.2.7:1000"))), Reason::Denied);

    assert_eq!(proxy.record().client, Client::Unknown);
}

#[test]
fn a_limit_per_client_counts_visitors_of_a_tunnel_apart_from_each_other_and_from_direct_clients() {
    let service = Target::echo();
    let (proxy, other) = route("max_connections_per_client = 1", &service);
    let first = |n: u8| open(visitor(&format!("127.0.0.{n}:1000")));

    let mut one = other.opened(first(1));
    expect_open(&mut one);
    let mut another = other.opened(first(2));
    expect_open(&mut another);
    expect_reset(&mut other.opened(first(1)), Reason::Limited);
    assert_eq!(proxy.record().outcome.end, End::Limited(Limit::PerClient));

    // From 127.0.0.1, as the first visitor claims to be.
    let mut direct = Connection::to(proxy.address);
    direct.send(b"mine");
    assert_eq!(direct.receive(4), b"mine");
    // And so does another tunnel's visitor.
    let home = OtherEnd::of(&proxy, "home", true);
    expect_open(&mut home.opened(first(1)));
}

#[test]
fn all_visitors_of_a_tunnel_without_an_address_are_one_client() {
    let service = Target::echo();
    let (_proxy, other) = route("max_connections_per_client = 2", &service);

    let mut two = [other.opened(open(Visitor::Unnamed)), other.opened(open(Visitor::Unnamed))];
    two.iter_mut().for_each(expect_open);

    expect_reset(&mut other.opened(open(Visitor::Unnamed)), Reason::Limited);
}

#[test]
fn a_rate_and_a_dry_run_are_asked_with_the_visitors_address() {
    let service = Target::echo();
    let (proxy, other) = route("connection_rate_per_client = '1/h'\nlimits_dry_run = true", &service);

    let mut first = other.opened(open(visitor("192.0.2.7:1")));
    let mut second = other.opened(open(visitor("192.0.2.7:2")));
    expect_open(&mut first);
    expect_open(&mut second);
    second.send(&Frame::Reset(Reason::Reset));

    assert_eq!(proxy.record().dry_run, Some(Limit::RatePerClient));
}

#[test]
fn a_visitor_that_waits_for_a_place_is_carried_once_it_has_one() {
    let service = Target::echo();
    let (proxy, other) = route("max_connections = 1\nwhen_full = 'queue'", &service);
    let mut first = other.opened(open(visitor("192.0.2.7:1")));
    expect_open(&mut first);
    let mut second = other.opened(open(visitor("192.0.2.8:1")));
    second.send_body(b"early");

    first.send(&Frame::End);
    assert_eq!((first.receive_frame(), first.receive_frame()), (Frame::End, Frame::Done));

    expect_open(&mut second);
    assert_eq!(second.receive_body(5), b"early");
    assert_eq!(proxy.record().outcome.end, End::Done);
}

#[test]
fn a_place_in_the_queue_is_left_by_a_visitor_whose_connection_is_gone() {
    let service = Target::echo();
    let (proxy, other) = route("max_connections = 1\nwhen_full = 'queue'", &service);
    let mut first = other.opened(open(visitor("192.0.2.7:1")));
    expect_open(&mut first);

    other.opened(open(visitor("192.0.2.8:1"))).reset();

    assert_eq!(proxy.record().outcome.end, End::ClientGone);
}

#[test]
fn a_name_that_is_no_route_is_refused_with_its_cause() {
    let service = Target::echo();
    let (proxy, other) = route("", &service);
    let mut nowhere = open(visitor("192.0.2.7:1"));
    nowhere.to = loopgate::address::There::Service("nowhere".into());

    let mut refused = other.opened(nowhere);
    let Frame::Failed(content) = refused.receive_frame() else { panic!("it is told that it failed") };
    let content = String::from_utf8(content).unwrap();
    assert!(content.contains(r#""cause":"tunnel_refused""#), "{content}");
    expect_reset(&mut refused, Reason::NoTarget);

    assert!(matches!(&other.refused()[..], [CarryRefused::NoRoute(_)]));
    assert!(proxy.records().is_empty());
}

#[test]
fn a_full_process_says_so_to_the_opener() {
    let service = Target::echo();
    let config = format!("[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\n", service.address);
    let proxy = Proxy::builder().connections(1).with(&config);
    let other = OtherEnd::of(&proxy, "office", true);
    let mut first = other.opened(open(visitor("192.0.2.7:1")));
    expect_open(&mut first);

    expect_reset(&mut other.opened(open(visitor("192.0.2.8:1"))), Reason::Limited);

    assert_eq!(other.refused(), [CarryRefused::Full]);
}

#[test]
fn a_service_that_does_not_answer_is_told_with_its_cause_and_nothing_of_this_machine() {
    let closed = ClosedPort::port();
    let config = format!("[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\n", closed.address);
    let proxy = Proxy::builder().with(&config);
    let other = OtherEnd::of(&proxy, "office", true);

    let mut refused = other.opened(open(visitor("192.0.2.7:1")));

    let Frame::Failed(content) = refused.receive_frame() else { panic!("it is told that it failed") };
    assert_eq!(String::from_utf8(content).unwrap(), r#"{"cause":"refused","words":""}"#);
    expect_reset(&mut refused, Reason::NoTarget);
    assert_eq!(proxy.record().outcome.end.code(), "no_target");
    wait_until("the connection is lost", || (other.lost() == 1).then_some(()));
}

#[test]
fn a_second_end_is_waited_for_before_the_connection_is_called_free() {
    let service = Target::manual();
    let (proxy, other) = route("", &service);
    let mut opened = other.opened(open(visitor("192.0.2.7:1")));
    expect_open(&mut opened);
    let mut served = service.accept();

    opened.send(&Frame::End);
    assert_eq!(served.receive_close(), Close::Fin);
    served.send(b"late");
    drop(served);

    assert_eq!(opened.receive(), Received::Message(b"late".to_vec()));
    assert_eq!((opened.receive_frame(), opened.receive_frame()), (Frame::End, Frame::Done));
    assert_eq!(proxy.record().outcome.end, End::Done);
    wait_until("it is free", || (other.freed() == 1).then_some(()));
}
