//! What holds of flows between two ends, over connections that are cut, stand still, or are not to be had.

use std::time::UNIX_EPOCH;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::*;
use crate::address::{Protocol, There};
use crate::outcome::SessionId;
use crate::proxy_protocol::{Ends, Header, Tlvs};
use crate::transport::tunnel::carrier::testing::links;
use crate::transport::tunnel::carrier::{Carrier, Home, Received, Stay};
use crate::transport::tunnel::frame::Reason;

const WAIT: Duration = Duration::from_secs(20);

const FLOW: FlowNumber = FlowNumber(2);

fn open() -> Open {
    Open {
        id: SessionId([7; 10]),
        to: There::service("game").unwrap(),
        protocol: Protocol::Udp,
        came: UNIX_EPOCH,
        header: Header { ends: Ends::Unnamed, tlvs: Tlvs::default() },
    }
}

#[derive(Debug, PartialEq)]
enum Event {
    Began(FlowNumber),
    Arrived(FlowNumber, Bytes),
    Dropped(FlowNumber, u64),
    Ended(FlowNumber, FlowEnded),
}

struct Sink(UnboundedSender<Event>);

impl Arrivals for Sink {
    fn began(&self, flow: FlowNumber, _: Open) {
        let _ = self.0.send(Event::Began(flow));
    }

    fn arrived(&self, flow: FlowNumber, datagram: Bytes) {
        let _ = self.0.send(Event::Arrived(flow, datagram));
    }

    fn dropped(&self, flow: FlowNumber, count: u64) {
        let _ = self.0.send(Event::Dropped(flow, count));
    }

    fn ended(&self, flow: FlowNumber, why: FlowEnded) {
        let _ = self.0.send(Event::Ended(flow, why));
    }
}

/// Carriers of tests have none.
struct Nowhere;

impl Home for Nowhere {
    fn free(&self, _: Carrier) -> Option<Stay> {
        None
    }

    fn lost(&self) {}
}

/// One end, and what it hears.
struct One {
    tls: Arc<Tls>,
    line: Arc<Line>,
    heard: UnboundedReceiver<Event>,
    running: JoinSet<()>,
}

impl One {
    fn new(end: End) -> One {
        let line = Arc::<Line>::default();
        line.set_up();
        let (tls, inbox) = Tls::new(line.clone(), end);
        let (tls, (to, heard)) = (Arc::new(tls), unbounded_channel());
        let mut running = JoinSet::new();
        running.spawn(tls.clone().run(inbox, Arc::new(Sink(to))));
        One { tls, line, heard, running }
    }

    /// Gives it an idle carrier; its other end is returned.
    async fn carrier(&self) -> FrameLink {
        let (ours, theirs) = links().await;
        let peer = ours.peer().unwrap();
        let carrier =
            Carrier { link: ours.park().unwrap().into(), peer, carried: 0, home: Arc::new(Nowhere) };
        assert!(self.line.offer(carrier).is_none());
        theirs
    }

    /// Has it carry the flows that come by this carrier, if any do.
    fn listens(&mut self, mut theirs: FrameLink) {
        let tls = self.tls.clone();
        self.running.spawn(async move {
            if let Ok(Received::Frame(first)) = theirs.receive(1).await {
                tls.add(theirs, first);
            }
        });
    }

    async fn hears(&mut self) -> Event {
        timeout(WAIT, self.heard.recv()).await.expect("an event").unwrap()
    }
}

/// Has an end carry the flows that come by this carrier.
async fn follow(end: &One, mut theirs: FrameLink) {
    let Ok(Received::Frame(first)) = timeout(WAIT, theirs.receive(1)).await.unwrap() else {
        panic!("no frame")
    };
    end.tls.add(theirs, first);
}

fn arrived(bytes: &[u8]) -> Event {
    Event::Arrived(FLOW, Bytes::copy_from_slice(bytes))
}

#[tokio::test]
async fn a_flow_begins_sends_answers_and_ends() {
    let (mut here, mut there) = (One::new(End::Dialling), One::new(End::Accepting));
    let theirs = here.carrier().await;
    here.tls.begin(FLOW, &open());
    assert!(here.tls.send(FLOW, Bytes::from_static(b"first")));
    follow(&there, theirs).await;

    assert_eq!(there.hears().await, Event::Began(FLOW));
    assert_eq!(there.hears().await, arrived(b"first"));
    assert!(there.tls.send(FLOW, Bytes::new()));
    assert_eq!(here.hears().await, arrived(b""));
    there.tls.end(FLOW, &FlowEnded::Refused(Cause::Refused, Some("in words".into())));
    assert_eq!(
        here.hears().await,
        Event::Ended(FLOW, FlowEnded::Refused(Cause::Refused, Some("in words".into())))
    );
    assert!(!there.tls.send(FLOW, Bytes::new()), "it has no way any more");

    // The same connection is the next flow's.
    here.tls.forget(FLOW);
    here.tls.begin(FlowNumber(4), &open());
    assert_eq!(there.hears().await, Event::Began(FlowNumber(4)));
    here.tls.end(FlowNumber(4), &FlowEnded::Ended(Reason::Idle));
    assert_eq!(there.hears().await, Event::Ended(FlowNumber(4), FlowEnded::Ended(Reason::Idle)));
}

#[tokio::test]
async fn a_flow_that_ends_before_it_has_a_connection_leaves_one_that_works() {
    let (here, mut there) = (One::new(End::Dialling), One::new(End::Accepting));
    here.tls.begin(FLOW, &open());
    here.tls.end(FLOW, &FlowEnded::Ended(Reason::Idle));
    let theirs = here.carrier().await;

    follow(&there, theirs).await;

    assert_eq!(there.hears().await, Event::Began(FLOW));
    assert_eq!(there.hears().await, Event::Ended(FLOW, FlowEnded::Ended(Reason::Idle)));
    here.tls.begin(FlowNumber(4), &open());
    assert_eq!(there.hears().await, Event::Began(FlowNumber(4)));
}

#[tokio::test]
async fn a_flow_that_has_gone_another_way_meanwhile_is_not_announced_by_a_late_connection() {
    let (here, mut there) = (One::new(End::Dialling), One::new(End::Accepting));
    here.tls.begin(FLOW, &open());
    here.tls.begin(FlowNumber(4), &open());
    assert!(here.tls.has(FLOW));

    here.tls.leave(FLOW);
    let (one, another) = (here.carrier().await, here.carrier().await);
    there.listens(one);
    there.listens(another);

    assert!(!here.tls.has(FLOW));
    assert_eq!(there.hears().await, Event::Began(FlowNumber(4)), "and of the first nothing");
}

#[tokio::test]
async fn a_flow_whose_connection_is_cut_goes_on_by_another() {
    let (here, mut there) = (One::new(End::Dialling), One::new(End::Accepting));
    let cut = here.carrier().await;
    let spare = here.carrier().await;
    here.tls.begin(FLOW, &open());
    // Of two carriers the one that was offered last is taken first.
    let (first, second) = (spare, cut);
    let mut first = first;
    let Ok(Received::Frame(Frame::Flow(..))) = timeout(WAIT, first.receive(1)).await.unwrap() else {
        panic!()
    };

    drop(first);
    here.tls.send(FLOW, Bytes::from_static(b"on its way"));
    follow(&there, second).await;

    assert_eq!(there.hears().await, Event::Began(FLOW));
    here.tls.send(FLOW, Bytes::from_static(b"after it"));
    loop {
        let event = there.hears().await;
        if event == arrived(b"after it") {
            break;
        }
        assert_eq!(event, arrived(b"on its way"), "what was sent in time may come, and once");
    }
    there.tls.send(FLOW, Bytes::from_static(b"back"));
    let mut here = here;
    assert_eq!(here.hears().await, arrived(b"back"));
}

#[tokio::test]
async fn where_a_connection_stands_still_the_oldest_are_dropped_and_told_and_the_newest_arrives() {
    let (mut here, mut there) = (One::new(End::Dialling), One::new(End::Accepting));
    let theirs = here.carrier().await;
    here.tls.begin(FLOW, &open());
    let numbered = |n: u32| Bytes::from([&n.to_be_bytes()[..], &[0; 1196]].concat());
    let mut sent = 0;
    let mut dropped = 0;
    // Until what the kernel takes is full, and the queue behind it.
    while dropped < 100 {
        for _ in 0..1000 {
            assert!(here.tls.send(FLOW, numbered(sent)));
            sent += 1;
        }
        while let Ok(event) = here.heard.try_recv() {
            let Event::Dropped(FLOW, count) = event else { panic!("{event:?}") };
            dropped += count;
        }
        tokio::task::yield_now().await;
    }

    follow(&there, theirs).await;
    assert_eq!(there.hears().await, Event::Began(FLOW));
    let (mut arrived, mut last) = (0, None);
    while last != Some(sent - 1) {
        let Event::Arrived(FLOW, datagram) = there.hears().await else { panic!() };
        let number = u32::from_be_bytes(datagram[..4].try_into().unwrap());
        assert!(last < Some(number), "each once, in their order");
        (arrived, last) = (arrived + 1, Some(number));
    }
    // What was not told yet is told within a moment.
    while u64::from(sent) > arrived + dropped {
        let Event::Dropped(FLOW, count) = here.hears().await else { panic!() };
        dropped += count;
    }

    assert_eq!(u64::from(sent), arrived + dropped, "whole or counted");
}

#[tokio::test]
async fn a_flow_for_which_no_connection_is_had_in_time_shares_one_or_ends() {
    let (mut here, mut there) = (One::new(End::Dialling), One::new(End::Accepting));
    here.tls.begin(FLOW, &open());
    assert_eq!(here.hears().await, Event::Ended(FLOW, FlowEnded::Refused(Cause::TunnelBusy, None)));

    let theirs = here.carrier().await;
    here.tls.begin(FlowNumber(4), &open());
    follow(&there, theirs).await;
    assert_eq!(there.hears().await, Event::Began(FlowNumber(4)));
    here.tls.begin(FlowNumber(6), &open());
    here.tls.send(FlowNumber(6), Bytes::from_static(b"waits"));

    assert_eq!(there.hears().await, Event::Began(FlowNumber(6)));
    assert_eq!(there.hears().await, Event::Arrived(FlowNumber(6), Bytes::from_static(b"waits")));
}

#[tokio::test]
async fn an_end_that_breaks_the_rules_of_flows_is_cut_off() {
    let body = |flow: u64| {
        let mut body = Vec::new();
        crate::transport::tunnel::datagram::put_number(FlowNumber(flow), &mut body);
        body
    };
    let flow = |number| Frame::Flow(number, open().encode());
    let begun: [(Frame, Option<Frame>, Vec<u8>); 6] = [
        (flow(3), None, Vec::new()),
        (Frame::Flow(2, b"no header".to_vec()), None, Vec::new()),
        (flow(2), Some(Frame::FlowEnd(3, b"{}".to_vec())), Vec::new()),
        (flow(2), Some(Frame::FlowEnd(2, b"[]".to_vec())), Vec::new()),
        (flow(2), Some(Frame::Open(open().encode())), Vec::new()),
        (flow(2), None, body(3)),
    ];
    for (first, then, body) in begun {
        let there = One::new(End::Accepting);
        let (mut ours, theirs) = links().await;
        there.tls.add(theirs, first.clone());
        if let Some(frame) = &then {
            ours.queue(frame).unwrap();
        }
        if !body.is_empty() {
            ours.queue_message(&body).unwrap();
        }

        let answer = timeout(WAIT, ours.receive(1)).await.unwrap();

        let is_closed = matches!(answer, Ok(Received::Frame(Frame::Close(CloseCode::Protocol))));
        assert!(is_closed, "{first:?} {then:?}: {answer:?}");
    }
}
