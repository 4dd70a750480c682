//! nginx as several targets of one route: what clients notice when one is killed, suspended, changed or drained.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use crate::harness::{Close, ClosedPort, Connection, Proxy, wait_until};
use crate::real::tcp::Service;

/// nginx in one process, which answers with its name.
fn nginx(name: &str, port: ClosedPort, listen: &str) -> Service {
    Service::start_on(port, |port, folder| {
        let at = folder.display();
        let config = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error; user root; events {{}}\n\
             http {{ access_log off; client_body_temp_path {at}; proxy_temp_path {at};\n\
             fastcgi_temp_path {at}; uwsgi_temp_path {at}; scgi_temp_path {at};\n\
             server {{ listen 127.0.0.1:{port} {listen}; location / {{ return 200 {name}; }} }} }}\n"
        );
        fs::write(folder.join("nginx.conf"), config).unwrap();
        let mut nginx = Command::new("nginx");
        nginx.args(["-c", &format!("{at}/nginx.conf"), "-e", &format!("{at}/error")]);
        nginx
    })
}

/// The name of the target that answers a new client.
fn who_answers(proxy: SocketAddr) -> String {
    let mut client = Connection::to(proxy);
    client.send(b"GET / HTTP/1.0\r\n\r\n");
    let (answer, ending) = client.receive_all();
    let answer = String::from_utf8(answer).unwrap();
    assert_eq!(ending, Close::Fin, "{answer}");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    answer.rsplit("\r\n").next().unwrap().to_owned()
}

fn answers(proxy: SocketAddr) -> [usize; 2] {
    let names: Vec<String> = (0..20).map(|_| who_answers(proxy)).collect();
    ["one", "two"].map(|name| names.iter().filter(|it| *it == name).count())
}

fn config(listen: SocketAddr, targets: &[String]) -> String {
    format!(
        "[routes.test]\nlisten = '{listen}'\ntarget = [{}]\n[routes.test.health]\ncheck = 'connect'\n\
         send = \"GET / HTTP/1.0\\r\\n\\r\\n\"\nexpect = '200 OK'\ninterval = '50ms'\ntimeout = '20s'\n",
        targets.join(", ")
    )
}

#[test]
#[ignore = "needs nginx"]
fn nobody_who_comes_notices_what_becomes_of_one_nginx_of_two() {
    let (one, two) = (nginx("one", ClosedPort::port(), ""), nginx("two", ClosedPort::port(), ""));
    let listen = ClosedPort::port();
    let targets = [one.address, two.address].map(|address| format!("'{address}'"));
    let proxy = Proxy::builder().workers(2).with(&config(listen.address, &targets));
    assert_eq!(answers(proxy.address), [10, 10]);

    let port = one.kill();
    assert_eq!(answers(proxy.address), [0, 20]);

    // Running again, but unusable: it requires a header that no client sends.
    let one = nginx("one", port, "proxy_protocol");
    assert_eq!(answers(proxy.address), [0, 20]);
    let _one = nginx("one", one.kill(), "");
    wait_until("it is asked again", || (who_answers(proxy.address) == "one").then_some(()));
    assert_eq!(answers(proxy.address), [10, 10]);
}

#[test]
#[ignore = "needs nginx"]
fn an_nginx_that_drains_keeps_who_it_has_while_others_come() {
    let (one, two) = (nginx("one", ClosedPort::port(), ""), nginx("two", ClosedPort::port(), ""));
    let listen = ClosedPort::port();
    let targets = [one.address, two.address].map(|address| format!("'{address}'"));
    let proxy = Proxy::builder().workers(2).with(&config(listen.address, &targets));
    let ask = |client: &mut Connection| {
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let mut received = Vec::new();
        while !received.ends_with(b"one") && !received.ends_with(b"two") {
            received.extend(client.receive(1));
        }
        String::from_utf8(received).unwrap().rsplit("\r\n").next().unwrap().to_owned()
    };
    let mut old: Vec<Connection> = (0..2).map(|_| proxy.connect()).collect();
    let before: Vec<String> = old.iter_mut().map(ask).collect();

    let (is_over, visits) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            // Not for ever, should the test fail.
            while !is_over.load(SeqCst) && visits.load(SeqCst) < 20_000 {
                who_answers(proxy.address);
                visits.fetch_add(1, SeqCst);
            }
        });
        let go_on = |how_long: usize| {
            let wanted = visits.load(SeqCst) + how_long;
            wait_until("clients come", || (visits.load(SeqCst) >= wanted).then_some(()));
        };
        go_on(20);
        let drained = [targets[0].clone(), format!("{{address = '{}', drain = true}}", two.address)];
        proxy.declare(&config(listen.address, &drained)).unwrap();
        go_on(20);
        assert_eq!(answers(proxy.address), [20, 0]);
        is_over.store(true, SeqCst);
    });

    let after: Vec<String> = old.iter_mut().map(ask).collect();
    assert_eq!(before, after, "who is there stays where it is");
    assert!(before.contains(&"two".to_owned()), "{before:?}");
}
