//! Frames between two ends of a secured connection, in a poller and in none.

use std::io::Write;
use std::os::fd::AsFd;
use std::time::Duration;

use tokio::time::timeout;

use super::testing::{links, until};
use super::{Broken, FrameLink, MAX_UNSENT, Received};
use crate::transport::tunnel::frame::{CloseCode, Frame, MAX_BODY, Reason};

const PATIENCE: Duration = Duration::from_secs(10);

async fn next(link: &mut FrameLink) -> Result<Received, Broken> {
    timeout(PATIENCE, link.receive(MAX_BODY)).await.expect("in time")
}

#[tokio::test]
async fn messages_and_frames_arrive_in_their_order_however_long_they_are() {
    let (mut ours, mut theirs) = links().await;
    let long: Vec<u8> = (0..MAX_BODY).map(|n| n as u8).collect();

    ours.queue_message(b"{}").unwrap();
    ours.queue(&Frame::Ping(7)).unwrap();
    ours.queue_message(&long).unwrap();
    ours.queue(&Frame::Open(vec![9; 300])).unwrap();
    let sends = async { ours.flush().await.unwrap() };
    let reads = async {
        [next(&mut theirs).await, next(&mut theirs).await, next(&mut theirs).await, next(&mut theirs).await]
    };
    let ((), read) = tokio::join!(sends, reads);

    let read: Vec<Received> = read.into_iter().map(Result::unwrap).collect();
    let expected = [
        Received::Message(b"{}".to_vec()),
        Received::Frame(Frame::Ping(7)),
        Received::Message(long),
        Received::Frame(Frame::Open(vec![9; 300])),
    ];
    assert!(read == expected);
    assert!(theirs.is_between_frames());
}

#[tokio::test]
async fn what_is_queued_goes_out_while_an_answer_is_waited_for() {
    let (mut ours, mut theirs) = links().await;
    ours.queue(&Frame::Ping(3)).unwrap();

    let answers = async {
        assert_eq!(next(&mut theirs).await.unwrap(), Received::Frame(Frame::Ping(3)));
        theirs.queue(&Frame::Pong(3)).unwrap();
        theirs.flush().await.unwrap();
    };
    let (answer, ()) = tokio::join!(next(&mut ours), answers);

    assert_eq!(answer.unwrap(), Received::Frame(Frame::Pong(3)));
}

#[tokio::test]
async fn a_receive_that_is_given_up_loses_nothing_of_a_message() {
    let (mut ours, mut theirs) = links().await;
    let long = vec![5; MAX_BODY];
    ours.queue_message(&long).unwrap();

    // Looked at once between any two writes.
    let received = loop {
        tokio::select! {
            biased;
            received = theirs.receive(MAX_BODY) => break received,
            () = async { ours.flush().await.unwrap(); tokio::task::yield_now().await } => {}
        }
    };

    assert!(received.unwrap() == Received::Message(long));
}

#[tokio::test]
async fn a_parked_connection_goes_on_where_it_was_with_what_came_behind_the_last_frame() {
    let (mut ours, mut theirs) = links().await;
    ours.queue(&Frame::Open(vec![1])).unwrap();
    ours.queue_message(b"hello").unwrap();
    ours.flush().await.unwrap();
    assert_eq!(next(&mut theirs).await.unwrap(), Received::Frame(Frame::Open(vec![1])));
    let peer = theirs.peer().unwrap();

    let parked = theirs.park().unwrap();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut theirs = parked.open().unwrap();
            assert_eq!(theirs.peer().unwrap(), peer);
            let hello = next(&mut theirs).await.unwrap();
            theirs.queue(&Frame::Opened).unwrap();
            theirs.flush().await.unwrap();
            (hello, theirs.park().unwrap())
        })
    });

    assert_eq!(next(&mut ours).await.unwrap(), Received::Frame(Frame::Opened));
    let (hello, parked) = thread.join().unwrap();
    assert_eq!(hello, Received::Message(b"hello".to_vec()));
    assert!(!parked.is_gone());
}

#[tokio::test]
async fn an_idle_connection_is_known_to_be_gone_once_its_other_end_closed_or_spoke_unasked() {
    let (ours, theirs) = links().await;
    let parked = theirs.park().unwrap();
    assert!(!parked.is_gone());
    drop(ours);
    until("the end has arrived", || parked.is_gone()).await;

    let (mut ours, theirs) = links().await;
    let parked = theirs.park().unwrap();
    ours.queue(&Frame::Close(CloseCode::Surplus)).unwrap();
    ours.flush().await.unwrap();
    until("the frame has arrived", || parked.is_gone()).await;

    let (ours, theirs) = links().await;
    let parked = theirs.park().unwrap();
    rustix::net::sockopt::set_socket_linger(&ours, Some(Duration::ZERO)).unwrap();
    drop(ours);
    until("the reset has arrived", || parked.is_gone()).await;
}

#[tokio::test]
async fn a_message_longer_than_expected_ends_the_connection() {
    let (mut ours, mut theirs) = links().await;
    ours.queue_message(&[1; 101]).unwrap();
    ours.flush().await.unwrap();

    let broken = timeout(PATIENCE, theirs.receive(100)).await.unwrap().unwrap_err();

    assert!(broken.to_string().ends_with("a message of more than 100 bytes"), "{broken}");
}

#[tokio::test]
async fn an_end_that_takes_nothing_is_not_written_for_without_bound() {
    let (mut ours, _theirs) = links().await;
    let mut queued = 0;
    let refused = loop {
        match ours.queue_message(&[1; MAX_BODY]) {
            Ok(()) => queued += MAX_BODY,
            Err(refused) => break refused,
        }
    };

    assert!(queued < MAX_UNSENT && matches!(refused, Broken::Io(_)), "{queued}: {refused}");
}

#[tokio::test]
async fn the_end_of_a_connection_is_told_from_bytes_that_are_no_frame() {
    let (mut ours, mut theirs) = links().await;
    ours.queue(&Frame::Reset(Reason::Idle)).unwrap();
    ours.flush().await.unwrap();
    drop(ours);
    assert_eq!(next(&mut theirs).await.unwrap(), Received::Frame(Frame::Reset(Reason::Idle)));
    assert!(matches!(next(&mut theirs).await, Err(Broken::Closed)));

    let (ours, mut theirs) = links().await;
    let mut socket = std::net::TcpStream::from(ours.as_fd().try_clone_to_owned().unwrap());
    socket.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    assert!(matches!(next(&mut theirs).await, Err(Broken::Tls(_))));

    let (mut ours, mut theirs) = links().await;
    ours.records.queue(&[0, 0, 0, 99]).unwrap();
    ours.flush().await.unwrap();
    assert!(matches!(next(&mut theirs).await, Err(Broken::Protocol(_))));
}
