//! A listen address that grows to 0.0.0.0 or \[::\], shrinks again or goes: each client is served or refused, none is reset.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

use crate::harness::{ClosedPort, Proxy, TIMEOUT, Target};

const RELOADS: usize = 60;

/// Stops the visitors also when a reload panics.
struct Over<'o>(&'o AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Four clients one after the other without a pause while `reload` is called; returns how many were served, and those
/// that were not, once connected.
fn visited<S: Read + Write>(
    connect: impl Fn() -> Option<S> + Sync,
    mut reload: impl FnMut(usize),
) -> (u64, Vec<String>) {
    let (is_over, served) = (AtomicBool::new(false), AtomicU64::new(0));
    let visit = || {
        let mut failed = Vec::new();
        while !is_over.load(SeqCst) {
            let Some(mut client) = connect() else {
                thread::yield_now();
                continue;
            };
            let mut answer = [0; 5];
            match client.write_all(b"hello").and_then(|()| client.read_exact(&mut answer)) {
                Ok(()) => _ = served.fetch_add(1, SeqCst),
                Err(error) => failed.push(error.to_string()),
            }
        }
        failed
    };
    let failed = thread::scope(|scope| {
        let visitors: Vec<_> = (0..4).map(|_| scope.spawn(visit)).collect();
        {
            let _over = Over(&is_over);
            (1..=RELOADS).for_each(&mut reload);
        }
        visitors.into_iter().flat_map(|visitor| visitor.join().unwrap()).collect()
    });
    (served.into_inner(), failed)
}

fn tcp(port: u16) -> std::io::Result<TcpStream> {
    let client = TcpStream::connect(("127.0.0.1", port))?;
    client.set_read_timeout(Some(TIMEOUT))?;
    Ok(client)
}

#[test]
fn no_client_is_refused_or_reset_while_the_address_it_uses_grows_and_shrinks() {
    let (target, free) = (Target::echo(), ClosedPort::port_of_every_address("0.0.0.0"));
    let port = free.address.port();
    let forms = ["'127.0.0.1:P'", "'0.0.0.0:P'", "['127.0.0.1:P', '127.0.0.2:P']", "'[::]:P'", "'0.0.0.0:P'"];
    let config = |n: usize| {
        let listen = forms[n % forms.len()].replace('P', &port.to_string());
        let both = if listen.contains("::") { "v6only = false\n" } else { "" };
        // The route changes too, so sockets also move from one to the other.
        format!(
            "[routes.r{}]\nlisten = {listen}\ntarget = '{}'\nallow = ['127.0.0.0/8']\n{both}",
            n % 3,
            target.address
        )
    };
    let proxy = Proxy::builder().with(&config(0));

    let (served, failed) = visited(|| Some(tcp(port).unwrap()), |n| _ = proxy.declare(&config(n)).unwrap());

    assert_eq!(failed, Vec::<String>::new(), "{served} were served");
    assert!(served > 200, "hardly anybody came: {served}");
}

#[test]
fn a_client_that_is_connected_when_its_listener_goes_is_served() {
    let (target, free) = (Target::echo(), ClosedPort::port());
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let config = |n: usize| {
        let listen = match n % 2 {
            0 => format!("['{}', 'unix:{}']", free.address, socket.display()),
            _ => "'127.0.0.1:0'".to_owned(),
        };
        format!("[routes.a]\nlisten = {listen}\ntarget = '{}'\n", target.address)
    };
    let proxy = Proxy::builder().with(&config(0));
    let reload = |n: usize| _ = proxy.declare(&config(n)).unwrap();

    let over_tcp = visited(|| tcp(free.address.port()).ok(), reload);
    let over_unix = visited(|| UnixStream::connect(&socket).ok(), reload);

    for (served, failed) in [over_tcp, over_unix] {
        assert_eq!(failed, Vec::<String>::new(), "{served} were served");
        assert!(served > 50, "hardly anybody came: {served}");
    }
}
