//! Every way in and every way out but TLS.

mod addresses;
mod carried;
mod names;
mod proxy_protocol;
mod service_datagrams;
mod services;
mod tunnel;
mod unix;
mod unix_files;
