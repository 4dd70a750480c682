//! An other end that says what it may not.

use proptest::prelude::*;

use super::*;
use crate::transport::tunnel::frame::{CloseCode, Reason};

/// Has the other end send these bytes behind OPEN; how the session ends here, and what the other end was told.
async fn told(side: Side, sent: &[u8]) -> (Ended, Option<Frame>) {
    let (mut opener, mut other) = links().await;
    let (plain_end, visitor) = plain();
    open(&mut opener, &mut other).await;
    let (ours, mut theirs) = if side == Side::Target { (opener, other) } else { (other, opener) };
    theirs.records.queue(sent).unwrap();
    let there = async {
        // It may be gone by then.
        let _ = theirs.flush().await;
        theirs.records.stream().shut_write();
        let mut last = None;
        while let Ok(received) = theirs.receive(100_000).await {
            if let Received::Frame(frame) = received {
                last = Some(frame);
            }
        }
        drop(theirs);
        last
    };
    let here = run_end(ours, plain_end, side, Duration::from_millis(100));
    let visit = async {
        let mut visitor = of_tokio(visitor);
        let _ = visitor.shutdown().await;
        let _ = visitor.read_to_end(&mut Vec::new()).await;
    };
    let all = async { tokio::join!(here, there, visit) };
    let (ended, last, ()) = timeout(PATIENCE, all).await.expect("it comes to an end");
    (ended, last)
}

fn frames(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| frame.encode(&mut bytes));
    bytes
}

#[tokio::test]
async fn a_ping_in_a_session_is_answered_with_a_reset_for_it() {
    let (ended, last) = told(Side::Target, &frames(&[Frame::Opened, Frame::Ping(1)])).await;

    assert_eq!((ended.end, last), (End::TunnelLost, Some(Frame::Reset(Reason::Protocol))));
    assert!(ended.words.unwrap().ends_with("PING of the other end within a session"));
    assert!(ended.link.is_none());
}

#[tokio::test]
async fn bytes_before_opened_and_done_of_the_opener_are_out_of_turn() {
    let (ended, last) = told(Side::Target, &[0, 0, 1, 7]).await;
    assert_eq!((ended.end, last), (End::TunnelLost, Some(Frame::Reset(Reason::Protocol))));

    let (ended, last) = told(Side::Client, &frames(&[Frame::End, Frame::Done])).await;
    assert_eq!((ended.end, last), (End::TunnelLost, Some(Frame::Reset(Reason::Protocol))));
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let frame = prop_oneof![
        Just(Frame::End),
        Just(Frame::Opened),
        Just(Frame::Done),
        any::<u8>().prop_map(|n| Frame::Reset(if n > 128 { Reason::Idle } else { Reason::Protocol })),
        Just(Frame::Open(vec![1])),
        Just(Frame::Failed(b"{\"cause\":\"refused\"}".to_vec())),
        any::<u32>().prop_map(Frame::Ping),
        any::<u32>().prop_map(Frame::Pong),
        Just(Frame::Close(CloseCode::Surplus)),
    ];
    let body = prop::collection::vec(any::<u8>(), 1..50).prop_map(|body| {
        let head = crate::transport::tunnel::frame::head(body.len());
        [&head[..], &body].concat()
    });
    prop_oneof![
        6 => frame.prop_map(|frame| frames(&[frame])),
        6 => body,
        1 => prop::collection::vec(any::<u8>(), 1..9),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever comes, the session ends, and only what the frames allow is `done`.
    #[test]
    fn whatever_frames_come_the_session_ends(
        is_opener in any::<bool>(),
        sent in prop::collection::vec(any_frame(), 0..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let side = if is_opener { Side::Target } else { Side::Client };
        let (ended, _) = runtime.block_on(told(side, &sent.concat()));
        prop_assert!(ended.link.is_none() || ended.end == End::Done);
    }
}
