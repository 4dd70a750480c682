//! What a declaration does to sockets: kept while their address is wanted, moved between routes, closed in order.

use std::net::SocketAddr;
use std::thread;

use loopgate::address::ListenAddress;
use loopgate::engine::Refused;
use loopgate::outcome::End;
use loopgate::probe::sockets::listening;

use crate::harness::datagrams::{EchoDatagrams, ask, client};
use crate::harness::{Close, ClosedPort, Connection, Proxy, Target, listening_inode};

fn route(name: &str, listen: SocketAddr, target: &Target) -> String {
    format!("[routes.{name}]\nlisten = '{listen}'\ntarget = '{}'\n", target.address)
}

/// The same port on another address.
fn on(ip: &str, port: SocketAddr) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), port.port())
}

#[test]
fn an_address_that_moves_to_another_route_keeps_its_socket() {
    let (one, two, port) = (Target::greeting(b"1"), Target::greeting(b"2"), ClosedPort::port());
    let proxy = Proxy::builder().with(&route("one", port.address, &one));
    let inode = listening_inode(port.address).unwrap();

    let declared = proxy.declare(&route("two", port.address, &two)).unwrap();

    assert_eq!((declared.change.added.len(), declared.change.removed.len()), (1, 1));
    assert_eq!(listening_inode(port.address), Some(inode));
    assert_eq!(Connection::to(port.address).receive(1), b"2");
}

#[test]
fn a_specific_address_and_every_address_replace_each_other() {
    let (one, two) = (Target::greeting(b"1"), Target::greeting(b"2"));
    for (specific, every) in [("127.0.0.1", "0.0.0.0"), ("::1", "::")] {
        let port = ClosedPort::port_of_every_address(specific);
        let proxy = Proxy::builder().with(&route("one", port.address, &one));
        for (ip, target, words) in [(every, &two, b"2"), (specific, &one, b"1"), (every, &two, b"2")] {
            let address = on(ip, port.address);

            proxy.declare(&route("one", address, target)).unwrap();

            assert_eq!(Connection::to(port.address).receive(1), words, "{address}");
            assert!(listening_inode(address).is_some());
            let other = on(if ip == every { specific } else { every }, port.address);
            assert_eq!(listening_inode(other), None, "{other} is left open");
        }
    }
}

#[test]
fn after_an_overlap_the_port_is_as_taken_as_before() {
    let (one, port) = (Target::greeting(b"1"), ClosedPort::port_of_every_address("127.0.0.1"));
    let proxy = Proxy::builder().with(&route("one", port.address, &one));
    let every = on("0.0.0.0", port.address);

    proxy.declare(&route("one", every, &one)).unwrap();

    for address in [every, port.address] {
        assert!(std::net::TcpListener::bind(address).is_err(), "a second copy would get some of the clients");
    }
}

#[test]
fn a_port_that_the_kernel_chose_is_not_given_to_a_second_route() {
    let (one, two) = (Target::greeting(b"1"), Target::greeting(b"2"));
    let any = "127.0.0.1:0".parse().unwrap();
    let proxy = Proxy::builder().with(&route("one", any, &one));

    let both = route("one", any, &one) + &route("two", proxy.address, &two);
    let refused = proxy.declare(&both).unwrap_err();

    assert!(
        matches!(&refused, Refused::Bind(failures) if failures[0].address == proxy.address.into()),
        "{refused}"
    );
    for _ in 0..20 {
        assert_eq!(Connection::to(proxy.address).receive(1), b"1");
    }
}

#[test]
fn one_address_that_is_taken_refuses_the_whole_declaration() {
    let (target, new) = (Target::greeting(b"1"), ClosedPort::port());
    let proxy = Proxy::to(target.address);
    let taken = [Target::echo(), Target::echo()];
    let any = "127.0.0.1:0".parse().unwrap();

    let mut text = route("test", any, &target) + &route("new", new.address, &target);
    text += &(route("a", taken[0].address, &target) + &route("b", taken[1].address, &target));
    let refused = proxy.declare(&text).unwrap_err();

    let Refused::Bind(mut failures) = refused else { panic!("{refused}") };
    failures.sort_by_key(|it| it.owner.name());
    assert_eq!(
        failures.iter().map(|it| it.address.clone()).collect::<Vec<_>>(),
        taken.each_ref().map(|it| ListenAddress::from(it.address))
    );
    assert!(!listening(new.address).unwrap(), "it runs half");
    assert_eq!(proxy.connect().receive(1), b"1");
}

#[test]
fn sessions_of_a_route_that_goes_live_on_and_nobody_new_gets_in() {
    let (old, new) = (Target::echo(), Target::greeting(b"new"));
    let proxy = Proxy::to(old.address);
    let mut client = proxy.connect();
    client.send(b"before");
    assert_eq!(client.receive(6), b"before");

    proxy.declare(&route("other", "127.0.0.1:0".parse().unwrap(), &new)).unwrap();

    assert!(Connection::try_to(proxy.address).is_err());
    client.send(b"after");
    assert_eq!(client.receive(5), b"after");
    client.finish();
    assert_eq!(client.receive_close(), Close::Fin);
    let record = proxy.record();
    assert_eq!((&*record.route, record.outcome.end), ("test", End::Done));
}

#[test]
fn who_waited_in_the_accept_queue_of_a_route_that_goes_is_served() {
    let (old, new) = (Target::greeting(b"old"), Target::greeting(b"new"));
    let port = ClosedPort::port();
    for _ in 0..20 {
        let proxy = Proxy::builder().with(&route("old", port.address, &old));
        thread::scope(|scope| {
            let waiting: Vec<Connection> = (0..50).map(|_| Connection::to(port.address)).collect();
            scope.spawn(|| proxy.declare(&route("other", "127.0.0.1:0".parse().unwrap(), &new)).unwrap());
            for mut client in waiting {
                assert_eq!(client.receive(3), b"old");
            }
        });
    }
}

/// A route that uses its targets in turn; each target sends its name.
fn in_turn(name: &str, listen: SocketAddr, targets: &[Target], more: &str) -> String {
    let targets: Vec<String> = targets.iter().map(|it| format!("'{}'", it.address)).collect();
    format!("[routes.{name}]\nlisten = '{listen}'\ntarget = [{}]\n{more}\n", targets.join(", "))
}

/// The target that a new client is carried to.
fn greeted_at(address: SocketAddr) -> u8 {
    Connection::to(address).receive(1)[0]
}

#[test]
fn a_reload_that_leaves_a_route_alone_leaves_its_targets_their_turn() {
    let targets = [b"a", b"b", b"c"].map(|words| Target::greeting(words));
    let (port, other) = (ClosedPort::port(), ClosedPort::port());
    let web = in_turn("web", port.address, &targets, "");
    let proxy = Proxy::builder().with(&web);

    let mut received = Vec::new();
    for n in 1..=6 {
        received.push(greeted_at(port.address));
        // At first nothing changes; then another route is added and changed again and again.
        let beside = route("other", other.address, &targets[0]) + &format!("reset_linger = '{n}s'\n");
        proxy.declare(&(web.clone() + if n > 2 { &beside } else { "" })).unwrap();
    }

    received.sort_unstable();
    assert_eq!(received, b"aabbcc");
    // What is changed begins anew.
    proxy.declare(&in_turn("web", port.address, &targets[1..2], "")).unwrap();
    assert_eq!(greeted_at(port.address), b'b');
}

#[test]
fn one_changed_route_among_a_thousand_leaves_the_others_as_they_are() {
    const ALL: usize = 1000;
    let targets = [b"a", b"b"].map(|words| Target::greeting(words));
    // An address of their own: a client of another test that expects a port to be closed would take a turn here.
    let any = "127.44.0.1:0".parse().unwrap();
    let config = |changed: &str| -> String {
        let more = |n| if n == 500 { changed } else { "" };
        (0..ALL).map(|n| in_turn(&format!("r{n:03}"), any, &targets, more(n))).collect()
    };
    let proxy = Proxy::builder().with(&config(""));
    let listening: Vec<SocketAddr> =
        proxy.declared.listening.iter().map(|it| it.address.net().unwrap()).collect();
    let before: Vec<u8> = listening.iter().map(|address| greeted_at(*address)).collect();

    let declared = proxy.declare(&config("reset_linger = '1s'")).unwrap();

    assert_eq!((declared.change.replaced.len(), declared.listening.len()), (1, ALL));
    for (n, address) in listening.iter().enumerate() {
        let goes_on = greeted_at(*address) != before[n];
        assert_eq!(goes_on, n != 500, "route {n}");
    }
}

#[test]
fn flows_take_targets_in_turn_over_a_reload_that_leaves_their_route_alone() {
    let targets = [EchoDatagrams::start(), EchoDatagrams::start()];
    let port = ClosedPort::port();
    let list = targets.each_ref().map(|it| format!("'{}'", it.address)).join(", ");
    let dns = format!("[routes.dns]\nlisten = '{}'\ntarget = [{list}]\nprotocol = 'udp'\n", port.address);
    let proxy = Proxy::builder().with(&dns);

    let clients = [(); 4].map(|()| {
        let client = client(port.address);
        assert_eq!(ask(&client, b"here"), b"here");
        proxy.declare(&dns).unwrap();
        client
    });

    let live = proxy.live();
    let at_first = live.iter().filter(|it| **it.target() == *targets[0].address.to_string());
    assert_eq!((live.len(), at_first.count()), (clients.len(), 2));
}

#[test]
fn a_declaration_that_is_refused_late_leaves_no_port_open() {
    let (target, datagrams) = (Target::greeting(b"1"), EchoDatagrams::start());
    let (tcp, udp) = (ClosedPort::port(), ClosedPort::port());
    let folder = std::env::temp_dir().join(format!("loopgate-late-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let local = |more: &str| {
        let listen = folder.join("socket");
        format!("[routes.u]\nlisten = 'unix:{}'\ntarget = '{}'\n{more}\n", listen.display(), target.address)
    };
    let proxy = Proxy::builder().with(&local(""));

    let mut text = local("socket_owner = 'nobody-is-called-so'") + &route("t", tcp.address, &target);
    text += &format!(
        "[routes.d]\nlisten = '{}'\ntarget = '{}'\nprotocol = 'udp'\n",
        udp.address, datagrams.address
    );
    let refused = proxy.declare(&text).unwrap_err();

    assert!(matches!(&refused, Refused::Bind(failures) if failures[0].owner.name() == "u"), "{refused}");
    assert!(Connection::try_to(tcp.address).is_err(), "it goes on accepting");
    assert!(std::net::UdpSocket::bind(udp.address).is_ok(), "it goes on receiving");
    std::fs::remove_dir_all(&folder).unwrap();
}
