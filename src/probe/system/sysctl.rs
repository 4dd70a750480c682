//! The kernel's settings that affect connections, and the use of what they limit.
//!
//! They come from /proc/sys and /proc/net/sockstat, which every user may read; an absent or unreadable setting is
//! `None`.

use serde::Serialize;

use crate::probe::read_text;

/// The settings of this network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// The longest accept queue that a program may request (net.core.somaxconn).
    pub somaxconn: Option<u64>,
    /// How many connections of one listener may be half open (net.ipv4.tcp_max_syn_backlog).
    pub max_syn_backlog: Option<u64>,
    /// Whether a full accept queue resets new connections instead of ignoring them (net.ipv4.tcp_abort_on_overflow).
    pub abort_on_overflow: Option<bool>,
    /// When SYN cookies are sent: 0 never, 1 if the queue of half-open connections is full, 2 always
    /// (net.ipv4.tcp_syncookies).
    pub syncookies: Option<u64>,
    /// Whether an IPv6 listener on every address excludes IPv4 by default (net.ipv6.bindv6only).
    pub bindv6only: Option<bool>,
    /// Whether the loopback interface has no IPv6 (net.ipv6.conf.lo.disable_ipv6), or the kernel has none at all.
    pub ipv6_disabled_on_loopback: Option<bool>,
    /// Whether this machine forwards packets (net.ipv4.ip_forward).
    pub forwards: Option<bool>,
    /// Tracked connections and their limit (nf_conntrack_count, nf_conntrack_max); `None` if connections are not
    /// tracked.
    pub conntrack: Option<(u64, u64)>,
    /// Open files of the whole machine and their limit (fs.file-nr).
    pub files: Option<(u64, u64)>,
    /// Memory pages of all TCP sockets and their limit (net.ipv4.tcp_mem, third number).
    pub tcp_pages: Option<(u64, u64)>,
}

impl Settings {
    /// Reads the settings.
    pub fn read() -> Settings {
        let flag = |path| number(path).map(|value| value != 0);
        Settings {
            somaxconn: number("/proc/sys/net/core/somaxconn"),
            max_syn_backlog: number("/proc/sys/net/ipv4/tcp_max_syn_backlog"),
            abort_on_overflow: flag("/proc/sys/net/ipv4/tcp_abort_on_overflow"),
            syncookies: number("/proc/sys/net/ipv4/tcp_syncookies"),
            bindv6only: flag("/proc/sys/net/ipv6/bindv6only"),
            ipv6_disabled_on_loopback: match std::path::Path::new("/proc/sys/net/ipv6").exists() {
                true => flag("/proc/sys/net/ipv6/conf/lo/disable_ipv6"),
                false => Some(true),
            },
            forwards: flag("/proc/sys/net/ipv4/ip_forward"),
            conntrack: number("/proc/sys/net/netfilter/nf_conntrack_count")
                .zip(number("/proc/sys/net/netfilter/nf_conntrack_max")),
            files: numbers("/proc/sys/fs/file-nr").and_then(|files| Some((*files.first()?, *files.get(2)?))),
            tcp_pages: tcp_pages_used()
                .zip(numbers("/proc/sys/net/ipv4/tcp_mem").and_then(|m| m.get(2).copied())),
        }
    }
}

fn number(path: &str) -> Option<u64> {
    numbers(path)?.first().copied()
}

fn numbers(path: &str) -> Option<Vec<u64>> {
    read_text(path, 4096).ok()?.split_ascii_whitespace().map(|word| word.parse().ok()).collect()
}

/// `TCP: inuse 7 orphan 0 tw 406 alloc 7 mem 935`
fn tcp_pages_used() -> Option<u64> {
    let text = read_text("/proc/net/sockstat", 4096).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let mut words = line.split_ascii_whitespace().skip_while(|word| *word != "mem");
    words.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_this_kernel_are_read() {
        let settings = Settings::read();

        assert!(settings.somaxconn.is_some() && settings.files.is_some() && settings.tcp_pages.is_some());
    }
}
