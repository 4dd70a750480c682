//! One TCP connection of any process as the kernel sees it: its queues, its timer, its TCP_INFO.
//!
//! NETLINK_SOCK_DIAG finds it by its two addresses, so both ends of a connection within this machine can be read,
//! whichever process holds them. Offsets follow include/uapi/linux/inet_diag.h and tcp.h.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use super::TcpState;
use super::question::{ALL_STATES, ANY, INET_DIAG_MSG, Protocol, Question, canonical};
use crate::sys::netlink::{attribute, u32_at, u64_at};

/// One end of a TCP connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// Its state.
    pub state: TcpState,
    /// The inode behind its descriptor; 0 before it is accepted, and once no process holds it.
    pub inode: u32,
    /// Bytes received and not yet read.
    pub receive_queue: u32,
    /// Bytes written and not yet acknowledged.
    pub send_queue: u32,
    /// The running timer.
    pub timer: Timer,
    /// Its TCP_INFO.
    pub info: Info,
}

/// The running timer (idiag_timer).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Timer {
    /// None.
    None,
    /// Waits for an acknowledgement, then retransmits.
    Retransmit,
    /// Waits for the answer to a keepalive probe.
    Keepalive,
    /// Probes the other end's closed window.
    Persist,
    /// TIME_WAIT, or a timer of a later kernel.
    Other,
}

/// TCP_INFO (tcp(7)); zero where the kernel is too old to report a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Info {
    /// Consecutive retransmissions of the first unacknowledged segment.
    pub retransmits: u8,
    /// Consecutive unanswered probes of a closed window.
    pub probes: u8,
    /// Consecutive doublings of the timer.
    pub backoff: u8,
    /// Segments sent and not yet acknowledged.
    pub unacked: u32,
    /// The largest segment it sends, in bytes.
    pub segment: u32,
    /// Time since the last data from the other end.
    pub since_data: Duration,
    /// Time since the last acknowledgement from the other end.
    pub since_ack: Duration,
    /// Smoothed round-trip time.
    pub round_trip: Duration,
    /// Segments sent again over the life of the connection.
    pub sent_again: u32,
    /// Segments with data that were sent over its life, those sent again included.
    pub data_sent: u32,
    /// Bytes written and never sent yet.
    pub unsent: u32,
    /// Bytes acknowledged over the life of the connection.
    pub acked: u64,
    /// How long it had data to send.
    pub busy: Duration,
    /// How much of `busy` it was limited by the other end's window.
    pub window_limited: Duration,
}

const INET_DIAG_INFO: u16 = 2;
const CLOSE_WAIT: u32 = 1 << 8;

/// The end at `local` of the connection whose other end is `remote`; `None` if there is none.
///
/// # Errors
/// EMFILE without a free descriptor, EPERM or EPROTONOSUPPORT if this process may not query the kernel.
pub(crate) fn connection(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Connection>> {
    let found = question(ALL_STATES, canonical(local), canonical(remote)).one(|body| Ok(read(body)))?;
    Ok(found.filter(|found| found.state != TcpState::Listen))
}

/// Every connection to local port `port` that the other end has closed and the process here has not (CLOSE_WAIT).
pub(crate) fn left_open(port: u16) -> io::Result<Vec<Connection>> {
    let mut found = Vec::new();
    for any in ANY {
        let answer = question(CLOSE_WAIT, SocketAddr::new(any, port), SocketAddr::new(any, 0)).all()?;
        found.extend(answer.messages.iter().filter_map(|message| read(&message.body)));
    }
    Ok(found)
}

fn question(states: u32, local: SocketAddr, remote: SocketAddr) -> Question {
    Question { protocol: Protocol::Tcp, attribute: INET_DIAG_INFO, states, local, remote, interface: 0 }
}

/// inet_diag_msg and the attribute with struct tcp_info.
pub(super) fn read(body: &[u8]) -> Option<Connection> {
    let word = |offset| u32_at(body, offset);
    Some(Connection {
        state: TcpState::from_number(*body.get(1)?)?,
        timer: match body.get(2)? {
            0 => Timer::None,
            1 => Timer::Retransmit,
            2 => Timer::Keepalive,
            4 => Timer::Persist,
            _ => Timer::Other,
        },
        receive_queue: word(56)?,
        send_queue: word(60)?,
        inode: word(68)?,
        info: attribute(body.get(INET_DIAG_MSG..)?, INET_DIAG_INFO).map(info).unwrap_or_default(),
    })
}

/// An older kernel returns a shorter structure; missing fields are zero.
fn info(bytes: &[u8]) -> Info {
    let byte = |offset: usize| bytes.get(offset).copied().unwrap_or_default();
    let word = |offset| u32_at(bytes, offset).unwrap_or_default();
    let long = |offset| u64_at(bytes, offset).unwrap_or_default();
    let millis = |offset| Duration::from_millis(word(offset).into());
    Info {
        retransmits: byte(2),
        probes: byte(3),
        backoff: byte(4),
        segment: word(16),
        unacked: word(24),
        since_data: millis(52),
        since_ack: millis(56),
        round_trip: Duration::from_micros(word(68).into()),
        sent_again: word(100),
        data_sent: word(156),
        acked: long(120),
        unsent: word(144),
        busy: Duration::from_micros(long(168)),
        window_limited: Duration::from_micros(long(176)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::sys::ends;

    #[test]
    fn both_ends_are_seen_and_the_other_one_is_nobodys_until_it_is_accepted() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(any) else { continue };
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            client.write_all(b"hello").unwrap();
            let (local, remote) = ends(client.as_raw_fd()).unwrap();

            let ours = connection(local, remote).unwrap().unwrap();
            let waiting = connection(remote, local).unwrap().unwrap();
            let accepted = listener.accept().unwrap();
            let taken = connection(remote, local).unwrap().unwrap();

            assert_eq!((ours.state, waiting.state), (TcpState::Established, TcpState::Established));
            assert!(ours.inode != 0 && ours.info.segment > 0 && ours.info.acked > 0, "{ours:?}");
            assert_eq!((waiting.inode, waiting.receive_queue), (0, 5), "{any}");
            assert_ne!(taken.inode, 0);
            drop(accepted);
        }
    }

    #[test]
    fn a_connection_that_is_not_there_is_none() {
        let [local, remote] = ["127.0.0.1:1", "127.0.0.1:2"].map(|address| address.parse().unwrap());

        assert_eq!(connection(local, remote).unwrap(), None);
    }

    #[test]
    fn a_connection_its_holder_forgot_to_close_is_left_open() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let _kept = listener.accept().unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(left_open(port).unwrap().is_empty());

        drop(client);

        while left_open(port).unwrap().len() != 1 {}
    }
}
