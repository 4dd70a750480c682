//! Real programs at the ends.

mod datagrams;
mod leases;
mod names;
mod openssl;
mod proxy_headers;
mod targets;
mod tcp;
mod tls;
mod tls_closes;
