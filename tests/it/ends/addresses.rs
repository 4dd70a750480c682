//! Ranges, both families behind one address, interfaces and zones.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream};
use std::process::Command;

use loopgate::outcome::{Cause, Client, End};

use crate::harness::{Close, Connection, Program, Proxy, Target, namespace, wait_until};

/// The first of `count` consecutive free ports outside the range of outgoing connections. Each test searches its own
/// `room`, because tests run in parallel.
fn free_ports(room: u16, count: u16) -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let bottom: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
    let start = 1024 + room * 8000 + (std::process::id() % 97) as u16 * 16;
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    (start..bottom - count).find(|first| (*first..first + count).all(free)).unwrap()
}

/// The inode of each socket that this process listens with on ports `first` and on.
fn listening(first: u16, count: u16) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let ports: Vec<String> =
        (first..first + count).map(|port| format!("0100007F:{port:04X} 00000000:0000 0A")).collect();
    ports.iter().filter(|port| table.contains(port.as_str())).count()
}

#[test]
fn each_port_of_a_range_reaches_its_own_target() {
    let (one, two) = loop {
        // Two targets side by side.
        let one = Target::greeting(b"one");
        let next = SocketAddr::new(one.address.ip(), one.address.port().wrapping_add(1));
        if TcpListener::bind(next).is_ok() {
            break (one, Target::echo_on(next));
        }
    };
    let first = free_ports(0, 2);
    let proxy = Proxy::builder().with(&format!(
        "routes.r = {{listen = '{first}-{}', target = '{}-{}'}}",
        first + 1,
        one.address,
        two.address.port()
    ));

    let mut client = Connection::to((Ipv4Addr::LOCALHOST, first).into());
    assert_eq!(client.receive(3), b"one");
    client.finish();
    assert!(proxy.record().to_string().contains(&format!(" target={} ", one.address)));

    let mut client = Connection::to((Ipv4Addr::LOCALHOST, first + 1).into());
    client.send(b"two");
    assert_eq!(client.receive(3), b"two");
    let told: Vec<String> = proxy.declared.listening.iter().map(|it| it.targets[0].to_string()).collect();
    assert_eq!(told, [one.address.to_string(), two.address.to_string()]);
}

#[test]
fn a_thousand_ports_start_stay_over_a_reload_and_end() {
    let target = Target::echo();
    let first = free_ports(1, 1000);
    let config = |more: &str| {
        format!("routes.r = {{listen = '{first}-{}', target = '{}'{more}}}", first + 999, target.address)
    };
    let proxy = Proxy::builder().with(&config(""));
    assert_eq!((proxy.declared.listening.len(), listening(first, 1000)), (1000, 1000));
    let inodes = || {
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let of = |line: &str| line.split_whitespace().nth(9).map(str::to_owned);
        let ports = format!("0100007F:{first:04X} ");
        table.lines().find(|line| line.contains(&ports)).and_then(of)
    };
    let before = inodes();

    let declared = proxy.declare(&config(", connect_timeout = '1s'")).unwrap();

    assert_eq!((declared.change.replaced.len(), declared.listening.len()), (1, 1000));
    assert_eq!(inodes(), before, "the same socket");
    for port in [first, first + 500, first + 999] {
        let mut client = Connection::to((Ipv4Addr::LOCALHOST, port).into());
        client.send(b"x");
        assert_eq!(client.receive(1), b"x");
    }
    proxy.declare(&format!("routes.r = {{listen = '{first}-{}', target = '1'}}", first + 1)).unwrap();
    assert_eq!(listening(first, 1000), 2);
}

#[test]
fn one_address_for_both_families_names_ipv4_clients_by_their_own_address() {
    let target = Target::echo();
    let port = free_ports(2, 1);
    let config = |v6only: bool| {
        format!("routes.r = {{listen = '[::]:{port}', target = '{}', v6only = {v6only}}}", target.address)
    };
    let proxy = Proxy::builder().with(&config(false));

    let mut client = Connection::to((Ipv4Addr::LOCALHOST, port).into());
    client.send(b"4");
    assert_eq!(client.receive(1), b"4");
    let local = client.local();
    client.finish();
    assert_eq!(client.receive_close(), Close::Fin);
    assert_eq!(proxy.record().client, Client::Net(local));
    let mut client = Connection::to((Ipv6Addr::LOCALHOST, port).into());
    client.send(b"6");
    assert_eq!(client.receive(1), b"6");

    proxy.declare(&config(true)).unwrap();
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "IPv6 alone, after a reload");
    assert!(TcpStream::connect((Ipv6Addr::LOCALHOST, port)).is_ok());
    proxy.declare(&config(false)).unwrap();
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok(), "and both again");
}

#[test]
fn a_listener_for_both_families_that_ipv4_hinders_names_the_holder() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    fs::write(&file, format!("routes.r = {{listen = '[::]:{port}', target = '1', v6only = false}}")).unwrap();

    let mut program = Program::start(["run", "-c", file.to_str().unwrap()]);

    assert_eq!(program.exit_code(), Some(4));
    let said = program.log().join("\n");
    assert!(said.contains(&format!("(pid {})", std::process::id())), "{said}");
}

#[test]
fn a_dial_leaves_by_the_interface_that_is_written() {
    let target = Target::echo();
    let proxy = Proxy::builder().with(&format!(
        "routes.a = {{listen='127.0.0.1:0', target='{to}', interface='lo'}}\n\
         routes.b = {{listen='127.0.0.1:0', target='{to}', interface='no-such-if'}}\n",
        to = target.address
    ));

    let mut client = proxy.connect();
    client.send(b"x");
    assert_eq!(client.receive(1), b"x");
    let other = proxy.declared.listening[1].address.net().unwrap();
    // It may be reset before connect(2) has returned.
    drop(Connection::try_to(other));

    assert_eq!(proxy.record().outcome.end, End::NoTarget(Cause::NoInterface));
}

#[test]
#[ignore = "needs root"]
fn link_local_addresses_are_listened_on_and_dialled_by_their_interface() {
    namespace::alone(
        "ends::addresses::link_local_addresses_are_listened_on_and_dialled_by_their_interface",
        between_two_interfaces,
    );
}

fn between_two_interfaces() {
    let ip = |arguments: &str| Command::new("ip").args(arguments.split(' ')).status().unwrap().success();
    assert!(ip("link add va type veth peer name vb") && ip("link set va up") && ip("link set vb up"));
    assert!(ip("addr add fe80::a/64 dev va nodad") && ip("addr add fe80::b/64 dev vb nodad"));
    let any = TcpListener::bind("127.0.0.1:0").unwrap();
    let scope = |name: &str| rustix::net::netdevice::name_to_index(&any, name).unwrap();
    let address = |ip: &str, port: u16, name: &str| {
        SocketAddr::from(SocketAddrV6::new(ip.parse().unwrap(), port, 0, scope(name)))
    };
    let target = wait_until("the target listens", || TcpListener::bind(address("fe80::b", 0, "vb")).ok());
    let port = target.local_addr().unwrap().port();
    let proxy = Proxy::builder().with(&format!(
        "routes.z = {{listen = '[fe80::a%va]:8080', target = '[fe80::b%vb]:{port}'}}\n\
         routes.n = {{listen = '127.0.0.1:0', target = '[fe80::b%gone]:{port}'}}\n"
    ));

    let mut client = Connection::to(address("fe80::a", 8080, "va"));
    client.send(b"x");
    let mut served = Connection::from(target.accept().unwrap().0);
    assert_eq!(served.receive(1), b"x");

    drop(Connection::try_to(proxy.address));
    assert_eq!(proxy.record().outcome.end, End::NoTarget(Cause::NoInterface));
}
