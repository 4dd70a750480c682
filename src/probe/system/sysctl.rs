//! The kernel's settings that decide what becomes of a connection, and how much is used of what they limit.
//!
//! From /proc/sys and /proc/net/sockstat, which everybody may read; what is absent or unreadable is `None`.

use serde::Serialize;

use super::redact::printable;
use crate::probe::read_text;

/// The settings of this network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// The longest accept queue a program may ask for (net.core.somaxconn).
    pub somaxconn: Option<u64>,
    /// How many connections of one listener may be half open (net.ipv4.tcp_max_syn_backlog).
    pub max_syn_backlog: Option<u64>,
    /// Whether a full accept queue resets instead of waiting (net.ipv4.tcp_abort_on_overflow).
    pub abort_on_overflow: Option<bool>,
    /// 0 never, 1 when the queue of half-open connections is full, 2 always (net.ipv4.tcp_syncookies).
    pub syncookies: Option<u64>,
    /// Whether an IPv6 listener on every address leaves IPv4 alone unless it says otherwise (net.ipv6.bindv6only).
    pub bindv6only: Option<bool>,
    /// Whether the loopback interface has no IPv6 (net.ipv6.conf.lo.disable_ipv6), or the kernel has none at all.
    pub ipv6_disabled_on_loopback: Option<bool>,
    /// Whether packets of others are passed on (net.ipv4.ip_forward).
    pub forwards: Option<bool>,
    /// Per interface: its name, whether packets from outside may be for 127.0.0.0/8 (route_localnet), and how their
    /// source is checked (rp_filter: 0 not, 1 strictly, 2 loosely). `all` counts for each of them.
    pub interfaces: Vec<InterfaceSettings>,
    /// Tracked connections, now and at most (nf_conntrack_count, nf_conntrack_max); `None` where none are tracked.
    pub conntrack: Option<(u64, u64)>,
    /// Open files of the machine and their limit (fs.file-nr).
    pub files: Option<(u64, u64)>,
    /// Pages that all TCP sockets use, and how many they may (net.ipv4.tcp_mem, the third).
    pub tcp_pages: Option<(u64, u64)>,
}

/// Settings of one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InterfaceSettings {
    /// Its name, escaped; `all` is no interface.
    pub name: String,
    /// Whether packets from outside may be for 127.0.0.0/8.
    pub route_localnet: Option<bool>,
    /// How the source of its packets is checked.
    pub rp_filter: Option<u64>,
}

/// More interfaces than this are not looked at one by one.
const MAX_INTERFACES: usize = 256;

impl Settings {
    /// Reads them; `links` are the names of the interfaces of interest.
    pub fn read(links: &[&str]) -> Settings {
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
            interfaces: ["all"]
                .iter()
                .chain(links)
                .take(MAX_INTERFACES)
                .filter_map(|n| interface(n))
                .collect(),
            conntrack: number("/proc/sys/net/netfilter/nf_conntrack_count")
                .zip(number("/proc/sys/net/netfilter/nf_conntrack_max")),
            files: numbers("/proc/sys/fs/file-nr").and_then(|files| Some((*files.first()?, *files.get(2)?))),
            tcp_pages: tcp_pages_used()
                .zip(numbers("/proc/sys/net/ipv4/tcp_mem").and_then(|m| m.get(2).copied())),
        }
    }

    /// Whether packets that come in by an interface may be for 127.0.0.0/8.
    pub fn routes_localnet(&self, name: &str) -> Option<bool> {
        let of = |name: &str| self.interfaces.iter().find(|i| i.name == name).and_then(|i| i.route_localnet);
        match (of("all"), of(name)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (None, _) | (_, None) => None,
            _ => Some(false),
        }
    }
}

/// A name with a slash or dots would lead elsewhere; the kernel allows neither in a name but for `.` within.
fn interface(name: &str) -> Option<InterfaceSettings> {
    if name.contains('/') || name.starts_with('.') {
        return None;
    }
    let of = |key: &str| number(&format!("/proc/sys/net/ipv4/conf/{name}/{key}"));
    Some(InterfaceSettings {
        name: printable(name, 16),
        route_localnet: of("route_localnet").map(|value| value != 0),
        rp_filter: of("rp_filter"),
    })
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
        let settings = Settings::read(&["lo", "../../../etc", "none-such"]);

        assert!(settings.somaxconn.is_some() && settings.files.is_some() && settings.tcp_pages.is_some());
        let names: Vec<&str> = settings.interfaces.iter().map(|interface| &interface.name[..]).collect();
        assert_eq!(names, ["all", "lo", "none-such"]);
        assert_eq!(settings.routes_localnet("none-such"), None);
    }

    #[test]
    fn the_setting_for_all_interfaces_counts_for_each() {
        let interface = |name: &str, on| InterfaceSettings {
            name: name.to_owned(),
            route_localnet: Some(on),
            rp_filter: None,
        };
        let settings = |all| Settings {
            interfaces: vec![interface("all", all), interface("h0", false)],
            ..Settings::default()
        };

        assert_eq!(settings(true).routes_localnet("h0"), Some(true));
        assert_eq!(settings(false).routes_localnet("h0"), Some(false));
    }
}
