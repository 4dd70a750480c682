//! Sessions that are cut: by the loss of the carrier, by an order, by the other end.

use std::io::ErrorKind;

use tokio::io::Interest;

use super::*;
use crate::outcome::Cause;
use crate::transport::tunnel::carrier::Broken;
use crate::transport::tunnel::frame::Reason;

#[tokio::test]
async fn a_carrier_that_is_closed_in_a_session_is_a_lost_tunnel_and_a_reset() {
    let (mut opener, mut other) = links().await;
    let (ours, visitor) = plain();
    open(&mut opener, &mut other).await;
    let mut visitor = of_tokio(visitor);

    let here = run_end(opener, ours, Side::Target, LINGER);
    let there = async {
        write(&mut visitor, b"hello").await;
        assert_eq!(other.receive(100).await.unwrap(), Received::Message(b"hello".to_vec()));
        other.queue(&Frame::Opened).unwrap();
        other.queue_message(b"half an answ").unwrap();
        other.flush().await.unwrap();
        drop(other);
        read_to_error(&mut visitor).await
    };
    let (ended, (answer, error)) = timeout(PATIENCE, async { tokio::join!(here, there) }).await.unwrap();

    assert_eq!((answer, error), (b"half an answ".to_vec(), ErrorKind::ConnectionReset));
    assert_eq!((ended.end, ended.link.is_none()), (End::TunnelLost, true));
    assert!(ended.words.unwrap().contains("closed the connection within the session"));
}

#[tokio::test]
async fn a_carrier_that_is_reset_in_a_session_is_a_lost_tunnel_at_the_end_that_lets_in() {
    let (mut opener, mut other) = links().await;
    let (theirs, service) = plain();
    open(&mut opener, &mut other).await;
    let mut service = of_tokio(service);

    let there = run_end(other, theirs, Side::Client, LINGER);
    let here = async {
        opener.queue_message(b"half a requ").unwrap();
        opener.flush().await.unwrap();
        let mut read = [0; 11];
        service.read_exact(&mut read).await.unwrap();
        rustix::net::sockopt::set_socket_linger(&opener, Some(Duration::ZERO)).unwrap();
        drop(opener);
        read_to_error(&mut service).await
    };
    let (ended, (_, error)) = timeout(PATIENCE, async { tokio::join!(there, here) }).await.unwrap();

    assert_eq!(error, ErrorKind::ConnectionReset);
    assert_eq!((ended.end, ended.link.is_none()), (End::TunnelLost, true));
}

#[tokio::test]
async fn a_session_that_is_ended_by_an_order_says_the_same_word_at_the_other_end() {
    for why in [End::Idle, End::Killed, End::Revoked, End::Drained, End::Evicted, End::Expired, End::Internal]
    {
        let (mut opener, mut other) = links().await;
        let ((ours, visitor), (theirs, service)) = (plain(), plain());
        open(&mut opener, &mut other).await;
        let (mut visitor, mut service) = (of_tokio(visitor), of_tokio(service));
        let here = async {
            let meter = Meter::default();
            let (mut carrier, mut socket) = (CarrierHalf::new(opener, Side::Target), Socket::new(&ours));
            {
                let pace = Pace::new(None, None);
                let relaying = relay_halves(&mut socket, &mut carrier, &meter, LINGER, &pace);
                let talk = async {
                    write(&mut visitor, b"to the end").await;
                    let mut read = [0; 10];
                    service.read_exact(&mut read).await.unwrap();
                };
                tokio::select! { _ = relaying => panic!("it was not ended"), () = talk => {} }
            }
            crate::relay::reset(&mut socket, &mut carrier, &meter, why);
            carrier.settle(LINGER).await.unwrap();
            carrier.into_link().is_none()
        };
        let there = run_end(other, theirs, Side::Client, LINGER);
        let (is_gone, ended) = timeout(PATIENCE, async { tokio::join!(here, there) }).await.unwrap();

        assert_eq!((ended.end, is_gone), (why, true));
        assert!(ended.words.is_some_and(|words| words.ends_with("at the other end of the tunnel")));
        assert_eq!(read_to_error(&mut service).await.1, ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn a_target_that_was_not_reached_there_is_no_target_here_with_its_cause() {
    let (mut opener, mut other) = links().await;
    let (ours, visitor) = plain();
    open(&mut opener, &mut other).await;
    let mut visitor = of_tokio(visitor);
    other.queue(&Frame::Failed(br#"{"cause":"refused","words":"port 3000"}"#.to_vec())).unwrap();
    other.queue(&Frame::Reset(Reason::NoTarget)).unwrap();
    other.flush().await.unwrap();

    let here = run_end(opener, ours, Side::Target, LINGER);
    let (ended, (_, error)) =
        timeout(PATIENCE, async { tokio::join!(here, read_to_error(&mut visitor)) }).await.unwrap();

    assert_eq!(ended.end, End::NoTarget(Cause::Refused));
    assert_eq!((ended.words.as_deref(), error), (Some("port 3000"), ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn without_done_the_opener_does_not_call_it_done() {
    let (mut opener, mut other) = links().await;
    let (ours, visitor) = plain();
    open(&mut opener, &mut other).await;
    drop(visitor);
    other.queue(&Frame::Opened).unwrap();
    other.queue(&Frame::End).unwrap();
    other.flush().await.unwrap();

    // It stays open, and says nothing more.
    let ended = timeout(PATIENCE, run_end(opener, ours, Side::Target, Duration::ZERO)).await.unwrap();

    assert_eq!((ended.end, ended.link.is_none()), (End::TunnelLost, true));
}

#[tokio::test]
async fn a_reset_that_the_carrier_does_not_take_becomes_a_reset_of_the_carrier() {
    const SHORT: Duration = Duration::from_millis(300);
    let (ended, error) = carry(links().await, SHORT, async |mut visitor, mut service| {
        // Until nothing is taken any more, as the service reads nothing.
        while timeout(SHORT, visitor.write_all(&[1; 64 << 10])).await.is_ok() {}
        resets(&visitor);
        drop(visitor);
        service.ready(Interest::ERROR).await.unwrap();
        read_to_error(&mut service).await.1
    })
    .await;

    assert_eq!(error, ErrorKind::ConnectionReset);
    assert_eq!(ends(&ended), [End::ClientReset, End::TunnelLost]);
    assert!(ended.iter().all(|ended| ended.link.is_none()));
    let sent = ended[0].traffic.up;
    assert!(sent.lost() > 0, "{sent:?}");
}

/// A write meets the reset of the connection before the RESET that came first is read.
#[tokio::test]
async fn a_reason_that_came_before_the_connection_broke_is_the_end() {
    let (mut opener, mut other) = links().await;
    let (ours, visitor) = plain();
    let mut visitor = of_tokio(visitor);
    open(&mut opener, &mut other).await;
    write(&mut visitor, b"more").await;
    ours.ready(Interest::READABLE).await.unwrap();
    other.queue(&Frame::Opened).unwrap();
    other.queue_message(b"the last").unwrap();
    other.queue(&Frame::Reset(Reason::Killed)).unwrap();
    other.flush().await.unwrap();
    rustix::net::sockopt::set_socket_linger(&other, Some(Duration::ZERO)).unwrap();
    drop(other);
    opener.records.stream().ready(Interest::ERROR).await.unwrap();

    let here = run_end(opener, ours, Side::Target, LINGER);
    let (ended, (answer, error)) =
        timeout(PATIENCE, async { tokio::join!(here, read_to_error(&mut visitor)) }).await.unwrap();

    assert_eq!(ended.end, End::Killed);
    assert_eq!((answer, error), (b"the last".to_vec(), ErrorKind::ConnectionReset));
}

/// The same behind END, where the opener has nothing more to read but frames.
#[tokio::test]
async fn a_reason_behind_the_end_of_a_service_that_came_before_the_connection_broke_is_the_end() {
    let (mut opener, mut other) = links().await;
    let (ours, visitor) = plain();
    let mut visitor = of_tokio(visitor);
    open(&mut opener, &mut other).await;
    let here = run_end(opener, ours, Side::Target, LINGER);
    let there = async {
        other.queue(&Frame::Opened).unwrap();
        other.queue(&Frame::End).unwrap();
        other.flush().await.unwrap();
        assert!(read_to_end(&mut visitor).await.is_empty());

        // All of it before the opener's next turn, which begins with the write that fails.
        other.queue(&Frame::Reset(Reason::Reset)).unwrap();
        other.flush().await.unwrap();
        rustix::net::sockopt::set_socket_linger(&other, Some(Duration::ZERO)).unwrap();
        drop(other);
        visitor.try_write(b"more").unwrap();
        visitor
    };

    let (ended, _visitor) = timeout(PATIENCE, async { tokio::join!(here, there) }).await.unwrap();

    assert_eq!(ended.end, End::TargetReset);
}

#[tokio::test]
async fn a_half_that_is_dropped_in_a_session_looks_cut_and_never_ended() {
    let (mut opener, mut other) = links().await;
    open(&mut opener, &mut other).await;

    drop(CarrierHalf::new(opener, Side::Target));

    let broken = timeout(PATIENCE, other.receive(100)).await.unwrap().unwrap_err();
    let is_reset = matches!(&broken, Broken::Io(error) if error.kind() == ErrorKind::ConnectionReset);
    assert!(is_reset, "{broken}");
}
