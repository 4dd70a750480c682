//! The TCP sockets on a port, in every state and of both families.
//!
//! It queries the kernel over netlink and reads /proc/net/tcp and tcp6 if netlink is refused (gVisor, some sandboxes).
//! The files contain neither `v6only` nor cgroups and take milliseconds where netlink takes microseconds.

pub mod connections;
pub mod namespaces;
pub mod ports;
pub mod udp;
pub mod unix;
pub mod unix_table;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::read_text;
use crate::sys::sock_diag;

pub use crate::sys::sock_diag::{Socket, TcpState};

/// The sockets on a port, and what could not be read.
#[derive(Clone, Debug, Default)]
pub struct Sockets {
    /// The sockets, IPv4 first.
    pub rows: Vec<Socket>,
    /// Whether there are more than are listed.
    pub truncated: bool,
    /// What could not be read and why, as text.
    pub not_readable: Vec<String>,
}

/// Every TCP socket of this network namespace whose local port is `port`.
pub fn on_port(port: u16) -> Sockets {
    match sock_diag::on_port(port) {
        Ok(dump) => Sockets { rows: dump.sockets, truncated: dump.truncated, not_readable: Vec::new() },
        Err(error) => from_files(&TCP_FILES, port, format!("sock_diag ({error})")),
    }
}

/// Every TCP listener of this network namespace on `port`.
pub fn listeners_on_port(port: u16) -> Sockets {
    match sock_diag::listeners_on_port(port) {
        Ok(dump) => Sockets { rows: dump.sockets, truncated: dump.truncated, not_readable: Vec::new() },
        Err(_) => {
            let mut all = on_port(port);
            all.rows.retain(|row| row.state == TcpState::Listen);
            all
        }
    }
}

/// Every UDP socket of this network namespace whose local port is `port`.
pub fn udp_on_port(port: u16) -> Sockets {
    match sock_diag::udp_on_port(port) {
        Ok(rows) => {
            Sockets { rows: rows.into_iter().map(|(socket, _)| socket).collect(), ..Sockets::default() }
        }
        Err(error) => from_files(&UDP_FILES, port, format!("sock_diag ({error})")),
    }
}

const TCP_FILES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
const UDP_FILES: [&str; 2] = ["/proc/net/udp", "/proc/net/udp6"];

/// Whether a connection to `address` would reach a listener, found out without connecting.
///
/// # Errors
/// This process may not query the kernel, or has no descriptor left.
pub fn listening(address: SocketAddr) -> io::Result<bool> {
    sock_diag::listens(address)
}

/// The listener that a connection from this machine to `address` would reach: by the kernel's own look-up, or if that
/// is refused, the best match in its files.
///
/// # Errors
/// The kernel refuses the look-up, and its files list no socket on the port either.
pub fn listener(address: SocketAddr) -> io::Result<Option<Socket>> {
    sock_diag::listener(address).or_else(|error| {
        let rows = from_files(&TCP_FILES, address.port(), String::new()).rows;
        if rows.is_empty() { Err(error) } else { Ok(best_listener(address.ip().to_canonical(), rows)) }
    })
}

/// The kernel prefers the exact address to the wildcard, and IPv4 to a socket of both families.
fn best_listener(ip: IpAddr, rows: Vec<Socket>) -> Option<Socket> {
    let fit = |row: &Socket| {
        let local = row.local.ip().to_canonical();
        match row.state {
            TcpState::Listen if local == ip => Some(3),
            TcpState::Listen if local.is_unspecified() && local.is_ipv4() == ip.is_ipv4() => Some(2),
            // The files do not show whether it also accepts IPv4; most listeners do.
            TcpState::Listen if local.is_unspecified() && ip.is_ipv4() => Some(1),
            _ => None,
        }
    };
    rows.into_iter().filter_map(|row| Some((fit(&row)?, row))).max_by_key(|(fit, _)| *fit).map(|(_, row)| row)
}

/// The socket at `local` of a TCP connection whose other end is `remote`.
///
/// # Errors
/// As for [`listening`].
pub fn connection(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Socket>> {
    sock_diag::connection(local, remote)
}

/// Every TCP listener; true if there are more than returned.
///
/// # Errors
/// As for [`listening`].
pub fn listeners() -> io::Result<(Vec<Socket>, bool)> {
    sock_diag::listeners().map(|dump| (dump.sockets, dump.truncated))
}

/// Every TCP connection whose other end has port `port`; true if there are more than returned.
///
/// # Errors
/// As for [`listening`].
pub fn towards_port(port: u16) -> io::Result<(Vec<Socket>, bool)> {
    sock_diag::towards_port(port).map(|dump| (dump.sockets, dump.truncated))
}

/// Every established TCP connection; true if there are more than returned.
///
/// # Errors
/// As for [`listening`].
pub fn connections() -> io::Result<(Vec<Socket>, bool)> {
    sock_diag::connections().map(|dump| (dump.sockets, dump.truncated))
}

/// The listeners on a port in another process's network namespace, read from /proc/PID/net.
pub fn listeners_beside(pid: u32, port: u16) -> Vec<Socket> {
    let tables = ["tcp", "tcp6"].map(|table| read_text(format!("/proc/{pid}/net/{table}"), MAX_FILE));
    let rows = tables.iter().flatten().flat_map(|table| table.lines().filter_map(row));
    rows.filter(|row| row.state == TcpState::Listen && row.local.port() == port).collect()
}

const MAX_FILE: u64 = 16 << 20;

fn from_files(paths: &[&str], port: u16, refused: String) -> Sockets {
    let mut sockets = Sockets { not_readable: vec![refused], ..Sockets::default() };
    for path in paths {
        match read_text(path, MAX_FILE) {
            Ok(table) => {
                sockets.truncated |= table.len() as u64 == MAX_FILE;
                sockets.rows.extend(table.lines().filter_map(row).filter(|row| row.local.port() == port));
            }
            // Without IPv6 there is no tcp6 file, and nothing is missing.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.ends_with('6') => {}
            Err(error) => sockets.not_readable.push(format!("{path} ({error})")),
        }
    }
    sockets
}

/// Parses one line of the table (proc_pid_net(5)); `None` for a heading or a line of another format. The table lacks a
/// listener's limit (`send_queue`), which is 0 here.
fn row(line: &str) -> Option<Socket> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [_, local, remote, state, queues, timer, _, uid, _, inode, ..] = fields[..] else { return None };
    let state = TcpState::from_number(u8::from_str_radix(state, 16).ok()?)?;
    let (send, receive) = queues.split_once(':')?;
    let (_, when) = timer.split_once(':')?;
    // In hundredths of a second: jiffies_delta_to_clock_t.
    let when = Duration::from_millis(u64::from_str_radix(when, 16).ok()?.saturating_mul(10));
    Some(Socket {
        state,
        local: address(local)?,
        remote: address(remote)?,
        inode: inode.parse().ok()?,
        uid: uid.parse().ok()?,
        receive_queue: u32::from_str_radix(receive, 16).ok()?,
        send_queue: u32::from_str_radix(send, 16).ok()?,
        v6only: None,
        cgroup: None,
        interface: 0,
        expires: (state == TcpState::TimeWait).then_some(when),
    })
}

/// `0100007F:F5AD`: the address as 32-bit words in the byte order of this machine, the port as a number.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let words: Vec<[u8; 4]> = (0..ip.len() / 8)
        .map(|word| u32::from_str_radix(ip.get(word * 8..word * 8 + 8)?, 16).ok().map(u32::to_ne_bytes))
        .collect::<Option<_>>()?;
    let ip: IpAddr = match words[..] {
        [word] => Ipv4Addr::from(word).into(),
        [a, b, c, d] => {
            let mut octets = [0; 16];
            for (place, word) in octets.chunks_exact_mut(4).zip([a, b, c, d]) {
                place.copy_from_slice(&word);
            }
            Ipv6Addr::from(octets).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_files_show_the_same_listener_as_netlink() {
        for any in ["127.0.0.1:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(any) else { continue };
            let port = listener.local_addr().unwrap().port();

            let by_netlink = on_port(port).rows;
            let by_files = from_files(&TCP_FILES, port, String::new()).rows;

            let facts = |row: &Socket| (row.state, row.local, row.inode, row.uid, row.receive_queue);
            assert_eq!(by_files.iter().map(facts).collect::<Vec<_>>(), [facts(&by_netlink[0])], "{any}");
        }
    }

    #[test]
    fn a_line_of_another_shape_is_no_socket() {
        for line in
            ["", "  sl  local_address rem_address   st", "0: zz:0016 00000000:0000 0A 0:0 0:0 0 0 0 1"]
        {
            assert_eq!(row(line), None, "{line}");
        }
    }
}
