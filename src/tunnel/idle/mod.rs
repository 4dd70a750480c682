//! The idle carriers of a tunnel. Those on which this end opens sessions are in its [`Line`](crate::transport::tunnel::line::Line),
//! which [`keeping`] keeps alive and at the right number; on the others this end [waits](waiting) for the other's OPEN.

pub(crate) mod keeping;
pub(crate) mod waiting;

#[cfg(test)]
mod bounds;
