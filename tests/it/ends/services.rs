//! Services: what listens and is no route. An embedder's own, which answers `ping` with `pong`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use loopgate::address::{ListenAddress, UnixName};
use loopgate::diagnosis::bind_report;
use loopgate::engine::{Declaration, Declared, Kind, Policy, Refused, Serve, Served, Service, Source};
use loopgate::plan;
use loopgate::probe::sockets;
use loopgate::transport::{FileMode, Incoming, SocketFile};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::harness::{Close, ClosedPort, Connection, Proxy, Target, listening_inode, wait_until};

/// Answers each line: `ping` with `pong`, `client` with the client's address, `panic` with a panic, `stay` with
/// `staying` and nothing more, ever.
struct Pong;

impl Serve for Pong {
    fn serve(&self, incoming: Incoming, draining: CancellationToken) -> Served {
        Box::pin(async move {
            let (client, via) = (incoming.client, incoming.via.clone());
            let mut stream = tokio::io::BufReader::new(incoming.open().unwrap());
            let mut line = String::new();
            loop {
                line.clear();
                let read = draining.run_until_cancelled(stream.read_line(&mut line)).await;
                let read = read.transpose().unwrap();
                let answer = match (read, line.trim_end()) {
                    (None, _) => "bye\n".to_owned(),
                    (Some(0), _) => return,
                    (_, "ping") => "pong\n".to_owned(),
                    (_, "client") => format!("{client} at {via}\n"),
                    (_, "stay") => {
                        stream.write_all(b"staying\n").await.unwrap();
                        std::future::pending().await
                    }
                    (_, "panic") => panic!("a bug of the service"),
                    (_, other) => panic!("{other}"),
                };
                stream.write_all(answer.as_bytes()).await.unwrap();
                if read.is_none() {
                    return;
                }
            }
        })
    }
}

fn service(listen: &[ListenAddress]) -> Service {
    Service::new(listen.iter().cloned(), Arc::new(Pong))
}

fn declaration(service: &Service) -> Declaration {
    Declaration::default().service("pong", service.clone())
}

fn embedder() -> Source {
    Source::named("embedder").unwrap()
}

/// Declares this service alone.
fn declare(proxy: &Proxy, service: &Service) -> Result<Declared, Refused> {
    proxy.declare_from(embedder(), declaration(service))
}

fn any_port() -> ListenAddress {
    SocketAddr::from(([127, 0, 0, 1], 0)).into()
}

fn unix(path: &Path) -> ListenAddress {
    ListenAddress::Unix(UnixName::Path(path.to_str().unwrap().into()))
}

/// The first port of a service.
fn port(declared: &Declared) -> SocketAddr {
    let of_service = declared.listening.iter().filter(|it| it.owner.kind() == Kind::Service);
    of_service.filter_map(|it| it.address.net()).next().unwrap()
}

/// Sends a line, and receives one.
fn ask(stream: impl Read + Write, line: &str) -> String {
    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_line(&mut answer).unwrap();
    answer
}

fn ask_at(address: SocketAddr, line: &str) -> String {
    ask(Connection::to(address).stream(), line)
}

#[test]
fn a_service_answers_on_a_port_and_on_a_unix_socket() {
    let (target, folder) = (Target::echo(), tempfile::tempdir().unwrap());
    let proxy = Proxy::to(target.address);
    let path = folder.path().join("pong");
    let file = SocketFile { mode: FileMode(0o640), ..SocketFile::default() };

    let declared = declare(&proxy, &service(&[any_port(), unix(&path)]).socket_file(file)).unwrap();

    let told: Vec<_> = declared.listening.iter().map(|it| (it.owner.to_string(), it.targets.len())).collect();
    let (route, pong) = (("route test".to_owned(), 1), ("service pong@embedder".to_owned(), 0));
    assert_eq!(told, [route, pong.clone(), pong]);
    let client = Connection::to(port(&declared));
    let (who, at) = (client.local(), client.peer());
    assert_eq!(ask(client.stream(), "client"), format!("{who} at {at}\n"));
    let here = UnixStream::connect(&path).unwrap();
    let (me, user) = (std::process::id(), rustix::process::geteuid());
    assert_eq!(
        ask(here, "client"),
        format!("unix:pid={me},uid={} at unix:{}\n", user.as_raw(), path.display())
    );
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&path.metadata().unwrap()) & 0o777, 0o640);
    // It is no route: it has no sessions and no records.
    assert_eq!((proxy.live().len(), proxy.records().len()), (0, 0));
}

#[test]
fn a_service_that_is_declared_again_keeps_its_socket_and_its_connections() {
    let (target, folder) = (Target::greeting(b"1"), tempfile::tempdir().unwrap());
    let proxy = Proxy::to(target.address);
    let path = folder.path().join("pong");
    let pong = service(&[any_port(), unix(&path)]);
    let address = port(&declare(&proxy, &pong).unwrap());
    let (inode, file) = (listening_inode(address).unwrap(), std::fs::metadata(&path).unwrap());
    let client = Connection::to(address);
    assert_eq!(ask(client.stream(), "ping"), "pong\n");

    let routes = plan::parse("", &format!("routes.a = {{listen = '0', target = '{}'}}", target.address), &[]);
    let both = Declaration::from(routes.unwrap().routes).service("pong", pong);
    let declared = proxy.declare_from(embedder(), both).unwrap();

    assert_eq!(declared.change.added.len(), 1);
    assert_eq!((port(&declared), listening_inode(address)), (address, Some(inode)));
    let inode_of = |meta: std::fs::Metadata| std::os::unix::fs::MetadataExt::ino(&meta);
    assert_eq!(inode_of(std::fs::metadata(&path).unwrap()), inode_of(file));
    assert_eq!((ask(client.stream(), "ping"), ask_at(address, "ping")), ("pong\n".into(), "pong\n".into()));
}

#[test]
fn a_service_that_is_replaced_has_its_connections_end_and_keeps_its_socket() {
    let target = Target::echo();
    let (proxy, free) = (Proxy::to(target.address), ClosedPort::port());
    declare(&proxy, &service(&[free.address.into()])).unwrap();
    let inode = listening_inode(free.address).unwrap();
    let mut client = Connection::to(free.address);
    assert_eq!(ask(client.stream(), "ping"), "pong\n");

    declare(&proxy, &service(&[free.address.into()])).unwrap();

    assert_eq!(client.receive_all(), (b"bye\n".to_vec(), Close::Fin));
    assert_eq!(listening_inode(free.address), Some(inode));
    assert_eq!(ask_at(free.address, "ping"), "pong\n");
}

#[test]
fn an_address_moves_from_a_service_to_a_route_with_its_socket() {
    let target = Target::greeting(b"1");
    let (proxy, free) = (Proxy::to(target.address), ClosedPort::port());
    declare(&proxy, &service(&[free.address.into()])).unwrap();
    let inode = listening_inode(free.address).unwrap();

    let route = format!("routes.web = {{listen = '{}', target = '{}'}}", free.address, target.address);
    proxy.declare_as("embedder", &route).unwrap();

    assert_eq!(listening_inode(free.address), Some(inode));
    assert_eq!(Connection::to(free.address).receive(1), b"1");
}

#[test]
fn a_service_on_an_address_that_is_taken_changes_nothing() {
    let (target, taken, free) = (Target::echo(), Target::echo(), ClosedPort::port());
    let proxy = Proxy::to(target.address);
    let address = port(&declare(&proxy, &service(&[any_port()])).unwrap());

    let refused = declare(&proxy, &service(&[free.address.into(), taken.address.into()])).unwrap_err();

    let Refused::Bind(failures) = &refused else { panic!("{refused}") };
    assert_eq!((failures.len(), failures[0].address.clone()), (1, taken.address.into()));
    assert_eq!(failures[0].error.raw_os_error(), Some(libc::EADDRINUSE));
    let words = format!("cannot listen on {} (service pong@embedder): ", taken.address);
    assert!(refused.to_string().starts_with(&words), "{refused}");
    let report = bind_report(&loopgate::engine::diagnose(failures, &|_, _| None));
    assert!(report.starts_with(&format!("error: cannot listen on {}: taken by ", taken.address)), "{report}");
    assert_eq!(listening_inode(free.address), None);
    assert_eq!(ask_at(address, "ping"), "pong\n");
}

#[test]
fn a_service_and_a_route_that_want_one_address_are_a_conflict() {
    let (target, free) = (Target::greeting(b"1"), ClosedPort::port());
    let proxy = Proxy::to(target.address);
    let route =
        |port: SocketAddr| format!("routes.web = {{listen = '{port}', target = '{}'}}", target.address);
    let words = |refused: Refused| refused.to_string();

    let held_by_route = declare(&proxy, &service(&[proxy.address.into()])).unwrap_err();
    declare(&proxy, &service(&[free.address.into()])).unwrap();
    let held_by_service = proxy.declare_as("edge", &route(free.address)).unwrap_err();
    let routes = plan::parse("", &route("127.0.0.1:1".parse().unwrap()), &[]).unwrap().routes;
    let own =
        Declaration::from(routes).service("pong", service(&[SocketAddr::from(([127, 0, 0, 1], 1)).into()]));
    let own = proxy.declare_from(embedder(), own).unwrap_err();

    assert_eq!(
        words(held_by_route),
        format!("service pong@embedder cannot listen on {0}: it belongs to route test", proxy.address)
    );
    assert_eq!(
        words(held_by_service),
        format!("route web@edge cannot listen on {}: it belongs to service pong@embedder", free.address)
    );
    assert_eq!(
        words(own),
        "service pong@embedder cannot listen on 127.0.0.1:1: it belongs to route web@embedder"
    );
    assert_eq!(
        (proxy.connect().receive(1), ask_at(free.address, "ping")),
        (b"1".to_vec(), "pong\n".to_owned())
    );
}

#[test]
fn of_a_declaration_that_takes_what_it_can_get_a_service_is_answered_like_a_route() {
    let (target, free) = (Target::greeting(b"1"), ClosedPort::port());
    let proxy = Proxy::to(target.address);
    let both = Declaration::default()
        .service("a", service(&[proxy.address.into()]))
        .service("b", service(&[free.address.into()]))
        .on_failure(Policy::WhatCan);

    let declared = proxy.declare_from(embedder(), both).unwrap();

    let answers: Vec<_> = declared.answers.iter().map(|it| (it.owner.name(), it.listens.is_ok())).collect();
    assert_eq!(answers, [("a@embedder".to_owned(), false), ("b@embedder".to_owned(), true)]);
    assert_eq!(ask_at(free.address, "ping"), "pong\n");
}

#[test]
fn a_service_that_nobody_declares_any_more_is_retired() {
    let (target, folder, free) = (Target::echo(), tempfile::tempdir().unwrap(), ClosedPort::port());
    let proxy = Proxy::to(target.address);
    let path = folder.path().join("pong");
    declare(&proxy, &service(&[free.address.into(), unix(&path)])).unwrap();
    let (mut idle, stubborn) = (Connection::to(free.address), Connection::to(free.address));
    assert_eq!(
        (ask(idle.stream(), "ping"), ask(stubborn.stream(), "ping")),
        ("pong\n".into(), "pong\n".into())
    );
    assert_eq!(ask(stubborn.stream(), "stay"), "staying\n");

    proxy.declare_as("embedder", "").unwrap();

    assert_eq!(idle.receive_all(), (b"bye\n".to_vec(), Close::Fin));
    assert_eq!((listening_inode(free.address), path.exists()), (None, false));
    assert!(Connection::try_to(free.address).is_err());
}

#[test]
fn a_stop_waits_for_the_connections_of_a_service() {
    let target = Target::echo();
    let proxy = Proxy::to(target.address);
    let address = port(&declare(&proxy, &service(&[any_port()])).unwrap());
    let mut client = Connection::to(address);
    assert_eq!(ask(client.stream(), "ping"), "pong\n");

    assert_eq!(proxy.stop(Duration::from_secs(20)), 0);

    assert_eq!(client.receive_all(), (b"bye\n".to_vec(), Close::Fin));
}

#[test]
fn a_stop_that_has_waited_long_enough_resets_the_connections_of_a_service() {
    let target = Target::echo();
    let proxy = Proxy::to(target.address);
    let address = port(&declare(&proxy, &service(&[any_port()])).unwrap());
    let mut client = Connection::to(address);
    assert_eq!(ask(client.stream(), "stay"), "staying\n");

    assert_eq!(proxy.stop(Duration::ZERO), 1);

    assert_eq!(client.receive_close(), Close::Reset);
}

#[test]
fn a_panic_of_a_service_ends_that_connection_alone() {
    let target = Target::echo();
    let proxy = Proxy::to(target.address);
    let address = port(&declare(&proxy, &service(&[any_port()])).unwrap());
    let (mut broken, other) = (Connection::to(address), Connection::to(address));
    assert_eq!(ask(other.stream(), "ping"), "pong\n");

    broken.send(b"panic\n");

    assert_eq!(broken.receive_close(), Close::Reset);
    assert_eq!((ask(other.stream(), "ping"), ask_at(address, "ping")), ("pong\n".into(), "pong\n".into()));
    drop(other);
    assert_eq!(proxy.stop(Duration::from_secs(20)), 0);
}

#[test]
fn the_connections_of_a_service_count_among_those_that_may_live_at_one_time() {
    let target = Target::greeting(b"1");
    let proxy = Proxy::builder().connections(1).to(target.address);
    let address = port(&declare(&proxy, &service(&[any_port()])).unwrap());
    let client = Connection::to(address);
    assert_eq!(ask(client.stream(), "ping"), "pong\n");

    let mut waits = proxy.connect();

    wait_until("it is in the accept queue", || (waiting(proxy.address) == 1).then_some(()));
    assert_eq!((ask(client.stream(), "ping"), waiting(proxy.address)), ("pong\n".into(), 1));
    drop(client);
    assert_eq!(waits.receive(1), b"1");
}

/// Connections that are not accepted yet.
fn waiting(address: SocketAddr) -> u32 {
    let rows = sockets::listeners_on_port(address.port()).rows;
    rows.iter().find(|row| row.local == address).unwrap().receive_queue
}
