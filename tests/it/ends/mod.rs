//! Every way in and every way out but TLS.

mod addresses;
mod names;
mod names_beside;
mod proxy_protocol;
mod unix;
mod unix_files;
