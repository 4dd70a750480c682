use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::*;
use crate::sys::netlink::Message;

/// Messages of one type as this kernel sends them, so that the tests try every truncation of a real message.
fn real(request: &Request) -> Vec<Message> {
    ask(protocol(), request).unwrap().messages
}

#[test]
fn the_loopback_interface_has_its_name_and_its_address() {
    let links = links().unwrap().rows;
    let lo = links.iter().find(|link| link.loopback).unwrap();

    assert_eq!(lo.name, "lo");
    assert!(lo.mtu >= 1280, "{lo:?}");
    let addresses = addresses().unwrap().rows;
    let ours = Address { ip: Ipv4Addr::LOCALHOST.into(), prefix: 8, link: lo.index };
    assert_eq!(addresses.contains(&ours), lo.up);
}

#[test]
fn the_way_to_a_loopback_address_is_local() {
    let path = path_to(SocketAddr::from((Ipv4Addr::new(127, 0, 0, 9), 80)), None, 0).unwrap();

    assert_eq!((path.kind, path.gateway), (RouteKind::Local, None));
}

#[test]
fn the_rules_of_every_machine_choose_the_local_table_first() {
    let rules = policy_rules(false).unwrap().rows;

    assert_eq!((rules[0].priority, rules[0].table, rules[0].forbids), (0, 255, None));
}

#[test]
fn queues_and_filters_can_be_asked_for_on_every_link() {
    let queues = qdiscs().unwrap().rows;

    for link in links().unwrap().rows {
        let root = queues.iter().find(|queue| queue.link == link.index && queue.root);
        filters(link.index, root.map(|queue| queue.handle)).unwrap();
    }
}

#[test]
fn every_truncation_of_a_row_is_an_error_or_a_row_and_never_a_crash() {
    fn cut<T>(request: &Request, read: impl Fn(&[u8]) -> io::Result<T>, least: usize) {
        for message in real(request).iter().take(3) {
            for length in 0..message.body.len() {
                assert!(read(&message.body[..length]).is_ok() || length < least.max(message.body.len()));
            }
            assert!((0..least).all(|length| read(&message.body[..length]).is_err()));
        }
    }
    let mut ipv4 = [0; RTMSG];
    ipv4[0] = libc::AF_INET as u8;

    cut(&Request::dump(link::RTM_GETLINK, &[0; link::IFINFOMSG]), link::read, link::IFINFOMSG);
    cut(&Request::dump(RTM_GETADDR, &[0; IFADDRMSG]), read_address, IFADDRMSG);
    cut(&Request::dump(route::RTM_GETROUTE, &ipv4), route::read, RTMSG);
    cut(&Request::dump(rule::RTM_GETRULE, &ipv4), rule::read, RTMSG);
    cut(&Request::dump(38, &[0; 20]), tc::read_qdisc, 20);
}

/// The message after `tc qdisc add dev lo root netem delay 100ms loss 1%`.
#[test]
fn a_simulated_link_tells_its_delay_and_its_loss() {
    let mut options = Vec::new();
    for number in [1_562_500u32, 1000, 42_949_672, 0, 0, 0] {
        options.extend(number.to_ne_bytes());
    }
    options.extend([12, 0, 10, 0]);
    options.extend(100_000_000u64.to_ne_bytes());
    let body = qdisc("netem", &options);

    let qdisc = tc::read_qdisc(&body).unwrap();

    assert_eq!((qdisc.link, qdisc.root, &qdisc.kind[..]), (1, true, "netem"));
    assert_eq!((qdisc.delay, qdisc.loss), (Some(std::time::Duration::from_millis(100)), Some(9999)));
    for length in 0..body.len() {
        let _ = tc::read_qdisc(&body[..length]);
    }
}

/// `tc qdisc add dev lo root tbf rate 200kbit …`: 25,000 bytes a second.
#[test]
fn a_token_bucket_tells_its_rate() {
    let mut options = vec![40, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    options.extend(25_000u32.to_ne_bytes());
    options.extend([0; 24]);

    let qdisc = tc::read_qdisc(&qdisc("tbf", &options)).unwrap();

    assert_eq!(qdisc.rate, Some(25_000));
}

fn qdisc(kind: &str, options: &[u8]) -> Vec<u8> {
    let mut body = vec![0; 4];
    for number in [1u32, 0x8001_0000, 0xffff_ffff, 2] {
        body.extend(number.to_ne_bytes());
    }
    for (number, payload) in [(1u16, [kind.as_bytes(), &[0]].concat()), (2, options.to_vec())] {
        body.extend((4 + payload.len() as u16).to_ne_bytes());
        body.extend(number.to_ne_bytes());
        body.extend(&payload);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    body
}

#[test]
fn an_ipv6_loopback_is_reached_or_the_errno_says_why_not() {
    match path_to(SocketAddr::from((Ipv6Addr::LOCALHOST, 80)), None, 0) {
        Ok(path) => assert_eq!(path.kind, RouteKind::Local),
        Err(error) => assert!(error.raw_os_error().is_some(), "{error}"),
    }
}
