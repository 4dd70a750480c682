//! The only `unsafe`: small safe functions over the kernel that no kept library offers.
//!
//! Everything `rustix` already does safely is called where it is needed; it is not repeated here.

mod async_fd;
pub(crate) mod datagrams;
#[cfg(fuzzing)]
pub mod fuzzing;
pub(crate) mod heap;
pub(crate) mod netlink;
pub(crate) mod nftables;
pub(crate) mod rtnetlink;
pub(crate) mod sock_diag;
mod socket_names;
mod sockopt;
mod tcp_info;
mod user_timeout;

pub(crate) use async_fd::readable;
pub(crate) use socket_names::ends;
pub(crate) use sockopt::{bind_address_no_port, bind_to_device, peer_credentials, unsent};
pub(crate) use tcp_info::tcp_info;
pub(crate) use user_timeout::forgive;
