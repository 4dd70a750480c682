//! Real programs at the ends.

mod datagrams;
mod leases;
mod names;
mod openssl;
mod proxy_headers;
mod targets;
pub(crate) mod tcp;
mod tls;
mod tls_closes;
