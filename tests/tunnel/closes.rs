//! How a connection ends through a tunnel: each side's FIN and RST arrives as what it is, and both records say so.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Close, ClosedPort, Connection, Target};
use crate::pair::Pair;

/// A tunnel with one route, and where its visitors connect.
pub(crate) struct Way {
    pub(crate) pair: Pair,
    pub(crate) visitors: SocketAddr,
    pub(crate) service: Target,
    _port: ClosedPort,
}

impl Way {
    /// The route listens at the accepting end, and its service is beside the dialling end.
    fn reverse(settings: &str) -> Way {
        let (service, port) = (Target::manual(), ClosedPort::port());
        let route = format!(
            "[routes.web]\nlisten = \"tunnel:vps/{}\"\ntarget = \"{}\"\n",
            port.address, service.address
        );
        let link = format!("may_listen = [\"{}\"]\ndefaults = {{ {settings} }}", port.address);
        let mut pair = Pair::start(&link, "", &route);
        let visitors = pair.there("web");
        assert_eq!(visitors, port.address);
        Way { pair, visitors, service, _port: port }
    }

    /// The route listens at the dialling end, and its service is beside the accepting end.
    fn forward(settings: &str) -> Way {
        let (service, port) = (Target::manual(), ClosedPort::port());
        let vps = format!("[routes.web]\nlisten = \"tunnel:home\"\ntarget = \"{}\"\n", service.address);
        let home =
            format!("[routes.web]\nlisten = \"{}\"\ntarget = \"tunnel:vps/web\"\n{settings}\n", port.address);
        let mut pair = Pair::start("", &vps, &home);
        let visitors = pair.home.forwarding("tunnel:vps/web");
        Way { pair, visitors, service, _port: port }
    }

    pub(crate) fn both() -> [Way; 2] {
        Way::both_with("")
    }

    /// Both, with these settings of the route that has its target in the tunnel.
    pub(crate) fn both_with(settings: &str) -> [Way; 2] {
        [Way::reverse(settings), Way::forward(settings)]
    }

    /// A visitor and its connection at the service, once a byte has gone each way.
    fn connected(&self) -> (Connection, Connection) {
        let mut visitor = Connection::to(self.visitors);
        visitor.send(b"?");
        let mut service = self.service.accept();
        assert_eq!(service.receive(1), b"?");
        service.send(b"!");
        assert_eq!(visitor.receive(1), b"!");
        (visitor, service)
    }

    /// The records of the only session at both ends: of one id.
    fn records(&mut self) -> [Value; 2] {
        let records = [self.pair.vps.record(), self.pair.home.record()];
        assert_eq!(records[0]["id"], records[1]["id"], "{records:?}");
        records
    }
}

/// How late an answer comes behind a FIN.
const LATE: [Duration; 2] = [Duration::ZERO, Duration::from_secs(1)];

#[test]
fn an_answer_that_comes_long_after_the_visitors_fin_arrives_whole() {
    for late in LATE {
        for mut way in Way::both() {
            let (visitor, mut service) = way.connected();
            visitor.finish();
            assert_eq!(service.receive_close(), Close::Fin);
            thread::sleep(late);
            let sending = thread::spawn(move || {
                service.send_stream(1, 3_000_000);
                service.finish();
                service
            });
            let mut visitor = visitor;
            visitor.receive_stream(1, 3_000_000);
            assert_eq!(visitor.receive_close(), Close::Fin);
            drop(sending.join().unwrap());

            for record in way.records() {
                assert_eq!((&record["end"], &record["phase"]), (&"done".into(), &"relay".into()), "{record}");
                assert_eq!((&record["up"], &record["down"]), (&1.into(), &3_000_001.into()), "{record}");
            }
        }
    }
}

#[test]
fn what_a_visitor_sends_long_after_the_services_fin_arrives_whole() {
    for late in LATE {
        for mut way in Way::both() {
            let (mut visitor, service) = way.connected();
            service.finish();
            assert_eq!(visitor.receive_close(), Close::Fin);
            thread::sleep(late);
            let sending = thread::spawn(move || {
                visitor.send_stream(2, 3_000_000);
                visitor.finish();
                visitor
            });
            let mut service = service;
            service.receive_stream(2, 3_000_000);
            assert_eq!(service.receive_close(), Close::Fin);
            drop(sending.join().unwrap());

            for record in way.records() {
                assert_eq!(record["end"], "done", "{record}");
                assert_eq!((&record["up"], &record["down"]), (&3_000_001.into(), &1.into()), "{record}");
            }
        }
    }
}

#[test]
fn a_visitors_reset_is_the_services_reset_and_both_records_say_so() {
    for mut way in Way::both() {
        let (visitor, mut service) = way.connected();

        visitor.reset();

        assert_eq!(service.receive_close(), Close::Reset);
        for record in way.records() {
            assert_eq!(record["end"], "client_reset", "{record}");
        }
        // The next visitor has a carrier that is none of a session that was cut.
        way.connected();
    }
}

#[test]
fn a_services_reset_is_the_visitors_reset_and_both_records_say_so() {
    for mut way in Way::both() {
        let (mut visitor, service) = way.connected();

        service.reset();

        assert_eq!(visitor.receive_close(), Close::Reset);
        for record in way.records() {
            assert_eq!(record["end"], "target_reset", "{record}");
        }
        way.connected();
    }
}

#[test]
fn what_was_sent_before_a_reset_comes_before_the_reset() {
    for mut way in Way::both() {
        let (mut visitor, mut service) = way.connected();
        service.send(b"last words");
        assert_eq!(visitor.receive(10), b"last words");

        service.reset();

        assert_eq!(visitor.receive_close(), Close::Reset);
        for record in way.records() {
            assert_eq!((&record["end"], &record["down"]), (&"target_reset".into(), &11.into()), "{record}");
        }
    }
}

#[test]
fn a_service_that_refuses_is_the_visitors_reset_with_the_cause_of_the_other_end() {
    for (mut way, is_reverse) in Way::both().into_iter().zip([true, false]) {
        // Nothing listens there any more.
        way.service = Target::manual();

        assert!(Connection::is_reset_at_once("127.0.0.1", way.visitors));
        let Pair { vps, home, .. } = &mut way.pair;
        let (opener, other) = if is_reverse { (vps, home) } else { (home, vps) };
        let record = opener.record();
        assert_eq!((&record["end"], &record["cause"]), (&"no_target".into(), &"refused".into()), "{record}");
        assert_eq!(record["far"], true, "{record}");
        // The visitor may have waited for its target, which was then tried again.
        let tried = other.line("a record", |line| line["end"].is_string());
        assert_eq!(tried["cause"], "refused", "{tried}");
    }
}
