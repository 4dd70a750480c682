//! Datagrams, and the flows they make.

mod carry;
mod flows;
mod mixed;
mod rates;
mod tunnel;
