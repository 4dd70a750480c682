//! The complete diagnosis on this machine's own sockets, as an ordinary user: a real failure, a real holder, the
//! verdict.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::diagnose::diagnose;
use super::facts::{BindFacts, Failed, gather_one};
use super::overlap::Overlap;
use super::{bind_failures, exit_code};
use crate::diagnosis::{Diagnosis, Verdict, bind_report};
use crate::probe::sockets::ports::Transport;
use crate::probe::sockets::{self, TcpState};

/// A child process that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Ended {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }
}

/// Passes a listener to a child as its standard input, and closes it here.
fn hold(mut command: Command, listener: TcpListener) -> Ended {
    let child = Ended(command.stdin(OwnedFd::from(listener)).spawn().unwrap());
    // spawn returns within execve(2): for a moment the child has its descriptors but no arguments yet.
    let arguments = format!("/proc/{}/cmdline", child.0.id());
    while std::fs::read(&arguments).unwrap().is_empty() {
        std::thread::yield_now();
    }
    child
}

fn sleep() -> Command {
    let mut command = Command::new("sleep");
    command.arg("600");
    command
}

fn listen(address: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Tries to listen on an address where that must fail.
fn refused(address: SocketAddr) -> Diagnosis {
    let error = TcpListener::bind(address).unwrap_err();
    bind_failures(&[(address, Transport::Tcp, &error)], &|_, _| None).remove(0)
}

/// The facts for a program that binds without SO_REUSEADDR.
fn in_use(address: SocketAddr) -> BindFacts {
    let error = io::Error::from_raw_os_error(libc::EADDRINUSE);
    gather_one(Failed { address, transport: Transport::Tcp, error: &error })
}

fn overlap(address: SocketAddr) -> Overlap {
    TcpListener::bind(address).unwrap_err();
    in_use(address).blockers[0].overlap
}

#[test]
fn our_own_listener_is_named_as_ours_and_is_no_second_instance() {
    let (_listener, address) = listen("127.0.0.1:0");

    let diagnosis = refused(address);

    // A child that another test starts at this moment also has the listener until it executes its own program.
    let me = diagnosis.holders.iter().find(|holder| holder.this_process).unwrap().pid;
    assert_eq!(me, std::process::id());
    assert_ne!(diagnosis.next_free_port, Some(address.port()));
}

#[test]
fn a_child_that_inherited_the_listener_is_named() {
    let (listener, address) = listen("127.0.0.1:0");
    let child = hold(sleep(), listener);

    let diagnosis = refused(address);
    let report = bind_report(std::slice::from_ref(&diagnosis));

    // Some systems link sleep statically; its imports then do not show what it can do.
    assert!(
        matches!(diagnosis.verdict, Verdict::PortHeldByLeftoverChild | Verdict::PortHeld),
        "{diagnosis:?}"
    );
    let line = format!("error: cannot listen on {address}: taken by sleep (pid {})", child.0.id());
    assert!(report.starts_with(&line), "{report}");
    assert!(report.contains("sleep 600") && report.contains("/fd/0"), "{report}");
    assert_eq!(exit_code(&[diagnosis]), 4);
}

#[test]
fn a_stopped_child_is_named_as_suspended() {
    let (listener, address) = listen("127.0.0.1:0");
    let child = hold(sleep(), listener);
    kill_process(child.pid(), Signal::STOP).unwrap();
    waitpid(Some(child.pid()), WaitOptions::UNTRACED).unwrap();

    let diagnosis = refused(address);

    assert_eq!(diagnosis.verdict, Verdict::PortHeldBySuspended);
}

#[test]
fn a_second_copy_of_this_program_is_already_running() {
    let (listener, address) = listen("127.0.0.1:0");
    let mut copy = Command::new(std::env::current_exe().unwrap());
    copy.args(["--exact", "diagnosis::listen::live_tests::as_a_second_copy_it_keeps_the_listener"]);
    let _child = hold(
        {
            copy.env(SECOND_COPY, "1");
            copy
        },
        listener,
    );

    let diagnosis = refused(address);

    assert_eq!(diagnosis.verdict, Verdict::AlreadyRunning);
    assert_eq!(exit_code(&[diagnosis]), 5);
}

const SECOND_COPY: &str = "LOOPGATE_TEST_SECOND_COPY";

/// Not a test by itself: the copy that the test above starts.
#[test]
fn as_a_second_copy_it_keeps_the_listener() {
    if std::env::var_os(SECOND_COPY).is_some() {
        let listener = TcpListener::from(io::stdin().as_fd().try_clone_to_owned().unwrap());
        let _ = listener.accept();
    }
}

#[test]
fn a_wildcard_blocks_a_specific_address_and_the_other_way_round() {
    let (wide, address) = listen("0.0.0.0:0");
    let _wide = hold(sleep(), wide);
    let (narrow, other) = listen("127.0.0.1:0");
    let _narrow = hold(sleep(), narrow);

    let specific = SocketAddr::from(([127, 0, 0, 1], address.port()));
    let wildcard = SocketAddr::from(([0, 0, 0, 0], other.port()));

    assert_eq!(overlap(specific), Overlap::Wildcard);
    assert_eq!(overlap(wildcard), Overlap::Specific);
}

#[test]
fn a_dual_stack_listener_is_named_where_ipv4_fails() {
    let socket = plain_socket(AddressFamily::INET6);
    // Without IPv6 this fault cannot occur.
    let Ok(socket) = socket else { return };
    rustix::net::sockopt::set_ipv6_v6only(&socket, false).unwrap();
    rustix::net::bind(&socket, &"[::]:0".parse::<SocketAddr>().unwrap()).unwrap();
    rustix::net::listen(&socket, 1).unwrap();
    let listener = TcpListener::from(socket);
    let port = listener.local_addr().unwrap().port();
    let _child = hold(sleep(), listener);

    assert_eq!(overlap(SocketAddr::from(([127, 0, 0, 1], port))), Overlap::DualStack);
}

#[test]
fn an_outgoing_connection_on_the_port_is_distinguished_from_a_listener() {
    let (listener, address) = listen("127.0.0.1:0");
    let client = TcpStream::connect(address).unwrap();

    let diagnosis = refused(client.local_addr().unwrap());

    drop(listener);
    assert_eq!(diagnosis.verdict, Verdict::PortHeldByOutgoing);
}

#[test]
fn a_connection_that_outlived_its_server_is_distinguished_from_an_outgoing_one() {
    let (listener, address) = listen("127.0.0.1:0");
    let _client = TcpStream::connect(address).unwrap();
    let _worker = listener.accept().unwrap();
    drop(listener);
    wait_until(|| sockets::on_port(address.port()).rows.iter().all(|row| row.state != TcpState::Listen));

    assert_eq!(diagnose(&in_use(address)).verdict, Verdict::PortHeldByOldConnections);
}

#[test]
fn a_closed_connection_holds_the_port_for_the_rest_of_its_minute() {
    let (listener, address) = listen("127.0.0.1:0");
    let client = TcpStream::connect(address).unwrap();
    drop(listener.accept().unwrap());
    drop((client, listener));
    let states = || sockets::on_port(address.port()).rows.into_iter().map(|row| row.state);
    wait_until(|| states().eq([TcpState::TimeWait]));

    let facts = in_use(address);

    assert_eq!(diagnose(&facts).verdict, Verdict::PortInTimeWait);
    let left = facts.blockers[0].socket.expires.unwrap();
    assert!(left > Duration::from_secs(1) && left <= Duration::from_secs(60), "{left:?}");
}

#[test]
fn a_socket_that_is_bound_and_does_not_listen_is_never_called_free() {
    let socket = plain_socket(AddressFamily::INET).unwrap();
    rustix::net::bind(&socket, &"127.0.0.1:0".parse::<SocketAddr>().unwrap()).unwrap();
    let address = TcpListener::from(socket.try_clone().unwrap()).local_addr().unwrap();

    let diagnosis = refused(address);

    // Kernels before 6.8 do not show it at all.
    assert!(
        matches!(diagnosis.verdict, Verdict::PortHeld | Verdict::PortHeldByGroup | Verdict::Unknown),
        "{diagnosis:?}"
    );
    assert_eq!(exit_code(&[diagnosis]), 4);
}

#[test]
fn an_address_of_no_interface_is_not_local() {
    // TEST-NET-1, RFC 5737.
    let diagnosis = refused("192.0.2.7:0".parse().unwrap());

    assert_eq!(
        (diagnosis.verdict, exit_code(std::slice::from_ref(&diagnosis))),
        (Verdict::AddressNotLocal, 7)
    );
}

/// Close-on-exec, so that the children of other tests do not hold it too.
fn plain_socket(family: AddressFamily) -> rustix::io::Result<OwnedFd> {
    socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)
}

/// Polls until the condition holds; the ten seconds are an upper bound, not a wait.
fn wait_until(so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !so() {
        assert!(Instant::now() < deadline, "the condition never held");
        std::thread::yield_now();
    }
}
