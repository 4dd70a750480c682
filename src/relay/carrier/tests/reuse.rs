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

/// The visitor has closed with bytes unread, which is a reset behind both ends.
#[tokio::test]
async fn a_reset_behind_both_ends_belongs_to_the_session_and_not_to_the_next() {
    for _ in 0..50 {
        let (ended, ()) = carry(links().await, LINGER, async |mut visitor, mut service| {
            visitor.shutdown().await.unwrap();
            assert_eq!(read_to_end(&mut service).await, b"");
            write(&mut service, b"nobody reads this").await;
            drop(service);
            visitor.readable().await.unwrap();
            drop(visitor);
        })
        .await;

        // Whether the bytes had been acknowledged before is a race that plain sessions have as well; but a carrier is free at
        // both ends or at none.
        assert!(ended.iter().all(|ended| matches!(ended.end, End::Done | End::ClientReset)));
        if ended.iter().any(|ended| ended.end != End::Done) {
            assert!(ended[0].link.is_none() || ended[1].link.is_some());
        }
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
