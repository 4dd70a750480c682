//! Without /proc, as in a bare chroot or under RootDirectory= without MountAPIVFS=: what it would show is unknown, and
//! nothing is concluded from that.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::{fs, io::Read};

use crate::harness::{ClosedPort, Connection, Program, Target};

const WITHOUT: [&str; 6] = ["unshare", "--mount", "sh", "-c", "umount -l /proc && exec \"$@\"", "sh"];

#[test]
#[ignore = "needs root, to take /proc away"]
fn it_starts_without_proc_and_gives_a_unix_socket_its_mode() {
    let target = Target::echo();
    let greeting = Target::greeting(b"hello");
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let (plain, unix) = (
        format!("127.0.0.1:0:{}", target.address),
        format!("unix:{}:{}", socket.display(), greeting.address),
    );

    let mut program = Program::start_under(&WITHOUT, ["run", "-L", &plain, "-L", &unix]);

    let lines = [program.wait_for("Forwarding "), program.wait_for("Forwarding ")];
    let plain = lines.iter().find(|line| !line.contains("unix:")).unwrap();
    Connection::to(crate::harness::address_in(plain)).expect_whole_echo(1, 1000);
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let mut answer = [0; 5];
    UnixStream::connect(&socket).unwrap().read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
}

#[test]
#[ignore = "needs root, to take /proc away"]
fn a_diagnosis_without_proc_says_what_it_could_not_read() {
    let greeting = Target::greeting(b"SSH-2.0-x\r\n");
    let mut healthy = Program::start_under(&WITHOUT, ["explain", &greeting.address.to_string()]);
    assert_eq!(healthy.exit_code(), Some(0), "{}", healthy.printed());
    let closed = ClosedPort::port();
    let mut explained = Program::start_under(&WITHOUT, ["explain", &closed.address.to_string()]);
    assert_eq!(explained.exit_code(), Some(1));
    let said = explained.printed();
    assert!(
        !said.contains("own-fd-limit") && said.contains("/proc, and so every process (not mounted)"),
        "{said}"
    );

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut refused =
        Program::start_under(&WITHOUT, [format!("{}:127.0.0.1:9", taken.local_addr().unwrap())]);
    assert_eq!(refused.exit_code(), Some(4));
    let said = refused.log().join("\n");
    assert!(said.contains("not readable: /proc (not mounted)") && said.contains("mount /proc"), "{said}");
    assert!(!said.contains("container"), "{said}");
}
