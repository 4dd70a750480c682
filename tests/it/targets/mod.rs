//! Targets: which one gets a client, and how it is found out whether one takes connections.

mod balance;
mod down;
mod health;
mod looked_up;
mod loops;
mod own;
mod proxied;
mod source_ports;
