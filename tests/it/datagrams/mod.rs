//! Datagrams, and the flows they make.

mod carry;
mod flows;
mod rates;
