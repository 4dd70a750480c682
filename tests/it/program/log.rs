//! The program's log: its lines are machine-readable, and writing them never waits for a reader.

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Close, ClosedPort, Connection, Program, Target, wait_until};

#[test]
fn every_line_of_a_json_log_is_an_object_and_each_session_is_one() {
    let (target, closed) = (Target::echo(), ClosedPort::port());
    let routes = [target.address, closed.address].map(|address| format!("127.0.0.1:0:{address}"));
    let mut program = Program::start(["run", "--log-format", "json", "-L", &routes[0], "-L", &routes[1]]);
    let lines = [program.wait_for("Forwarding "), program.wait_for("Forwarding ")];
    let address = |of: &Target| {
        let line = lines.iter().find(|line| line.contains(&of.address.to_string())).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        crate::harness::address_in(line["message"].as_str().unwrap())
    };

    let mut client = Connection::to(address(&target));
    client.send(b"12345");
    client.finish();
    assert_eq!(client.receive_all(), (b"12345".to_vec(), Close::Fin));
    let record: Value = serde_json::from_str(&program.wait_for("\"end\":\"done\"")).unwrap();
    let elsewhere = lines.iter().find(|line| line.contains(&closed.address.to_string())).unwrap();
    let elsewhere: Value = serde_json::from_str(elsewhere).unwrap();
    let elsewhere = crate::harness::address_in(elsewhere["message"].as_str().unwrap());
    let _ = Connection::try_to(elsewhere).map(|mut client| client.receive_close());
    let failed: Value = serde_json::from_str(&program.wait_for("\"end\":\"no_target\"")).unwrap();
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));

    for line in program.log() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(line["time"].is_string() && line["level"].is_string(), "{line}");
    }
    assert_eq!((&record["up"], &record["down"], &record["up_read"]), (&5.into(), &5.into(), &5.into()));
    assert_eq!((&record["phase"], &record["closed_by"]), (&"relay".into(), &"client".into()));
    assert_eq!(record["attempts"][0]["address"], target.address.to_string());
    assert!(record["total_us"].as_u64() > Some(0) && record["client_rtt_us"].is_u64(), "{record}");
    assert_eq!((&failed["cause"], &failed["phase"]), (&"refused".into(), &"connect".into()));
}

#[test]
fn a_text_record_is_one_line_with_its_fields_in_order() {
    let target = Target::echo();
    let mut program = Program::start([format!("127.0.0.1:0:{}", target.address)]);
    let mut client = Connection::to(program.address());
    client.send(b"12345");
    client.finish();
    client.receive_all();

    let line = program.wait_for("end=done");

    let start = format!(
        "INFO route=0 client={} target={} end=done phase=relay up=5 down=5 way=copy connect=",
        client.local(),
        target.address
    );
    assert!(line.contains(&start), "{line}\n{start}");
    for field in [" first_byte=", " total=", " closed_by=client", " id="] {
        assert!(line.contains(field), "{field} is missing: {line}");
    }
}

#[test]
fn a_log_that_nobody_reads_stops_nobody_and_tells_what_it_dropped() {
    let target = Target::echo();
    let route = format!("127.0.0.1:0:{}", target.address);
    let mut program = Program::start_unread(&[], ["run", "--log-format", "json", "-L", &route]);
    let address = wait_until("it listens", || listening_of(program.pid()));

    // More than its pipe holds and more than may wait.
    for _ in 0..7_000 {
        let mut client = Connection::to(address);
        client.send(b"x");
        assert_eq!(client.receive(1), b"x");
    }

    program.read_on();
    program.wait_for("lines dropped");
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
    for line in program.log() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
}

/// The address on which a process listens, from the kernel's table.
fn listening_of(pid: u32) -> Option<std::net::SocketAddr> {
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    let inodes: Vec<String> = links
        .filter_map(|link| std::fs::read_link(link.path()).ok())
        .filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned))
        .collect();
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let listens = |line: &&str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        fields.get(3) == Some(&"0A") && fields.get(9).is_some_and(|inode| inodes.iter().any(|it| it == inode))
    };
    let line = table.lines().find(listens)?;
    let (_, port) = line.split_ascii_whitespace().nth(1)?.split_once(':')?;
    Some(([127, 0, 0, 1], u16::from_str_radix(port, 16).ok()?).into())
}
