use std::net::{TcpListener, TcpStream};

use super::*;

fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(body);
    bytes
}

#[test]
fn a_listener_is_found_without_connecting_and_missed_once_it_is_gone() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();

    let while_open = listens(address).unwrap();
    drop(listener);
    let once_closed = listens(address).unwrap();

    assert_eq!((while_open, once_closed), (true, false));
}

#[test]
fn a_wildcard_listener_answers_for_any_loopback_address() {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();

    assert!(listens(SocketAddr::from(([127, 0, 0, 9], port))).unwrap());
}

#[test]
fn a_dump_shows_the_listener_and_the_server_side_of_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).unwrap();

    let dump = on_port(address.port()).unwrap();

    let state_of = |remote: SocketAddr| {
        dump.sockets.iter().find(|socket| socket.remote == remote).map(|socket| (socket.state, socket.inode))
    };
    let (state, inode) = state_of(client.local_addr().unwrap()).unwrap();
    assert_eq!((state, inode), (TcpState::Established, 0), "in the accept queue nobody owns it yet");
    let (state, inode) = state_of("0.0.0.0:0".parse().unwrap()).unwrap();
    assert_eq!(state, TcpState::Listen);
    assert_ne!(inode, 0);
}

#[test]
fn an_errno_in_the_answer_is_the_error() {
    let answer = message(NLMSG_ERROR, 0, &(-libc::EPERM).to_ne_bytes());

    let error = read_datagram(&answer, &mut Dump::default()).unwrap_err();

    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
}

#[test]
fn a_dump_of_several_messages_ends_at_done_alone() {
    let mut socket = [0; INET_DIAG_MSG];
    socket[0] = libc::AF_INET as u8;
    socket[1] = 10;
    let row = message(SOCK_DIAG_BY_FAMILY, NLM_F_MULTI, &socket);
    let done = message(NLMSG_DONE, NLM_F_MULTI, &0u32.to_ne_bytes());
    let mut dump = Dump::default();

    let after_rows = read_datagram(&[row.clone(), row].concat(), &mut dump).unwrap();
    let after_done = read_datagram(&done, &mut dump).unwrap();

    assert_eq!((after_rows, after_done, dump.sockets.len()), (false, true, 2));
}

#[test]
fn every_truncation_of_an_answer_is_an_error_or_a_shorter_answer_and_never_a_panic() {
    let mut body = vec![0; INET_DIAG_MSG];
    body[0] = libc::AF_INET6 as u8;
    body[1] = 10;
    body.extend([5, 0, 11, 0, 1, 0, 0, 0]);
    let whole = message(SOCK_DIAG_BY_FAMILY, NLM_F_MULTI, &body);

    for length in 1..whole.len() {
        let mut dump = Dump::default();
        assert!(read_datagram(&whole[..length], &mut dump).is_err(), "cut at {length}");
        assert!(dump.sockets.is_empty());
    }
    let mut dump = Dump::default();
    read_datagram(&whole, &mut dump).unwrap();
    assert_eq!(dump.sockets[0].v6only, Some(true));
}

#[test]
fn a_message_that_claims_no_length_ends_the_reading() {
    let answer = [0; HEADER];

    assert!(read_datagram(&answer, &mut Dump::default()).is_err());
}
