//! Bytes: every one arrives, in order and at its time; and how each side learns of the other's end.

mod bandwidth;
mod closes;
mod keepalive;
mod matrix;
mod streams;
mod timeouts;
