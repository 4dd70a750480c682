use std::net::{TcpListener, TcpStream};

use proptest::prelude::*;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::*;

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
    assert_eq!((state, inode), (TcpState::Established, 0), "in the accept queue no process holds it yet");
    let (state, inode) = state_of("0.0.0.0:0".parse().unwrap()).unwrap();
    assert_eq!(state, TcpState::Listen);
    assert_ne!(inode, 0);
}

#[test]
fn the_server_side_of_a_connection_gets_its_inode_when_it_is_accepted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, ours) = (client.peer_addr().unwrap(), client.local_addr().unwrap());

    let waiting = connection(server, ours).unwrap().unwrap();
    let accepted = listener.accept().unwrap();
    let taken = connection(server, ours).unwrap().unwrap();
    drop(accepted);

    assert_eq!((waiting.inode, waiting.state), (0, TcpState::Established));
    assert_ne!(taken.inode, 0);
}

#[test]
fn a_connection_is_found_by_its_other_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).unwrap();
    let ours = client.local_addr().unwrap();

    assert!(towards_port(address.port()).unwrap().sockets.iter().any(|row| row.local == ours));
    assert!(connections().unwrap().sockets.iter().any(|row| row.local == ours));
    assert!(listeners().unwrap().sockets.iter().any(|row| row.local == address));
}

#[test]
fn a_udp_receiver_is_found_by_the_address_a_datagram_goes_to() {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));

    let found = receiver(address).unwrap().unwrap();
    let rows = udp_on_port(port).unwrap();
    drop(socket);

    assert_eq!(found.local.port(), port);
    assert_eq!((rows.len(), rows[0].1), (1, Some(0)));
    assert_eq!(receiver(address).unwrap(), None);
}

#[test]
fn a_row_cut_short_is_an_error_and_a_state_of_a_later_kernel_none_of_ours() {
    let mut body = vec![0; question::INET_DIAG_MSG];
    body[0] = libc::AF_INET6 as u8;
    body[1] = 10;
    body.extend([5, 0, 11, 0, 1, 0, 0, 0]);

    assert_eq!(row::read_socket(&body).unwrap().unwrap().v6only, Some(true));
    assert!(row::read_socket(&body[..71]).is_err());
    body[1] = 99;
    assert_eq!(row::read_socket(&body).unwrap(), None);
}

proptest! {
    #[test]
    fn no_row_panics(body: Vec<u8>, tail: Vec<u8>) {
        let _ = row::read_socket(&body);
        let whole = [&[2, 10][..], &[0; 70], &tail].concat();
        let _ = (row::read_socket(&whole), row::drops(&whole));
    }
}

#[test]
fn a_socket_bound_to_another_port_is_not_on_this_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let bound = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    rustix::net::bind(&bound, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let port = listener.local_addr().unwrap().port();

    let dump = on_port(port).unwrap();

    assert!(dump.sockets.iter().all(|socket| socket.local.port() == port), "{:?}", dump.sockets);
}
