//! Several sources of routes in one engine: each speaks for its own, whatever the others call theirs.

mod conflicts;
mod own;
mod partial;

use std::net::SocketAddr;

use loopgate::engine::{Declared, Refused};

use crate::harness::{Close, Connection};

/// A route `web`, which each source calls so.
fn web(listen: impl std::fmt::Display, target: SocketAddr, more: &str) -> String {
    format!("[routes.web]\nlisten = '{listen}'\ntarget = '{target}'\n{more}\n")
}

/// A route with nothing but its ends.
fn named(name: &str, listen: impl std::fmt::Display, target: SocketAddr) -> String {
    format!("[routes.{name}]\nlisten = '{listen}'\ntarget = '{target}'\n")
}

/// Where the route of this name, as it is printed, listens.
fn listens(declared: &Declared, route: &str) -> SocketAddr {
    let of_route = declared.listening.iter().find(|it| it.owner.name() == route);
    of_route.and_then(|it| it.address.net()).unwrap_or_else(|| panic!("{route} is not in {declared:?}"))
}

/// Speaks with an echo, and ends.
fn visit(mut client: Connection) {
    client.send(b"hello");
    assert_eq!(client.receive(5), b"hello");
    client.finish();
    assert_eq!(client.receive_close(), Close::Fin);
}

/// The message of a refused declaration about the address and its two claimants.
fn conflict(refused: &Refused) -> (String, String, String) {
    let Refused::Conflict { address, wanted_by, held_by } = refused else { panic!("{refused}") };
    (address.to_string(), wanted_by.name(), held_by.name())
}
