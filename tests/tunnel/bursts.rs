//! Many visitors at one time.

use crate::closes::Way;
use crate::harness::Connection;

/// As many as may wait for a carrier.
const VISITORS: usize = 100;

#[test]
fn a_hundred_visitors_at_once_are_all_served_by_a_tunnel_that_keeps_two_carriers_ready() {
    for mut way in Way::both() {
        let mut visitors: Vec<_> = (0..VISITORS).map(|_| Connection::to(way.visitors)).collect();
        for (n, visitor) in visitors.iter_mut().enumerate() {
            visitor.send(&[n as u8]);
        }

        // Nobody leaves before all are served, so that each needs a carrier of its own.
        let mut services: Vec<_> = (0..VISITORS).map(|_| way.service.accept()).collect();
        for service in &mut services {
            let said = service.receive(1);
            service.send(&said);
        }
        for (n, visitor) in visitors.iter_mut().enumerate() {
            assert_eq!(visitor.receive(1), [n as u8]);
        }

        drop((visitors, services));
        for end in [&mut way.pair.vps, &mut way.pair.home] {
            for record in end.recorded(VISITORS) {
                assert_eq!((&record["end"], &record["up"]), (&"done".into(), &1.into()), "{record}");
            }
        }
    }
}
