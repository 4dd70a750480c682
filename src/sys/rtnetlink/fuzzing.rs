//! Every table's reader over one row: what a fuzzer calls.

use super::{link, read_address, route, rule, tc};

/// Reads a row as one of each table.
pub(crate) fn read_any(body: &[u8]) {
    let _ = (read_address(body), link::read(body), route::read(body), rule::read(body));
    let _ = (tc::read_qdisc(body), tc::read_filter(body, ""));
}
