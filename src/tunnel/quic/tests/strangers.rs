//! Who is not let in, and what that costs.

use quinn::{ConnectionError, Endpoint};

use super::*;
use crate::transport::tunnel::message::Token;
use crate::transport::tunnel::quic;

/// A client that shows this token with this key; how its connection ends.
async fn shows(pair: &Pair, key: &PrivateKey, token: [u8; 16]) -> ConnectionError {
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let tls = identity::Dialling::new(key, &[pair.server.key.public()]);
    let config = quic::client(&tls).unwrap();
    let connecting = endpoint.connect_with(config, pair.server.at, "vps").unwrap();
    let ended = async {
        let connection = match connecting.await {
            Ok(connection) => connection,
            Err(error) => return error,
        };
        if let Ok((mut send, _recv)) = connection.open_bi().await {
            let _ = send.write_all(&token).await;
            let _ = connection.send_datagram(Bytes::from_static(b"\x02early"));
            return connection.closed().await;
        }
        connection.closed().await
    };
    timeout(PATIENCE, ended).await.expect("it is not closed")
}

fn is_refused(error: &ConnectionError) -> bool {
    let no_session = quinn::VarInt::from_u32(1);
    matches!(error, ConnectionError::ApplicationClosed(closed) if closed.error_code == no_session)
}

#[tokio::test]
async fn a_token_that_was_used_or_never_given_is_refused_and_so_is_one_of_another_key() {
    let mut pair = Pair::start().await;
    pair.here.up().await;
    let other = PrivateKey::generate().unwrap();
    pair.server.known.0.lock().unwrap().push(other.public());
    let token = pair.seated.offer(0).unwrap().token;

    assert!(is_refused(&shows(&pair, &pair.home, [9; 16]).await), "a wrong one");
    assert!(is_refused(&shows(&pair, &other, token.0).await), "with another key that is known");
    let newer = pair.seated.offer(0).unwrap().token;
    assert!(is_refused(&shows(&pair, &pair.home, token.0).await), "one that a newer one has replaced");
    assert_ne!(newer, Token([9; 16]));

    assert!(pair.there.quic.borrow().is_some(), "the connection that is there stays");
    let early = pair.there.events.try_recv();
    assert!(early.is_err(), "a datagram before its token has counted: {early:?}");
}

#[tokio::test]
async fn a_key_that_is_not_known_is_refused_in_the_handshake() {
    let pair = Pair::start().await;
    let stranger = PrivateKey::generate().unwrap();

    let error = shows(&pair, &stranger, pair.seated.offer(0).unwrap().token.0).await;

    assert!(matches!(error, ConnectionError::ConnectionClosed(_)), "{error:?}");
}

#[tokio::test]
async fn a_key_that_is_withdrawn_is_refused_from_then_on() {
    let mut pair = Pair::start().await;
    pair.here.up().await;

    pair.server.known.0.lock().unwrap().clear();

    let error = shows(&pair, &pair.home, pair.seated.offer(0).unwrap().token.0).await;
    assert!(matches!(error, ConnectionError::ConnectionClosed(_)), "{error:?}");
}

#[tokio::test]
async fn a_server_with_another_key_is_not_spoken_to() {
    let pair = Pair::start().await;
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let tls = identity::Dialling::new(&pair.home, &[pair.home.public()]);

    let connecting = endpoint.connect_with(quic::client(&tls).unwrap(), pair.server.at, "vps").unwrap();

    assert!(timeout(PATIENCE, connecting).await.unwrap().is_err());
}

#[tokio::test]
async fn recorded_datagrams_are_no_second_connection() {
    let mut pair = Pair::start_with(Relay::record).await;
    let here = pair.here.up().await;
    pair.there.up().await;
    here.send(FlowNumber(2), Bytes::from_static(b"once"));
    assert_eq!(pair.there.arrived().await, (2, Bytes::from_static(b"once")));
    let recorded = pair.relay.recorded();
    assert!(recorded.len() > 4, "{}", recorded.len());
    let before = pair.there.up().await;

    let thief = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for _ in 0..3 {
        for datagram in &recorded {
            thief.send_to(datagram, pair.server.at).await.unwrap();
        }
    }
    // Whatever was sent before has been read once this one is.
    here.send(FlowNumber(2), Bytes::from_static(b"twice"));
    assert_eq!(pair.there.arrived().await, (2, Bytes::from_static(b"twice")));

    assert!(Arc::ptr_eq(&before, &pair.there.up().await), "no other connection has shown a token");
    assert!(pair.there.events.try_recv().is_err(), "nothing has arrived again");
}

/// First packets of connections that are never answered, each of one more.
async fn first_packets(pair: &Pair, count: usize) -> Vec<Vec<u8>> {
    let sink = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let stranger = PrivateKey::generate().unwrap();
    let config = quic::client(&identity::Dialling::new(&stranger, &[pair.server.key.public()])).unwrap();
    let (mut packets, mut room) = (Vec::new(), vec![0; 2048]);
    while packets.len() < count {
        let connecting = endpoint.connect_with(config.clone(), sink.local_addr().unwrap(), "vps").unwrap();
        let length = timeout(PATIENCE, sink.recv(&mut room)).await.unwrap().unwrap();
        packets.push(room[..length].to_vec());
        drop(connecting);
    }
    packets
}

#[tokio::test]
async fn ten_thousand_first_packets_of_strangers_get_a_thousand_answers_a_second_and_known_ends_get_theirs() {
    let first = Pair::start().await;
    let packets = first_packets(&first, 50).await;
    // Another address than that of the control, which is known.
    let stranger = tokio::net::UdpSocket::bind("127.0.0.2:0").await.unwrap();
    let begun = std::time::Instant::now();
    let (mut answers, mut room) = (0_u32, vec![0; 2048]);
    for n in 0..10_000 {
        stranger.send_to(&packets[n % packets.len()], first.server.at).await.unwrap();
        while stranger.try_recv(&mut room).is_ok() {
            answers += 1;
        }
    }

    let mut first = first;
    first.here.up().await;
    let token = first.seated.offer(0).unwrap().token;
    let served = shows(&first, &PrivateKey::generate().unwrap(), token.0).await;
    assert!(matches!(served, ConnectionError::ConnectionClosed(_)), "even to be refused: {served:?}");
    while stranger.try_recv(&mut room).is_ok() {
        answers += 1;
    }
    let most = 100 + (begun.elapsed().as_millis() + 1) as u32;
    assert!((1..=most).contains(&answers), "{answers} answers, at most {most}");
    let left = async {
        while first.server.quic.desk.strangers_here() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, left).await.expect("none of them has a place");
}

#[tokio::test]
async fn an_address_has_eight_places_for_those_that_show_no_token() {
    let pair = Pair::start().await;
    let mut open = Vec::new();
    let (mut entered, mut refused) = (0, 0);
    for _ in 0..12 {
        let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let tls = identity::Dialling::new(&pair.home, &[pair.server.key.public()]);
        let connecting = endpoint.connect_with(quic::client(&tls).unwrap(), pair.server.at, "vps").unwrap();
        match timeout(PATIENCE, connecting).await.unwrap() {
            Ok(connection) => {
                entered += 1;
                open.push((endpoint, connection));
            }
            Err(ConnectionError::ConnectionClosed(_)) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }

    assert!(entered <= 9 && refused >= 3, "{entered} have entered, {refused} were refused");
    // They have three seconds.
    let ended = timeout(PATIENCE, open[0].1.closed()).await.unwrap();
    assert!(is_refused(&ended), "{ended:?}");
}
