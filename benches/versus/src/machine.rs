//! The machine the figures belong to.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

use loopgate_load::Fallible;

/// What changes the figures and is not ours: without it a figure cannot be compared with another day's.
pub(crate) const SYSCTLS: [&str; 9] = [
    "net/core/somaxconn",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/tcp_congestion_control",
    "net/ipv4/tcp_max_tw_buckets",
    "net/ipv4/tcp_rmem",
    "net/ipv4/tcp_tw_reuse",
    "net/ipv4/tcp_wmem",
    "fs/pipe-max-size",
    "fs/pipe-user-pages-soft",
];

#[derive(Serialize)]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) kernel: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    memory: String,
    descriptor_limit: Option<u64>,
    root: bool,
    sysctls: Vec<(&'static str, String)>,
}

impl Machine {
    pub(crate) fn look() -> Machine {
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        Machine {
            date: today(),
            kernel,
            processor: field("/proc/cpuinfo", "model name"),
            cores: cores(),
            memory: field("/proc/meminfo", "MemTotal"),
            descriptor_limit: getrlimit(Resource::Nofile).current,
            root: rustix::process::geteuid().is_root(),
            sysctls: SYSCTLS.into_iter().map(|name| (name, sysctl(name))).collect(),
        }
    }
}

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Raises the soft limit to the hard one; every program the bench starts inherits it.
pub(crate) fn raise_descriptor_limit() -> Fallible<()> {
    let hard = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard })?)
}

pub(crate) fn sysctl(name: &str) -> String {
    let value = fs::read_to_string(format!("/proc/sys/{name}")).unwrap_or_default();
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn field(file: &str, key: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(key));
    line.and_then(|line| line.split_once(':'))
        .map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

/// The date in UTC as `2026-01-31`.
fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // Days to civil date after Howard Hinnant: years begin in March, so that the leap day is the last.
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
