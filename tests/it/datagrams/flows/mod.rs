//! Flows: when each ends and what its record says, how many there may be, and what a reload and a stop do to them.

mod ends;
mod floods;
mod reload;

use std::net::SocketAddr;

use crate::harness::Proxy;

fn route(target: SocketAddr, more: &str) -> String {
    format!("[routes.test]\nlisten = '127.0.0.1:0'\ntarget = '{target}'\nprotocol = 'udp'\n{more}\n")
}

fn proxy(target: SocketAddr, more: &str) -> Proxy {
    Proxy::builder().with(&route(target, more))
}
