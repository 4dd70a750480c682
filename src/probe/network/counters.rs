//! The kernel's counters of drops, overflows and refusals. Their difference across a probe is evidence.
//!
//! They come from /proc/net, which every user may read. They count the whole network namespace (out-of-memory kills:
//! the whole machine): a difference of 0 rules a cause out, any other difference may stem from other traffic.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::probe::read_text;

/// Every counter at one moment, keyed by the kernel's group and name: `TcpExt.ListenOverflows`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    values: BTreeMap<String, u64>,
    not_readable: Vec<String>,
}

/// Defines the list once: each field, its meaning, and the counters it sums.
macro_rules! changes {
    ($(#[doc = $meaning:literal] $field:ident = $($name:literal)|+;)*) => {
        /// The increase of each counter between two moments. A counter that this kernel lacks is 0.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Changes {
            $(#[doc = $meaning] pub $field: u64,)*
            /// Every counter that rose, keyed by the kernel's name.
            pub rose: BTreeMap<String, u64>,
            /// The files that could not be read; their counters are unknown.
            pub not_readable: Vec<String>,
        }

        impl Changes {
            fn of(rose: BTreeMap<String, u64>, not_readable: Vec<String>) -> Changes {
                let sum = |names: &[&str]| names.iter().filter_map(|name| rose.get(*name)).sum();
                Changes { $($field: sum(&[$($name),+]),)* rose, not_readable }
            }
        }
    };
}

changes! {
    /// Connections that met a full accept queue.
    listen_overflows = "TcpExt.ListenOverflows";
    /// Connections a listener dropped for any reason; overflows are included.
    listen_drops = "TcpExt.ListenDrops";
    /// SYN segments retransmitted because no answer came.
    syn_retransmits = "TcpExt.TCPSynRetrans";
    /// Segments retransmitted.
    retransmits = "Tcp.RetransSegs";
    /// Connections that gave up after retransmissions.
    aborts_on_timeout = "TcpExt.TCPAbortOnTimeout";
    /// Segments without the TCP-MD5 signature that the receiver requires.
    md5_not_found = "TcpExt.TCPMD5NotFound";
    /// Segments with an unexpected or wrong TCP-MD5 signature.
    md5_unexpected = "TcpExt.TCPMD5Unexpected" | "TcpExt.TCPMD5Failure";
    /// Segments without the TCP-AO signature that the receiver requires.
    ao_required = "TcpExt.TCPAORequired" | "TcpExt.TCPAOKeyNotFound";
    /// Segments with a wrong TCP-AO signature.
    ao_bad = "TcpExt.TCPAOBad";
    /// SYN segments dropped because too many connections were half open.
    request_queue_full = "TcpExt.TCPReqQFullDrop";
    /// SYN cookies sent because too many connections were half open.
    cookies_instead = "TcpExt.TCPReqQFullDoCookies" | "TcpExt.SyncookiesSent";
    /// Segments dropped because the socket was busy and its backlog full.
    backlog_drop = "TcpExt.TCPBacklogDrop";
    /// Segments dropped because no memory was left for TCP.
    memory_drop = "TcpExt.PFMemallocDrop" | "TcpExt.TCPRcvQDrop" | "TcpExt.TCPAbortOnMemory";
    /// Acknowledgements dropped because the listener waits for data (TCP_DEFER_ACCEPT).
    defer_accept_drop = "TcpExt.TCPDeferAcceptDrop";
    /// Segments dropped because their TTL was below the socket's minimum.
    min_ttl_drop = "TcpExt.TCPMinTTLDrop";
    /// Packets dropped because the route to their source uses another interface (rp_filter).
    reverse_path_drop = "TcpExt.IPReversePathFilter";
    /// RST segments sent by this machine.
    resets_sent = "Tcp.OutRsts";
    /// Connections that failed before they were established.
    failed_attempts = "Tcp.AttemptFails";
    /// ICMP "destination unreachable" messages received, of any code.
    icmp_unreachable = "Icmp.InDestUnreachs" | "Icmp6.InDestUnreachs";
    /// ICMP "destination unreachable" messages sent, of any code.
    icmp_unreachable_sent = "Icmp.OutDestUnreachs" | "Icmp6.OutDestUnreachs";
    /// Incoming packets discarded by IP.
    ip_in_discards = "Ip.InDiscards" | "Ip6.InDiscards";
    /// Outgoing packets discarded by IP.
    ip_out_discards = "Ip.OutDiscards" | "Ip6.OutDiscards";
    /// Incoming packets for an address that is not valid here.
    ip_in_address_errors = "Ip.InAddrErrors" | "Ip6.InAddrErrors";
    /// Incoming packets without a route.
    ip_in_no_routes = "IpExt.InNoRoutes" | "Ip6.InNoRoutes" | "rt_cache.in_no_route";
    /// Outgoing packets without a route.
    ip_out_no_routes = "Ip.OutNoRoutes" | "Ip6.OutNoRoutes";
    /// Packets received from outside for a loopback address.
    martian_destination = "rt_cache.in_martian_dst";
    /// Packets received with an impossible source address.
    martian_source = "rt_cache.in_martian_src";
    /// Packets dropped because the connection-tracking table is full.
    conntrack_drop = "nf_conntrack.drop";
    /// Connections evicted from the connection-tracking table to make room.
    conntrack_early_drop = "nf_conntrack.early_drop";
    /// Connections that could not be inserted into the connection-tracking table.
    conntrack_insert_failed = "nf_conntrack.insert_failed";
    /// Packets that match no tracked connection.
    conntrack_invalid = "nf_conntrack.invalid";
    /// Packets dropped before IP because this machine's processors were too slow.
    processor_drop = "softnet.dropped";
    /// Packets that an IPsec policy forbids or that fail its checks.
    ipsec_drop = "xfrm.XfrmInNoPols" | "xfrm.XfrmInPolBlock" | "xfrm.XfrmInTmplMismatch" | "xfrm.XfrmInPolError"
        | "xfrm.XfrmOutPolBlock" | "xfrm.XfrmOutNoStates" | "xfrm.XfrmOutPolDead" | "xfrm.XfrmOutPolError"
        | "xfrm.XfrmOutBundleGenError" | "xfrm.XfrmFwdHdrError";
    /// Processes the kernel killed because memory ran out.
    oom_kills = "vmstat.oom_kill";
}

/// The most bytes read of a file. The largest, /proc/net/snmp6 and netstat, have about 6 KiB; rt_cache has a line per
/// processor.
const MAX_FILE: u64 = 256 * 1024;

impl Counters {
    /// Reads every counter; takes about 0.2 ms.
    pub fn read() -> Counters {
        let mut counters = Counters::default();
        counters.add("/proc/net/netstat", pairs_of_lines);
        counters.add("/proc/net/snmp", pairs_of_lines);
        counters.add_optional("/proc/net/snmp6", snmp6);
        counters.add_optional("/proc/net/stat/rt_cache", |text| per_processor(text, "rt_cache"));
        counters.add_optional("/proc/net/stat/nf_conntrack", |text| per_processor(text, "nf_conntrack"));
        counters.add_optional("/proc/net/softnet_stat", softnet);
        counters.add_optional("/proc/net/xfrm_stat", |text| named(text, "xfrm"));
        counters.add_optional("/proc/vmstat", |text| named(text, "vmstat"));
        counters
    }

    /// The increase of each counter since `before`.
    pub fn since(&self, before: &Counters) -> Changes {
        let rose = self.values.iter().filter_map(|(name, after)| {
            let risen = after.saturating_sub(*before.values.get(name)?);
            (risen > 0).then(|| (name.clone(), risen))
        });
        let mut not_readable = before.not_readable.clone();
        not_readable.extend(self.not_readable.iter().cloned());
        not_readable.sort();
        not_readable.dedup();
        Changes::of(rose.collect(), not_readable)
    }

    fn add(&mut self, path: &str, read: impl Fn(&str) -> Vec<(String, u64)>) {
        match read_text(path, MAX_FILE) {
            Ok(text) => self.values.extend(read(&text)),
            Err(error) => self.not_readable.push(format!("{path} ({error})")),
        }
    }

    /// Adds the counters of a file that is absent if the kernel lacks the feature.
    fn add_optional(&mut self, path: &str, read: impl Fn(&str) -> Vec<(String, u64)>) {
        if std::path::Path::new(path).exists() {
            self.add(path, read);
        }
    }
}

impl Changes {
    /// Whether segments were dropped because they lack a signature (TCP-MD5, TCP-AO).
    pub fn signature_missing(&self) -> bool {
        self.md5_not_found + self.ao_required + self.md5_unexpected + self.ao_bad > 0
    }
}

/// Parses netstat and snmp: a line of names and a line of numbers, each prefixed with the name of the group.
fn pairs_of_lines(text: &str) -> Vec<(String, u64)> {
    let mut lines = text.lines();
    let mut found = Vec::new();
    while let (Some(names), Some(numbers)) = (lines.next(), lines.next()) {
        let (Some((group, names)), Some((_, numbers))) = (names.split_once(':'), numbers.split_once(':'))
        else {
            continue;
        };
        let pairs = names.split_ascii_whitespace().zip(numbers.split_ascii_whitespace());
        // Some values are not counters and may be -1: Tcp.MaxConn.
        found.extend(
            pairs.filter_map(|(name, number)| Some((format!("{group}.{name}"), number.parse().ok()?))),
        );
    }
    found
}

/// `Ip6InDiscards 0` → `Ip6.InDiscards`.
fn snmp6(text: &str) -> Vec<(String, u64)> {
    let lines = text.lines().filter_map(|line| {
        let (name, number) = line.split_once(char::is_whitespace)?;
        let (group, rest) = name.split_at_checked(name.find('6')? + 1)?;
        Some((format!("{group}.{rest}"), number.trim().parse().ok()?))
    });
    lines.collect()
}

/// Parses a line of names, then a line of hexadecimal numbers per processor, and sums these.
fn per_processor(text: &str, group: &str) -> Vec<(String, u64)> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split_ascii_whitespace().collect();
    let mut sums = vec![0u64; names.len()];
    for line in lines {
        for (sum, number) in sums.iter_mut().zip(line.split_ascii_whitespace()) {
            *sum = sum.wrapping_add(u64::from_str_radix(number, 16).unwrap_or_default());
        }
    }
    names.iter().map(|name| format!("{group}.{name}")).zip(sums).collect()
}

/// The sum of one column of such a table; 0 if the column is missing.
pub(crate) fn column(text: &str, name: &str) -> u64 {
    let wanted = format!(".{name}");
    per_processor(text, "").into_iter().find(|(found, _)| *found == wanted).map_or(0, |(_, sum)| sum)
}

/// Parses a line per processor: processed, dropped, …, in hexadecimal.
fn softnet(text: &str) -> Vec<(String, u64)> {
    let dropped = text.lines().filter_map(|line| line.split_ascii_whitespace().nth(1));
    let sum = dropped.filter_map(|number| u64::from_str_radix(number, 16).ok()).sum();
    vec![("softnet.dropped".to_owned(), sum)]
}

/// Parses lines such as `oom_kill 0`.
fn named(text: &str, group: &str) -> Vec<(String, u64)> {
    let lines = text.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let name = fields.next()?;
        (group != "vmstat" || name == "oom_kill").then_some(())?;
        Some((format!("{group}.{name}"), fields.next()?.parse().ok()?))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use super::*;

    const NETSTAT: &str =
        "TcpExt: ListenOverflows ListenDrops TCPSynRetrans\nTcpExt: 1 2 3\nIpExt: InNoRoutes\nIpExt: 0\n";

    fn of(text: &str) -> Counters {
        Counters { values: pairs_of_lines(text).into_iter().collect(), not_readable: Vec::new() }
    }

    #[test]
    fn a_difference_has_the_names_of_the_kernel_and_ours() {
        let after = of(&NETSTAT.replace("1 2 3", "4 2 4"));

        let changes = after.since(&of(NETSTAT));

        assert_eq!((changes.listen_overflows, changes.listen_drops, changes.syn_retransmits), (3, 0, 1));
        assert_eq!(changes.rose.len(), 2);
    }

    #[test]
    fn processors_are_added_up() {
        let text = "entries  in_martian_dst in_martian_src\n00000005 0000000a 00000000\n00000005 00000002 00000001\n";

        let values: BTreeMap<_, _> = per_processor(text, "rt_cache").into_iter().collect();

        assert_eq!((values["rt_cache.in_martian_dst"], values["rt_cache.in_martian_src"]), (12, 1));
        assert_eq!(softnet("0a 01 00\n0b 10 00\n"), [("softnet.dropped".to_owned(), 17)]);
    }

    #[test]
    fn ipv6_counters_have_the_shape_of_the_others() {
        let text =
            "Ip6InDiscards                   \t7\nIcmp6InDestUnreachs             \t2\nUdp6NoPorts 1\n";

        assert_eq!(
            snmp6(text)[..2],
            [("Ip6.InDiscards".to_owned(), 7), ("Icmp6.InDestUnreachs".to_owned(), 2)]
        );
    }

    #[test]
    fn a_refused_connection_is_counted_by_this_kernel() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        drop(listener);
        let before = Counters::read();

        let refused = TcpStream::connect(address);

        let changes = Counters::read().since(&before);
        assert!(refused.is_err());
        assert!(changes.resets_sent >= 1 && changes.failed_attempts >= 1, "{changes:?}");
        assert!(changes.not_readable.is_empty());
    }
}
