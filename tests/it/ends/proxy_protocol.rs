//! Whom a proxy before us speaks for, and whom we speak for: PROXY headers, accepted and sent.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use loopgate::outcome::{Cause, Client, Denial, End, Limit, Outcome, Phase, Way};
use loopgate::proxy_protocol::{self, Ends, Header};

use crate::harness::{Ending, Gate, PATIENCE, Target, Wire};

#[path = "../../vectors/proxy_protocol.rs"]
#[allow(unreachable_pub, missing_docs, reason = "it is read by other tests as well")]
mod vectors;

use vectors::{Answer, V4, Vector, tlv, v2, version_1, version_2};

const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n";

fn named() -> Client {
    "192.0.2.1:56324".parse::<SocketAddr>().unwrap().into()
}

fn gate_with(settings: &str, target: SocketAddr) -> Gate {
    Gate::builder()
        .with(&format!("routes.test = {{listen = '127.0.0.1:0', target = '{target}', {settings}}}"))
}

/// A gate that every local client must send a header to.
fn accepting(target: &Target) -> Gate {
    gate_with("accept_proxy = 'localhost', accept_proxy_timeout = '1m'", target.address)
}

/// A gate that sends its target a header.
fn sending(form: &str, target: &Target) -> Gate {
    gate_with(&format!("send_proxy = '{form}'"), target.address)
}

/// Reads a header to its last byte, byte by byte, so that nothing behind it is taken.
fn header_on(wire: &mut Wire) -> Header {
    let mut bytes = Vec::new();
    loop {
        bytes.extend(wire.hear(1));
        if let Some(read) = proxy_protocol::read(&bytes) {
            return read.unwrap().0;
        }
    }
}

/// Connects, speaks and hears nothing but an end. The reset may come at any time, even before the connect is over.
fn say_and_hear_nothing(gate: &Gate, words: &[u8]) {
    let Ok(mut client) = Wire::try_to(gate.address) else { return };
    let _ = client.try_say(words);
    assert!(!matches!(client.try_hear(&mut [0]), Ok(1)));
}

fn net(header: &Header) -> (SocketAddr, SocketAddr) {
    match header.ends {
        Ends::Net { client, destination } => (client, destination),
        ref other => panic!("{other:?}"),
    }
}

/// Sends a vector in every two pieces, all at the same time, so that the first pieces arrive before the second ones; then
/// something behind it. Says how many were refused.
fn send_in_pieces(gate: &Gate, vector: &Vector, behind: &[u8]) -> u64 {
    let length = vector.bytes.len();
    // Long ones are long of one and the same thing.
    let splits = (0..length.min(120)).chain(length.saturating_sub(3)..length);
    let mut clients: Vec<(usize, Wire)> = splits.map(|split| (split, gate.connect())).collect();
    for (split, client) in &mut clients {
        client.say(&vector.bytes[..*split]);
    }
    for (split, client) in &mut clients {
        let rest = [&vector.bytes[*split..], behind].concat();
        // One that is refused early may have been reset by now.
        let said = client.try_say(&rest);
        assert!(vector.answer == Answer::Refused || said.unwrap() == rest.len(), "{}", vector.rule);
    }
    let count = clients.len() as u64;
    for (split, mut client) in clients {
        if vector.answer == Answer::Refused {
            let mut heard = [0; 1];
            assert!(!matches!(client.try_hear(&mut heard), Ok(1)), "{} split at {split}", vector.rule);
            continue;
        }
        client.finish();
        assert_eq!(client.hear_all(), (behind.to_vec(), Ending::Fin), "{} split at {split}", vector.rule);
        let record = gate.record();
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
            let gate = if vector.answer == Answer::Refused { &refusing } else { &taking };
            send_in_pieces(gate, &vector, b"PROXY after it")
        })
        .sum();

    refusing.stop(PATIENCE);
    let records = refusing.records();
    assert!(refused > 1000, "only {refused}");
    assert!(records.iter().all(|record| record.outcome.end == End::BadHeader));
    assert!(records.iter().all(|record| record.outcome.phase == Phase::Identify));
    assert_eq!(records.iter().map(|record| record.count).sum::<u64>(), refused);
}

#[test]
fn the_record_names_the_client_and_the_proxy_it_came_by() {
    let target = Target::echo();
    let gate = accepting(&target);
    let mut client = gate.connect();
    let proxy = client.local();

    client.say(LINE);
    client.finish();

    assert_eq!(client.hear_end(), Ending::Fin);
    let record = gate.record();
    assert_eq!((record.client, record.via), (named(), Some(proxy.into())));
    let text = record.to_string();
    assert!(text.contains(&format!("client=192.0.2.1:56324 via={proxy} ")), "{text}");
}

#[test]
fn whoever_is_not_listed_is_denied_whatever_it_says() {
    let target = Target::echo();
    let gate = gate_with("accept_proxy = ['192.0.2.0/24', '::1']", target.address);

    say_and_hear_nothing(&gate, LINE);

    let record = gate.record();
    assert!(record.via.is_none() && record.client != named(), "{record}");
    assert_eq!(record.outcome.end, End::Denied(Denial::NoProxy));
}

#[test]
fn without_a_list_a_header_is_what_a_client_says() {
    let target = Target::echo();
    let gate = Gate::to(target.address);
    let mut client = gate.connect();

    client.say(LINE);
    client.finish();

    assert_eq!(client.hear_all(), (LINE.to_vec(), Ending::Fin));
    assert_eq!(gate.record().via, None);
}

fn line_of(ip: &str) -> Vec<u8> {
    format!("PROXY TCP4 {ip} 198.51.100.2 56324 443\r\n").into_bytes()
}

/// A client that was named and is served.
fn served(gate: &Gate, ip: &str) -> Wire {
    let mut client = gate.connect();
    client.say(&line_of(ip));
    client.say(b"ping");
    assert_eq!(client.hear(4), b"ping");
    client
}

/// Why a client that was named was turned away.
fn refused(gate: &Gate, ip: &str) -> End {
    let mut client = gate.connect();
    client.say(&line_of(ip));
    assert_eq!(client.hear_end(), Ending::Reset);
    let record = gate.record();
    assert_eq!(record.client.to_string(), format!("{ip}:56324"));
    assert_eq!((record.via, record.outcome.phase), (Some(client.local().into()), Phase::Admit));
    record.outcome.end
}

#[test]
fn lists_are_about_the_client_that_is_named() {
    let target = Target::echo();
    let lists = "allow = '203.0.113.0/24', deny = '203.0.113.9'";
    let gate = gate_with(&format!("accept_proxy = 'localhost', {lists}"), target.address);

    let _client = served(&gate, "203.0.113.5");

    assert_eq!(refused(&gate, "192.0.2.1"), End::Denied(Denial::Unlisted));
    assert_eq!(refused(&gate, "203.0.113.9"), End::Denied(Denial::Listed));
}

#[test]
fn a_proxy_that_is_denied_speaks_for_nobody() {
    let target = Target::echo();
    let gate = gate_with("accept_proxy = 'localhost', deny = '127.0.0.1'", target.address);

    say_and_hear_nothing(&gate, LINE);

    assert_eq!(gate.record().outcome.end, End::Denied(Denial::Listed));
}

#[test]
fn the_limits_of_one_client_are_those_of_the_one_that_is_named() {
    let target = Target::echo();
    let gate = gate_with("accept_proxy = 'localhost', max_connections_per_client = 1", target.address);

    let _first = served(&gate, "192.0.2.1");
    let _second = served(&gate, "192.0.2.2");

    assert_eq!(refused(&gate, "192.0.2.1"), End::Limited(Limit::PerClient));
}

#[test]
fn a_client_that_is_named_keeps_its_target() {
    let targets = [Target::by_hand(), Target::by_hand()];
    let [one, other] = [0, 1].map(|n: usize| targets[n].address);
    let gate = Gate::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = ['{one}', '{other}'], balance = 'source_hash', \
         accept_proxy = 'localhost'}}"
    ));
    let target_of = |ip: &str| {
        let mut client = gate.connect();
        client.say(&line_of(ip));
        client.reset();
        gate.record().outcome.target.unwrap()
    };

    let clients: Vec<String> = (1..=32).map(|n| format!("192.0.2.{n}")).collect();
    let chosen: Vec<_> = clients.iter().map(|ip| target_of(ip)).collect();

    assert!(clients.iter().map(|ip| target_of(ip)).eq(chosen.iter().cloned()));
    assert!(chosen.iter().any(|target| *target != chosen[0]), "all go to {}", chosen[0]);
}

#[test]
fn the_target_speaks_to_nobody_before_the_header_is_there() {
    let target = Target::greeting(b"220 hello");
    let gate = accepting(&target);
    let mut client = gate.connect();

    client.say(&LINE[..LINE.len() - 1]);
    gate.only_session();
    let mut heard = [0; 1];
    client.stream().set_nonblocking(true).unwrap();
    assert_eq!(client.try_hear(&mut heard).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    client.stream().set_nonblocking(false).unwrap();
    client.say(&LINE[LINE.len() - 1..]);

    assert_eq!(client.hear(9), b"220 hello");
}

#[test]
fn a_header_that_does_not_come_in_time_is_waited_for_no_longer() {
    let target = Target::echo();
    for said in [&b""[..], b"PROXY TCP4 \x1b"] {
        let gate = gate_with("accept_proxy = '127.0.0.1', accept_proxy_timeout = '2s'", target.address);
        let mut client = gate.connect();
        // The last byte is an escape, which would be refused at once.
        client.say(&said[..said.len().saturating_sub(1)]);

        assert_eq!(client.hear_end(), Ending::Reset);

        let record = gate.record();
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
    let gate = accepting(&target);
    let mut client = gate.connect();

    client.say(b"GET / HTTP/1.1\r\n\x1b[2J");

    assert_eq!(client.hear_end(), Ending::Reset);
    let text = gate.record().to_string();
    assert!(text.contains(r"it is none; it said 'GET / HTTP/1.1\r\n\x1b[2J'"), "{text}");
    assert!(text.contains("end=bad_header phase=identify up=0 down=0 "), "{text}");
}

#[test]
fn an_end_before_the_header_is_whole_is_none_and_a_reset_is_a_client_that_is_gone() {
    let target = Target::echo();
    for (said, reset, wanted) in [
        (&b""[..], false, End::BadHeader),
        (b"PROXY TCP4 192", false, End::BadHeader),
        (b"", true, End::ClientGone),
        (b"PROXY TCP4 192", true, End::ClientGone),
    ] {
        let gate = accepting(&target);
        let mut client = gate.connect();
        client.say(said);

        if reset {
            client.reset();
        } else {
            client.finish();
            assert_eq!(client.hear_end(), Ending::Reset);
        }

        let outcome = gate.record().outcome;
        assert_eq!((outcome.end, outcome.phase), (wanted, Phase::Identify), "{said:?}");
    }
}

#[test]
fn what_follows_a_header_at_once_may_be_the_end() {
    let target = Target::echo();
    let gate = accepting(&target);

    let mut client = gate.connect();
    client.say(LINE);
    client.finish();
    assert_eq!(client.hear_end(), Ending::Fin);
    let mut client = gate.connect();
    client.say(LINE);
    client.reset();

    let [first, second] = [gate.record(), gate.record()].map(|record| record.outcome.end);
    assert_eq!(first, End::Done);
    assert!(matches!(second, End::ClientGone | End::ClientReset), "{second:?}");
}

#[test]
fn a_stream_behind_a_header_is_spliced() {
    const LENGTH: usize = 8 << 20;
    let target = Target::by_hand();
    let gate = gate_with("accept_proxy = 'localhost', send_proxy = 'v2'", target.address);
    let mut client = gate.connect();
    client.say(LINE);
    let mut served = target.accept();
    assert_eq!(net(&header_on(&mut served)).0.to_string(), "192.0.2.1:56324");

    std::thread::scope(|scope| {
        scope.spawn(|| {
            client.say_stream(7, LENGTH);
            client.finish();
        });
        served.hear_stream(7, LENGTH);
    });
    served.finish();

    let outcome = gate.record().outcome;
    assert_eq!((outcome.end, outcome.way), (End::Done, Way::Splice));
    assert_eq!(outcome.traffic.up.delivered, LENGTH as u64);
}

#[test]
fn clients_of_a_unix_socket_can_be_listed_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gate");
    let target = Target::echo();
    let gate = Gate::builder().with(&format!(
        "routes.test = {{listen = 'unix:{}', target = '{}', accept_proxy = 'unix', accept_proxy_timeout = '1m'}}",
        path.display(),
        target.address
    ));
    let mut client = UnixStream::connect(&path).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();

    for byte in v2(0x21, 0x11, &[V4, &tlv(4, &[0; 200])].concat()) {
        client.write_all(&[byte]).unwrap();
    }
    client.write_all(b"hello").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();

    let mut heard = Vec::new();
    client.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"hello");
    let record = gate.record();
    assert_eq!(record.client, named());
    assert!(matches!(record.via, Some(Client::Unix { .. })), "{:?}", record.via);
}

#[test]
fn a_client_that_is_waited_for_stays_with_its_route_through_a_reload_and_is_cut_by_a_stop() {
    let target = Target::echo();
    let gate = accepting(&target);
    let mut client = gate.connect();
    let _silent = gate.connect();
    client.say(&LINE[..5]);
    crate::harness::until("both are waited for", || (gate.live().len() == 2).then_some(()));

    let port = gate.address.port();
    let route = format!("routes.test = {{listen = '127.0.0.1:{port}', target = '{}'}}", target.address);
    gate.declare(&route).unwrap();
    client.say(&LINE[5..]);
    client.finish();

    assert_eq!(client.hear_end(), Ending::Fin);
    assert_eq!(gate.record().client, named());
    assert_eq!(gate.stop(Duration::ZERO), 1);
    let outcome = gate.record().outcome;
    assert_eq!((outcome.end, outcome.phase), (End::Drained, Phase::Identify));
}

#[test]
fn the_target_hears_of_the_client_before_anything_else() {
    for form in ["v1", "v2", "v2_crc32c"] {
        let target = Target::by_hand();
        let gate = sending(form, &target);
        let mut client = gate.connect();

        // The client has not said a word yet.
        let mut served = target.accept();
        let (client_told, destination) = net(&header_on(&mut served));
        client.say(b"hello");
        client.finish();

        assert_eq!((client_told, destination), (client.local(), gate.address), "{form}");
        assert_eq!(served.hear_all(), (b"hello".to_vec(), Ending::Fin), "{form}");
        served.finish();
        let outcome = gate.record().outcome;
        assert_eq!((outcome.end, outcome.traffic.up.delivered), (End::Done, 5), "{form}");
    }
}

#[test]
fn a_chain_names_the_client_of_its_first_and_passes_on_what_is_said_of_it() {
    let target = Target::by_hand();
    let last = gate_with("accept_proxy = 'localhost', send_proxy = 'v2'", target.address);
    let middle = gate_with("accept_proxy = 'localhost', send_proxy = 'v2_crc32c'", last.address);
    let mut client = middle.connect();

    client.say(&v2(0x21, 0x11, &[V4, &tlv(5, b"an id"), &tlv(4, b"....")].concat()));
    client.say(b"hello");

    let mut served = target.accept();
    let header = header_on(&mut served);
    assert_eq!(net(&header).0.to_string(), "192.0.2.1:56324");
    assert_eq!(net(&header).1.to_string(), "198.51.100.2:443");
    assert_eq!(header.tlvs.bytes(), tlv(5, b"an id"));
    assert_eq!(served.hear(5), b"hello");
    drop((client, served));
    for gate in [last, middle] {
        assert_eq!(gate.record().client, named());
    }
}

#[test]
fn a_proxy_that_connects_for_itself_is_the_client() {
    let target = Target::by_hand();
    let gate = gate_with("accept_proxy = 'localhost', send_proxy = 'v2'", target.address);
    let mut client = gate.connect();

    client.say(&v2(0x20, 0x00, b""));

    let header = header_on(&mut target.accept());
    assert_eq!(net(&header), (client.local(), gate.address));
    drop(client);
    assert_eq!(gate.record().via, None);
}

#[test]
fn an_ipv4_client_of_a_listener_for_both_families_is_told_as_one() {
    let target = Target::by_hand();
    let gate = Gate::builder().with(&format!(
        "routes.test = {{listen = '[::]:0', v6only = false, target = '{}', send_proxy = 'v1'}}",
        target.address
    ));
    let port = gate.address.port();

    for ip in ["127.0.0.1", "[::1]"] {
        let client = Wire::to(format!("{ip}:{port}").parse().unwrap());

        let header = header_on(&mut target.accept());

        assert_eq!(net(&header), (client.local(), client.peer()));
    }
}

#[test]
fn a_client_of_a_unix_socket_is_told_as_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let (path, service) = (folder.path().join("gate"), folder.path().join("service"));
    let listener = UnixListener::bind(&service).unwrap();
    let local = v2(0x20, 0x00, b"");
    for (form, wanted) in [("v1", &b"PROXY UNKNOWN\r\n"[..]), ("v2", &local)] {
        let _gate = Gate::builder().with(&format!(
            "routes.test = {{listen = 'unix:{}', target = 'unix:{}', send_proxy = '{form}'}}",
            path.display(),
            service.display()
        ));
        let _client = UnixStream::connect(&path).unwrap();
        let mut served = listener.accept().unwrap().0;
        served.set_read_timeout(Some(PATIENCE)).unwrap();

        let mut heard = vec![0; wanted.len()];
        served.read_exact(&mut heard).unwrap();

        assert_eq!(heard, wanted, "{form}");
    }
}

#[test]
fn a_target_that_resets_at_once_is_told_as_one() {
    let target = Target::resetting();
    let gate = sending("v2", &target);

    say_and_hear_nothing(&gate, b"");

    let outcome = gate.record().outcome;
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
        let target = Target::by_hand();
        let settings =
            format!("send_proxy = '{form}', health = {{{health}, interval = '20ms', timeout = '10s'}}");
        let _gate = gate_with(&settings, target.address);

        let mut checked = target.accept();
        let header = header_on(&mut checked);

        if form == "v2" {
            assert_eq!(header.ends, Ends::Own);
            assert_eq!(checked.hear_end(), Ending::Fin);
        } else {
            assert_eq!(net(&header), (checked.peer(), target.address));
            assert_eq!(checked.hear(4), b"PING");
        }
    }
}
