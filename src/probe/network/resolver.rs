//! Name resolution on this machine: the lines of the hosts file, and the system's resolver with the time it takes.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::probe::read_text;
use crate::units::shown;

/// A line of the hosts file that names `localhost`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostsLine {
    /// Its number, counted from 1.
    pub number: usize,
    /// The address.
    pub ip: IpAddr,
}

/// The answer of the system's resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The addresses in the resolver's order, or its error message.
    pub addresses: Result<Vec<IpAddr>, String>,
    /// The duration of the look-up.
    pub took: Duration,
}

/// The meaning of `localhost`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Localhost {
    /// The lines of /etc/hosts that name it, in order; `None` if the file cannot be read.
    pub lines: Option<Vec<HostsLine>>,
    /// The resolver's answer; `None` if it was not queried.
    pub answer: Option<Answer>,
}

impl Localhost {
    /// Reads the hosts file only.
    pub fn read() -> Localhost {
        Localhost {
            lines: read_text("/etc/hosts", MAX_FILE).ok().map(|hosts| localhost_lines(&hosts)),
            answer: None,
        }
    }

    /// The addresses of `localhost`: the resolver's answer, or else the hosts file.
    pub fn addresses(&self) -> Vec<IpAddr> {
        match &self.answer {
            Some(Answer { addresses: Ok(addresses), .. }) => addresses.clone(),
            _ => self.lines.iter().flatten().map(|line| line.ip).collect(),
        }
    }
}

const MAX_FILE: u64 = 1 << 20;
/// The most addresses kept of one name.
const MAX_ADDRESSES: usize = 16;

/// Queries the system's resolver and waits at most `patience`; a look-up that takes longer ends in its own thread.
pub fn look_up(name: &str, patience: Duration) -> Answer {
    let begun = Instant::now();
    let (sender, receiver) = mpsc::channel();
    let wanted = name.to_owned();
    let started = thread::Builder::new().spawn(move || {
        let found = (wanted.as_str(), 0).to_socket_addrs();
        let _ = sender.send(found.map(|found| found.map(|address| address.ip()).collect::<Vec<_>>()));
    });
    let answer = match started {
        Ok(_) => receiver.recv_timeout(patience).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
        Err(error) => Err(error),
    };
    let took = begun.elapsed();
    let addresses = answer.map(distinct).map_err(|error| shown(&error.to_string(), 120));
    Answer { addresses, took }
}

fn distinct(all: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for ip in all {
        if addresses.len() < MAX_ADDRESSES && !addresses.contains(&ip) {
            addresses.push(ip);
        }
    }
    addresses
}

/// hosts(5): an address, then names; `#` begins a comment.
fn localhost_lines(hosts: &str) -> Vec<HostsLine> {
    let line = |(index, line): (usize, &str)| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let ip = words.next()?.parse().ok()?;
        words
            .any(|name| name.eq_ignore_ascii_case("localhost"))
            .then_some(HostsLine { number: index + 1, ip })
    };
    hosts.lines().enumerate().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_lines_that_name_localhost_itself_count() {
        let hosts = "# 127.0.0.9 localhost\n127.0.0.7\tLOCALHOST # mine\n::1 ip6-localhost\n127.0.1.1 box localhost.localdomain\n";

        assert_eq!(localhost_lines(hosts), [HostsLine { number: 2, ip: "127.0.0.7".parse().unwrap() }]);
    }

    #[test]
    fn a_literal_needs_no_resolver() {
        let answer = look_up("127.0.0.5", Duration::from_secs(10));

        assert_eq!(answer.addresses, Ok(vec!["127.0.0.5".parse().unwrap()]));
    }

    proptest! {
        #[test]
        fn no_hosts_file_panics(text in "(?s).*") {
            let _ = localhost_lines(&text);
        }
    }
}
