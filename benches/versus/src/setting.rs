//! Where a run takes place: on which processors, in which network, with which congestion control.

use std::fmt;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;

use crate::machine::sysctl;
use crate::namespace;
use crate::options::Options;
use loopgate_load::Fallible;

const CONGESTION: &str = "net/ipv4/tcp_congestion_control";

/// Without it a figure means little: which congestion control is the default changes more than any forwarder does.
#[derive(Serialize)]
pub(crate) struct Setting {
    /// The processors everybody shares.
    pub(crate) cpus: Vec<usize>,
    /// How many there were to choose from.
    of: usize,
    network: Network,
    /// What a socket gets that asks for nothing.
    congestion: String,
    /// What it gets outside.
    host_congestion: String,
    /// The ports outgoing connections come from.
    local_ports: String,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase", tag = "kind", content = "why")]
enum Network {
    /// A namespace of the run's own.
    Namespace,
    /// The host's, and why.
    Host(String),
}

impl Setting {
    /// Takes its place there, for this process and all it starts from now on. To be called while it has one thread.
    pub(crate) fn take(options: &Options) -> Fallible<Setting> {
        let before = allowed()?;
        let cpus = first(&before, options.cpus)?;
        if cpus.len() < before.len() {
            let mut set = CpuSet::new();
            cpus.iter().for_each(|cpu| set.set(*cpu));
            sched_setaffinity(None, &set)?;
        }

        let host_congestion = sysctl(CONGESTION);
        let network = match namespace::enter_or_say_why(options)? {
            None => Network::Namespace,
            Some(why) => Network::Host(why),
        };
        let (congestion, local_ports) = (sysctl(CONGESTION), sysctl(namespace::PORT_RANGE));
        Ok(Setting { cpus, of: before.len(), network, congestion, host_congestion, local_ports })
    }
}

/// For the opening of the table and for the chart.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setting { cpus, of, network, congestion, host_congestion, local_ports } = self;
        match cpus.len() {
            1 if *of > 1 => write!(f, "everybody on one of {of} processors")?,
            count => write!(f, "everybody on {count} of {of} processors")?,
        }
        let network = match network {
            Network::Namespace => "loopback of a namespace of its own",
            Network::Host(_) => "the host's loopback",
        };
        write!(f, " · {network}, source ports {} · ", local_ports.replace(' ', "–"))?;
        write!(f, "congestion control {congestion}")?;
        if congestion != host_congestion {
            write!(f, " (the host's: {host_congestion})")?;
        }
        Ok(())
    }
}

impl Setting {
    /// How many ports there are for outgoing connections.
    pub(crate) fn source_ports(&self) -> u64 {
        source_ports(&self.local_ports)
    }

    /// Why it is not in a namespace, if it is not.
    pub(crate) fn why_host(&self) -> Option<&str> {
        match &self.network {
            Network::Namespace => None,
            Network::Host(why) => Some(why),
        }
    }
}

/// The processors this process may use.
fn allowed() -> Fallible<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

/// The first `count` of `allowed`, or all of them.
fn first(allowed: &[usize], count: Option<usize>) -> Fallible<Vec<usize>> {
    let count = count.unwrap_or(allowed.len());
    match allowed.get(..count) {
        Some(cpus) if !cpus.is_empty() => Ok(cpus.to_vec()),
        _ => Err(format!("--cpus {count}: this process may use 1 to {}", allowed.len()).into()),
    }
}

/// Of a range as the kernel writes it; the usual one if it cannot be read.
fn source_ports(range: &str) -> u64 {
    let ends: Vec<u64> = range.split_whitespace().filter_map(|end| end.parse().ok()).collect();
    match ends[..] {
        [first, last] if first <= last => last - first + 1,
        _ => 28_232,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_processors_are_taken_as_are_asked_for_and_more_than_there_are_is_an_error() {
        assert_eq!(first(&[2, 3], None).unwrap(), [2, 3]);
        assert_eq!(first(&[2, 3], Some(1)).unwrap(), [2]);
        for count in [0, 3] {
            let error = first(&[2, 3], Some(count)).unwrap_err().to_string();
            assert_eq!(error, format!("--cpus {count}: this process may use 1 to 2"));
        }
    }

    #[test]
    fn source_ports_are_counted_with_both_ends_of_their_range() {
        assert_eq!(source_ports("32768 60999"), 28_232);
        assert_eq!(source_ports("1024 65535"), 64_512);
        assert_eq!(source_ports(""), 28_232);
    }

    #[test]
    fn the_setting_says_processors_network_and_congestion_control() {
        let mut setting = example();
        assert_eq!(
            setting.to_string(),
            "everybody on one of 2 processors · loopback of a namespace of its own, source ports 1024–65535 · \
             congestion control reno (the host's: bbr)"
        );
        setting.network = Network::Host("refused".to_owned());
        setting.host_congestion = "reno".to_owned();
        assert_eq!(setting.why_host(), Some("refused"));
        let told = setting.to_string();
        assert!(
            told.ends_with("the host's loopback, source ports 1024–65535 · congestion control reno"),
            "{told}"
        );
    }

    #[test]
    fn the_json_of_a_setting_says_the_same() {
        let json = |setting: &Setting| serde_json::to_value(setting).unwrap();
        let mut setting = example();
        assert_eq!(
            json(&setting),
            serde_json::json!({
                "cpus": [0], "of": 2, "network": { "kind": "namespace" }, "congestion": "reno",
                "host_congestion": "bbr", "local_ports": "1024 65535",
            })
        );
        setting.network = Network::Host("refused".to_owned());
        assert_eq!(json(&setting)["network"], serde_json::json!({ "kind": "host", "why": "refused" }));
    }

    fn example() -> Setting {
        Setting {
            cpus: vec![0],
            of: 2,
            network: Network::Namespace,
            congestion: "reno".to_owned(),
            host_congestion: "bbr".to_owned(),
            local_ports: "1024 65535".to_owned(),
        }
    }
}
