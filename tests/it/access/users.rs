//! Clients of Unix sockets, known by their user and their groups.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use loopgate::outcome::{Denial, End, Phase};

use crate::harness::{Connection, Proxy, TIMEOUT, Target};

/// What the echo returns; nothing if the connection is refused.
fn talk(socket: &Path) -> Vec<u8> {
    let mut client = UnixStream::connect(socket).unwrap();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    let (mut heard, _) = (Vec::new(), client.write_all(b"here"));
    let _ = client.shutdown(std::net::Shutdown::Write);
    let _ = client.read_to_end(&mut heard);
    heard
}

#[test]
fn a_process_is_let_in_by_its_user_or_group_and_others_are_denied() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("proxy");
    let (target, user) = (Target::echo(), rustix::process::geteuid().as_raw());
    let group = rustix::process::getegid().as_raw();
    let list = folder.path().join("list");
    std::fs::write(&list, format!("10.0.0.0/8\nuid:{user} # us\n")).unwrap();
    let file = format!("file:{}", list.display());
    let proxy = |lists: &str| {
        let route = format!("listen = 'unix:{}', target = '{}'", socket.display(), target.address);
        Proxy::builder().with(&format!("routes.test = {{{route}, {lists}}}"))
    };

    for allowed in [format!("uid:{user}"), format!("gid:{group}"), file] {
        let proxy = proxy(&format!("allow = ['uid:3999999999', '{allowed}']"));
        assert_eq!(talk(&socket), b"here", "{allowed}");
        assert_eq!(proxy.record().outcome.end, End::Done, "{allowed}");
    }
    for (lists, why) in [
        ("allow = ['uid:3999999999', 'gid:3999999999']".to_owned(), Denial::UserUnlisted),
        (format!("deny = 'uid:{user}'"), Denial::UserListed),
        (format!("allow = 'uid:{user}', deny = 'gid:{group}'"), Denial::UserListed),
    ] {
        let proxy = proxy(&lists);
        assert_eq!(talk(&socket), b"", "{lists}");
        let record = proxy.record();
        assert_eq!((record.outcome.end, record.outcome.phase), (End::Denied(why), Phase::Admit), "{lists}");
        assert!(record.hint().unwrap().contains("of its process"), "{record}");
    }
}

#[test]
fn on_a_route_of_both_kinds_each_list_is_for_its_own_clients() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("proxy");
    let (target, user) = (Target::echo(), rustix::process::geteuid().as_raw());
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = ['127.0.0.1:0', 'unix:{}'], target = '{}', allow = ['127.0.0.2', 'uid:{user}']}}",
        socket.display(),
        target.address
    ));

    assert_eq!(talk(&socket), b"here");
    assert!(Connection::is_reset_at_once("127.0.0.1", proxy.address));
    let mut client = Connection::from_to("127.0.0.2", proxy.address);
    client.send(b"here");
    assert_eq!(client.receive(4), b"here");
}

#[test]
fn a_proxy_at_a_unix_socket_whose_user_is_not_allowed_names_no_client() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("proxy");
    let (target, user) = (Target::echo(), rustix::process::geteuid().as_raw());
    let says = |header: &str, allow: &str| {
        let proxy = Proxy::builder().with(&format!(
            "routes.test = {{listen = 'unix:{}', target = '{}', accept_proxy = 'unix', allow = [{allow}]}}",
            socket.display(),
            target.address
        ));
        let mut client = UnixStream::connect(&socket).unwrap();
        client.set_read_timeout(Some(TIMEOUT)).unwrap();
        // It may be refused before it has sent anything.
        let _ = client.write_all(header.as_bytes());
        let _ = client.shutdown(std::net::Shutdown::Write);
        let _ = client.read_to_end(&mut Vec::new());
        proxy.record().outcome.end
    };
    let (named, own) = ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY UNKNOWN\r\n");
    let unlisted = End::Denied(Denial::UserUnlisted);

    assert_eq!(says(named, "'uid:3999999999', '0.0.0.0/0'"), unlisted);
    assert_eq!(says(own, "'uid:3999999999', '0.0.0.0/0'"), unlisted);
    assert_eq!(says(named, &format!("'uid:{user}', '0.0.0.0/0'")), End::Done);
    assert_eq!(says(own, &format!("'uid:{user}', '0.0.0.0/0'")), End::Done);
    assert_eq!(says(named, &format!("'uid:{user}', '10.0.0.0/8'")), End::Denied(Denial::Unlisted));
    // Without users in it, the proxies are those that the socket's file lets in.
    for header in [named, own] {
        assert_eq!(says(header, "'192.0.2.0/24'"), End::Done);
    }
    assert_eq!(says(named, "'10.0.0.0/8'"), End::Denied(Denial::Unlisted));
}
