//! Bytes: all arrive in order and in time; and each side sees how the other ended.

mod bandwidth;
mod closes;
mod congestion;
mod keepalive;
mod matrix;
mod streams;
mod timeouts;
