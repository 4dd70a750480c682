//! Several targets of one route: which target gets which clients, and what clients notice when a target fails.

mod connections;
mod flows;
mod limits;

use std::net::SocketAddr;

use loopgate::outcome::End;

use crate::harness::{Close, Connection, Proxy};

/// A proxy whose route has these targets, each as TOML has it, and more keys.
fn proxy(targets: &[String], more: &str) -> Proxy {
    Proxy::builder().workers(2).with(&route("127.0.0.1:0", targets, more))
}

fn route(listen: impl std::fmt::Display, targets: &[String], more: &str) -> String {
    format!("[routes.test]\nlisten = '{listen}'\ntarget = [{}]\n{more}\n", targets.join(", "))
}

/// A target as an address alone.
fn plain(address: SocketAddr) -> String {
    format!("'{address}'")
}

/// A target with its part.
fn with(address: SocketAddr, part: &str) -> String {
    format!("{{address = '{address}', {part}}}")
}

/// Exchanges a few bytes with an echo, and ends.
fn visit(mut client: Connection) {
    client.send(b"hello");
    assert_eq!(client.receive(5), b"hello");
    client.finish();
    assert_eq!(client.receive_close(), Close::Fin);
}

/// The target that a new client is carried to.
fn carried_to(proxy: &Proxy) -> SocketAddr {
    visit(proxy.connect());
    reached(proxy)
}

/// The target of the next record, whose session ended in order.
fn reached(proxy: &Proxy) -> SocketAddr {
    let record = proxy.record();
    assert_eq!(record.outcome.end, End::Done, "{record}");
    record.outcome.target.as_ref().and_then(|it| it.net()).unwrap()
}
