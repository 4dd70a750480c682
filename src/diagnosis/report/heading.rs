//! The heading of a screen: the kind of the address. It asks the kernel which ports outgoing connections get.

use std::net::SocketAddr;

use crate::diagnosis::finding::Subject;
use crate::probe::sockets::ports::PortRules;
use crate::probe::system::services::{self, PortClass};

/// The kind of the address.
pub fn heading(subject: &Subject) -> String {
    match subject {
        Subject::Tcp(address) => net_heading(*address, "tcp"),
        Subject::Udp(address) => net_heading(*address, "udp"),
        Subject::Unix(_) => "Unix socket".to_owned(),
        Subject::Tunnel { connect, .. } if connect.is_empty() => "the other end connects".to_owned(),
        Subject::Tunnel { connect, .. } => format!("connects to {}", connect.join(", ")),
    }
}

fn net_heading(address: SocketAddr, protocol: &str) -> String {
    let ip = address.ip().to_canonical();
    let kind = if ip.is_loopback() { "loopback " } else { "" };
    let family = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
    let class = PortClass::of(address.port()).text();
    let name = services::name(address.port(), protocol).map_or(String::new(), |name| format!(" ({name})"));
    let rules = PortRules::read();
    let (first, last) = rules.outgoing;
    let place = if rules.may_be_drawn(address.port()) { "inside" } else { "outside" };
    format!("{kind}{family}, port class {class}{name}, {place} this machine's {first}-{last}")
}
