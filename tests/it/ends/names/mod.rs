//! Clients are routed by the name they request, and neither side notices that the ClientHello was read.

mod beside;
mod hello;
mod routing;

use crate::harness::{Close, Proxy, Target};

/// Sends its own name, then answers after the client's FIN with everything it received.
fn telling(which: &'static str) -> Target {
    Target::serving_anywhere(move |mut connection| {
        connection.send(which.as_bytes());
        let (received, _) = connection.receive_all();
        connection.send(&received);
    })
}

/// A proxy with these lines about names in its route, added to `listen`.
fn proxy(lines: &str) -> Proxy {
    Proxy::builder().with(&route(lines))
}

fn route(lines: &str) -> String {
    format!("[routes.test]\nlisten = '127.0.0.1:0'\n{lines}\n")
}

/// Says all of this and FIN; gives what was answered.
fn exchange(proxy: &Proxy, bytes: &[u8]) -> (Vec<u8>, Close) {
    let mut client = proxy.connect();
    client.send(bytes);
    client.finish();
    client.receive_all()
}

/// Whether the target with this name received exactly these bytes.
fn reaches(proxy: &Proxy, bytes: &[u8], which: &str) {
    let (received, ending) = exchange(proxy, bytes);
    assert_eq!(String::from_utf8_lossy(&received[..received.len().min(which.len())]), which);
    assert!(received[which.len()..] == *bytes, "{which} received something else");
    assert_eq!(ending, Close::Fin);
}
