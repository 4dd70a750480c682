//! The congestion control of the proxy's own sockets: on loopback one that does not pace, elsewhere the host's.

use std::fs;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::net::sockopt::tcp_congestion;
use rustix::net::{getpeername, getsockname};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::harness::namespace::alone;
use crate::harness::sandbox::without_congestion;
use crate::harness::{Config, Connection, Program, Proxy, Target, listening_inode};

/// Sets the default of this network namespace.
fn host_has(control: &str) {
    let setting = "/proc/sys/net/ipv4/tcp_congestion_control";
    fs::write(setting, control)
        .unwrap_or_else(|e| panic!("the kernel has no {control}, or allows it to few: {e}"));
}

fn proxy_with(listen: &str, target: impl ToString, more: &str) -> Proxy {
    Proxy::builder().with(&route(listen, target, more))
}

fn route(listen: impl ToString, target: impl ToString, more: &str) -> String {
    let (listen, target) = (listen.to_string(), target.to_string());
    format!("routes.test = {{listen = '{listen}', target = '{target}'{more}}}")
}

/// The control of the socket of this process with these two ends.
fn control(local: SocketAddr, peer: SocketAddr) -> String {
    let me = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let numbers = fs::read_dir("/proc/self/fd").unwrap();
    let numbers = numbers.filter_map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().ok());
    let mut sockets = numbers.filter_map(|fd| pidfd_getfd(&me, fd, PidfdGetfdFlags::empty()).ok());
    let has_ends = |socket: &OwnedFd| {
        let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let own = getsockname(socket).ok().and_then(|own| SocketAddr::try_from(own).ok());
        let other = getpeername(socket).ok().flatten().and_then(|other| SocketAddr::try_from(other).ok());
        (own.map(canonical), other.map(canonical)) == (Some(local), Some(peer))
    };
    let found = sockets.find(has_ends).unwrap_or_else(|| panic!("no socket from {local} to {peer}"));
    tcp_congestion(found).unwrap()
}

/// The controls of the proxy's sockets of one session: with a client at this address, and with the target.
fn controls(to: SocketAddr, target: &Target) -> [String; 2] {
    let mut client = Connection::to(to);
    let mut served = target.accept();
    client.send(b"?");
    assert_eq!(served.receive(1), b"?");
    [control(client.peer(), client.local()), control(served.peer(), served.local())]
}

#[test]
#[ignore = "needs root"]
fn where_the_host_paces_both_sides_on_loopback_do_not() {
    alone("bytes::congestion::where_the_host_paces_both_sides_on_loopback_do_not", || {
        host_has("bbr");
        for ip in ["127.0.0.1", "127.9.9.9", "[::1]"] {
            let target = Target::manual_on(format!("{ip}:0").parse().unwrap());
            let proxy = proxy_with(&format!("{ip}:0"), target.address, "");

            assert_eq!(controls(proxy.address, &target), ["reno", "reno"], "{ip}");
        }
        let target = Target::manual();
        let port = target.address.port();
        let proxy = proxy_with("127.0.0.1:0", format!("localhost:{port}"), "");
        assert_eq!(controls(proxy.address, &target), ["reno", "reno"]);
    });
}

#[test]
#[ignore = "needs root"]
fn the_sockets_of_others_keep_what_they_have() {
    alone("bytes::congestion::the_sockets_of_others_keep_what_they_have", || {
        host_has("bbr");
        let target = Target::manual();
        let proxy = proxy_with("127.0.0.1:0", target.address, "");
        let client = proxy.connect();
        let served = target.accept();

        assert_eq!(control(client.local(), client.peer()), "bbr");
        assert_eq!(control(served.local(), served.peer()), "bbr");
    });
}

#[test]
#[ignore = "needs root"]
fn a_listener_on_every_address_and_a_target_elsewhere_keep_the_hosts_control() {
    let name = "bytes::congestion::a_listener_on_every_address_and_a_target_elsewhere_keep_the_hosts_control";
    alone(name, || {
        host_has("bbr");
        let added =
            std::process::Command::new("ip").args(["address", "add", "192.0.2.1/32", "dev", "lo"]).status();
        assert!(added.unwrap().success());
        let near = Target::manual();
        let far = Target::manual_on("192.0.2.1:0".parse().unwrap());
        for (listen, dialled) in
            [("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "[::1]"), ("192.0.2.1:0", "192.0.2.1")]
        {
            let proxy = proxy_with(listen, near.address, "");
            let to = format!("{dialled}:{}", proxy.address.port()).parse().unwrap();
            assert_eq!(controls(to, &near), ["bbr", "reno"], "{listen}");

            let proxy = proxy_with(listen, far.address, "");
            let to = format!("{dialled}:{}", proxy.address.port()).parse().unwrap();
            assert_eq!(controls(to, &far), ["bbr", "bbr"], "{listen}");
        }
        let proxy = proxy_with("127.0.0.1:0", far.address, "");
        assert_eq!(controls(proxy.address, &far), ["reno", "bbr"]);
    });
}

#[test]
#[ignore = "needs root"]
fn a_control_that_is_named_holds_on_loopback_alone() {
    alone("bytes::congestion::a_control_that_is_named_holds_on_loopback_alone", || {
        host_has("reno");
        let target = Target::manual();
        let proxy = proxy_with("127.0.0.1:0", target.address, ", congestion = 'bbr'");
        assert_eq!(controls(proxy.address, &target), ["bbr", "bbr"]);

        let proxy = proxy_with("0.0.0.0:0", target.address, ", congestion = 'bbr'");
        let to = SocketAddr::new([127, 0, 0, 1].into(), proxy.address.port());
        assert_eq!(controls(to, &target), ["reno", "bbr"]);

        let of_defaults =
            format!("defaults.congestion = 'bbr'\n{}", route("127.0.0.1:0", target.address, ""));
        let proxy = Proxy::builder().with(&of_defaults);
        assert_eq!(controls(proxy.address, &target), ["bbr", "bbr"]);
    });
}

fn declare(proxy: &Proxy, listen: &str, target: &Target, more: &str) {
    proxy.declare(&route(listen, target.address, more)).unwrap_or_else(|refused| panic!("{refused}"));
}

/// A socket whose port the kernel has chosen is not kept for an address with that port.
const KEPT: &str = "127.0.0.1:8080";

#[test]
#[ignore = "needs root"]
fn a_reload_changes_the_control_of_a_socket_that_stays() {
    alone("bytes::congestion::a_reload_changes_the_control_of_a_socket_that_stays", || {
        host_has("bbr");
        let target = Target::manual();
        let proxy = proxy_with(KEPT, target.address, "");
        let inode = listening_inode(proxy.address);
        assert_eq!(controls(proxy.address, &target), ["reno", "reno"]);

        // To another route as well, which the socket moves to.
        let wanted = [
            ("off", "bbr", "test"),
            ("reno", "reno", "other"),
            ("off", "bbr", "test"),
            ("auto", "reno", "test"),
        ];
        for (written, wanted, name) in wanted {
            let config = route(proxy.address, target.address, &format!(", congestion = '{written}'"));
            let config = config.replace("routes.test", &format!("routes.{name}"));
            proxy.declare(&config).unwrap_or_else(|refused| panic!("{refused}"));

            assert_eq!(controls(proxy.address, &target), [wanted, wanted], "{written}");
            assert_eq!(listening_inode(proxy.address), inode);
        }
    });
}

#[test]
#[ignore = "needs root"]
fn a_reload_follows_the_hosts_default() {
    alone("bytes::congestion::a_reload_follows_the_hosts_default", || {
        host_has("reno");
        let target = Target::manual();
        let proxy = proxy_with(KEPT, target.address, "");
        host_has("bbr");
        assert_eq!(controls(proxy.address, &target), ["bbr", "bbr"]);

        proxy
            .declare(&route(proxy.address, target.address, ""))
            .unwrap_or_else(|refused| panic!("{refused}"));

        assert_eq!(controls(proxy.address, &target), ["reno", "reno"]);
    });
}

#[test]
#[ignore = "needs root"]
fn a_listener_on_every_address_follows_the_hosts_default_after_a_reload_as_well() {
    let name =
        "bytes::congestion::a_listener_on_every_address_follows_the_hosts_default_after_a_reload_as_well";
    alone(name, || {
        host_has("bbr");
        let target = Target::manual();
        let proxy = proxy_with("0.0.0.0:8080", target.address, "");
        let to = SocketAddr::new([127, 0, 0, 1].into(), 8080);
        assert_eq!(controls(to, &target), ["bbr", "reno"]);
        declare(&proxy, "0.0.0.0:8080", &target, ", congestion = 'off'");
        assert_eq!(controls(to, &target), ["bbr", "bbr"]);

        host_has("reno");

        assert_eq!(controls(to, &target), ["reno", "reno"]);
    });
}

#[test]
#[ignore = "needs root"]
fn a_reload_that_changes_nothing_gives_a_listener_switched_off_before_the_hosts_new_default() {
    let name = "bytes::congestion::a_reload_that_changes_nothing_gives_a_listener_switched_off_before_the_hosts_new_default";
    alone(name, || {
        host_has("bbr");
        let target = Target::manual();
        let proxy = proxy_with(KEPT, target.address, "");
        declare(&proxy, KEPT, &target, ", congestion = 'off'");
        assert_eq!(controls(proxy.address, &target), ["bbr", "bbr"]);

        host_has("reno");
        declare(&proxy, KEPT, &target, ", congestion = 'off'");
        assert_eq!(controls(proxy.address, &target), ["reno", "reno"]);

        // With "auto" nothing is chosen either, but by then the socket is one that had a control of its own.
        declare(&proxy, KEPT, &target, ", congestion = 'bbr'");
        declare(&proxy, KEPT, &target, "");
        assert_eq!(controls(proxy.address, &target), ["reno", "reno"]);
    });
}

#[test]
#[ignore = "needs root"]
fn a_unix_client_and_a_proxy_on_loopback_get_it_for_their_target() {
    alone("bytes::congestion::a_unix_client_and_a_proxy_on_loopback_get_it_for_their_target", || {
        host_has("bbr");
        let target = Target::manual();
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let _proxy = proxy_with(&format!("unix:{}", socket.display()), target.address, "");
        let _client = UnixStream::connect(&socket).unwrap();
        let served = target.accept();
        assert_eq!(control(served.peer(), served.local()), "reno");

        let url = format!(", proxy_url = 'http://{}'", target.address);
        let proxy = proxy_with("0.0.0.0:0", "db.example:5432", &url);
        let _client = Connection::to(SocketAddr::new([127, 0, 0, 1].into(), proxy.address.port()));
        let served = target.accept();
        assert_eq!(control(served.peer(), served.local()), "reno");
    });
}

#[test]
fn a_control_that_the_process_may_not_set_is_refused_with_the_remedy() {
    let config =
        Config::new("[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '127.0.0.1:9'\ncongestion = 'reno'\n");
    let path = config.path.to_str().unwrap();

    let (mut run, mut validate) = without_congestion(libc::EPERM, || {
        (Program::start(["run", "-c", path]), Program::start(["validate", "-c", path]))
    });

    assert_eq!((run.exit_code(), validate.exit_code()), (Some(2), Some(2)));
    for said in [run.log().join("\n"), validate.printed()] {
        assert!(
            said.contains("routes.web.congestion: only a process with CAP_NET_ADMIN may set reno"),
            "{said}"
        );
        assert!(said.contains("net.ipv4.tcp_allowed_congestion_control"), "{said}");
    }
}

#[test]
#[ignore = "needs root"]
fn where_none_can_be_set_bytes_still_move_and_doctor_tells_so() {
    alone("bytes::congestion::where_none_can_be_set_bytes_still_move_and_doctor_tells_so", || {
        host_has("bbr");
        let target = Target::echo();
        let route = format!("127.0.0.1:0:{}", target.address);
        let mut well = Program::start(["doctor", &route]);
        well.exit_code();
        let said = well.printed();
        assert!(said.contains("[ok]   congestion reno on loopback"), "{said}");

        let (mut run, mut doctor) = without_congestion(libc::EPERM, || {
            (Program::start([&route]), Program::start(["doctor", "--json", &route]))
        });

        Connection::to(run.address()).expect_whole_echo(1, 100_000);
        assert!(run.wait_for("end=").contains("end=done"));
        doctor.exit_code();
        let report: serde_json::Value = serde_json::from_str(&doctor.printed()).unwrap();
        let area =
            report["areas"].as_array().unwrap().iter().find(|area| area["id"] == "congestion").unwrap();
        assert_eq!(area["status"], "warn");
        assert!(area["text"].as_str().unwrap().contains("does not let this process set reno"), "{area}");
    });
}
