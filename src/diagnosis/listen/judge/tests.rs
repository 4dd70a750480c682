use std::time::Duration;

use super::*;
use crate::diagnosis::listen::facts::samples::{failure, holder, listener, socket, taken};
use crate::probe::network::Ipv6Address;
use crate::probe::network::routing::Link;

fn verdict(facts: BindFacts) -> &'static str {
    judge(&facts).0.id()
}

fn copy_of_us(pid: u32) -> Holder {
    Holder { same_program: true, ..holder(pid, "loopgate") }
}

#[test]
fn a_listener_is_judged_by_how_it_covers_the_address() {
    let dual = {
        let mut socket = listener("[::]:80", 9);
        socket.v6only = Some(false);
        socket
    };
    for (wanted, socket, want) in [
        ("127.0.0.1:80", listener("127.0.0.1:80", 9), "port-held"),
        ("127.0.0.1:80", listener("0.0.0.0:80", 9), "port-held-by-wildcard"),
        ("127.0.0.1:80", dual, "port-held-by-dual-stack"),
        ("0.0.0.0:80", listener("127.0.0.1:80", 9), "wildcard-blocked-by-specific"),
    ] {
        assert_eq!(verdict(taken(wanted, vec![(socket, vec![holder(7, "nginx")])])), want);
    }
}

#[test]
fn the_holder_decides_before_the_overlap() {
    let held_by = |holders| verdict(taken("127.0.0.1:80", vec![(listener("127.0.0.1:80", 9), holders)]));
    let stopped = Holder { state: 'T', ..holder(7, "vi") };
    let ourselves = Holder { this_process: true, ..copy_of_us(7) };

    assert_eq!(held_by(vec![]), "port-held-hidden");
    assert_eq!(held_by(vec![copy_of_us(7)]), "already-running");
    assert_eq!(held_by(vec![copy_of_us(7), holder(8, "sleep")]), "already-running");
    assert_eq!(held_by(vec![ourselves]), "port-held");
    assert_eq!(held_by(vec![stopped.clone()]), "port-held-by-suspended");
    assert_eq!(held_by(vec![stopped, holder(8, "w")]), "port-held-by-group");
    assert_eq!(held_by(vec![holder(7, "m"), holder(8, "w")]), "port-held-by-group");
}

#[test]
fn a_stranger_on_one_of_two_addresses_is_no_second_instance() {
    let ours = (listener("127.0.0.1:80", 8), vec![copy_of_us(7)]);
    let strangers = (listener("127.0.0.2:80", 9), vec![holder(8, "nginx")]);

    assert_eq!(verdict(taken("0.0.0.0:80", vec![ours, strangers])), "wildcard-blocked-by-specific");
}

#[test]
fn without_a_listener_the_connections_decide() {
    let row = |state, inode| socket(state, "127.0.0.1:40000", "127.0.0.1:5432", inode);
    let held_by = |socket| verdict(taken("127.0.0.1:40000", vec![(socket, vec![holder(7, "db")])]));
    let worker = socket(TcpState::CloseWait, "127.0.0.1:8080", "127.0.0.1:51000", 9);

    assert_eq!(held_by(row(TcpState::Established, 9)), "port-held-by-outgoing");
    assert_eq!(held_by(row(TcpState::SynSent, 9)), "port-held-by-outgoing");
    assert_eq!(held_by(row(TcpState::TimeWait, 0)), "port-in-time-wait");
    assert_eq!(held_by(row(TcpState::BoundInactive, 9)), "port-held");
    assert_eq!(
        verdict(taken("127.0.0.1:8080", vec![(worker, vec![holder(7, "w")])])),
        "port-held-by-old-connections"
    );
}

#[test]
fn a_connection_whose_other_end_listens_was_dialled_from_here() {
    let outgoing = socket(TcpState::Established, "127.0.0.1:8080", "127.0.0.1:51000", 9);
    let mut facts = taken("127.0.0.1:8080", vec![(outgoing, vec![holder(7, "w")])]);
    facts.blockers[0].remote_listens = true;

    let judged = judge(&facts);

    assert_eq!(judged, (Verdict::PortHeldByOutgoing, Certainty::Proven));
}

#[test]
fn an_address_in_use_without_a_visible_socket_is_unknown_and_never_free() {
    let judged = judge(&failure("127.0.0.1:80", libc::EADDRINUSE));

    assert_eq!(judged, (Verdict::Unknown, Certainty::Unknown));
}

#[test]
fn every_other_errno_has_its_verdict() {
    for (address, errno, want) in [
        ("127.0.0.1:80", libc::EACCES, "port-privileged"),
        ("127.0.0.1:8080", libc::EACCES, "bind-denied-by-sandbox"),
        ("127.0.0.1:80", libc::EPERM, "bind-denied-by-sandbox"),
        ("10.200.0.7:80", libc::EADDRNOTAVAIL, "address-not-local"),
        ("[::1]:80", libc::EADDRNOTAVAIL, "ipv6-disabled"),
        ("127.0.0.1:8080", libc::ENOSYS, "unknown"),
        ("[::1]:80", libc::EAFNOSUPPORT, "ipv6-disabled"),
        ("[fe80::1]:80", libc::EINVAL, "missing-scope"),
        ("[fe80::1%9]:80", libc::ENODEV, "address-not-local"),
        ("127.0.0.1:80", libc::EINVAL, "unknown"),
        ("127.0.0.1:80", libc::EMFILE, "own-fd-limit"),
        ("127.0.0.1:80", libc::ENFILE, "system-file-limit"),
        ("127.0.0.1:0", libc::EADDRINUSE, "ephemeral-ports-exhausted"),
    ] {
        assert_eq!(verdict(failure(address, errno)), want, "{address} {errno}");
    }
}

#[test]
fn a_tentative_address_is_distinguished_from_one_that_is_not_local() {
    let mut facts = failure("[fd00::5]:80", libc::EADDRNOTAVAIL);
    facts.network.ipv6 = Some(vec![own("fd00::5", true)]);

    assert_eq!(verdict(facts), "address-tentative");
}

#[test]
fn a_child_that_cannot_serve_is_distinguished_from_a_server() {
    let mut facts = taken("127.0.0.1:80", vec![(listener("127.0.0.1:80", 9), vec![holder(7, "sleep")])]);
    facts.idle = vec![7];

    assert_eq!(verdict(facts), "port-held-by-leftover-child");
}

#[test]
fn sharing_with_another_user_is_refused_by_the_kernel() {
    let mut facts = taken("127.0.0.1:80", vec![(listener("127.0.0.1:80", 9), vec![holder(7, "nginx")])]);
    facts.shares = Some(true);

    assert_eq!(verdict(facts.clone()), "port-held", "with the same user it is an ordinary held port");
    facts.rights.uid = 0;
    assert_eq!(verdict(facts), "reuseport-other-user");
}

#[test]
fn a_missing_loopback_address_is_distinguished_from_disabled_ipv6() {
    let link = |up| Link { index: 1, name: "lo".to_owned(), up, loopback: true, ..Link::default() };
    let mut facts = failure("[::1]:80", libc::EADDRNOTAVAIL);
    facts.link = Some(1);
    facts.links = vec![link(false)];

    assert_eq!(verdict(facts.clone()), "loopback-down");
    facts.ipv6_off = true;
    assert_eq!(verdict(facts.clone()), "ipv6-disabled");
    facts.ipv6_off = false;
    facts.links = vec![link(true)];
    facts.network.ipv6 = Some(vec![own("fe80::1", false)]);
    assert_eq!(verdict(facts), "loopback-route-lost");
}

#[test]
fn an_address_on_a_link_that_is_down_is_not_waited_for() {
    let mut facts = failure("[fd00::5]:80", libc::EADDRNOTAVAIL);
    facts.network.ipv6 = Some(vec![own("fd00::5", true)]);
    facts.link = Some(2);
    facts.links = vec![Link { index: 2, name: "eth0".to_owned(), ..Link::default() }];

    assert_eq!(verdict(facts), "address-not-local");
}

fn own(ip: &str, tentative: bool) -> Ipv6Address {
    Ipv6Address { ip: ip.parse().unwrap(), interface: "eth0".to_owned(), tentative, duplicate: false }
}

#[test]
fn a_system_call_filter_is_distinguished_from_a_kernel_without_ipv6() {
    let mut facts = failure("[::1]:8080", libc::EAFNOSUPPORT);
    facts.rights.seccomp = true;

    assert_eq!(verdict(facts.clone()), "ipv6-disabled");
    facts.network.ipv6 = Some(vec![own("::1", false)]);
    assert_eq!(verdict(facts), "bind-denied-by-sandbox");
}

#[test]
fn a_master_stands_before_the_worker_it_made_within_the_same_tick() {
    let master = holder(7, "nginx");
    // Examined a little later, the worker seems older.
    let worker = Holder { age: master.age.map(|age| age + Duration::from_micros(90)), ..holder(8, "nginx") };
    let facts = taken("127.0.0.1:80", vec![(listener("127.0.0.1:80", 9), vec![worker, master])]);

    let pids: Vec<u32> = facts.holders().iter().map(|holder| holder.pid).collect();

    assert_eq!(pids, [7, 8]);
}
