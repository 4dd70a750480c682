//! A program that holds a lease on a file (fcntl(2), F_SETLEASE) and does not let go: each open(2) would wait for 45 s.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::harness::{Config, Connection, Program, Target};

/// Rewrites the list, and takes a lease on it that it never gives back.
const HOLDER: &str = "
import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
f = os.open(sys.argv[1], os.O_RDWR)
os.write(f, b'127.0.0.0/8\\n10.0.0.0/8\\n')
fcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('held', flush=True)
time.sleep(100)
";

#[test]
#[ignore = "needs python3"]
fn a_list_under_a_lease_is_refused_and_read_once_it_is_free_and_a_stop_is_heard() {
    let target = Target::echo();
    let config = Config::new(&format!(
        "[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\nallow = 'file:list'\n",
        target.address
    ));
    let list = config.path.with_file_name("list");
    fs::write(&list, "127.0.0.0/8\n").unwrap();
    let mut program = Program::start(["run", "-c", config.path.to_str().unwrap()]);
    let mut client = Connection::to(program.address());
    let hold = || {
        let mut holder = Command::new("python3")
            .args(["-c", HOLDER, list.to_str().unwrap()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        holder
    };

    let mut holder = hold();
    program.wait_for("list: another process holds a lease on the file");
    client.send(b"meanwhile");
    assert_eq!(client.receive(9), b"meanwhile");
    holder.kill().unwrap();
    holder.wait().unwrap();
    program.wait_for("reload added=0 replaced=1 removed=0");

    let mut holder = hold();
    program.signal(Signal::HUP);
    program.signal(Signal::TERM);
    drop(client);
    assert_eq!(program.exit_code(), Some(0));
    holder.kill().unwrap();
    holder.wait().unwrap();
}
