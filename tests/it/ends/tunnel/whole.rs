//! Sessions that come to their own end: bytes, ends, records, and the connection used again.

use loopgate::outcome::{Client, End, Phase, Side, Way};
use loopgate::transport::tunnel::line::Line;

use super::Ends;
use crate::harness::{Close, Target};

const MIB: usize = 1 << 20;

#[test]
fn a_visitor_of_one_machine_speaks_with_a_service_of_another() {
    let service = Target::echo();
    let ends = Ends::to(service.address);
    let client = ends.connect();
    let visitor = client.local();

    client.expect_whole_echo(3, MIB);

    let (here, there) = (ends.here.record(), ends.there.record());
    for record in [&here, &there] {
        assert_eq!(record.client, Client::Net(visitor), "{record}");
        assert_eq!((record.outcome.end, record.outcome.closed_by), (End::Done, Some(Side::Client)));
        assert_eq!((record.outcome.phase, record.outcome.way), (Phase::Relay, Way::Tls));
        let traffic = record.outcome.traffic;
        assert_eq!((traffic.up.read, traffic.up.delivered), (MIB as u64, MIB as u64), "{record}");
        assert_eq!((traffic.down.read, traffic.down.delivered), (MIB as u64, MIB as u64), "{record}");
    }
    assert_eq!((here.id, here.outcome.attempts.len()), (there.id, 1), "{here}\n{there}");
    assert!(here.to_string().contains(" target=tunnel:home/web end=done "), "{here}");
    assert!(there.to_string().contains(&format!(" target={} end=done ", service.address)), "{there}");
}

#[test]
fn what_goes_through_a_tunnel_is_counted_at_both_ends_as_sent_and_received() {
    let service = Target::greeting(b"220 ready\r\n");
    let ends = Ends::to(service.address);
    let [home, office] = [(&ends.here, "home"), (&ends.there, "office")]
        .map(|(proxy, tunnel)| proxy.engine().lines().get(&tunnel.parse().unwrap()));

    for n in 1..=2 {
        let mut client = ends.connect();
        assert_eq!(client.receive(11), b"220 ready\r\n");
        client.send(b"quit\n");
        client.finish();
        assert_eq!(client.receive_close(), Close::Fin);
        ends.here.record();
        ends.there.record();
        ends.pool.wait_for(n, 0);
    }

    let bytes = |line: &Line| (line.numbers().sent.get(), line.numbers().received.get());
    assert_eq!((bytes(&home), bytes(&office)), ((10, 22), (22, 10)));
    assert_eq!((home.numbers().takes.get(), office.numbers().takes.get()), (2, 0));
}

#[test]
fn one_connection_carries_one_session_after_the_other() {
    let service = Target::echo();
    let ends = Ends::to(service.address);

    for n in 0..20 {
        ends.connect().expect_whole_echo(n, 1000 + n as usize);
        assert_eq!(ends.here.record().outcome.end, End::Done);
        assert_eq!(ends.there.record().outcome.end, End::Done);
        ends.pool.wait_for(n as usize + 1, 0);
    }

    assert_eq!((ends.other.freed(), ends.other.lost()), (20, 0));
}

#[test]
fn a_service_that_speaks_first_is_heard_by_a_visitor_that_says_nothing() {
    let service = Target::greeting(b"220 ready\r\n");
    let ends = Ends::to(service.address);
    let mut client = ends.connect();

    assert_eq!(client.receive(11), b"220 ready\r\n");
    client.finish();
    assert_eq!(client.receive_close(), Close::Fin);

    let record = ends.here.record();
    assert_eq!((record.outcome.end, record.outcome.closed_by), (End::Done, Some(Side::Client)));
    ends.pool.wait_for(1, 0);
}

#[test]
fn the_answer_to_a_request_that_has_ended_arrives_whole() {
    let service = Target::answering_after_fin();
    let ends = Ends::to(service.address);

    ends.connect().expect_whole_echo(5, 300_000);

    assert_eq!(ends.there.record().outcome.traffic.down.delivered, 300_000);
}

#[test]
fn a_visitor_may_go_on_after_the_service_has_said_all() {
    let service = Target::manual();
    let ends = Ends::to(service.address);
    let mut client = ends.connect();
    let mut served = service.accept();

    served.send(b"all");
    served.finish();
    assert_eq!(client.receive_all(), (b"all".to_vec(), Close::Fin));
    client.send(b"thanks");
    client.finish();

    assert_eq!(served.receive_all(), (b"thanks".to_vec(), Close::Fin));
    for record in [ends.here.record(), ends.there.record()] {
        assert_eq!((record.outcome.end, record.outcome.closed_by), (End::Done, Some(Side::Target)));
    }
    ends.pool.wait_for(1, 0);
}

#[test]
fn a_session_without_a_byte_leaves_its_connection_to_the_next() {
    let service = Target::echo();
    let ends = Ends::to(service.address);

    let mut client = ends.connect();
    client.finish();
    assert_eq!(client.receive_close(), Close::Fin);
    ends.pool.wait_for(1, 0);
    ends.connect().expect_whole_echo(1, 10);

    ends.pool.wait_for(2, 0);
}

#[test]
fn a_bandwidth_and_a_longest_age_hold_within_a_tunnel() {
    let service = Target::sending(2, 400_000);
    let ends =
        Ends::with("bandwidth = '100mbit'\nmax_session_age = '1h'", "bandwidth = '100mbit'", service.address);
    let mut client = ends.connect();

    client.receive_stream(2, 400_000);
    assert_eq!(client.receive_close(), Close::Fin);
    client.finish();

    assert_eq!(ends.here.record().outcome.traffic.down.delivered, 400_000);
    ends.pool.wait_for(1, 0);
}

#[test]
fn many_visitors_at_once_each_have_their_own_bytes() {
    let service = Target::echo();
    let ends = Ends::to(service.address);
    (0..3).for_each(|_| ends.add_carrier());

    std::thread::scope(|scope| {
        for n in 0..16 {
            let ends = &ends;
            scope.spawn(move || ends.connect().expect_whole_echo(n, 200_000));
        }
    });

    let ended =
        |proxy: &crate::harness::Proxy| (0..16).map(|_| proxy.record().outcome.end).collect::<Vec<_>>();
    assert_eq!((ended(&ends.here), ended(&ends.there)), (vec![End::Done; 16], vec![End::Done; 16]));
    ends.pool.wait_for(16, 0);
}
