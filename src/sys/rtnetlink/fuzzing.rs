//! Runs every table's parser on one row, for a fuzzer.

use super::{link, read_address, route, rule, tc};

/// Parses a row as a row of each table.
pub(crate) fn read_any(body: &[u8]) {
    let _ = (read_address(body), link::read(body), route::read(body), rule::read(body));
    let _ = (tc::read_qdisc(body), tc::read_filter(body, ""));
}
