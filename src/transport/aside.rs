//! A listening socket that is about to be closed: no new client reaches it, and those on their way do.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use rustix::net::{AddressFamily, Shutdown, getsockname, shutdown};
use rustix::thread::{MembarrierCommand, membarrier};

use crate::sys::{self, sock_diag};

/// The interface to which a socket is bound that no client is to reach: the largest index, which no interface has.
const NOWHERE: i32 = i32::MAX;

/// Keeps new clients from a listening socket. What is in its queue stays there, and a handshake that has begun goes on.
///
/// A TCP socket is bound to an interface that does not exist. The kernel's look-up for a SYN then passes it over and
/// finds the next socket that fits, for 127.0.0.1 that of 0.0.0.0 or \[::\], or none (compute_score and
/// inet_sk_bound_dev_eq, net/ipv4/inet_hashtables.c). A begun handshake is a socket of its own, which remembers the
/// interface from before (ir_iif) and gives it to the connection (tcp_v4_syn_recv_sock). A Unix socket is shut down for
/// reading: connect(2) checks that under the lock under which it adds to the queue (unix_stream_connect), and accept(2)
/// still takes what is there.
///
/// # Errors
/// EPERM before Linux 5.7, or for a socket with the zone of a link-local address, without CAP_NET_RAW; ENOPROTOOPT before
/// Linux 5.1. Nothing has changed then.
pub(crate) fn step_aside(socket: impl AsFd) -> io::Result<()> {
    match getsockname(&socket)?.address_family() {
        AddressFamily::UNIX => Ok(shutdown(socket, Shutdown::Read)?),
        _ => sys::bind_to_index(socket, NOWHERE),
    }
}

/// Waits until the kernel has finished with every packet that it has already begun to process: such a SYN may have found
/// a socket before it stepped aside. (MEMBARRIER_CMD_GLOBAL waits for a grace period of RCU, and packets are received
/// under its read lock: membarrier(2), ip_local_deliver_finish. It takes some 10 to 20 ms.)
///
/// # Errors
/// ENOSYS or EINVAL on a kernel without it, EPERM where a filter refuses it.
pub(crate) fn let_kernel_finish() -> io::Result<()> {
    Ok(membarrier(MembarrierCommand::Global)?)
}

/// The handshakes at these listening addresses that are not finished: our address and the client's.
///
/// # Errors
/// Those of netlink sockets.
pub(crate) fn handshakes(listening: &[SocketAddr]) -> io::Result<Vec<(SocketAddr, SocketAddr)>> {
    let is_there = |local: SocketAddr| {
        let is_at = |at: &SocketAddr| {
            let (any, own) = (at.ip().is_unspecified(), local.ip().to_canonical() == at.ip().to_canonical());
            at.port() == local.port() && (any || own)
        };
        listening.iter().any(is_at)
    };
    let dump = sock_diag::handshakes()?;
    let ends = dump.sockets.iter().map(|socket| (socket.local, socket.remote));
    Ok(ends.filter(|(local, _)| is_there(*local)).collect())
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;
    use crate::address::{Families, ListenAddress, NetListen};
    use crate::transport::{SocketFile, bind, listen, share_port};

    #[test]
    fn a_new_client_reaches_the_wide_socket_and_an_old_one_stays_in_the_queue() {
        let narrow = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = narrow.local_addr().unwrap().port();
        share_port(&narrow, true).unwrap();
        let net = NetListen { ip: [0; 4].into(), port, zone: None, families: Families::Own };
        let everywhere = ListenAddress::Net(net);
        let wide = bind(&everywhere, &SocketFile::default(), true).unwrap().socket;
        listen(&wide).unwrap();
        let wide = TcpListener::from(wide);

        let before = TcpStream::connect(("127.0.0.1", port)).unwrap();
        step_aside(&narrow).unwrap();
        let_kernel_finish().unwrap();
        let after = TcpStream::connect(("127.0.0.1", port)).unwrap();

        assert_eq!(narrow.accept().unwrap().1, before.local_addr().unwrap());
        assert_eq!(wide.accept().unwrap().1, after.local_addr().unwrap());
        assert_eq!(handshakes(&[narrow.local_addr().unwrap()]).unwrap(), []);
    }

    #[test]
    fn without_another_socket_a_new_client_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let (tcp, unix) = (TcpListener::bind("[::1]:0").unwrap(), UnixListener::bind(&path).unwrap());
        let address = tcp.local_addr().unwrap();
        let before = (TcpStream::connect(address).unwrap(), UnixStream::connect(&path).unwrap());

        step_aside(&tcp).unwrap();
        step_aside(&unix).unwrap();

        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(UnixStream::connect(&path).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert!(tcp.accept().is_ok() && unix.accept().is_ok(), "the queue stays");
        drop(before);
    }
}
