//! Connections to the tunnel's listener from machines that it does not know, and from programs that are no Loopgate.

use crate::harness::{ClosedPort, Connection, Target, wait_until};
use crate::pair::{Pair, message, says};
use crate::relay::Relay;

fn route(port: &ClosedPort, service: &Target) -> String {
    format!("[routes.web]\nlisten = \"tunnel:vps/{}\"\ntarget = \"{}\"\n", port.address, service.address)
}

#[test]
fn strangers_who_are_silent_or_speak_something_else_keep_nobody_out() {
    let (service, port) = (Target::echo(), ClosedPort::port());
    let mut pair = Pair::start(&format!("may_listen = [\"{}\"]", port.address), "", &route(&port, &service));
    let visitors = pair.there("web");
    let before = pair.vps.program.descriptors();
    let listener = pair.listener();
    // From many addresses, but not from that of a machine that is known, to which it has kept some places.
    let stranger = |n: usize| Connection::try_from_to(&format!("127.0.1.{}", 1 + n % 100), listener).ok();

    let silent: Vec<_> = (0..400).filter_map(stranger).collect();
    for words in
        [&b"GET / HTTP/1.1\r\nHost: vps\r\n\r\n"[..], b"SSH-2.0-x\r\n", b"\x16\x03\x01\xff\xff", &[0; 4096]]
    {
        // One that is over a limit is reset at once.
        let Some(mut stranger) = stranger(0) else { continue };
        let _ = stranger.try_send(words);
        stranger.receive_all();
    }
    // Those who are known come through meanwhile: as visitors, and by a new tunnel.
    Connection::to(visitors).expect_whole_echo(1, 10_000);
    pair.relay.cut();
    wait_until("the tunnel is up again", || (pair.home.times("vps", "up") == 2).then_some(()));
    Connection::to(visitors).expect_whole_echo(2, 10_000);

    // Nobody waits for a stranger for long, nor for its close.
    for mut stranger in silent {
        stranger.receive_all();
    }
    wait_until("its descriptors are given back", || {
        (pair.vps.program.descriptors() <= before + 8).then_some(())
    });
}

#[test]
fn a_machine_whose_key_is_unknown_there_is_told_the_lines_to_add() {
    let (service, port) = (Target::echo(), ClosedPort::port());
    let mut pair = Pair::start("", "", &route(&port, &service));

    let (mut stranger, key) = pair.another("stranger", &route(&port, &service));

    let there = stranger.line("what to add there", |line| says(line, &key) && says(line, "[tunnels."));
    assert!(message(&there).contains("public_key"), "{there}");
    // The other end says who knocked, but nothing that would open it wider.
    let here = pair.vps.line("who knocked", |line| says(line, &key));
    assert!(!message(&here).contains("may_listen"), "{here}");
    assert_eq!(stranger.times("vps", "up"), 0);
}

#[test]
fn what_listens_there_and_is_no_loopgate_is_said_to_be_none() {
    let (service, port) = (Target::echo(), ClosedPort::port());
    let pair = Pair::start("", "", &route(&port, &service));
    let web = Target::greeting(b"SSH-2.0-OpenSSH_9.2p1\r\n");
    let way = Relay::to(web.address);

    let mut lost = pair.twin("lost", &way, &route(&port, &service));

    let down = lost.state("vps", "down");
    assert_eq!(down["cause"], "not_loopgate", "{down}");
    assert!(says(&down, "SSH-2.0-OpenSSH_"), "{down}");
}
