//! Every way of moving bytes × either side ending × every way to end × every size near a limit: no byte is lost and
//! each end is recorded.

use std::thread;

use loopgate::address::Address;
use loopgate::outcome::{Client, End, Flow, Phase, Side, Way};

use crate::harness::{Close, Connection, Proxy, Target, wait_until};

const SIZES: [usize; 7] = [0, 1, 4095, 4096, 65_536, 65_537, 10 << 20];

/// Sent by the other side, if both sides send.
const ANSWER: usize = 1000;

const FROM_ENDER: u64 = 1;
const FROM_OTHER: u64 = 2;

/// One session of the matrix.
struct Case {
    proxy: Proxy,
    who: Side,
    size: usize,
}

/// What its record must contain.
struct Told {
    end: End,
    closed_by: Option<Side>,
    /// Bytes from the side that ended it.
    sent: usize,
    /// Bytes towards it.
    received: usize,
}

/// Plays one way of ending: the side that ends, the other side, and what the record must then contain.
type Play = fn(&Case, Connection, Connection) -> Told;

fn all(play: Play) {
    thread::scope(|scope| {
        for pipes in [0, 8] {
            for who in [Side::Client, Side::Target] {
                let name = format!("pipes={pipes} {}", who.code());
                let several = move || SIZES.iter().for_each(|size| one(pipes, who, *size, play));
                thread::Builder::new().name(name).spawn_scoped(scope, several).unwrap();
            }
        }
    });
}

fn one(pipes: usize, who: Side, size: usize, play: Play) {
    let target = Target::manual();
    let case = Case { proxy: Proxy::builder().pipes(pipes).to(target.address), who, size };
    let client = case.proxy.connect();
    let address = client.local();
    let served = target.accept();

    let told = match who {
        Side::Client => play(&case, client, served),
        Side::Target => play(&case, served, client),
    };

    let record = case.proxy.record();
    let it = format!("pipes={pipes} {} size={size}: {record}", who.code());
    let flow = |bytes: usize| Flow { read: bytes as u64, delivered: bytes as u64 };
    let (up, down) = match who {
        Side::Client => (told.sent, told.received),
        Side::Target => (told.received, told.sent),
    };
    assert_eq!(record.outcome.end, told.end, "{it}");
    assert_eq!(record.outcome.phase, Phase::Relay, "{it}");
    assert_eq!(record.outcome.closed_by, told.closed_by, "{it}");
    assert_eq!(record.outcome.traffic.up, flow(up), "{it}");
    assert_eq!(record.outcome.traffic.down, flow(down), "{it}");
    assert_eq!(record.outcome.way, way(pipes, told.sent.max(told.received)), "{it}");
    assert_eq!(record.client, Client::Net(address), "{it}");
    assert_eq!(record.outcome.target, Some(Address::from(target.address)), "{it}");
}

fn way(pipes: usize, bytes: usize) -> Way {
    match bytes {
        0 => Way::None,
        // Some hundred full reads are enough to be taken for a stream; a single one never is.
        10_485_760 if pipes > 0 => Way::Splice,
        _ => Way::Copy,
    }
}

impl Case {
    fn done(&self, sent: usize, received: usize) -> Told {
        Told { end: End::Done, closed_by: Some(self.who), sent, received }
    }

    fn reset(&self, sent: usize, received: usize) -> Told {
        let end = if self.who == Side::Client { End::ClientReset } else { End::TargetReset };
        Told { end, closed_by: None, sent, received }
    }

    /// Waits until the proxy has read `bytes` bytes from the side that ends.
    fn wait_until_read(&self, bytes: usize) {
        let session = self.proxy.only_session();
        wait_until("the proxy has read it", || (self.sent(&session).read >= bytes as u64).then_some(()));
    }

    fn sent(&self, session: &loopgate::ledger::Live) -> Flow {
        let traffic = session.meter.traffic();
        if self.who == Side::Client { traffic.up } else { traffic.down }
    }

    fn received(&self, session: &loopgate::ledger::Live) -> Flow {
        let traffic = session.meter.traffic();
        if self.who == Side::Client { traffic.down } else { traffic.up }
    }
}

#[test]
fn after_a_fin_every_byte_arrives_and_then_the_fin() {
    all(|case, mut ender, mut other| {
        thread::scope(|scope| {
            scope.spawn(move || ender.send_stream(FROM_ENDER, case.size));
            other.receive_stream(FROM_ENDER, case.size);
            assert_eq!(other.receive_close(), Close::Fin);
        });
        drop(other);
        case.done(case.size, 0)
    });
}

#[test]
fn a_reset_arrives_as_a_reset_after_every_byte_before_it() {
    all(|case, mut ender, mut other| {
        // Before that, a target that resets at once may still count as unreached.
        other.send_stream(FROM_OTHER, ANSWER);
        ender.receive_stream(FROM_OTHER, ANSWER);
        thread::scope(|scope| {
            scope.spawn(move || {
                ender.send_stream(FROM_ENDER, case.size);
                // A reset destroys what its own kernel has not sent yet, and that is not ours to keep.
                case.wait_until_read(case.size);
                ender.reset();
            });
            other.receive_stream(FROM_ENDER, case.size);
            assert_eq!(other.receive_close(), Close::Reset);
        });
        case.reset(case.size, ANSWER)
    });
}

#[test]
fn after_a_half_close_the_answer_still_comes() {
    all(|case, mut ender, mut other| {
        thread::scope(|scope| {
            scope.spawn(move || {
                other.receive_stream(FROM_ENDER, case.size);
                assert_eq!(other.receive_close(), Close::Fin);
                other.send_stream(FROM_OTHER, case.size);
            });
            ender.send_stream(FROM_ENDER, case.size);
            ender.finish();
            ender.receive_stream(FROM_OTHER, case.size);
            assert_eq!(ender.receive_close(), Close::Fin);
        });
        case.done(case.size, case.size)
    });
}

#[test]
fn a_side_that_reads_only_later_gets_every_byte() {
    all(|case, mut ender, mut other| {
        thread::scope(|scope| {
            let talking = scope.spawn(move || {
                other.send_stream(FROM_OTHER, case.size);
                other
            });
            let session = case.proxy.only_session();
            let some = (case.size as u64).min(64 << 10);
            wait_until("the proxy reads", || (case.received(&session).read >= some).then_some(()));
            ender.receive_stream(FROM_OTHER, case.size);
            let mut other = talking.join().unwrap();
            drop(ender);
            assert_eq!(other.receive_close(), Close::Fin);
        });
        case.done(0, case.size)
    });
}

#[test]
fn a_close_with_unread_data_is_a_reset_after_every_byte() {
    all(|case, mut ender, mut other| {
        other.send_stream(FROM_OTHER, ANSWER);
        ender.wait_for_something();
        thread::scope(|scope| {
            scope.spawn(move || {
                ender.send_stream(FROM_ENDER, case.size);
                case.wait_until_read(case.size);
                drop(ender);
            });
            other.receive_stream(FROM_ENDER, case.size);
            assert_eq!(other.receive_close(), Close::Reset);
        });
        case.reset(case.size, ANSWER)
    });
}

#[test]
fn what_a_killed_process_had_said_arrives() {
    all(|case, mut ender, mut other| {
        thread::scope(|scope| {
            scope.spawn(move || {
                ender.send_stream(FROM_ENDER, case.size);
                ender.die();
            });
            other.receive_stream(FROM_ENDER, case.size);
            assert_eq!(other.receive_close(), Close::Fin);
        });
        drop(other);
        case.done(case.size, 0)
    });
}
