//! The UDP sockets of a service: an embedder's own, which sends back what it gets, with its name before it.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use loopgate::engine::{Declaration, Declared, Refused, Serve, ServeDatagrams, Served, Service, Source};
use loopgate::plan;
use loopgate::transport::Incoming;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::harness::datagrams::{ask, client};
use crate::harness::{ClosedPort, Proxy, Target};

struct Named(&'static str);

impl ServeDatagrams for Named {
    fn serve(&self, socket: UdpSocket, retired: CancellationToken) -> io::Result<oneshot::Receiver<()>> {
        let (closed, is_closed) = oneshot::channel();
        let name = self.0;
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(Duration::from_millis(10)))?;
        thread::spawn(move || {
            let mut room = [0; 2048];
            while !retired.is_cancelled() {
                if let Ok((length, from)) = socket.recv_from(&mut room) {
                    socket.send_to(&[name.as_bytes(), &room[..length]].concat(), from).unwrap();
                }
            }
            drop(socket);
            drop(closed);
        });
        Ok(is_closed)
    }
}

/// Nobody connects here.
struct Nothing;

impl Serve for Nothing {
    fn serve(&self, _: Incoming, _: CancellationToken) -> Served {
        Box::pin(async {})
    }
}

fn service(listen: SocketAddr, datagrams: &Arc<Named>) -> Service {
    Service::new([listen.into()], Arc::new(Nothing)).datagrams(datagrams.clone())
}

fn declare(proxy: &Proxy, service: &Service) -> Result<Declared, Refused> {
    let source = Source::named("embedder").unwrap();
    proxy.declare_from(source, Declaration::default().service("named", service.clone()))
}

#[test]
fn a_service_answers_datagrams_on_the_number_of_its_port_until_it_is_retired() {
    let (target, free) = (Target::echo(), ClosedPort::port());
    let proxy = Proxy::to(target.address);
    let named = Arc::new(Named("a:"));

    let declared = declare(&proxy, &service(free.address, &named)).unwrap();

    assert_eq!(ask(&client(free.address), b"hi"), b"a:hi");
    let told = declared.listening.iter().filter(|it| it.owner.route().is_none()).count();
    assert_eq!(told, 1, "one number is told once");
    declare(&proxy, &service(free.address, &named)).unwrap();
    assert_eq!(ask(&client(free.address), b"hi"), b"a:hi");
    proxy.declare_as("embedder", "").unwrap();
    UdpSocket::bind(free.address).expect("the port is free as soon as that is answered");
}

#[test]
fn another_service_takes_the_socket_over() {
    let (target, free) = (Target::echo(), ClosedPort::port());
    let proxy = Proxy::to(target.address);
    declare(&proxy, &service(free.address, &Arc::new(Named("a:")))).unwrap();
    let kept = client(free.address);
    assert_eq!(ask(&kept, b"hi"), b"a:hi");

    declare(&proxy, &service(free.address, &Arc::new(Named("b:")))).unwrap();

    // The old one may answer what comes before it has seen that it is retired.
    while ask(&kept, b"hi") != b"b:hi" {}
}

#[test]
fn a_udp_port_that_is_taken_refuses_the_whole_service_and_changes_nothing() {
    let (target, free) = (Target::echo(), ClosedPort::port());
    let proxy = Proxy::to(target.address);
    let _taken = UdpSocket::bind(free.address).unwrap();

    let refused = declare(&proxy, &service(free.address, &Arc::new(Named("a:")))).unwrap_err();

    let Refused::Bind(failures) = &refused else { panic!("{refused}") };
    assert_eq!((failures.len(), failures[0].protocol), (1, loopgate::address::Protocol::Udp));
    assert_eq!(failures[0].error.raw_os_error(), Some(libc::EADDRINUSE));
    std::net::TcpListener::bind(free.address).expect("the TCP port was not kept");
}

#[test]
fn a_udp_route_and_a_service_that_want_one_port_are_a_conflict_and_neither_shares_it() {
    let (target, free) = (Target::echo(), ClosedPort::port());
    let proxy = Proxy::to(target.address);
    let route = format!(
        "routes.game = {{listen = '{}', protocol = 'udp', target = '{}'}}",
        free.address, target.address
    );
    declare(&proxy, &service(free.address, &Arc::new(Named("a:")))).unwrap();

    let refused = proxy.declare_as("edge", &route);

    let words = refused.unwrap_err().to_string();
    let conflict = format!("route game@edge cannot listen on {}", free.address);
    assert!(words.starts_with(&conflict) && words.contains("service named@embedder"), "{words}");
    assert_eq!(ask(&client(free.address), b"hi"), b"a:hi");
}

#[test]
fn a_udp_port_goes_from_a_route_to_a_service_and_back_in_one_declaration() {
    let (target, free) = (Target::echo(), ClosedPort::port());
    let proxy = Proxy::to(target.address);
    let behind = crate::harness::datagrams::socket("127.0.0.1:0");
    let at = behind.local_addr().unwrap();
    let text = format!("routes.game = {{listen = '{}', protocol = 'udp', target = '{at}'}}", free.address);
    let route = || Declaration::from(plan::parse("", &text, &[]).unwrap().routes);
    let embedder = || Source::named("embedder").unwrap();
    let reaches_the_route = || {
        let client = client(free.address);
        client.send(b"hi").unwrap();
        assert_eq!(crate::harness::datagrams::receive(&behind), b"hi");
    };

    proxy.declare_from(embedder(), route()).unwrap();
    reaches_the_route();
    declare(&proxy, &service(free.address, &Arc::new(Named("a:")))).unwrap();
    for _ in 0..20 {
        assert_eq!(
            ask(&client(free.address), b"hi"),
            b"a:hi",
            "the route's socket takes no part of what comes"
        );
    }
    proxy.declare_as("embedder", "").unwrap();
    proxy.declare_from(embedder(), route()).unwrap();

    reaches_the_route();
}
