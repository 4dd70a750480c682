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

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

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
    let is_wanted = |row: &Socket| row.state == TcpState::Listen && row.local.port() == port;
    let tables = ["tcp", "tcp6"].map(|table| rows_of(format!("/proc/{pid}/net/{table}"), is_wanted));
    tables.into_iter().flatten().flat_map(|(rows, _)| rows).collect()
}

/// The most bytes read of a table: some hundred thousand sockets.
const MAX_FILE: u64 = 16 << 20;

fn from_files(paths: &[&str], port: u16, refused: String) -> Sockets {
    let mut sockets = Sockets { not_readable: vec![refused], ..Sockets::default() };
    for path in paths {
        match rows_of(path, |row| row.local.port() == port) {
            Ok((rows, is_truncated)) => {
                sockets.truncated |= is_truncated;
                sockets.rows.extend(rows);
            }
            // Without IPv6 there is no tcp6 file, and nothing is missing.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.ends_with('6') => {}
            Err(error) => sockets.not_readable.push(format!("{path} ({error})")),
        }
    }
    sockets
}

fn rows_of(path: impl AsRef<Path>, is_wanted: impl Fn(&Socket) -> bool) -> io::Result<(Vec<Socket>, bool)> {
    rows_in(File::open(path)?, is_wanted)
}

/// The wanted rows of a table; true if there is more of it than was read.
///
/// Read line by line: a busy machine has tens of thousands of connections in TIME_WAIT, and of memory that was once held for
/// all of them the allocator would keep the most that there ever was.
fn rows_in(table: impl Read, is_wanted: impl Fn(&Socket) -> bool) -> io::Result<(Vec<Socket>, bool)> {
    let mut table = BufReader::new(table.take(MAX_FILE));
    let (mut rows, mut line) = (Vec::new(), Vec::new());
    while table.read_until(b'\n', &mut line)? > 0 {
        rows.extend(str::from_utf8(&line).ok().and_then(row).filter(&is_wanted));
        line.clear();
    }
    Ok((rows, table.get_ref().limit() == 0))
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

    /// A table of very many connections, and what was asked of it at once at the most.
    struct Busy {
        lines: std::io::Cursor<Vec<u8>>,
        left: usize,
        most: usize,
    }

    impl Read for Busy {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.most = self.most.max(buffer.len());
            let read = self.lines.read(buffer)?;
            if read == 0 && self.left > 0 {
                self.left -= 1;
                self.lines.set_position(0);
                return self.read(buffer);
            }
            Ok(read)
        }
    }

    #[test]
    fn a_table_of_very_many_connections_is_never_in_memory_as_a_whole() {
        let busy = "  1: 0100007F:C350 0100007F:0050 06 00000000:00000000 03:00000A00 00000000     0        0 0 3 0\n";
        let listens = "  2: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1 0\n";
        let lines = [&busy.repeat(1000), listens].concat().into_bytes();
        let mut table = Busy { lines: std::io::Cursor::new(lines), left: 500, most: 0 };

        let is_wanted = |row: &Socket| row.state == TcpState::Listen && row.local.port() == 80;
        let (rows, is_truncated) = rows_in(&mut table, is_wanted).unwrap();

        assert!(is_truncated && rows.len() > 100 && rows.iter().all(|row| row.inode == 77), "{}", rows.len());
        assert!(table.most <= 64 << 10, "{} bytes were asked for at once", table.most);
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
