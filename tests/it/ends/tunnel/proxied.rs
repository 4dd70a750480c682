//! PROXY headers and tunnels: the visitor of a proxy before one end is named to the service behind the other.

use std::net::SocketAddr;

use loopgate::outcome::Client;
use loopgate::proxy_protocol::{self, Ends as Visitor, Header};

use super::Ends;
use crate::harness::{Close, Connection, Target};

/// A header of version 2 that names a visitor, with a TLV of a private type.
const NAMED: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x12\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb\xe0\0\x03own";

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

fn net(client: &str, destination: SocketAddr) -> Visitor {
    Visitor::Net { client: client.parse().unwrap(), destination }
}

#[test]
fn the_service_is_told_who_the_visitor_is_and_where_it_connected() {
    let service = Target::manual();
    let ends = Ends::with("", "send_proxy = 'v2'", service.address);
    let mut client = ends.connect();
    client.send(b"after it");

    let mut served = service.accept();
    let header = header_on(&mut served);

    assert_eq!(header.ends, net(&client.local().to_string(), ends.address));
    assert_eq!(served.receive(8), b"after it");
}

#[test]
fn what_a_proxy_before_the_tunnel_said_of_its_client_comes_out_behind_it_whole() {
    let service = Target::manual();
    let ends = Ends::with("accept_proxy = '127.0.0.1'", "send_proxy = 'v2'", service.address);
    let mut client = ends.connect();
    client.send(NAMED);
    client.send(b"after it");

    let mut served = service.accept();
    let header = header_on(&mut served);

    assert_eq!(header.ends, net("192.0.2.1:56324", "198.51.100.2:443".parse().unwrap()));
    assert_eq!(header.tlvs.bytes(), b"\xe0\0\x03own");
    assert_eq!(served.receive(8), b"after it");
    drop(served);
    drop(client);
    let visitor = Client::Net("192.0.2.1:56324".parse().unwrap());
    let (here, there) = (ends.here.record(), ends.there.record());
    assert_eq!((here.client, there.client), (visitor, visitor), "{here}\n{there}");
}

#[test]
fn lists_at_the_other_end_judge_the_client_of_the_proxy() {
    let service = Target::echo();
    let ends = Ends::with("accept_proxy = '127.0.0.1'", "deny = ['192.0.2.0/24']", service.address);
    let mut client = ends.connect();
    client.send(NAMED);

    assert_eq!(client.receive_close(), Close::Reset);

    assert_eq!(ends.there.record().outcome.end.code(), "denied");
    assert_eq!(ends.here.record().outcome.end.code(), "denied");
}

#[test]
fn a_header_that_the_opener_sends_goes_through_to_the_service() {
    let service = Target::manual();
    let ends = Ends::with("send_proxy = 'v2'", "", service.address);
    let mut client = ends.connect();
    client.send(b"after it");

    let mut served = service.accept();
    let header = header_on(&mut served);

    assert_eq!(header.ends, net(&client.local().to_string(), ends.address));
    assert_eq!(served.receive(8), b"after it");
}

#[test]
fn a_client_of_a_unix_socket_has_no_address_at_the_other_end() {
    let service = Target::manual();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let ends = Ends::with("", "send_proxy = 'v2'", service.address);
    super::declare_at(&ends.here, &format!("unix:{}", path.display()), "", &["tunnel:home/web"]);
    let _client = std::os::unix::net::UnixStream::connect(&path).unwrap();

    let header = header_on(&mut service.accept());

    // A service reads UNSPEC as the connection's own ends.
    assert_eq!(header.ends, Visitor::Own);
    assert_eq!(ends.there.only_session().client, Client::Unknown);
}
