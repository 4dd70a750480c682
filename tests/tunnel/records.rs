//! One record for each session at each end, joined by its id.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use crate::harness::{ClosedPort, Connection, Target};
use crate::pair::Pair;

const SESSIONS: usize = 500;
const AT_ONCE: usize = 16;

#[test]
fn each_of_five_hundred_sessions_has_one_record_at_each_end_with_equal_bytes() {
    let (service, port) = (Target::echo(), ClosedPort::port());
    let route =
        format!("[routes.web]\nlisten = \"tunnel:vps/{}\"\ntarget = \"{}\"\n", port.address, service.address);
    let mut pair = Pair::start(&format!("may_listen = [\"{}\"]", port.address), "", &route);
    let visitors = pair.there("web");

    // Each sends another number of bytes, so that a record cannot be another's.
    let next = AtomicUsize::new(1);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let n @ ..=SESSIONS = next.fetch_add(1, Ordering::Relaxed) {
                    Connection::to(visitors).expect_whole_echo(n as u64, 100 * n);
                }
            });
        }
    });

    let [there, here] = [&mut pair.vps, &mut pair.home].map(|end| by_id(end.recorded(SESSIONS)));
    assert_eq!(there.len(), SESSIONS, "an id stands in two records");
    assert!(there.keys().eq(here.keys()), "a session has no record at one end");
    for (id, record) in &there {
        assert_eq!(id.len(), 16, "{record}");
        assert_eq!(record["end"], "done", "{record}");
        let bytes = |record: &Value| (record["up"].as_u64(), record["down"].as_u64());
        assert_eq!(bytes(record), bytes(&here[id]), "{record} {}", here[id]);
        assert_eq!(record["up"], record["down"], "{record}");
    }
    let mut sizes: Vec<u64> = there.values().filter_map(|record| record["up"].as_u64()).collect();
    sizes.sort_unstable();
    assert!(sizes.into_iter().eq((1..=SESSIONS as u64).map(|n| 100 * n)));
    // Far fewer connections than sessions: they are used again.
    assert!(pair.relay.count() < SESSIONS / 2, "{} connections", pair.relay.count());
    for (record, tunnel) in [(there.values().next(), "home"), (here.values().next(), "vps")] {
        assert_eq!(record.unwrap()["tunnel"], tunnel, "{record:?}");
    }
}

fn by_id(records: Vec<Value>) -> BTreeMap<String, Value> {
    let with_id = |record: Value| (record["id"].as_str().unwrap_or_default().to_owned(), record);
    records.into_iter().map(with_id).collect()
}
