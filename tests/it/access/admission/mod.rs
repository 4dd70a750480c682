//! How many clients are admitted, and how fast: caps, rates, the queue, evictions, and the effect of a reload on them.

mod dry_run;
mod flows;
mod limits;
mod queue;
mod reload;

use std::net::SocketAddr;

use loopgate::outcome::{End, Phase};

use crate::harness::{Connection, Proxy, wait_until};

fn config(target: SocketAddr, more: &str) -> String {
    format!("[routes.test]\nlisten = '127.0.0.1:0'\ntarget = '{target}'\n{more}\n")
}

fn proxy(target: SocketAddr, more: &str) -> Proxy {
    Proxy::builder().with(&config(target, more))
}

/// One exchange with an echo.
fn talk(client: &mut Connection) {
    client.send(b"here");
    assert_eq!(client.receive(4), b"here");
}

fn seated(proxy: &Proxy) -> Connection {
    let mut client = proxy.connect();
    talk(&mut client);
    client
}

/// A queued client, which only its session shows, because it receives nothing.
fn waiting(proxy: &Proxy) -> Connection {
    let before = proxy.live().len();
    let client = proxy.connect();
    wait_until("it waits", || (proxy.live().len() == before + 1).then_some(()));
    client
}

fn is_reset_at_once(proxy: &Proxy) -> bool {
    Connection::is_reset_at_once("127.0.0.1", proxy.address)
}

/// Comes in as soon as it may.
fn comes_in(proxy: &Proxy) -> Connection {
    wait_until("a place is free", || {
        let mut client = Connection::try_to(proxy.address).ok()?;
        let mut received = [0; 4];
        let is_in =
            matches!(client.try_send(b"here"), Ok(4)) && matches!(client.try_receive(&mut received), Ok(4));
        is_in.then_some(client)
    })
}

/// The next record of this end, and the phase it ended in.
fn phase_of(proxy: &Proxy, end: End) -> Phase {
    loop {
        let record = proxy.record();
        if record.outcome.end == end {
            return record.outcome.phase;
        }
    }
}
