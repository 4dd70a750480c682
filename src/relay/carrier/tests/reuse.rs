//! One carrier after the other session: nothing of one reaches the next.

use super::*;
use crate::transport::tunnel::frame::Reason;

#[tokio::test]
async fn a_thousand_sessions_over_one_carrier_have_their_own_bytes_alone() {
    let mut pair = links().await;
    for n in 0..1000_usize {
        let (request, answer) = (bytes(n as u8, 1 + n * 7 % 3000), bytes(!n as u8, n * 13 % 70_000));
        let (ended, (asked, answered)) = carry(pair, LINGER, async |mut visitor, mut service| {
            let ask = async {
                write(&mut visitor, &request).await;
                // Every order of the two ends occurs.
                if n % 2 == 0 {
                    visitor.shutdown().await.unwrap();
                }
                read_to_end(&mut visitor).await
            };
            let reply = async {
                let mut asked = vec![0; request.len()];
                service.read_exact(&mut asked).await.unwrap();
                write(&mut service, &answer).await;
                service.shutdown().await.unwrap();
                asked
            };
            let (answered, asked) = tokio::join!(ask, reply);
            (asked, answered)
        })
        .await;
        assert!(asked == request && answered == answer, "{n}");
        assert_eq!(ends(&ended), [End::Done; 2], "{n}");
        let [here, there] = ended;
        pair = (here.link.expect("free"), there.link.expect("free"));
    }
}

#[tokio::test]
async fn a_session_that_was_cut_in_the_middle_never_leaves_its_carrier_to_another() {
    let mut pair = links().await;
    for n in 0..200_usize {
        let is_cut = n % 4 == 3;
        let (ended, ()) = carry(pair, LINGER, async |mut visitor, mut service| {
            let (foreign, cuts) = (bytes(n as u8, 100_000), n % 8 == 3);
            write(&mut service, &foreign).await;
            let mut first = vec![0; 1000];
            visitor.read_exact(&mut first).await.unwrap();
            assert!(first == foreign[..1000], "{n}");
            if is_cut {
                resets(if cuts { &visitor } else { &service });
            } else {
                drop(service);
                assert!(read_to_end(&mut visitor).await == foreign[1000..], "{n}");
            }
        })
        .await;
        let [here, there] = ended;
        let is_free = here.link.is_some() && there.link.is_some();
        assert_eq!((here.end == End::Done, is_free), (!is_cut, !is_cut), "{n}: {}", here.end.code());
        pair = match (here.link, there.link) {
            (Some(here), Some(there)) => (here, there),
            _ => links().await,
        };
    }
}

/// The visitor has closed with bytes unread, which is a reset behind both ends: EPIPE behind END.
#[tokio::test]
async fn a_reset_behind_both_ends_belongs_to_the_session_and_not_to_the_next() {
    let mut pair = links().await;
    for n in 0..100 {
        let (ended, service) = carry(pair, LINGER, async |mut visitor, mut service| {
            visitor.shutdown().await.unwrap();
            assert_eq!(read_to_end(&mut service).await, b"", "{n}");
            write(&mut service, b"nobody reads this").await;
            service.shutdown().await.unwrap();
            visitor.readable().await.unwrap();
            drop(visitor);
            service
        })
        .await;
        drop(service);

        // Which of them it is depends on when the bytes were acknowledged, as in a session without a tunnel.
        for ended in &ended {
            assert!(matches!(ended.end, End::Done | End::ClientReset), "{n}: {}", ended.end.code());
        }
        let [here, there] = ended;
        pair = match (here.link, there.link) {
            (Some(here), Some(there)) => (here, there),
            // The opener has no carrier for a session that the other end does not expect.
            (Some(_), None) => panic!("{n}: free at the opener alone"),
            (None, _) => links().await,
        };
    }
}

#[tokio::test]
async fn a_late_reset_before_done_is_the_end_of_this_session() {
    let (mut opener, mut other) = links().await;
    let (ours, visitor) = plain();
    open(&mut opener, &mut other).await;
    let there = async {
        other.queue(&Frame::Opened).unwrap();
        other.queue(&Frame::End).unwrap();
        other.flush().await.unwrap();
        drop(visitor);
        assert_eq!(other.receive(100).await.unwrap(), Received::Frame(Frame::End));
        other.queue(&Frame::Reset(Reason::TargetLost)).unwrap();
        other.flush().await.unwrap();
        other
    };

    let here = run_end(opener, ours, Side::Target, LINGER);
    let (ended, other) = timeout(PATIENCE, async { tokio::join!(here, there) }).await.unwrap();

    assert_eq!((ended.end, ended.link.is_none()), (End::TargetLost, true));
    drop(other);
}

#[tokio::test]
async fn bytes_behind_done_keep_a_carrier_from_the_next_session() {
    let (mut opener, mut other) = links().await;
    let (ours, visitor) = plain();
    open(&mut opener, &mut other).await;
    drop(visitor);
    let there = async {
        other.queue(&Frame::Opened).unwrap();
        other.queue(&Frame::End).unwrap();
        other.flush().await.unwrap();
        assert_eq!(other.receive(100).await.unwrap(), Received::Frame(Frame::End));
        other.queue(&Frame::Done).unwrap();
        other.queue_message(b"late").unwrap();
        other.flush().await.unwrap();
        other
    };

    let here = run_end(opener, ours, Side::Target, LINGER);
    let (ended, _other) = timeout(PATIENCE, async { tokio::join!(here, there) }).await.unwrap();

    assert_eq!(ended.end, End::Done);
    assert!(ended.link.is_none());
}

#[tokio::test]
async fn a_visitors_first_bytes_come_with_open_in_one_write() {
    let (mut opener, mut other) = links().await;
    let (ours, visitor) = plain();
    let mut visitor = of_tokio(visitor);
    write(&mut visitor, b"GET / HTTP/1.1\r\n\r\n").await;
    opener.queue(&Frame::Open(b"who".to_vec())).unwrap();
    let (here, there) = (run_end(opener, ours, Side::Target, LINGER), other.receive(100));
    let mut here = std::pin::pin!(here);

    let first = tokio::select! { _ = &mut here => panic!("it was not ended"), first = there => first };

    assert_eq!(first.unwrap(), Received::Frame(Frame::Open(b"who".to_vec())));
    // Read with it: a second write would have been a second read.
    assert!(other.unread.left().ends_with(b"GET / HTTP/1.1\r\n\r\n"));
}

#[tokio::test]
async fn open_does_not_wait_for_a_visitor_that_says_nothing() {
    let (mut opener, mut other) = links().await;
    let (ours, _visitor) = plain();
    opener.queue(&Frame::Open(b"who".to_vec())).unwrap();

    let first = tokio::select! {
        _ = run_end(opener, ours, Side::Target, LINGER) => panic!("it was not ended"),
        first = timeout(PATIENCE, other.receive(100)) => first.expect("in time"),
    };

    assert_eq!(first.unwrap(), Received::Frame(Frame::Open(b"who".to_vec())));
}

#[tokio::test]
async fn the_last_end_comes_with_done_in_one_write() {
    let (mut opener, mut other) = links().await;
    let (theirs, service) = plain();
    open(&mut opener, &mut other).await;
    opener.queue(&Frame::End).unwrap();
    let there = run_end(other, theirs, Side::Client, LINGER);
    let here = async {
        assert_eq!(opener.receive(100).await.unwrap(), Received::Frame(Frame::Opened));
        let mut service = of_tokio(service);
        assert_eq!(read_to_end(&mut service).await, b"");
        drop(service);
        assert_eq!(opener.receive(100).await.unwrap(), Received::Frame(Frame::End));
        let behind = opener.unread.left().to_vec();
        assert_eq!(opener.receive(100).await.unwrap(), Received::Frame(Frame::Done));
        behind
    };

    let (ended, behind) = timeout(PATIENCE, async { tokio::join!(there, here) }).await.unwrap();

    assert_eq!((ended.end, behind.len()), (End::Done, 4));
    assert!(ended.link.is_some());
}
