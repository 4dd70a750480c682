//! The congestion control of a tunnel's connections.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use crate::harness::namespace::alone;
use crate::harness::wait_until;
use crate::pair::Pair;

/// The controls of the connections of both programs, as ss shows them.
fn controls() -> Vec<String> {
    let shown = Command::new("ss").args(["-tinpHO", "state", "established"]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let known = |word: &&str| ["bbr", "reno", "cubic"].contains(word);
    let ours = shown.lines().filter(|line| line.contains("\"loopgate\""));
    ours.map(|line| line.split_whitespace().find(known).unwrap_or("none").to_owned()).collect()
}

#[test]
#[ignore = "needs root"]
fn on_loopback_the_connections_of_a_tunnel_do_not_pace_unless_that_is_switched_off() {
    let name = "congestion::on_loopback_the_connections_of_a_tunnel_do_not_pace_unless_that_is_switched_off";
    alone(name, || {
        fs::write("/proc/sys/net/ipv4/tcp_congestion_control", "bbr").unwrap();
        let mut pair = Pair::start("", "", "");
        let before = controls();
        assert!(before.len() >= 2 && before.iter().all(|it| it == "reno"), "{before:?}");

        pair.home.save("congestion = \"off\"\n");
        pair.home.program.signal(Signal::HUP);
        wait_until("the tunnel to be up again", || (pair.vps.times("home", "up") == 2).then_some(()));

        let after = controls();
        // The other end's are its own affair.
        assert!(after.contains(&"bbr".to_owned()) && after.contains(&"reno".to_owned()), "{after:?}");
    });
}
