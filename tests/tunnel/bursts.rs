//! Many visitors at one time.

use crate::closes::Way;
use crate::harness::Connection;

/// As many as may wait for a carrier.
const VISITORS: usize = 100;

/// A busy machine opens so many connections in its own time.
const PATIENT: &str = "connect_timeout = \"30s\"";

#[test]
fn a_hundred_visitors_at_once_are_all_served_by_a_tunnel_that_keeps_two_carriers_ready() {
    for mut way in Way::both_with(PATIENT) {
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

/// So many more than carriers may be opened at once that each must be made up for by those that are used.
const STAY: usize = 400;
const AT_ONCE: usize = 80;

#[test]
fn visitors_that_come_and_stay_are_served_however_many_there_are() {
    for mut way in Way::both_with(PATIENT) {
        let mut stay = Vec::new();
        for _ in 0..STAY / AT_ONCE {
            let mut visitors: Vec<_> = (0..AT_ONCE).map(|_| Connection::to(way.visitors)).collect();
            visitors.iter_mut().for_each(|visitor| visitor.send(b"?"));
            for _ in 0..AT_ONCE {
                let mut service = way.service.accept();
                assert_eq!(service.receive(1), b"?");
                service.send(b"!");
                stay.push(service);
            }
            visitors.iter_mut().for_each(|visitor| assert_eq!(visitor.receive(1), b"!"));
            stay.extend(visitors);
        }

        drop(stay);
        for record in way.pair.vps.recorded(STAY) {
            assert_eq!(record["end"], "done", "{record}");
        }
    }
}
