//! Each way a session ends, seen from both of its sides and in both records.

use std::io::ErrorKind;

use tokio::io::Interest;

use super::*;

#[tokio::test]
async fn an_answer_after_the_request_has_ended_arrives_whole_and_the_carrier_is_free() {
    let (ended, (request, answer)) = carry(links().await, LINGER, async |mut visitor, mut service| {
        let ask = async {
            write(&mut visitor, &bytes(1, 3_000_000)).await;
            visitor.shutdown().await.unwrap();
            read_to_end(&mut visitor).await
        };
        let reply = async {
            let request = read_to_end(&mut service).await;
            write(&mut service, &bytes(2, 3_000_000)).await;
            drop(service);
            request
        };
        let (answer, request) = tokio::join!(ask, reply);
        (request, answer)
    })
    .await;

    assert!(request == bytes(1, 3_000_000) && answer == bytes(2, 3_000_000));
    for ended in &ended {
        assert_eq!((ended.end, ended.closed_by), (End::Done, Some(Side::Client)));
        let Traffic { up, down } = ended.traffic;
        assert_eq!([up.read, up.delivered, down.read, down.delivered], [3_000_000; 4]);
        assert!(ended.link.is_some() && ended.words.is_none());
    }
}

#[tokio::test]
async fn a_request_after_the_answer_has_ended_arrives_whole() {
    let (ended, (answer, request)) = carry(links().await, LINGER, async |mut visitor, mut service| {
        write(&mut service, b"220 ready\r\n").await;
        service.shutdown().await.unwrap();
        let answer = read_to_end(&mut visitor).await;
        write(&mut visitor, &bytes(3, 500_000)).await;
        // Dropped once everything is there: until then it is one that listens.
        let request = async {
            visitor.shutdown().await.unwrap();
            read_to_end(&mut service).await
        };
        (answer, request.await)
    })
    .await;

    assert!(answer == b"220 ready\r\n" && request == bytes(3, 500_000));
    assert_eq!(ends(&ended), [End::Done; 2]);
    assert_eq!([ended[0].closed_by, ended[1].closed_by], [Some(Side::Target); 2]);
    assert!(ended.iter().all(|ended| ended.link.is_some()));
}

#[tokio::test]
async fn a_session_without_a_byte_ends_and_leaves_the_carrier_free() {
    let (ended, ()) = carry(links().await, LINGER, async |visitor, service| drop((visitor, service))).await;

    assert_eq!(ends(&ended), [End::Done; 2]);
    assert!(ended.iter().all(|ended| ended.link.is_some()));
}

#[tokio::test]
async fn streams_both_ways_at_once_to_slow_readers_are_whole() {
    const LENGTH: usize = 8_000_000;
    async fn slowly(socket: &mut tokio::net::tcp::ReadHalf<'_>) -> Vec<u8> {
        let (mut all, mut part) = (Vec::new(), vec![0; 70_000]);
        loop {
            tokio::task::yield_now().await;
            match socket.read(&mut part).await.unwrap() {
                0 => return all,
                n => all.extend_from_slice(&part[..n]),
            }
        }
    }
    let talk = async |socket: &mut tokio::net::TcpStream, seed| {
        let (mut read, mut write) = socket.split();
        let says = async {
            write.write_all(&bytes(seed, LENGTH)).await.unwrap();
            write.shutdown().await.unwrap();
        };
        tokio::join!(slowly(&mut read), says).0
    };

    let (ended, (down, up)) = carry(links().await, LINGER, async |mut visitor, mut service| {
        tokio::join!(talk(&mut visitor, 4), talk(&mut service, 5))
    })
    .await;

    assert!(up == bytes(4, LENGTH) && down == bytes(5, LENGTH));
    assert_eq!(ends(&ended), [End::Done; 2]);
    assert!(ended.iter().all(|ended| ended.link.is_some()));
}

#[tokio::test]
async fn a_visitor_that_resets_is_a_reset_of_the_client_at_both_ends_behind_what_it_sent() {
    let (ended, (request, error)) = carry(links().await, LINGER, async |mut visitor, mut service| {
        write(&mut visitor, &bytes(6, 200_000)).await;
        let mut first = vec![0; 200_000];
        service.read_exact(&mut first).await.unwrap();
        resets(&visitor);
        drop(visitor);
        let (rest, error) = read_to_error(&mut service).await;
        ([first, rest].concat(), error)
    })
    .await;

    assert!(request == bytes(6, 200_000));
    assert_eq!(error, ErrorKind::ConnectionReset);
    assert_eq!(ends(&ended), [End::ClientReset; 2]);
    assert!(ended.iter().all(|ended| ended.link.is_none()));
}

#[tokio::test]
async fn a_service_that_resets_is_a_reset_of_the_target_at_both_ends_behind_what_it_sent() {
    let (ended, (answer, error)) = carry(links().await, LINGER, async |mut visitor, mut service| {
        write(&mut service, &bytes(7, 200_000)).await;
        let mut first = vec![0; 200_000];
        visitor.read_exact(&mut first).await.unwrap();
        resets(&service);
        drop(service);
        let (rest, error) = read_to_error(&mut visitor).await;
        ([first, rest].concat(), error)
    })
    .await;

    assert!(answer == bytes(7, 200_000));
    assert_eq!(error, ErrorKind::ConnectionReset);
    assert_eq!(ends(&ended), [End::TargetReset; 2]);
    assert!(ended.iter().all(|ended| ended.link.is_none()));
}

#[tokio::test]
async fn a_reset_after_an_end_is_a_reset_all_the_same() {
    let (ended, error) = carry(links().await, LINGER, async |mut visitor, mut service| {
        write(&mut visitor, b"request").await;
        visitor.shutdown().await.unwrap();
        assert_eq!(read_to_end(&mut service).await, b"request");
        resets(&visitor);
        drop(visitor);
        // Only a write, or the watch of the half that is not read, learns of it.
        service.ready(Interest::ERROR).await.unwrap();
        service.take_error().unwrap().map(|error| error.kind())
    })
    .await;

    // In CLOSE_WAIT a reset is this error (tcp_reset in net/ipv4/tcp_input.c).
    assert_eq!(error, Some(ErrorKind::BrokenPipe));
    assert_eq!(ends(&ended), [End::ClientReset; 2]);
}

#[tokio::test]
async fn a_write_to_a_service_that_closed_comes_back_as_a_reset() {
    let (ended, error) = carry(links().await, LINGER, async |mut visitor, mut service| {
        write(&mut service, b"bye").await;
        service.shutdown().await.unwrap();
        assert_eq!(read_to_end(&mut visitor).await, b"bye");
        write(&mut visitor, b"are you there?").await;
        let mut asked = [0; 14];
        service.read_exact(&mut asked).await.unwrap();
        resets(&service);
        drop(service);
        loop {
            if let Err(error) = visitor.write_all(b"hello?").await {
                break error.kind();
            }
            tokio::task::yield_now().await;
        }
    })
    .await;

    assert!(matches!(error, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    assert_eq!(ends(&ended), [End::TargetReset; 2]);
    assert!(ended.iter().all(|ended| ended.link.is_none()));
}
