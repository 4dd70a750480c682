//! A network namespace of the run's own, with a wide range of source ports.
//!
//! With the usual range, TIME_WAIT caps every forwarder at the same number of connections a second, and the ratio of two
//! caps says nothing. A namespace can also have another congestion control than the host, whose settings stay as they are.

use std::fs;
use std::process::Command;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::process::{getegid, geteuid};

use crate::machine::{SYSCTLS, sysctl};
use crate::options::Options;
use crate::ports;
use loopgate_load::Fallible;

pub(crate) const PORT_RANGE: &str = "net/ipv4/ip_local_port_range";
pub(crate) const RESERVED_PORTS: &str = "net/ipv4/ip_local_reserved_ports";
const CONGESTION: &str = "net/ipv4/tcp_congestion_control";

/// The first argument of a process that only tries to enter; the second is the congestion control, or nothing.
const TRIAL: &str = "--try-namespace";

/// Enters a namespace unless the options ask for the host's network. Where that is refused, the run stays outside and the
/// answer says why; but then a congestion control cannot be chosen, which is an error.
pub(crate) fn enter_or_say_why(options: &Options) -> Fallible<Option<String>> {
    if options.host_network {
        return Ok(Some("asked for by --host-network".to_owned()));
    }
    let congestion = options.congestion.as_deref();
    match (attempt(congestion), congestion) {
        (Ok(()), _) => enter(congestion).map(|()| None),
        (Err(why), Some(name)) => Err(format!("--congestion {name}: {why}").into()),
        (Err(why), None) => Ok(Some(why.to_string())),
    }
}

/// Plays the process that only tries, if this is one.
pub(crate) fn trial() -> Option<Fallible<()>> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != TRIAL {
        return None;
    }
    Some(enter(arguments.next().as_deref()))
}

/// A child goes first: there is no way back from a namespace in which something turns out to be forbidden, as where a
/// security module takes the rights of a new user namespace away.
fn attempt(congestion: Option<&str>) -> Fallible<()> {
    let output = Command::new(std::env::current_exe()?).arg(TRIAL).args(congestion).output()?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(words.trim().trim_start_matches("versus: ").into())
}

/// Enters: alone where that is permitted, else in a user namespace as the same user.
fn enter(congestion: Option<&str>) -> Fallible<()> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let outside: Vec<(&str, String)> = SYSCTLS.iter().map(|name| (*name, sysctl(name))).collect();
    match unshare(CloneFlags::CLONE_NEWNET) {
        Err(Errno::EPERM) => {
            unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
                .map_err(|error| format!("a network namespace is refused: {error}"))?;
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
            fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
        }
        other => other.map_err(|error| format!("a network namespace is refused: {error}"))?,
    }
    loopback_up().map_err(|error| format!("a new namespace's loopback cannot be set up: {error}"))?;
    // A new namespace begins with the kernel's own values, or those of the first namespace. What may not be set here is
    // told with the machine.
    for (name, value) in outside.iter().filter(|(name, value)| sysctl(name) != *value) {
        let _ = set(name, value);
    }
    set(PORT_RANGE, "1024 65535")?;
    set(RESERVED_PORTS, &ports::reserved())?;
    congestion.map_or(Ok(()), choose)
}

/// A namespace may only choose what the host permits to everybody.
fn choose(congestion: &str) -> Fallible<()> {
    let permitted = || sysctl("net/ipv4/tcp_allowed_congestion_control");
    set(CONGESTION, congestion).map_err(|_| {
        format!(
            "a namespace cannot choose it; net.ipv4.tcp_allowed_congestion_control of this host permits: {}",
            permitted()
        )
        .into()
    })
}

fn set(name: &str, value: &str) -> Fallible<()> {
    fs::write(format!("/proc/sys/{name}"), value).map_err(|error| format!("{name} = {value}: {error}").into())
}

/// RTM_NEWLINK for the first interface, which in every new namespace is `lo`, with IFF_UP; by netlink, as a program like
/// `ip` would lose the rights of a user namespace when it starts.
fn loopback_up() -> Fallible<()> {
    const RTM_NEWLINK: u16 = 16;
    const REQUEST_AND_ACK: u16 = 1 | 4;
    const IFF_UP: u32 = 1;
    let mut message = Vec::with_capacity(32);
    // nlmsghdr: length, type, flags, sequence, port
    message.extend(32_u32.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(REQUEST_AND_ACK.to_ne_bytes());
    message.extend([0; 8]);
    // ifinfomsg: family and type of none, index, flags, which of them change
    message.extend([0; 4]);
    message.extend(1_i32.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());

    // NETLINK_ROUTE is protocol 0.
    let socket =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    rustix::net::send(&socket, &message, SendFlags::empty())?;
    let mut answer = [0; 128];
    let (_, length) = rustix::net::recv(&socket, answer.as_mut_slice(), RecvFlags::empty())?;
    // nlmsgerr after the header: a negative errno, or 0.
    let code = answer.get(16..20).filter(|_| length >= 20).ok_or("the kernel's answer is too short")?;
    match i32::from_ne_bytes([code[0], code[1], code[2], code[3]]) {
        0 => Ok(()),
        code => Err(std::io::Error::from_raw_os_error(-code).into()),
    }
}
