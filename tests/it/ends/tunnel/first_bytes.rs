//! Routes that look at what a visitor of a tunnel sends first: a PROXY header, the name in a hello, whether it says anything.

use loopgate::client_hello::MAX_BYTES;
use loopgate::outcome::{Cause, Client, Denial, End, Phase};
use loopgate::transport::tunnel::carrier::Received;
use loopgate::transport::tunnel::frame::{Frame, Reason};

use super::Ends;
use super::links::{OtherEnd, Spoken, open, visitor};
use crate::harness::{Close, ClosedPort, HelloBuilder, Proxy, Target};

const MIB: usize = 1 << 20;
const HEADER: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
const PROXIES: &str = "accept_proxy = ['127.0.0.0/8']";
/// The fatal alert unrecognized_name.
const UNRECOGNIZED_NAME: &[u8] = b"\x15\x03\x03\x00\x02\x02\x70";

/// Sends its own name, then answers after the end with everything it received.
fn telling(which: &'static str) -> Target {
    Target::serving_anywhere(move |mut connection| {
        connection.send(which.as_bytes());
        let (received, _) = connection.receive_all();
        connection.send(&received);
    })
}

/// The service of `web` and another, chosen by name.
fn by_name(more: &str) -> (Ends, [Target; 2]) {
    let (others, shop) = (telling("others"), telling("shop"));
    let names = format!("names = {{ 'shop.example' = '{}' }}\n{more}", shop.address);
    (Ends::with("", &names, others.address), [others, shop])
}

fn exchanged(ends: &Ends, bytes: &[u8]) -> (Vec<u8>, Close) {
    let mut client = ends.connect();
    client.send(bytes);
    client.finish();
    client.receive_all()
}

fn hello(name: &[u8]) -> Vec<u8> {
    HelloBuilder::default().name(name).protocols(&["h2"]).records()
}

#[test]
fn the_header_of_a_visitors_own_proxy_names_its_client_wherever_it_is_cut() {
    let service = Target::echo();
    let ends = Ends::with("", PROXIES, service.address);
    for cut in 0..HEADER.len() {
        let mut client = ends.connect();
        client.send(&HEADER[..cut]);
        client.send(&HEADER[cut..]);
        client.send(b"hello");
        assert_eq!(client.receive(5), b"hello", "cut at {cut}");
        client.finish();
        assert_eq!(client.receive_close(), Close::Fin);
        let (here, there) = (ends.here.record(), ends.there.record());
        assert_eq!(here.client, Client::Net(client.local()));
        assert_eq!(there.client, Client::Net("192.0.2.7:4711".parse().unwrap()), "{there}");
        ends.pool.wait_for(cut + 1, 0);
    }

    let mut client = ends.connect();
    HEADER.iter().for_each(|byte| client.send(&[*byte]));
    client.expect_whole_echo(5, MIB);
    assert_eq!(ends.there.record().outcome.traffic.up.delivered, MIB as u64);
}

#[test]
fn a_proxy_in_a_tunnel_is_judged_by_its_address_and_its_clients_by_theirs() {
    let service = Target::echo();
    let route = |more: &str| {
        let config =
            format!("[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\n{more}\n", service.address);
        let proxy = Proxy::builder().with(&config);
        let other = OtherEnd::of(&proxy, "office", true);
        (proxy, other)
    };
    let (proxy, other) = route("accept_proxy = ['203.0.113.9']\nallow = ['192.0.2.0/24']");
    let from = |address: &str| other.opened(open(visitor(address)));

    let mut stranger = from("203.0.113.10:1");
    assert_eq!(stranger.receive_frame(), Frame::Reset(Reason::Denied));
    assert_eq!(proxy.record().outcome.end, End::Denied(Denial::NoProxy));

    let mut allowed = from("203.0.113.9:1");
    assert_eq!(allowed.receive_frame(), Frame::Opened);
    allowed.send_body(HEADER);
    allowed.send_body(b"hello");
    assert_eq!(allowed.receive_body(5), b"hello");

    let mut denied = from("203.0.113.9:1");
    assert_eq!(denied.receive_frame(), Frame::Opened);
    denied.send_body(b"PROXY TCP4 198.51.100.7 198.51.100.1 4711 443\r\nhello");
    assert_eq!(denied.receive_frame(), Frame::Reset(Reason::Denied));
    let record = proxy.record();
    assert_eq!(record.outcome.end, End::Denied(Denial::Unlisted));
    assert_eq!(record.client, Client::Net("198.51.100.7:4711".parse().unwrap()));

    // Clients of one proxy are counted apart, and apart from those of another tunnel.
    let (_proxy, other) = route("accept_proxy = ['203.0.113.9']\nmax_connections_per_client = 1");
    let announced = |tunnel: &OtherEnd, client: &str| {
        let mut spoken = tunnel.opened(open(visitor("203.0.113.9:1")));
        assert_eq!(spoken.receive_frame(), Frame::Opened);
        spoken.send_body(format!("PROXY TCP4 {client} 198.51.100.1 4711 443\r\nhello").as_bytes());
        spoken
    };
    let mut first = announced(&other, "192.0.2.1");
    assert_eq!(first.receive_body(5), b"hello");
    assert_eq!(announced(&other, "192.0.2.2").receive_body(5), b"hello");
    assert_eq!(announced(&other, "192.0.2.1").receive_frame(), Frame::Reset(Reason::Limited));
    let home = OtherEnd::of(&_proxy, "home", true);
    assert_eq!(announced(&home, "192.0.2.1").receive_body(5), b"hello");
}

#[test]
fn a_proxy_that_connects_for_itself_is_announced_as_the_visitor_that_it_is() {
    let service = Target::manual();
    let ends = Ends::with("", &format!("{PROXIES}\nsend_proxy = 'v1'"), service.address);
    let mut client = ends.connect();
    client.send(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0hello");

    let expected =
        format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\nhello", client.local().port(), ends.address.port());
    assert_eq!(service.accept().receive(expected.len()), expected.as_bytes());
}

#[test]
fn a_visitor_without_the_header_that_is_wanted_is_told_apart_at_both_ends() {
    let service = Target::echo();
    let ends = Ends::with("", &format!("{PROXIES}\naccept_proxy_timeout = '200ms'"), service.address);
    let told = |bytes: &[u8], finishes: bool| {
        ends.add_carrier();
        let mut client = ends.connect();
        client.send(bytes);
        if finishes {
            client.finish();
        }
        assert_eq!(client.receive_all(), (Vec::new(), Close::Reset));
        let (here, there) = (ends.here.record(), ends.there.record());
        assert_eq!(
            (here.outcome.end, there.outcome.end),
            (End::BadHeader, End::BadHeader),
            "{here}\n{there}"
        );
        assert_eq!(there.outcome.phase, Phase::Identify);
        there.hint().unwrap().to_owned()
    };

    assert!(told(b"GET / HTTP/1.1\r\n", false).contains("it sent \"GET / HTTP/1.1"));
    assert!(told(&HEADER[..20], true).contains("the connection ended before it was complete"));
    assert!(told(&HEADER[..20], false).contains("did not arrive within 200ms"));
    assert!(service.try_accept().is_none());
}

#[test]
fn a_name_in_a_hello_chooses_the_service_wherever_the_hello_is_cut() {
    let (ends, _services) = by_name("");
    let hello = HelloBuilder::default().name(b"shop.example").protocols(&["h2"]).records_of(50);

    for cut in (1..hello.len()).step_by(7) {
        let mut client = ends.connect();
        client.send(&hello[..cut]);
        client.send(&hello[cut..]);
        client.finish();
        assert_eq!(client.receive_all(), ([b"shop", &hello[..]].concat(), Close::Fin), "cut at {cut}");
        ends.here.record();
        assert_eq!(ends.there.record().name.as_deref(), Some("shop.example"));
    }
    let mut client = ends.connect();
    hello.iter().for_each(|byte| client.send(&[*byte]));
    client.finish();
    assert_eq!(client.receive_all(), ([b"shop", &hello[..]].concat(), Close::Fin));
}

#[test]
fn the_longest_hello_and_megabytes_behind_it_reach_the_service_whole() {
    let shop = Target::serving_anywhere(|mut connection| {
        let (received, _) = connection.receive_all();
        connection.send(&received);
    });
    let names = format!("names = {{ 'shop.example' = '{}' }}", shop.address);
    let ends = Ends::with("", &names, ClosedPort::port().address);
    let with = |padding: usize| HelloBuilder::default().name(b"shop.example").padding(padding).records();
    let longest = with(60_000 + MAX_BYTES - with(60_000).len());
    assert_eq!(longest.len(), MAX_BYTES);

    for hello in [with(20_000), longest] {
        let mut client = ends.connect();
        client.send(&hello);
        client.send_stream(9, 3 * MIB);
        client.finish();
        assert!(client.receive(hello.len()) == hello);
        client.receive_stream(9, 3 * MIB);
        assert_eq!(client.receive_close(), Close::Fin);
        let record = ends.there.record();
        assert_eq!(record.outcome.traffic.up.delivered, (hello.len() + 3 * MIB) as u64, "{record}");
    }
}

#[test]
fn a_name_that_nobody_has_is_answered_by_an_alert_and_says_nothing_of_the_service() {
    let shop = telling("shop");
    let ends = Ends::with("", "", ClosedPort::port().address);
    ends.there
        .declare(&format!(
            "[routes.web]\nlisten = '127.0.0.1:0'\nnames = {{ 'shop.example' = '{}' }}",
            shop.address
        ))
        .unwrap();

    let mut client = ends.connect();
    client.send(&hello(b"other.example"));

    assert_eq!(client.receive_all(), (UNRECOGNIZED_NAME.to_vec(), Close::Reset));
    let (here, there) = (ends.here.record(), ends.there.record());
    assert_eq!((here.outcome.end, there.outcome.end), (End::NoName, End::NoName), "{here}\n{there}");
    // The next visitor is carried: one that asks for a name that is none does not make the route a target that is down.
    ends.add_carrier();
    let asked = hello(b"shop.example");
    assert_eq!(exchanged(&ends, &asked), ([b"shop", &asked[..]].concat(), Close::Fin));
}

#[test]
fn what_is_no_tls_goes_where_the_route_says_also_if_the_visitor_says_nothing() {
    let (plain, shop) = (Target::greeting(b"220 ready\r\n"), telling("shop"));
    let keys = format!(
        "names = {{ 'shop.example' = '{}' }}\nnot_tls = '{}'\nhello_timeout = '100ms'",
        shop.address, plain.address
    );
    let ends = Ends::with("", &keys, ClosedPort::port().address);
    for says in [&b"EHLO me\r\n"[..], b""] {
        let mut client = ends.connect();
        client.send(says);
        assert_eq!(client.receive(11), b"220 ready\r\n");
        client.finish();
        assert_eq!(client.receive_close(), Close::Fin);
    }
}

#[test]
fn a_visitor_that_says_nothing_is_given_up_and_one_that_says_something_is_carried() {
    let service = Target::echo();
    let ends = Ends::with("", "client_timeout = '300ms'", service.address);

    let mut silent = ends.connect();
    assert_eq!(silent.receive_all(), (Vec::new(), Close::Reset));
    let (here, there) = (ends.here.record(), ends.there.record());
    assert_eq!((here.outcome.end, there.outcome.end), (End::SlowClient, End::SlowClient), "{here}\n{there}");
    assert_eq!((there.outcome.phase, there.outcome.attempts.len()), (Phase::Admit, 0));

    ends.add_carrier();
    ends.connect().expect_whole_echo(1, MIB);
    let ended = ends.connect();
    ended.finish();
    let mut ended = ended;
    assert_eq!(ended.receive_close(), Close::Fin);
    ends.pool.wait_for(2, 1);
}

#[test]
fn an_opener_that_waits_for_an_answer_has_one_before_its_visitors_bytes_are_needed() {
    let service = Target::echo();
    for there in ["client_timeout = '20s'", PROXIES] {
        let ends = Ends::with("wait_for_target = '1s'", there, service.address);
        let mut client = ends.connect();
        if there == PROXIES {
            client.send(HEADER);
        }
        client.expect_whole_echo(2, MIB);
        assert_eq!(ends.here.record().outcome.end, End::Done);
    }
}

#[test]
fn a_service_that_does_not_answer_is_told_with_its_cause_although_bytes_had_to_be_read() {
    let closed = ClosedPort::port();
    let ends = Ends::with("", "client_timeout = '20s'", closed.address);
    let mut client = ends.connect();
    client.send(b"hello");

    assert_eq!(client.receive_all(), (Vec::new(), Close::Reset));
    let (here, there) = (ends.here.record(), ends.there.record());
    assert_eq!(there.outcome.end, End::NoTarget(Cause::Refused));
    assert_eq!((here.outcome.end, here.outcome.phase), (End::NoTarget(Cause::Refused), Phase::Connect));
}

/// An opener of sessions on a route that waits for a hello, of which these are the first bytes.
fn saying(first: &[u8]) -> (Proxy, OtherEnd, Spoken, Target) {
    let service = telling("shop");
    let config = format!(
        "[routes.web]\nlisten = '127.0.0.1:0'\nnames = {{ 'shop.example' = '{}' }}\nhello_timeout = '20s'\n",
        service.address
    );
    let proxy = Proxy::builder().with(&config);
    let other = OtherEnd::of(&proxy, "office", true);
    let mut spoken = other.opened(open(visitor("192.0.2.7:1000")));
    assert_eq!(spoken.receive_frame(), Frame::Opened);
    spoken.send_body(first);
    (proxy, other, spoken, service)
}

#[test]
fn how_a_visitor_goes_before_its_first_bytes_are_whole_is_told_apart() {
    let ended = |goes: fn(&mut Spoken)| {
        let (proxy, _other, mut spoken, _service) = saying(&hello(b"shop.example")[..40]);
        goes(&mut spoken);
        let record = proxy.record();
        assert_eq!((record.outcome.phase, record.outcome.attempts.len()), (Phase::Secure, 0), "{record}");
        record.outcome.end
    };

    assert_eq!(ended(|it| it.send(&Frame::Reset(Reason::Reset))), End::ClientGone);
    assert_eq!(ended(|it| it.send(&Frame::Reset(Reason::Killed))), End::Killed);
    assert_eq!(ended(|it| it.send(&Frame::Reset(Reason::ClientLost))), End::ClientLost);
    assert_eq!(ended(|it| it.send(&Frame::End)), End::TlsFailed);
    assert_eq!(ended(|it| it.send(&Frame::Ping(1))), End::TunnelLost);

    let (proxy, other, spoken, _service) = saying(&hello(b"shop.example")[..40]);
    spoken.close();
    assert_eq!(proxy.record().outcome.end, End::TunnelLost);
    assert_eq!((other.freed(), other.lost()), (0, 1));
}

#[test]
fn a_hello_that_never_ends_is_cut_at_the_bound() {
    let endless = HelloBuilder::default().name(b"shop.example").padding(60_000).records_of(1);
    let (proxy, _other, mut spoken, service) = saying(&endless[..MAX_BYTES]);

    let alert = b"\x15\x03\x03\x00\x02\x02\x32";
    assert_eq!(spoken.receive(), Received::Message(alert.to_vec()));
    assert_eq!(spoken.receive_frame(), Frame::Reset(Reason::TlsFailed));
    assert_eq!(proxy.record().hint(), Some("the TLS hello is longer than 64 KiB"));
    assert!(service.try_accept().is_none());
}
