//! Flows that two ends carry by QUIC, and the ways they survive.

use super::*;
use crate::outcome::Cause;
use crate::transport::tunnel::datagram::MAX_DATAGRAM;
use crate::transport::tunnel::frame::Reason;

#[tokio::test]
async fn a_flow_begins_carries_datagrams_both_ways_and_ends() {
    let mut pair = Pair::start().await;
    let (here, there) = (pair.here.up().await, pair.there.up().await);
    let flow = FlowNumber(2);

    here.begin(flow, &open("game"));
    assert_eq!(pair.there.next().await, Event::Began(2, open("game")));
    assert!(here.send(flow, Bytes::from_static(b"ping")));
    assert_eq!(pair.there.next().await, Event::Arrived(2, Bytes::from_static(b"ping")));
    assert!(there.send(flow, Bytes::from_static(b"pong")));
    assert_eq!(pair.here.next().await, Event::Arrived(2, Bytes::from_static(b"pong")));
    here.end(flow, &FlowEnded::Ended(Reason::Idle));
    assert_eq!(pair.there.next().await, Event::Ended(2, FlowEnded::Ended(Reason::Idle)));
    let refused = FlowEnded::Refused(Cause::TunnelRefused, Some("no such name".into()));
    there.end(FlowNumber(4), &refused);
    assert_eq!(pair.here.next().await, Event::Ended(4, refused));
    assert_eq!(*pair.by.lock().unwrap(), By::Quic);
}

#[tokio::test]
async fn datagrams_of_every_length_arrive_whole_and_longer_ones_are_refused() {
    let mut pair = Pair::start().await;
    let here = pair.here.up().await;
    pair.there.up().await;

    for length in
        [0, 1, 2, 1023, 1024, 1025, 1200, 1400, 1452, 1500, 9000, 30_000, MAX_DATAGRAM - 1, MAX_DATAGRAM]
    {
        let sent = Bytes::from_iter((0..length).map(|n| (n * 7 % 251) as u8));
        assert!(here.send(FlowNumber(0x1_0000), sent.clone()));
        assert_eq!(pair.there.next().await, Event::Arrived(0x1_0000, sent), "{length} bytes");
    }
    assert!(!here.send(FlowNumber(2), vec![0; MAX_DATAGRAM + 1].into()));
}

#[tokio::test]
async fn where_packets_are_lost_a_datagram_arrives_whole_or_not_at_all() {
    let mut pair = Pair::start().await;
    let here = pair.here.up().await;
    pair.there.up().await;
    pair.relay.lose(5);

    let lengths = [1, 200, 1100, 5000, 20_000];
    for n in 0..200_u64 {
        let length = lengths[n as usize % lengths.len()];
        let mut sent = vec![n as u8; length];
        sent[0] = n as u8;
        here.send(FlowNumber(n), sent.into());
        tokio::task::yield_now().await;
    }
    // Nothing is lost of the news, and what was lost of the rest is over by then.
    pair.relay.lose(0);
    here.send(FlowNumber(1 << 20), Bytes::from_static(b"last"));
    let mut arrived = 0;
    loop {
        let (flow, datagram) = pair.there.arrived().await;
        if flow == 1 << 20 {
            break;
        }
        assert_eq!(datagram.len(), lengths[flow as usize % lengths.len()]);
        assert!(datagram.iter().all(|byte| *byte == flow as u8));
        arrived += 1;
    }
    assert!(arrived > 100, "{arrived} of 200");
}

#[tokio::test]
async fn a_nat_that_gives_another_port_ends_no_flow() {
    let mut pair = Pair::start().await;
    let here = pair.here.up().await;
    let there = pair.there.up().await;
    here.begin(FlowNumber(2), &open("game"));
    assert_eq!(pair.there.next().await, Event::Began(2, open("game")));

    for change in 0..3_u8 {
        pair.relay.change_source();
        let mut n = 0_u64;
        // What was on its way back to the old port is lost, as a NAT loses it.
        loop {
            n += 1;
            here.send(FlowNumber(2), Bytes::from(vec![change]));
            let answered = async {
                loop {
                    let (_, datagram) = pair.there.arrived().await;
                    there.send(FlowNumber(2), datagram);
                    if let Ok(Some(Event::Arrived(2, back))) =
                        timeout(Duration::from_millis(100), pair.here.events.recv()).await
                        && back[0] == change
                    {
                        return;
                    }
                }
            };
            if timeout(Duration::from_millis(300), answered).await.is_ok() {
                break;
            }
            assert!(n < 60, "it does not come back after change {change}");
        }
    }
    assert!(pair.here.quic.borrow().is_some() && pair.there.quic.borrow().is_some(), "nobody fell back");
    assert!(Arc::ptr_eq(&here, pair.here.quic.borrow().as_ref().unwrap()), "it is the same connection");
}

#[tokio::test]
async fn where_udp_falls_silent_flows_are_told_and_quic_is_back_once_it_passes_again() {
    let mut pair = Pair::start().await;
    let here = pair.here.up().await;
    pair.there.up().await;

    pair.relay.block(true);
    here.send(FlowNumber(2), Bytes::from_static(b"in vain"));
    pair.here.down().await;
    assert_eq!(*pair.by.lock().unwrap(), By::Tls("timed_out"));
    assert!(!here.send(FlowNumber(2), Bytes::from_static(b"too late")));
    pair.relay.block(false);
    pair.nudge();

    let again = pair.here.up().await;
    assert!(!Arc::ptr_eq(&here, &again), "with a token of its own");
    again.send(FlowNumber(2), Bytes::from_static(b"back"));
    assert_eq!(pair.there.arrived().await, (2, Bytes::from_static(b"back")));
    assert_eq!(*pair.by.lock().unwrap(), By::Quic);
}

#[tokio::test]
async fn where_udp_is_blocked_from_the_start_it_is_said_and_tried_again() {
    let mut pair = Pair::start_with(|relay| relay.block(true)).await;
    let told = async {
        while *pair.by.lock().unwrap() == By::Untold {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, told).await.unwrap();
    assert_eq!(*pair.by.lock().unwrap(), By::Tls("timed_out"));

    pair.relay.block(false);
    pair.nudge();

    pair.here.up().await;
    pair.there.up().await;
}

#[tokio::test]
async fn datagrams_that_find_no_way_are_dropped_the_oldest_first_and_counted() {
    let mut pair = Pair::start().await;
    let here = pair.here.up().await;
    pair.there.up().await;

    // More than any way takes at once.
    let mut sent = 0_u64;
    for n in 0..20_000_u64 {
        sent += u64::from(here.send(FlowNumber(n % 2), vec![n as u8; 1000].into()));
    }
    here.send(FlowNumber(7), Bytes::from_static(b"last"));
    let mut arrived = 0;
    while pair.there.arrived().await.0 != 7 {
        arrived += 1;
    }
    let mut dropped = 0;
    while let Ok(Event::Dropped(_, count)) = pair.here.events.try_recv() {
        dropped += count;
    }

    assert!(dropped > 0 && arrived > 0, "{dropped} dropped, {arrived} arrived");
    assert!(arrived + dropped <= sent, "{arrived} + {dropped} of {sent}");
}

#[tokio::test]
async fn a_control_that_ends_takes_its_quic_connection_with_it() {
    let mut pair = Pair::start().await;
    pair.here.up().await;
    pair.there.up().await;

    pair.accepting.abort_all();

    pair.here.down().await;
    pair.there.down().await;
}

#[tokio::test]
async fn an_end_that_goes_away_is_noticed_at_once() {
    let mut pair = Pair::start().await;
    pair.here.up().await;
    pair.there.up().await;

    pair.dialling.abort_all();

    pair.there.down().await;
}
