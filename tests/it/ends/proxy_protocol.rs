//! Whom a proxy before us speaks for, and whom we speak for: PROXY headers, accepted and sent.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use loopgate::outcome::{Cause, Client, Denial, End, Limit, Outcome, Phase, Way};
use loopgate::proxy_protocol::{self, Ends, Header};

use crate::harness::{Close, Connection, Proxy, TIMEOUT, Target};

#[path = "../../vectors/proxy_protocol.rs"]
#[allow(unreachable_pub, missing_docs, reason = "it is read by other tests as well")]
mod vectors;

use vectors::{Answer, V4, Vector, tlv, v2, version_1, version_2};

const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n";

fn named() -> Client {
    "192.0.2.1:56324".parse::<SocketAddr>().unwrap().into()
}

fn proxy_with(settings: &str, target: SocketAddr) -> Proxy {
    Proxy::builder()
        .with(&format!("routes.test = {{listen = '127.0.0.1:0', target = '{target}', {settings}}}"))
}

/// A proxy that every local client must send a header to.
fn accepting(target: &Target) -> Proxy {
    proxy_with("accept_proxy = 'localhost', accept_proxy_timeout = '1m'", target.address)
}

/// A proxy that sends its target a header.
fn sending(form: &str, target: &Target) -> Proxy {
    proxy_with(&format!("send_proxy = '{form}'"), target.address)
}

/// Reads a header to its last byte, byte by byte, so that nothing behind it is taken.
fn header_on(connection: &mut Connection) -> Header {
    let mut bytes = Vec::new();
    loop {
        bytes.extend(connection.receive(1));
        if let Some(read) = proxy_protocol::read(&bytes) {
            return read.unwrap().0;
        }
    }
}

/// Connects, speaks and hears nothing but an end. The reset may come at any time, even before the connect is over.
fn say_and_hear_nothing(proxy: &Proxy, words: &[u8]) {
    let Ok(mut client) = Connection::try_to(proxy.address) else { return };
    let _ = client.try_send(words);
    assert!(!matches!(client.try_receive(&mut [0]), Ok(1)));
}

fn net(header: &Header) -> (SocketAddr, SocketAddr) {
    match header.ends {
        Ends::Net { client, destination } => (client, destination),
        ref other => panic!("{other:?}"),
    }
}

/// Sends a vector in every two pieces, all at the same time, so that the first pieces arrive before the second ones; then
/// something behind it. Says how many were refused.
fn send_in_pieces(proxy: &Proxy, vector: &Vector, behind: &[u8]) -> u64 {
    let length = vector.bytes.len();
    // Long ones are long of one and the same thing.
    let splits = (0..length.min(120)).chain(length.saturating_sub(3)..length);
    let mut clients: Vec<(usize, Connection)> = splits.map(|split| (split, proxy.connect())).collect();
    for (split, client) in &mut clients {
        client.send(&vector.bytes[..*split]);
    }
    for (split, client) in &mut clients {
        let rest = [&vector.bytes[*split..], behind].concat();
        // One that is refused early may have been reset by now.
        let said = client.try_send(&rest);
        assert!(vector.answer == Answer::Refused || said.unwrap() == rest.len(), "{}", vector.rule);
    }
    let count = clients.len() as u64;
    for (split, mut client) in clients {
        if vector.answer == Answer::Refused {
            let mut received = [0; 1];
            assert!(!matches!(client.try_receive(&mut received), Ok(1)), "{} split at {split}", vector.rule);
            continue;
        }
        client.finish();
        assert_eq!(client.receive_all(), (behind.to_vec(), Close::Fin), "{} split at {split}", vector.rule);
        let record = proxy.record();
        let Outcome { end, traffic, .. } = record.outcome;
        assert_eq!((end, traffic.up.delivered), (End::Done, behind.len() as u64), "{}", vector.rule);
        match vector.answer {
            Answer::Between(named, _) => assert_eq!(record.client.to_string(), named, "{}", vector.rule),
            _ => assert_eq!(record.via, None, "{}", vector.rule),
        }
    }
    if vector.answer == Answer::Refused { count } else { 0 }
}

#[test]
fn every_rule_of_the_text_is_kept_on_a_socket_wherever_the_bytes_are_cut() {
    let target = Target::echo();
    // The records of refusals are folded, and come when they come.
    let [taking, refusing] = [accepting(&target), accepting(&target)];

    let vectors = version_1().into_iter().chain(version_2());
    let refused: u64 = vectors
        .map(|vector| {
            let proxy = if vector.answer == Answer::Refused { &refusing } else { &taking };
            send_in_pieces(proxy, &vector, b"PROXY after it")
        })
        .sum();

    refusing.stop(TIMEOUT);
    let records = refusing.records();
    assert!(refused > 1000, "only {refused}");
    assert!(records.iter().all(|record| record.outcome.end == End::BadHeader));
    assert!(records.iter().all(|record| record.outcome.phase == Phase::Identify));
    assert_eq!(records.iter().map(|record| record.count).sum::<u64>(), refused);
}

#[test]
fn the_record_names_the_client_and_the_proxy_it_came_by() {
    let target = Target::echo();
    let proxy = accepting(&target);
    let mut client = proxy.connect();
    let sender = client.local();

    client.send(LINE);
    client.finish();

    assert_eq!(client.receive_close(), Close::Fin);
    let record = proxy.record();
    assert_eq!((record.client, record.via), (named(), Some(sender.into())));
    let text = record.to_string();
    assert!(text.contains(&format!("client=192.0.2.1:56324 via={sender} ")), "{text}");
}

#[test]
fn whoever_is_not_listed_is_denied_whatever_it_says() {
    let target = Target::echo();
    let proxy = proxy_with("accept_proxy = ['192.0.2.0/24', '::1']", target.address);

    say_and_hear_nothing(&proxy, LINE);

    let record = proxy.record();
    assert!(record.via.is_none() && record.client != named(), "{record}");
    assert_eq!(record.outcome.end, End::Denied(Denial::NoProxy));
}

#[test]
fn without_a_list_a_header_is_what_a_client_says() {
    let target = Target::echo();
    let proxy = Proxy::to(target.address);
    let mut client = proxy.connect();

    client.send(LINE);
    client.finish();

    assert_eq!(client.receive_all(), (LINE.to_vec(), Close::Fin));
    assert_eq!(proxy.record().via, None);
}

fn line_of(ip: &str) -> Vec<u8> {
    format!("PROXY TCP4 {ip} 198.51.100.2 56324 443\r\n").into_bytes()
}

/// A client that was named and is served.
fn served(proxy: &Proxy, ip: &str) -> Connection {
    let mut client = proxy.connect();
    client.send(&line_of(ip));
    client.send(b"ping");
    assert_eq!(client.receive(4), b"ping");
    client
}

/// Why a client that was named was turned away.
fn refused(proxy: &Proxy, ip: &str) -> End {
    let mut client = proxy.connect();
    client.send(&line_of(ip));
    assert_eq!(client.receive_close(), Close::Reset);
    let record = proxy.record();
    assert_eq!(record.client.to_string(), format!("{ip}:56324"));
    assert_eq!((record.via, record.outcome.phase), (Some(client.local().into()), Phase::Admit));
    record.outcome.end
}

#[test]
fn lists_are_about_the_client_that_is_named() {
    let target = Target::echo();
    let lists = "allow = '203.0.113.0/24', deny = '203.0.113.9'";
    let proxy = proxy_with(&format!("accept_proxy = 'localhost', {lists}"), target.address);

    let _client = served(&proxy, "203.0.113.5");

    assert_eq!(refused(&proxy, "192.0.2.1"), End::Denied(Denial::Unlisted));
    assert_eq!(refused(&proxy, "203.0.113.9"), End::Denied(Denial::Listed));
}

#[test]
fn a_proxy_that_is_denied_speaks_for_nobody() {
    let target = Target::echo();
    let proxy = proxy_with("accept_proxy = 'localhost', deny = '127.0.0.1'", target.address);

    say_and_hear_nothing(&proxy, LINE);

    assert_eq!(proxy.record().outcome.end, End::Denied(Denial::Listed));
}

#[test]
fn the_limits_of_one_client_are_those_of_the_one_that_is_named() {
    let target = Target::echo();
    let proxy = proxy_with("accept_proxy = 'localhost', max_connections_per_client = 1", target.address);

    let _first = served(&proxy, "192.0.2.1");
    let _second = served(&proxy, "192.0.2.2");

    assert_eq!(refused(&proxy, "192.0.2.1"), End::Limited(Limit::PerClient));
}

#[test]
fn a_client_that_is_named_keeps_its_target() {
    let targets = [Target::manual(), Target::manual()];
    let [one, other] = [0, 1].map(|n: usize| targets[n].address);
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = ['{one}', '{other}'], balance = 'source_hash', \
         accept_proxy = 'localhost'}}"
    ));
    let target_of = |ip: &str| {
        let mut client = proxy.connect();
        client.send(&line_of(ip));
        client.reset();
        proxy.record().outcome.target.unwrap()
    };

    let clients: Vec<String> = (1..=32).map(|n| format!("192.0.2.{n}")).collect();
    let chosen: Vec<_> = clients.iter().map(|ip| target_of(ip)).collect();

    assert!(clients.iter().map(|ip| target_of(ip)).eq(chosen.iter().cloned()));
    assert!(chosen.iter().any(|target| *target != chosen[0]), "all go to {}", chosen[0]);
}

#[test]
fn the_target_speaks_to_nobody_before_the_header_is_there() {
    let target = Target::greeting(b"220 hello");
    let proxy = accepting(&target);
    let mut client = proxy.connect();

    client.send(&LINE[..LINE.len() - 1]);
    proxy.only_session();
    let mut received = [0; 1];
    client.stream().set_nonblocking(true).unwrap();
    assert_eq!(client.try_receive(&mut received).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    client.stream().set_nonblocking(false).unwrap();
    client.send(&LINE[LINE.len() - 1..]);

    assert_eq!(client.receive(9), b"220 hello");
}

#[test]
fn a_header_that_does_not_come_in_time_is_waited_for_no_longer() {
    let target = Target::echo();
    for said in [&b""[..], b"PROXY TCP4 \x1b"] {
        let proxy = proxy_with("accept_proxy = '127.0.0.1', accept_proxy_timeout = '2s'", target.address);
        let mut client = proxy.connect();
        // The last byte is an escape, which would be refused at once.
        client.send(&said[..said.len().saturating_sub(1)]);

        assert_eq!(client.receive_close(), Close::Reset);

        let record = proxy.record();
        assert_eq!((record.outcome.end, record.outcome.phase), (End::BadHeader, Phase::Identify));
        let hint = record.hint().unwrap();
        assert!(hint.contains("not there after 2s (accept_proxy_timeout)"), "{hint}");
        let quoted = if said.is_empty() { "it said nothing" } else { "it said \"PROXY TCP4 \"" };
        assert!(hint.ends_with(quoted), "{hint}");
    }
}

#[test]
fn a_client_that_says_something_else_is_reset_and_quoted() {
    let target = Target::echo();
    let proxy = accepting(&target);
    let mut client = proxy.connect();

    client.send(b"GET / HTTP/1.1\r\n\x1b[2J");

    assert_eq!(client.receive_close(), Close::Reset);
    let text = proxy.record().to_string();
    assert!(text.contains(r"it is none; it said 'GET / HTTP/1.1\r\n\x1b[2J'"), "{text}");
    assert!(text.contains("end=bad_header phase=identify up=0 down=0 "), "{text}");
}

#[test]
fn a_header_cut_short_by_fin_is_bad_and_by_reset_a_client_gone() {
    let target = Target::echo();
    for (said, reset, wanted) in [
        (&b""[..], false, End::BadHeader),
        (b"PROXY TCP4 192", false, End::BadHeader),
        (b"", true, End::ClientGone),
        (b"PROXY TCP4 192", true, End::ClientGone),
    ] {
        let proxy = accepting(&target);
        let mut client = proxy.connect();
        client.send(said);

        if reset {
            client.reset();
        } else {
            client.finish();
            assert_eq!(client.receive_close(), Close::Reset);
        }

        let outcome = proxy.record().outcome;
        assert_eq!((outcome.end, outcome.phase), (wanted, Phase::Identify), "{said:?}");
    }
}

#[test]
fn what_follows_a_header_at_once_may_be_the_end() {
    let target = Target::echo();
    let proxy = accepting(&target);

    let mut client = proxy.connect();
    client.send(LINE);
    client.finish();
    assert_eq!(client.receive_close(), Close::Fin);
    let mut client = proxy.connect();
    client.send(LINE);
    client.reset();

    let [first, second] = [proxy.record(), proxy.record()].map(|record| record.outcome.end);
    assert_eq!(first, End::Done);
    assert!(matches!(second, End::ClientGone | End::ClientReset), "{second:?}");
}

#[test]
fn a_stream_behind_a_header_is_spliced() {
    const LENGTH: usize = 8 << 20;
    let target = Target::manual();
    let proxy = proxy_with("accept_proxy = 'localhost', send_proxy = 'v2'", target.address);
    let mut client = proxy.connect();
    client.send(LINE);
    let mut served = target.accept();
    assert_eq!(net(&header_on(&mut served)).0.to_string(), "192.0.2.1:56324");

    std::thread::scope(|scope| {
        scope.spawn(|| {
            client.send_stream(7, LENGTH);
            client.finish();
        });
        served.receive_stream(7, LENGTH);
    });
    served.finish();

    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.way), (End::Done, Way::Splice));
    assert_eq!(outcome.traffic.up.delivered, LENGTH as u64);
}

#[test]
fn clients_of_a_unix_socket_can_be_listed_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy");
    let target = Target::echo();
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = 'unix:{}', target = '{}', accept_proxy = 'unix', accept_proxy_timeout = '1m'}}",
        path.display(),
        target.address
    ));
    let mut client = UnixStream::connect(&path).unwrap();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();

    for byte in v2(0x21, 0x11, &[V4, &tlv(4, &[0; 200])].concat()) {
        client.write_all(&[byte]).unwrap();
    }
    client.write_all(b"hello").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();

    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    assert_eq!(received, b"hello");
    let record = proxy.record();
    assert_eq!(record.client, named());
    assert!(matches!(record.via, Some(Client::Unix { .. })), "{:?}", record.via);
}

#[test]
fn a_client_without_its_header_keeps_its_route_and_is_cut_by_a_stop() {
    let target = Target::echo();
    let proxy = accepting(&target);
    let mut client = proxy.connect();
    let _silent = proxy.connect();
    client.send(&LINE[..5]);
    crate::harness::wait_until("both are waited for", || (proxy.live().len() == 2).then_some(()));

    let port = proxy.address.port();
    let route = format!("routes.test = {{listen = '127.0.0.1:{port}', target = '{}'}}", target.address);
    proxy.declare(&route).unwrap();
    client.send(&LINE[5..]);
    client.finish();

    assert_eq!(client.receive_close(), Close::Fin);
    assert_eq!(proxy.record().client, named());
    assert_eq!(proxy.stop(Duration::ZERO), 1);
    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.phase), (End::Drained, Phase::Identify));
}

#[test]
fn the_target_hears_of_the_client_before_anything_else() {
    for form in ["v1", "v2", "v2_crc32c"] {
        let target = Target::manual();
        let proxy = sending(form, &target);
        let mut client = proxy.connect();

        // The client has not said a word yet.
        let mut served = target.accept();
        let (client_told, destination) = net(&header_on(&mut served));
        client.send(b"hello");
        client.finish();

        assert_eq!((client_told, destination), (client.local(), proxy.address), "{form}");
        assert_eq!(served.receive_all(), (b"hello".to_vec(), Close::Fin), "{form}");
        served.finish();
        let outcome = proxy.record().outcome;
        assert_eq!((outcome.end, outcome.traffic.up.delivered), (End::Done, 5), "{form}");
    }
}

#[test]
fn a_chain_names_the_client_of_its_first_and_passes_on_what_is_said_of_it() {
    let target = Target::manual();
    let last = proxy_with("accept_proxy = 'localhost', send_proxy = 'v2'", target.address);
    let middle = proxy_with("accept_proxy = 'localhost', send_proxy = 'v2_crc32c'", last.address);
    let mut client = middle.connect();

    client.send(&v2(0x21, 0x11, &[V4, &tlv(5, b"an id"), &tlv(4, b"....")].concat()));
    client.send(b"hello");

    let mut served = target.accept();
    let header = header_on(&mut served);
    assert_eq!(net(&header).0.to_string(), "192.0.2.1:56324");
    assert_eq!(net(&header).1.to_string(), "198.51.100.2:443");
    assert_eq!(header.tlvs.bytes(), tlv(5, b"an id"));
    assert_eq!(served.receive(5), b"hello");
    drop((client, served));
    for proxy in [last, middle] {
        assert_eq!(proxy.record().client, named());
    }
}

#[test]
fn a_proxy_that_connects_for_itself_is_the_client() {
    let target = Target::manual();
    let proxy = proxy_with("accept_proxy = 'localhost', send_proxy = 'v2'", target.address);
    let mut client = proxy.connect();

    client.send(&v2(0x20, 0x00, b""));

    let header = header_on(&mut target.accept());
    assert_eq!(net(&header), (client.local(), proxy.address));
    drop(client);
    assert_eq!(proxy.record().via, None);
}

#[test]
fn an_ipv4_client_of_a_listener_for_both_families_is_told_as_one() {
    let target = Target::manual();
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = '[::]:0', v6only = false, target = '{}', send_proxy = 'v1'}}",
        target.address
    ));
    let port = proxy.address.port();

    for ip in ["127.0.0.1", "[::1]"] {
        let client = Connection::to(format!("{ip}:{port}").parse().unwrap());

        let header = header_on(&mut target.accept());

        assert_eq!(net(&header), (client.local(), client.peer()));
    }
}

#[test]
fn a_client_of_a_unix_socket_is_told_as_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let (path, service) = (folder.path().join("proxy"), folder.path().join("service"));
    let listener = UnixListener::bind(&service).unwrap();
    let local = v2(0x20, 0x00, b"");
    for (form, wanted) in [("v1", &b"PROXY UNKNOWN\r\n"[..]), ("v2", &local)] {
        let _proxy = Proxy::builder().with(&format!(
            "routes.test = {{listen = 'unix:{}', target = 'unix:{}', send_proxy = '{form}'}}",
            path.display(),
            service.display()
        ));
        let _client = UnixStream::connect(&path).unwrap();
        let mut served = listener.accept().unwrap().0;
        served.set_read_timeout(Some(TIMEOUT)).unwrap();

        let mut received = vec![0; wanted.len()];
        served.read_exact(&mut received).unwrap();

        assert_eq!(received, wanted, "{form}");
    }
}

#[test]
fn a_target_that_resets_at_once_is_told_as_one() {
    let target = Target::resetting();
    let proxy = sending("v2", &target);

    say_and_hear_nothing(&proxy, b"");

    let outcome = proxy.record().outcome;
    // It depends on who is faster: a target that has not taken the header was not reached.
    let told = (outcome.end, outcome.phase);
    let possible = [(End::NoTarget(Cause::Reset), Phase::Greet), (End::TargetReset, Phase::Relay)];
    assert!(possible.contains(&told), "{told:?}");
}

#[test]
fn a_check_tells_the_target_that_it_is_no_client() {
    for (form, health) in
        [("v2", "check = 'connect'"), ("v1", "check = 'connect', send = 'PING', expect = 'PONG'")]
    {
        let target = Target::manual();
        let settings =
            format!("send_proxy = '{form}', health = {{{health}, interval = '20ms', timeout = '10s'}}");
        let _proxy = proxy_with(&settings, target.address);

        let mut checked = target.accept();
        let header = header_on(&mut checked);

        if form == "v2" {
            assert_eq!(header.ends, Ends::Own);
            assert_eq!(checked.receive_close(), Close::Fin);
        } else {
            assert_eq!(net(&header), (checked.peer(), target.address));
            assert_eq!(checked.receive(4), b"PING");
        }
    }
}
