//! What moves: segments that fill a pipe's slots, slow readers, pipes with something left inside, urgent bytes.

use std::iter;
use std::thread;

use loopgate::outcome::{End, Way};

use crate::harness::{Close, ClosedPort, Connection, Proxy, Target, pattern, wait_until};

/// The payload of an Ethernet segment. One takes a slot of a pipe, whatever it holds.
const SEGMENT: usize = 1448;

/// More than two full reads: the following bytes go through a pipe.
const TO_BE_A_STREAM: usize = 1 << 20;

#[test]
fn small_segments_that_fill_a_pipe_and_fall_silent_all_arrive() {
    let target = Target::manual();
    let proxy = Proxy::builder().pipes(4).to(target.address);
    let mut client = proxy.connect();
    let mut served = target.accept();
    let mut at = TO_BE_A_STREAM;
    thread::scope(|scope| {
        scope.spawn(|| client.send_stream(1, TO_BE_A_STREAM));
        served.receive_stream(1, TO_BE_A_STREAM);
    });

    // The client does not read while 1,000 of them arrive, so that they accumulate in the pipe; then nothing more
    // arrives.
    for segments in [1, 127, 128, 129, 1000] {
        for _ in 0..segments {
            client.send_stream_from(1, at, SEGMENT);
            at += SEGMENT;
        }
        let all = segments * SEGMENT;
        served.receive_stream_from(1, at - all, all);
    }

    drop(client);
    assert_eq!(served.receive_close(), Close::Fin);
    drop(served);
    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.way), (End::Done, Way::Splice));
}

#[test]
fn a_slow_reader_stops_its_writer_and_nobody_else() {
    const ALL: usize = 64 << 20;
    let target = Target::sending(1, ALL);
    let proxy = Proxy::to(target.address);
    let mut slow = Connection::with_small_buffer_to(proxy.address);
    slow.wait_for_something();
    let session = proxy.only_session();

    // The slow one's session shares its worker with these.
    for _ in 0..3 {
        let mut quick = proxy.connect();
        quick.receive_stream(1, ALL);
        assert_eq!(quick.receive_close(), Close::Fin);
        drop(quick);
        assert_eq!(proxy.record().outcome.end, End::Done);
    }

    assert!(session.meter.traffic().down.read < ALL as u64, "nothing stopped the writer");
    slow.receive_stream(1, ALL);
    assert_eq!(slow.receive_close(), Close::Fin);
}

#[test]
fn a_pipe_with_something_inside_is_never_used_again() {
    let target = Target::manual();
    // One pipe: if it were returned with data, the next stream would begin with that data.
    let hasty = "routes.test = {listen = '127.0.0.1:0', reset_linger = '1ms', target = '";
    let proxy = Proxy::builder().pipes(1).with(&format!("{hasty}{}'}}", target.address));

    for round in 0..20 {
        let stuck = Connection::with_small_buffer_to(proxy.address);
        let mut served = target.accept();
        let session = proxy.only_session();
        served.stream().set_nonblocking(true).unwrap();
        wait_until("the way is full, the pipe too", || {
            while served.try_send(&[0xAA; 1 << 16]).is_ok() {}
            let flow = session.meter.traffic().down;
            (session.meter.way() == Way::Splice && flow.read > flow.delivered).then_some(())
        });
        if round % 2 == 0 {
            stuck.reset()
        } else {
            served.reset()
        }
        assert!(proxy.record().outcome.traffic.down.lost() > 0);

        let mut client = proxy.connect();
        let mut served = target.accept();
        thread::scope(|scope| {
            scope.spawn(|| {
                served.send_stream(round, 2 << 20);
                drop(served);
            });
            client.receive_stream(round, 2 << 20);
            assert_eq!(client.receive_close(), Close::Fin);
        });
        drop(client);
        assert_eq!(proxy.record().outcome.way, Way::Splice, "the pipe was not given back");
    }
}

#[test]
fn an_urgent_byte_among_others_is_not_lost() {
    let target = Target::manual();
    let proxy = Proxy::to(target.address);
    let mut client = proxy.connect();
    let mut served = target.accept();

    client.send(b"so");
    client.send_urgent(b'!');
    client.send(b"and on");
    client.finish();

    assert_eq!(served.receive_all(), (b"so!and on".to_vec(), Close::Fin));
}

#[test]
fn an_urgent_byte_in_a_stream_neither_stops_nor_cuts_it() {
    // splice(2) stops before an urgent byte: it says "nothing there", and after the FIN even "the end".
    for followed_by_fin in [false, true] {
        let target = Target::manual();
        let proxy = Proxy::to(target.address);
        let mut client = proxy.connect();
        let mut served = target.accept();

        thread::scope(|scope| {
            scope.spawn(|| {
                client.send_stream(1, TO_BE_A_STREAM);
                client.send_urgent(pattern::at(1, TO_BE_A_STREAM, 1)[0]);
                client.send_stream_from(1, TO_BE_A_STREAM + 1, 5000);
                if followed_by_fin {
                    client.finish();
                }
            });
            served.receive_stream(1, TO_BE_A_STREAM + 5001);
        });

        client.finish();
        assert_eq!(served.receive_close(), Close::Fin);
        drop(served);
        let outcome = proxy.record().outcome;
        assert_eq!((outcome.end, outcome.traffic.up.delivered), (End::Done, (TO_BE_A_STREAM + 5001) as u64));
        assert_eq!(outcome.way, Way::Splice);
        drop(client);
    }
}

/// Everything has arrived before the proxy reads for the first time: it reads up to the urgent mark, and nothing that
/// comes later wakes it for the rest.
#[test]
fn what_follows_an_urgent_byte_arrives_though_nothing_comes_after_it() {
    let (before, after) = ([b'a'; 100], [b'b'; 200]);
    for extra in ["", "bandwidth_per_connection = '400mbit'", "idle_timeout = '1h'"] {
        let closed = ClosedPort::port();
        let extra = if extra.is_empty() { String::new() } else { format!(", {extra}") };
        let proxy = Proxy::builder().with(&format!(
            "routes.test = {{listen = '127.0.0.1:0', target = '{}', wait_for_target = '1h'{extra}}}",
            closed.address
        ));
        let mut client = proxy.connect();
        client.send(&before);
        client.send_urgent(b'!');
        client.send(&after);
        proxy.only_session();

        let target = Target::manual_on(closed.address);
        // The diagnosis of a target that is down connects as well, and closes without a word.
        let mut served = iter::repeat_with(|| target.accept()).find(Connection::speaks).unwrap();

        assert_eq!(served.receive(301), [&before[..], b"!", &after].concat(), "{extra}");
    }
}

#[test]
fn byte_counts_can_be_read_while_a_session_lives() {
    for (pipes, way) in [(0, Way::Copy), (4, Way::Splice)] {
        let target = Target::manual();
        let proxy = Proxy::builder().pipes(pipes).to(target.address);
        let mut client = proxy.connect();
        let mut served = target.accept();

        thread::scope(|scope| {
            scope.spawn(|| served.send_stream(1, 4 << 20));
            client.receive_stream(1, 4 << 20);
        });
        client.send(b"12345");
        served.receive(5);

        let session = proxy.only_session();
        let traffic = wait_until("all of it is booked", || {
            let traffic = session.meter.traffic();
            (traffic.up.delivered == 5 && traffic.down.delivered == 4 << 20).then_some(traffic)
        });
        assert_eq!((traffic.up.lost(), traffic.down.lost(), session.meter.way()), (0, 0, way));
        assert_eq!(session.client, client.local().into());
    }
}

#[test]
fn a_target_that_speaks_first_is_heard() {
    let target = Target::greeting(b"220 ready\r\n");
    let proxy = Proxy::to(target.address);
    let mut client = proxy.connect();

    assert_eq!(client.receive(11), b"220 ready\r\n");

    drop(client);
    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.traffic.down.delivered), (End::Done, 11));
    assert!(outcome.timing.first_byte.is_some() && outcome.timing.connect.is_some());
}

#[test]
fn streams_of_many_clients_do_not_mix() {
    let target = Target::echo();
    // Fewer pipes than streams: some copy while others splice.
    let proxy = Proxy::builder().workers(2).pipes(6).to(target.address);

    thread::scope(|scope| {
        for seed in 0..24 {
            let mut client = proxy.connect();
            scope.spawn(move || {
                let mut listening = Connection::from(client.stream().try_clone().unwrap());
                thread::scope(|scope| {
                    scope.spawn(|| {
                        client.send_stream(seed, 3 << 20);
                        client.finish();
                    });
                    listening.receive_stream(seed, 3 << 20);
                    assert_eq!(listening.receive_close(), Close::Fin);
                });
            });
        }
    });

    for _ in 0..24 {
        let outcome = proxy.record().outcome;
        assert_eq!((outcome.end, outcome.traffic.up.lost(), outcome.traffic.down.lost()), (End::Done, 0, 0));
    }
}
