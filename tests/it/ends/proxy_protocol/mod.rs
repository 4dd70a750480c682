//! PROXY headers, accepted from a proxy in front and sent to targets.

mod accept;
mod named;
mod send;

use std::net::SocketAddr;

use loopgate::outcome::Client;
use loopgate::proxy_protocol::{self, Ends, Header};

use crate::harness::{Connection, Proxy, Target};

#[path = "../../../vectors/proxy_protocol.rs"]
#[allow(unreachable_pub, missing_docs, reason = "it is read by other tests as well")]
mod vectors;

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

/// Connects, sends and receives nothing but the end. The reset may come at any time, even before connect(2) returns.
fn say_and_hear_nothing(proxy: &Proxy, words: &[u8]) {
    let Ok(mut client) = Connection::try_to(proxy.address) else { return };
    let _ = client.try_send(words);
    assert!(!matches!(client.try_receive(&mut [0]), Ok(1)));
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

fn net(header: &Header) -> (SocketAddr, SocketAddr) {
    match header.ends {
        Ends::Net { client, destination } => (client, destination),
        ref other => panic!("{other:?}"),
    }
}
