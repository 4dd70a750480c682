//! Headers sent to targets.

use std::io::Read;
use std::os::unix::net::{UnixListener, UnixStream};

use loopgate::outcome::{Cause, End, Phase};
use loopgate::proxy_protocol::Ends;

use super::vectors::{V4, tlv, v2};
use super::{header_on, named, net, proxy_with, say_and_hear_nothing};
use crate::harness::{Close, Connection, Proxy, TIMEOUT, Target};

/// A proxy that sends its target a header.
fn sending(form: &str, target: &Target) -> Proxy {
    proxy_with(&format!("send_proxy = '{form}'"), target.address)
}

#[test]
fn the_target_hears_of_the_client_before_anything_else() {
    for form in ["v1", "v2", "v2_crc32c"] {
        let target = Target::manual();
        let proxy = sending(form, &target);
        let mut client = proxy.connect();

        // The client has not sent anything yet.
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
    let mut names = [0; 216];
    names[108..][..path.as_os_str().len()].copy_from_slice(path.as_os_str().as_encoded_bytes());
    let by_socket = v2(0x21, 0x31, &names);
    for (form, wanted) in [("v1", &b"PROXY UNKNOWN\r\n"[..]), ("v2", &local), ("v2_unix", &by_socket)] {
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
    // It depends on the timing: a target that has not taken the header counts as unreached.
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
