//! Flows: when they end, what their records contain, how many are allowed, and the effect of a reload and a stop.

mod ends;
mod floods;
mod reload;
mod requests;

use std::net::SocketAddr;

use crate::harness::Proxy;

fn route(target: SocketAddr, more: &str) -> String {
    format!("[routes.test]\nlisten = '127.0.0.1:0'\ntarget = '{target}'\nprotocol = 'udp'\n{more}\n")
}

fn proxy(target: SocketAddr, more: &str) -> Proxy {
    Proxy::builder().with(&route(target, more))
}
