//! Who a visitor is, at the other end of a tunnel.

use std::net::SocketAddr;

use loopgate::proxy_protocol::{self, Ends, Header};

use crate::harness::{Close, ClosedPort, Connection, Target};
use crate::pair::Pair;

/// A header of version 2 from 203.0.113.9:51324 to 198.51.100.2:443, with these TLVs behind its addresses.
fn header(tlvs: &[u8]) -> Vec<u8> {
    let addresses = b"\xcb\x00\x71\x09\xc6\x33\x64\x02\xc8\x7c\x01\xbb";
    let length = (addresses.len() + tlvs.len()) as u16;
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x11", &length.to_be_bytes()[..], addresses, tlvs].concat()
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind], &(value.len() as u16).to_be_bytes()[..], value].concat()
}

/// The header with which a connection of a service begins.
fn announced(service: &mut Connection) -> Header {
    let mut bytes = service.receive(16);
    let length = u16::from_be_bytes([bytes[14], bytes[15]]);
    bytes.extend(service.receive(length.into()));
    let (header, length) = proxy_protocol::read(&bytes).unwrap().unwrap();
    assert_eq!(length, bytes.len());
    header
}

fn web(port: &ClosedPort, service: &Target, more: &str) -> String {
    format!(
        "[routes.web]\nlisten = \"tunnel:vps/{}\"\ntarget = \"{}\"\nsend_proxy = \"v2\"\n{more}\n",
        port.address, service.address
    )
}

#[test]
fn a_visitor_that_a_proxy_names_is_named_behind_the_tunnel_with_all_that_was_said_of_it() {
    let (service, port) = (Target::manual(), ClosedPort::port());
    let permits = format!(
        "may_listen = [\"{}\"]\n[tunnels.home.defaults]\naccept_proxy = [\"127.0.0.1\"]",
        port.address
    );
    // The list of the end that dials the service is of visitors, too.
    let mut pair = Pair::start(&permits, "", &web(&port, &service, "allow = [\"203.0.113.0/24\"]"));
    // The numbers that Loopgate itself might have used are the visitor's as well.
    let tlvs =
        [tlv(1, b"h2"), tlv(5, b"a unique id"), tlv(0xe0, b"ours?"), tlv(0xe1, b""), tlv(0xea, b"vpce")];
    let mut visitor = Connection::to(pair.there("web"));

    visitor.send(&[&header(&tlvs.concat())[..], b"hello"].concat());

    let mut there = service.accept();
    let named = announced(&mut there);
    let client: SocketAddr = "203.0.113.9:51324".parse().unwrap();
    assert_eq!(named.ends, Ends::Net { client, destination: "198.51.100.2:443".parse().unwrap() });
    assert_eq!(named.tlvs.bytes(), tlvs.concat());
    assert_eq!(there.receive(5), b"hello");
    visitor.finish();
    drop(there);
    assert_eq!(visitor.receive_all().1, Close::Fin);
    for record in [pair.vps.record(), pair.home.record()] {
        assert_eq!(record["client"], client.to_string(), "{record}");
    }
}

#[test]
fn a_visitor_that_connects_itself_is_named_behind_the_tunnel() {
    let (service, port) = (Target::manual(), ClosedPort::port());
    let permits = format!("may_listen = [\"{}\"]", port.address);
    let mut pair = Pair::start(&permits, "", &web(&port, &service, ""));
    let mut visitor = Connection::from_to("127.0.0.9", pair.there("web"));
    let client = visitor.local();

    visitor.send(b"hello");

    let mut there = service.accept();
    let named = announced(&mut there);
    assert_eq!(named.ends, Ends::Net { client, destination: port.address });
    assert_eq!(there.receive(5), b"hello");
}

#[test]
fn a_visitor_that_is_not_on_the_list_behind_the_tunnel_is_reset() {
    let (service, port) = (Target::manual(), ClosedPort::port());
    let permits = format!("may_listen = [\"{}\"]", port.address);
    let mut pair = Pair::start(&permits, "", &web(&port, &service, "allow = [\"127.0.0.9\"]"));
    let visitors = pair.there("web");

    let mut denied = Connection::from_to("127.0.0.8", visitors);
    assert_eq!(denied.receive_close(), Close::Reset);
    for record in [pair.vps.record(), pair.home.record()] {
        assert_eq!(record["end"], "denied", "{record}");
    }

    let mut allowed = Connection::from_to("127.0.0.9", visitors);
    allowed.send(b"x");
    announced(&mut service.accept());
    assert!(service.try_accept().is_none(), "the service saw one of them");
}
