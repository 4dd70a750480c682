//! Keeps TCP_USER_TIMEOUT from ending a connection to a peer that responds but has stopped reading.

use std::ffi::c_int;
use std::os::fd::RawFd;

use super::sockopt::set_number;
use super::tcp_info::tcp_info_of;

/// TCP_ESTABLISHED and TCP_CLOSE_WAIT of include/net/tcp_states.h: the states in which there may still be data to send.
const CAN_SEND: [u8; 2] = [1, 8];

/// Switches TCP_USER_TIMEOUT off if the other end acknowledges probes of its closed window; returns whether it did so.
///
/// The option limits how long a window stays closed, whether or not the other end answers the probes: only an open
/// window restarts their time (icsk_probes_tstamp; tcp_probe_timer in net/ipv4/tcp_timer.c and tcp_ack_probe in
/// tcp_input.c, both since Linux 5.11; before that the count of probes had about the same effect). Without the option
/// the kernel counts only consecutive unanswered probes (tcp_retries2).
///
/// The number may have been reused for another socket meanwhile: that socket is then judged by its own state, which is
/// harmless.
pub(crate) fn forgive(descriptor: RawFd) -> bool {
    if user_timeout(descriptor).is_none() || !answers_and_takes_nothing(descriptor) {
        return false;
    }
    set_number(descriptor, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, 0).is_ok()
}

/// Whether there is data to send, none of it is in flight, and at most one probe awaits its answer.
fn answers_and_takes_nothing(descriptor: RawFd) -> bool {
    let Ok(info) = tcp_info_of(descriptor) else { return false };
    let mut queued: c_int = 0;
    // SAFETY: TIOCOUTQ (the value of SIOCOUTQ) writes one c_int to the pointer, which is live for the call; to the call
    // the descriptor is only a number.
    let answer = unsafe { libc::ioctl(descriptor, libc::TIOCOUTQ, &raw mut queued) };
    let has_more = answer == 0 && queued > 0;
    CAN_SEND.contains(&info.state) && has_more && info.unacked == 0 && info.probes <= 1
}

fn user_timeout(descriptor: RawFd) -> Option<c_int> {
    let mut milliseconds: c_int = 0;
    let mut length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the buffer is live and has the given length, and the kernel writes no more than that. To the call the
    // descriptor is only a number.
    let answer = unsafe {
        libc::getsockopt(
            descriptor,
            libc::IPPROTO_TCP,
            libc::TCP_USER_TIMEOUT,
            (&raw mut milliseconds).cast(),
            &raw mut length,
        )
    };
    (answer == 0 && milliseconds > 0).then_some(milliseconds)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::time::{Duration, Instant};

    use rustix::net::sockopt::{set_socket_recv_buffer_size, set_tcp_user_timeout};

    use super::*;

    /// Both ends of a connection: ours, with a user time-out of one hour, and the other with a small buffer.
    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        set_socket_recv_buffer_size(&listener, 4096).unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        set_tcp_user_timeout(&ours, 3_600_000).unwrap();
        (ours, listener.accept().unwrap().0)
    }

    fn until(what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_so() {
            assert!(Instant::now() < deadline, "still not: {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn an_end_that_answers_and_reads_nothing_is_waited_for() {
        let (mut ours, mut theirs) = pair();
        let ours_fd = ours.as_raw_fd();
        assert!(!forgive(ours_fd), "nothing is to be sent");

        ours.write_all(&[7; 40_000]).unwrap();
        until("its window is closed", || forgive(ours_fd));

        assert_eq!(user_timeout(ours_fd), None);
        assert!(!forgive(ours_fd), "once is enough");
        let mut all = vec![0; 40_000];
        theirs.read_exact(&mut all).unwrap();
        assert!(all.iter().all(|byte| *byte == 7));
    }

    #[test]
    fn what_is_no_tcp_connection_is_left_alone() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        set_tcp_user_timeout(&listener, 1000).unwrap();

        assert!(![-1, file.as_raw_fd(), listener.as_raw_fd()].map(forgive).contains(&true));
    }
}
