//! When addresses and routes of this machine change, as the kernel tells those who listen (rtnetlink(7); the multicast groups
//! of include/uapi/linux/rtnetlink.h).

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::sys::watched;

/// RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_IFADDR and RTMGRP_IPV6_ROUTE. A link that goes takes its routes along,
/// so that its own group has nothing more to say.
const GROUPS: u32 = 0x10 | 0x40 | 0x100 | 0x400;

/// Listens for changes. One descriptor; the kernel drops messages that nobody reads, and says so.
pub(crate) struct Changes(AsyncFd<OwnedFd>);

impl Changes {
    /// Listens from now on, in the poller of the current runtime.
    ///
    /// # Errors
    /// The errno of socket(2), bind(2) or epoll_ctl(2): EPERM, EAFNOSUPPORT where a sandbox has no netlink.
    pub(crate) fn open() -> io::Result<Changes> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        watched(socket, Interest::READABLE).map(Changes)
    }

    /// Resolves once something has changed since the last call; many changes are one. Cancel safe.
    ///
    /// # Errors
    /// The errno of recv(2): nothing more will come.
    pub(crate) async fn next(&self) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            let mut has_changed = false;
            loop {
                match ready.try_io(|socket| skip(socket.get_ref())) {
                    Ok(Ok(())) => has_changed = true,
                    Ok(Err(error)) => return Err(error),
                    Err(_) => break,
                }
            }
            if has_changed {
                return Ok(());
            }
        }
    }
}

/// Takes one message, whatever it says: a datagram is cut to the buffer.
fn skip(socket: &OwnedFd) -> io::Result<()> {
    match rustix::io::retry_on_intr(|| recv(socket, &mut [0_u8; 16], RecvFlags::DONTWAIT)) {
        // ENOBUFS: some were dropped, so there were some.
        Ok(_) | Err(Errno::NOBUFS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Set where this program runs again in a network namespace of its own, in which nothing else changes.
    const INSIDE: &str = "LOOPGATE_TEST_CHANGES";

    #[test]
    #[ignore = "needs root"]
    fn a_new_address_is_a_change_and_silence_is_none() {
        if std::env::var_os(INSIDE).is_some() {
            return tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(inside());
        }
        let name = "sys::rtnetlink::changes::tests::a_new_address_is_a_change_and_silence_is_none";
        let again = Command::new("unshare")
            .args(["--net", "--"])
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", name, "--nocapture"])
            .env(INSIDE, "1")
            .output()
            .unwrap();
        assert!(again.status.success(), "{again:?}");
        assert!(String::from_utf8_lossy(&again.stdout).contains("1 passed"), "{again:?}");
    }

    async fn inside() {
        let changes = Changes::open().unwrap();
        assert!(timeout(Duration::from_millis(50), changes.next()).await.is_err(), "nothing has changed");

        for command in ["link set lo up", "address add 192.0.2.1/32 dev lo"] {
            let done = Command::new("ip").args(command.split(' ')).status().unwrap();
            assert!(done.success(), "ip {command}");
        }

        timeout(Duration::from_secs(10), changes.next()).await.unwrap().unwrap();
        assert!(timeout(Duration::from_millis(50), changes.next()).await.is_err(), "all of it is one change");
    }
}
