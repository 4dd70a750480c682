//! The only `unsafe` code: small safe functions over kernel interfaces that no maintained library offers.
//!
//! What `rustix` already offers safely is called where it is needed and not wrapped again here.

#[cfg(feature = "cli")]
pub(crate) mod arguments;
mod async_fd;
#[cfg(feature = "cli")]
pub(crate) mod blocks;
#[cfg(feature = "cli")]
mod chunks;
pub(crate) mod datagrams;
mod descriptors;
#[cfg(fuzzing)]
pub mod fuzzing;
pub(crate) mod heap;
mod look_up;
pub(crate) mod netlink;
pub(crate) mod nftables;
pub(crate) mod refusals;
pub(crate) mod rtnetlink;
#[cfg(feature = "cli")]
pub(crate) mod signals;
pub(crate) mod sock_diag;
mod socket_names;
mod sockopt;
mod tcp_info;
mod user_timeout;

pub(crate) use async_fd::{readable, watched};
pub(crate) use descriptors::{chmod_held, open_descriptors};
pub(crate) use look_up::{NoAnswer, look_up};
pub(crate) use socket_names::ends;
pub(crate) use sockopt::{
    bind_address_no_port, bind_to_device, bind_to_index, bound_file, clamp_window, lock_receive_buffer,
    peer_credentials, peer_groups, send_queue, set_receive_low_mark, set_unsent_mark, unacknowledged, unsent,
};
pub(crate) use tcp_info::tcp_info;
pub(crate) use user_timeout::forgive;
